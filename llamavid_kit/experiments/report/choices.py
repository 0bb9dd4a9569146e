"""How a run's closed question was asked, as tables and sentences: likelihood rules, calibration, the options' places.

Everything is counted from the run's arm files by `evaluation.calibration`.
"""

from functools import lru_cache

import numpy as np
import pandas as pd

from llamavid_kit.evaluation.calibration import (
    CHOICE_RULES,
    Calibrated,
    OrderChanges,
    PositionBias,
    calibration_error,
    choice_scores,
    choose,
    order_changes,
    position_bias,
)
from llamavid_kit.evaluation.scoring import RULE_TEXT
from llamavid_kit.evaluation.statistics import compare_arms, holm, wilson
from llamavid_kit.experiments.report.tables import of_arms, paired, percent, plain
from llamavid_kit.experiments.run import Run
from llamavid_kit.study.recount import percents_text, share_text
from llamavid_kit.viz.plots import p_text


def _matrix(run: Run, rows: pd.DataFrame, column: str) -> np.ndarray:
    """(clips, labels) of a column of dicts by label."""
    return np.array([[values[label] for label in run.labels] for values in rows[column]], float)


def picks(run: Run, key: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rule of CHOICE_RULES → (label of each clip, its probability) in a likelihood arm; some rules need its lengths."""
    rows = run.of(key)
    counted = "n_tokens" in rows and rows["n_tokens"].map(lambda x: isinstance(x, dict)).all()
    values, lengths = _matrix(run, rows, "log_likelihood"), _matrix(run, rows, "n_tokens") if counted else None
    by_rule = {}
    for rule in CHOICE_RULES if counted else ("raw",):
        at, confidence = choose(choice_scores(values, lengths, rule=rule))
        by_rule[rule] = np.array(run.labels)[at], confidence
    return by_rule


def rules_table(run: Run) -> pd.DataFrame:
    """A row a likelihood arm: how many are right by either rule of CHOICE_RULES, and exact McNemar between the two."""
    rows, tests = [], []
    for arm in of_arms(run, "likelihood", every=True).itertuples():
        clips, truth, by_rule = run.of(arm.key)["clip"], run.of(arm.key)["truth"].to_numpy(), picks(run, arm.key)
        right = {rule: dict(zip(clips, labels == truth, strict=True)) for rule, (labels, _) in by_rule.items()}
        row = {"arm": arm.arm, "clips": arm.n}
        row |= {f"right, {rule}": share_text(sum(x.values()), arm.n) for rule, x in right.items()}
        if len(right) == len(CHOICE_RULES):
            both = compare_arms(right["raw"], right["per token"])
            labels = [labels for labels, _ in by_rule.values()]
            row |= {
                "another label": int((labels[0] != labels[1]).sum()),
                "only raw right": len(both.only_a),
                "only per token right": len(both.only_b),
                "p (Holm)": both.p,
            }
            tests.append(row)
        rows.append(row)
    for row, p in zip(tests, holm([row["p (Holm)"] for row in tests]), strict=True):
        row["p (Holm)"] = p_text(p)
    return pd.DataFrame(rows).astype(object).fillna("–")


def rules(run: Run) -> str:
    """Both ways to pick a choice, in words, and which one labels follow."""
    by_arm = [picks(run, key) for key in of_arms(run, "likelihood", every=True)["key"]]
    text = "; ".join(f"*{name}*: {text}" for name, text in CHOICE_RULES.items())
    text = f"Two rules turn likelihoods into a label. {text}. **Every other table of this report uses raw.**"
    if any(len(by_rule) < len(CHOICE_RULES) for by_rule in by_arm):
        return f"{text} A model did not say how long its choices are, so per token cannot be counted for it."
    pairs = [[labels for labels, _ in by_rule.values()] for by_rule in by_arm]
    changed, n = sum(int((a != b).sum()) for a, b in pairs), sum(len(a) for a, _ in pairs)
    return f"{text} The two disagree on {changed} of {n} answers, all arms together."


def written(run: Run) -> str:
    """The matching rule of written replies."""
    return f"Written replies become labels by rule `{run.rule}`: {RULE_TEXT[run.rule]}."


@lru_cache(maxsize=4)  # its intervals take a bootstrap
def calibrations(run: Run) -> list[tuple[str, str, Calibrated]]:
    """Arm's key, rule, its calibration, of every likelihood arm."""
    rows = []
    for key in of_arms(run, "likelihood", every=True)["key"] if "likelihood" in run.answering else ():
        truth = run.of(key)["truth"].to_numpy()
        for rule, (labels, confidence) in picks(run, key).items():
            rows.append((key, rule, calibration_error(confidence, labels == truth)))
    return rows


def calibration_table(run: Run) -> pd.DataFrame:
    """For reading: expected calibration error with its interval beside what luck alone gives, a row an arm and rule."""
    return pd.DataFrame(
        {
            "arm": run.name_in_tables(key),
            "rule": f"likeliest choice, {rule}",
            "clips": one.n,
            "mean probability": f"{one.confidence:.1%}",
            "right": f"{one.accuracy:.1%}",
            "calibration error, points": f"{100 * one.error:.1f}",
            "95% interval": f"{100 * one.interval95[0]:.1f} to {100 * one.interval95[1]:.1f}",
            "if calibrated, up to": f"{100 * one.if_calibrated:.1f}",
        }
        for key, rule, one in calibrations(run)
    )


def calibration_bins(run: Run) -> pd.DataFrame:
    """arm, fps, fine_tuned, rule, from, to, n, confidence, correct, low, high (Wilson), main: a row a bin."""
    rows = []
    for key, rule, one in calibrations(run):
        arm = run.arm(key)
        head = {"arm": run.name_in_tables(arm), "fps": float(arm.fps), "fine_tuned": bool(arm.adapter)}
        for start, end, n, confidence, share in one.bins:
            low, high = wilson(k := round(share * n), n)
            counts = {"n": n, "confidence": confidence, "correct": k, "low": low, "high": high}
            rows.append({**head, "rule": rule, "from": start, "to": end, **counts, "main": run.is_main(arm)})
    return pd.DataFrame(rows)


def calibration(run: Run) -> str:
    """Which arms are off by more than luck, and in which direction."""
    lines = ["By rule *likeliest choice, raw*:", ""]
    for key, rule, one in calibrations(run):
        if rule != "raw":
            continue
        low, high = (100 * x for x in one.interval95)
        luck, way = 100 * one.if_calibrated, "too sure" if one.confidence > one.accuracy else "not sure enough"
        more = f"more than luck explains (up to {luck:.1f}): on the whole {way}"
        less = f"no more than a calibrated model shows by luck on so few clips (up to {luck:.1f})"
        lines.append(
            f"- {plain(run.name_in_tables(key))}: error {100 * one.error:.1f} points (95% interval {low:.1f} "
            f"to {high:.1f}), "
            f"{more if one.error > one.if_calibrated else less}; mean probability {one.confidence:.1%}, "
            f"right {one.accuracy:.1%}, n = {one.n}."
        )
    return "\n".join(lines)


def _orders(run: Run, rows: pd.DataFrame) -> list[list[str]]:
    """The options of each clip as they were asked."""
    if "options" not in rows:
        return [run.labels] * len(rows)
    return [list(x) if isinstance(x, list) else run.labels for x in rows["options"]]


def _labels(rows: pd.DataFrame) -> list[str | None]:
    return [None if pd.isna(label) else label for label in rows["label"]]


def positions(run: Run) -> dict[str, PositionBias]:
    """Arm's key → where its chosen options stood, of every arm with a choice, likelihood or generation."""
    by_arm = {}
    for way in run.answering:
        for key in of_arms(run, way, every=True)["key"]:
            rows = run.of(key)
            if rows["label"].notna().any():
                by_arm[key] = position_bias(_orders(run, rows), _labels(rows), list(rows["truth"]))
    return by_arm


def position_table(run: Run) -> pd.DataFrame:
    """For reading: how much oftener the first and the last option are chosen than true, and whether places are even."""
    by_arm = positions(run)
    shuffled = {key: bias.p for key, bias in by_arm.items() if run.arm(key).order is not None}
    even = dict(zip(shuffled, holm(list(shuffled.values())), strict=True))
    rows = []
    for key, bias in by_arm.items():
        row = {"arm": run.words(key), "rule": run.scores[key]["rule"], "clips with a label": bias.n}
        for name, extra in (("first option", bias.first), ("last option", bias.last)):
            low, high = (100 * x for x in extra.interval95)
            points = f"{100 * extra.difference:+.1f} points ({low:+.1f} to {high:+.1f})"
            row[f"{name}: chosen, true"] = f"{extra.chosen}, {extra.true}: {points}"
        row["all places even, p"] = p_text(bias.p).removeprefix("= ")
        row["p (Holm)"] = p_text(even[key]).removeprefix("= ") if key in even else "place is label"
        rows.append(row)
    return pd.DataFrame(rows)


def order_pairs(run: Run) -> dict[tuple[str, str], OrderChanges]:
    """(arm as listed, arm with shuffled options) → how often the choice changed with the order alone."""
    changes = {}
    for row in paired(run, "order").itertuples():
        a, b = (run.of(key).set_index("clip") for key in (row.key_a, row.key_b))
        b = b.loc[a.index]
        orders, labels = (_orders(run, a), _orders(run, b)), (_labels(a), _labels(b))
        changes[row.key_a, row.key_b] = order_changes(orders, labels, list(a["truth"]))
    return changes


def order_table(run: Run) -> pd.DataFrame:
    """For reading: how many choices change with the options' order alone, and what that does to who is right."""
    tests = paired(run, "order").set_index(["key_a", "key_b"])
    rows = []
    for keys, one in order_pairs(run).items():
        row = {
            "arm": run.words(keys[0]),
            "rule": run.scores[keys[0]]["rule"],
            "another order": one.n,
            "another choice": f"{one.changed} = {percent(one.changed, one.n)} ({percents_text(*one.wilson95)})",
            "to right": one.to_right,
            "to wrong": one.to_wrong,
            "wrong to wrong": one.changed - one.to_right - one.to_wrong,
            "accuracy, p (Holm)": p_text(tests.loc[keys, "p_holm"]),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def all_tables(run: Run) -> dict[str, pd.DataFrame]:
    """File name → table, those that the run has."""
    tables = {"positions": position_table(run), "order_changes": order_table(run)}
    if "likelihood" in run.answering:
        tables |= {"choice_rules": rules_table(run), "calibration": calibration_table(run)}
        tables["calibration_bins"] = calibration_bins(run)
    return {name: table for name, table in tables.items() if len(table)}
