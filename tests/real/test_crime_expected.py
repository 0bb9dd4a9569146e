"""Every record of crime_expected.json: each log, rule and clip set, and each pair of arms."""

import csv
import json

import pytest

from llamavid_kit.scoring import RULES, ArmTable, collapse, label_of, score
from llamavid_kit.statistics import compare_arms, wilson
from llamavid_kit.study import NORMAL

ROUNDED = 6e-7  # the file rounds to 6 digits


@pytest.fixture(scope="module")
def expected(real) -> dict:
    return json.loads((real / "crime_expected.json").read_text())


@pytest.fixture(scope="module")
def logs(real, expected) -> dict[str, list[dict]]:
    """{setting: rows}, a row with an empty prediction is a skipped video."""
    rows = {}
    for setting in expected["results"]:
        with (real / "crime_predictions" / f"{setting}.csv").open(newline="", encoding="utf-8") as file:
            rows[setting] = list(csv.DictReader(file))
    return rows


def clip_sets(rows: list[dict], logs: dict) -> dict[str, list[dict]]:
    answered = [{r["video"] for r in log if r["prediction"]} for log in logs.values()]
    common = set.intersection(*answered)
    return {
        "all_predicted": [r for r in rows if r["prediction"]],
        "common_242": [r for r in rows if r["video"] in common],
        "all_259_opened_skips_counted_wrong": rows,
    }


def check(ours, theirs, where: str) -> int:
    """Compares numbers, lists and dicts; returns how many leaves were compared."""
    if isinstance(theirs, dict):
        assert set(theirs) <= set(ours), f"{where}: {sorted(set(theirs) - set(ours))} not computed"
        return sum(check(ours[key], value, f"{where}.{key}") for key, value in theirs.items())
    if isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        return sum(check(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(ours, theirs, strict=True)))
    if isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=ROUNDED), where
    else:
        assert ours == theirs, where
    return 1


def record_of(table: ArmTable, binary: ArmTable, n_columns: int) -> dict:
    """Our table under the names of the file."""
    anomalies = [c for name, c in table.per_class.items() if name != NORMAL]
    n, correct = sum(c.n for c in anomalies), sum(c.correct for c in anomalies)
    padded = [[*row, *[0] * (n_columns - len(row))] for row in table.confusion]
    (aa, an, *a_none), (na, nn, *n_none) = binary.confusion
    return {
        **table.to_dict(),
        "anomaly_only": {"n": n, "correct": correct, "accuracy": correct / n},
        "majority_class": table.baseline.label,
        "majority_correct": table.baseline.correct,
        "majority_baseline": table.baseline.accuracy,
        "majority_balanced_accuracy": 1 / sum(c.n > 0 for c in table.per_class.values()),
        "confusion_matrix": padded,
        "per_class": {
            name: {
                "support": c.n, "correct": c.correct, "predicted": c.predicted, "recall": c.recall,
                "precision": c.precision, "f1": c.f1, "recall_wilson95": c.wilson95,
            }
            for name, c in table.per_class.items()
        },
        "binary": {
            "anomaly_as_anomaly": aa, "anomaly_as_normal": an, "anomaly_no_label": sum(a_none),
            "normal_as_anomaly": na, "normal_as_normal": nn, "normal_no_label": sum(n_none),
            "accuracy": binary.accuracy, "balanced_accuracy": binary.balanced_accuracy,
            "accuracy_wilson95": wilson(binary.correct, binary.n),
        },
    }  # fmt: skip


def test_every_log_rule_and_clip_set(expected, logs):
    labels = expected["labels_rows"]
    n_records = n_values = 0
    assert set(expected["rules"]) == set(RULES)
    for setting, by_rule in expected["results"].items():
        for rule in expected["rules"]:
            for name, rows in clip_sets(logs[setting], logs).items():
                truths = [r["truth"] for r in rows]
                answers = [label_of(r["prediction"], labels, rule=rule) for r in rows]
                both = [collapse(x, keep=NORMAL) for x in (truths, answers)]
                table = score(truths, answers, labels=labels)
                binary = score(*both, labels=("Anomaly", NORMAL))
                record = record_of(table, binary, len(expected["labels_columns"]))
                n_values += check(record, by_rule[rule][name], f"{setting}.{rule}.{name}")
                n_records += 1
            assert set(by_rule[rule]) == set(clip_sets(logs[setting], logs))
    print(f"\ncrime_expected.json: {n_records} records, {n_values} values agree")
    assert n_records == sum(
        len(sets) for rules in expected["results"].values() for k, sets in rules.items() if k != "log"
    )


def test_every_pair_of_arms(expected, logs):
    labels = expected["labels_rows"]
    for record in expected["paired"]:
        arms = {x: {r["video"]: r for r in logs[record[x]] if r["prediction"]} for x in ("a", "b")}
        common = set(arms["a"]) & set(arms["b"])
        right = {
            x: {
                v: label_of(arms[x][v]["prediction"], labels, rule=record["rule"]) == arms[x][v]["truth"]
                for v in common
            }
            for x in ("a", "b")
        }
        pair = compare_arms(right["a"], right["b"], names=(record["a"], record["b"]))
        same = sum(arms["a"][v]["prediction"] == arms["b"][v]["prediction"] for v in common)
        ours = {
            "a": pair.a, "b": pair.b, "rule": record["rule"], "n_common": pair.n, "both_correct": pair.both,
            "only_a": len(pair.only_a), "only_b": len(pair.only_b), "neither": pair.neither,
            "acc_a": (pair.both + len(pair.only_a)) / pair.n, "acc_b": (pair.both + len(pair.only_b)) / pair.n,
            "mcnemar_exact_p": pair.p, "identical_prediction_strings": same,
        }  # fmt: skip
        check(ours, record, f"paired.{record['a']}.{record['b']}.{record['rule']}")
    print(f"\ncrime_expected.json: {len(expected['paired'])} pairs of arms agree")


def test_arms_of_the_study_saw_different_clips(logs):
    """The reason for `compare_arms` to be strict: 257 clips at 1 fps, 242 at 6 fps."""
    right = {x: {r["video"]: r["prediction"] == r["truth"] for r in logs[x] if r["prediction"]} for x in logs}
    with pytest.raises(ValueError, match=r"\(257 clips\).*\(242 clips\).*and 10 more; only 'b' has none"):
        compare_arms(right["finetuned_fps1"], right["finetuned_fps6"])
