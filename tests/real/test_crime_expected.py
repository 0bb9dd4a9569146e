"""Every record of crime_expected.json: each log, rule and clip set, and each pair of arms, as `restudy` writes them."""

import json

import pytest

from data_prep.ucf_crime.lists import events_of
from llamavid_kit.evaluation import visibility
from llamavid_kit.evaluation.scoring import RULES
from llamavid_kit.evaluation.statistics import compare_arms
from llamavid_kit.study import results as published
from llamavid_kit.study.claims import findings
from llamavid_kit.study.evidence import event_lengths, read_evidence
from llamavid_kit.study.logs import read_logs, records
from llamavid_kit.study.report import closing_lines

ROUNDED = 6e-7  # the file rounds to 6 digits


@pytest.fixture(scope="module")
def expected(real) -> dict:
    return json.loads((real / "crime_expected.json").read_text())


@pytest.fixture(scope="module")
def logs(real) -> dict:
    return read_logs(real / "crime_predictions")


@pytest.fixture(scope="module")
def ours(logs) -> dict:
    return json.loads(json.dumps(records(logs)))  # as the file would hold it


def check(ours, theirs, where: str) -> int:
    """Compares numbers, lists and dicts, neither with more than the other; returns how many leaves were compared."""
    if isinstance(theirs, dict):
        assert set(theirs) == set(ours), f"{where}: {sorted(set(theirs) ^ set(ours))} only in one"
        return sum(check(ours[key], value, f"{where}.{key}") for key, value in theirs.items())
    if isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        return sum(check(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(ours, theirs, strict=True)))
    if isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=ROUNDED), where
    else:
        assert ours == theirs, where
    return 1


def test_every_log_rule_and_clip_set(expected, ours):
    n_values = check(ours["results"], expected["results"], "results")
    n_records = sum(len(sets) for rules in expected["results"].values() for k, sets in rules.items() if k != "log")
    print(f"\ncrime_expected.json: {n_records} records, {n_values} values agree")
    assert n_records == 3 * len(RULES) * 3
    assert (
        check(
            {k: ours[k] for k in ("labels_rows", "labels_columns", "rules")},
            {k: expected[k] for k in ("labels_rows", "labels_columns", "rules")},
            "head",
        )
        > 20
    )


def test_every_pair_of_arms(expected, ours):
    n_values = check(ours["paired"], expected["paired"], "paired")
    print(f"\ncrime_expected.json: {len(expected['paired'])} pairs of arms, {n_values} values agree")
    assert len(expected["paired"]) == 2 * len(RULES)


def test_nothing_else_is_in_either(expected, ours):
    assert set(ours) == set(expected) and list(ours["rules"]) == list(RULES)


def test_arms_of_the_study_saw_different_clips(logs):
    """The reason for `compare_arms` to be strict: 257 clips at 1 fps, 242 at 6 fps."""
    right = {x: {v: p.reply == p.truth for v, p in logs[x].items() if p.reply} for x in logs}
    with pytest.raises(ValueError, match=r"\(257 clips\).*\(242 clips\).*and 10 more; only 'b' has none"):
        compare_arms(right["finetuned_fps1"], right["finetuned_fps6"])


def test_videos_were_skipped_for_their_number_of_frames(logs):
    rows = [row for log in logs.values() for row in log.values()]
    most = max(row.sampled_frames for row in rows if row.reply is not None)
    fewest = min(row.sampled_frames for row in rows if row.reply is None)
    assert {"most answered": most, "fewest skipped": fewest} == published.SAMPLED_FRAMES


def test_the_counts_that_ship(expected):
    """By rule and by pair; the table of outcomes is held against them in tests/study."""
    for setting, by_rule in published.BY_RULE.items():
        for rule, counts in by_rule.items():
            record = expected["results"][setting][rule]
            sets = record["all_predicted"], record["common_242"]
            assert counts == tuple(s[name] for s in sets for name in ("correct", "no_label")), (setting, rule)
    pairs = {(p["a"], p["b"]): {} for p in expected["paired"]}
    for p in expected["paired"]:
        pairs[p["a"], p["b"]][p["rule"]] = (p["n_common"], p["only_a"], p["only_b"])
    assert pairs == published.PAIRED_BY_RULE
    logged = {s.key: s.log for s in published.SETTINGS if s.log}
    assert logged == {key: rules["log"] for key, rules in expected["results"].items()}


def test_the_tables_as_published(real):
    study = json.loads((real / "published.json").read_text())["study_results"]
    names = [s.name.replace(",", "").removesuffix(" fps") for s in published.SETTINGS]
    assert {n: s.published for n, s in zip(names, published.SETTINGS, strict=True)} == study["table2_crime_accuracy"]
    table3 = dict(study["table3_crime_per_class"])
    assert table3.pop("columns") == names
    for i, label in enumerate(published.TABLE_3_CLASSES):
        assert [s.classes[i] for s in published.SETTINGS] == table3[label]
    assert len(table3) == len(published.TABLE_3_CLASSES)
    animals = [list(published.TABLE_4_ANIMALS[s.key]) for s in published.SETTINGS]
    assert dict(zip(names, animals, strict=True)) == {k: v for k, v in study["table4_animal"].items() if k != "columns"}


def test_the_shipped_counts_are_the_files_counts(real):
    """All that a reading rests on: joint labels, counts by rule, pairs, and what sampling shows of the events."""
    annotation = real / "ucf_crime" / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt"
    files, shipped = (
        read_evidence(real / "crime_predictions", events_of(annotation), event_source=annotation.name),
        read_evidence(),
    )
    cells = [x.outcomes.value_counts().sort_index() for x in (files, shipped)]
    assert cells[0].equals(cells[1]) and len(cells[0]) == 96 and cells[0].sum() == 259
    assert files.by_rule == shipped.by_rule and files.paired_by_rule == shipped.paired_by_rule
    assert files.curve == shipped.curve
    assert files.halves.round(1).equals(shipped.halves.round(1))
    assert closing_lines(files) == closing_lines(shipped)
    verdicts = [[(f.claim, f.verdict) for f in findings(x)] for x in (files, shipped)]
    assert verdicts[0] == verdicts[1]


def test_every_event_has_a_frame_at_one_fps_by_the_studys_own_rule(real, logs):
    events = events_of(real / "ucf_crime" / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt")
    lengths = event_lengths(logs, events)
    assert len(lengths) == 102 and lengths["sampled_1"].min() >= 1 and lengths["sampled_6"].min() >= 6
    assert (lengths["sampled_6"] >= lengths["sampled_1"]).all()
    assert visibility.clip_curve(events, fps=[1])[0].n_visible == 140
