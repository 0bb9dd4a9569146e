"""Tables and sentences about how a run's closed question was asked: rule, calibration, place of the options, prompt.

Everything is counted from the run's arm files by `choices.py`; what an older run did not write down is called "not
recorded". Figures of these tables are `choice_figures.py`'s.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from llamavid_kit.evaluation.calibration import (
    CHOICE_RULES,
    Calibrated,
    OrderChanges,
    PositionBias,
    calibration,
    calibration_error,
    choice_scores,
    choose,
    order_changes,
    position_bias,
)
from llamavid_kit.evaluation.statistics import compare_arms, holm, wilson
from llamavid_kit.experiments.prompts import PROMPTS, STUDY
from llamavid_kit.experiments.report.tables import accuracy_table, arm_counts, interval, paired, percent, rule_of, where
from llamavid_kit.experiments.run import Run
from llamavid_kit.viz import plots as choice_figures
from llamavid_kit.viz.plots import p_text

NOT_RECORDED = "not recorded"


def _matrix(run: Run, rows: pd.DataFrame, column: str) -> np.ndarray | None:
    """(clips, labels) of a column of dicts by label; None where a line has none."""
    if column not in rows or not rows[column].map(lambda x: isinstance(x, dict)).all():
        return None
    return np.array([[given[label] for label in run.labels] for given in rows[column]], float)


def picks(run: Run, key: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rule of CHOICE_RULES → (label of each clip, its probability), of those that the arm's lines allow."""
    rows = run.arms[run.arms["key"] == key]
    values, lengths = (_matrix(run, rows, column) for column in ("log_likelihood", "n_tokens"))
    if values is None:
        return {}
    found = {}
    for rule in CHOICE_RULES if lengths is not None else ("raw",):
        at, said = choose(choice_scores(values, lengths, rule=rule))
        found[rule] = np.array(run.labels)[at], said
    return found


def rules_table(run: Run) -> pd.DataFrame:
    """A row a likelihood arm: how many are right by either rule of CHOICE_RULES, and exact McNemar between the two."""
    rows, tests = [], []
    for arm in arm_counts(run, "likelihood", every=True).itertuples():
        found, lines = picks(run, arm.key), run.arms[run.arms["key"] == arm.key]
        truth = lines["truth"].to_numpy()
        right = {rule: dict(zip(lines["clip"], x == truth, strict=True)) for rule, (x, _) in found.items()}
        shown = {"arm": arm.arm, "clips": arm.n}
        for rule in CHOICE_RULES:
            k = sum(right[rule].values()) if rule in right else None
            shown[f"right, {rule}"] = NOT_RECORDED if k is None else f"{k}/{arm.n} = {percent(k, arm.n)}"
        if len(right) == len(CHOICE_RULES):
            both = compare_arms(right["raw"], right["per token"])
            labels = [labels for labels, _ in found.values()]
            shown |= {
                "another label": int((labels[0] != labels[1]).sum()),
                "only raw right": len(both.only_a),
                "only per token right": len(both.only_b),
                "p (Holm)": both.p,
            }
            tests.append(shown)
        rows.append(shown)
    for shown, p in zip(tests, holm([shown["p (Holm)"] for shown in tests]), strict=True):
        shown["p (Holm)"] = p_text(p)
    return pd.DataFrame(rows).fillna(NOT_RECORDED)


def calibrations(run: Run) -> dict[tuple[str, str], Calibrated]:
    """(arm's key, rule) → its calibration, of every likelihood arm whose file has the likelihoods."""
    return {(key, rule): calibration_error(said, right) for key, rule, said, right in _outcomes(run)}


def _outcomes(run: Run) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Arm's key, rule, (n,) probabilities of the choices, (n,) whether they are right."""
    for key in arm_counts(run, "likelihood", every=True)["key"] if "likelihood" in run.answering else ():
        truth = run.arms.loc[run.arms["key"] == key, "truth"].to_numpy()
        for rule, (labels, said) in picks(run, key).items():
            yield key, rule, said, labels == truth


def calibration_table(run: Run) -> pd.DataFrame:
    """For reading: expected calibration error with its interval beside what luck alone gives, a row an arm and rule."""
    rows = []
    for (key, rule), found in calibrations(run).items():
        rows.append(
            {
                "arm": run.shown(run.arm(key)),
                "rule": f"likeliest choice, {rule}",
                "clips": found.n,
                "mean probability": f"{found.said:.1%}",
                "right": f"{found.right:.1%}",
                "calibration error, points": f"{100 * found.error:.1f}",
                "95% interval": f"{100 * found.interval95[0]:.1f} to {100 * found.interval95[1]:.1f}",
                "if calibrated, up to": f"{100 * found.if_calibrated:.1f}",
            }
        )
    return pd.DataFrame(rows)


def calibration_bins(run: Run) -> pd.DataFrame:
    """arm, fps, fine_tuned, rule, from, to, n, said, correct, low, high (Wilson), main, a row a bin that has clips."""
    rows = []
    for key, rule, said, right in _outcomes(run):
        arm = run.arm(key)
        for start, end, n, mean, share in calibration(said, right)[1]:
            low, high = wilson(k := round(share * n), n)
            rows.append(
                {
                    "arm": run.shown(arm),
                    "fps": float(arm["fps"]),
                    "fine_tuned": bool(arm["finetune"]),
                    "rule": rule,
                    "from": start,
                    "to": end,
                    "n": n,
                    "said": mean,
                    "correct": k,
                    "low": low,
                    "high": high,
                    "main": run.is_main(arm),
                }
            )
    return pd.DataFrame(rows)


def _orders(run: Run, rows: pd.DataFrame) -> list[list[str]]:
    if "options" not in rows:
        return [run.labels] * len(rows)
    return [list(x) if isinstance(x, list) else run.labels for x in rows["options"]]


def _chosen(rows: pd.DataFrame) -> list[str | None]:
    return [None if pd.isna(label) else label for label in rows["label"]]


def positions(run: Run) -> dict[str, PositionBias]:
    """Arm's key → where its chosen options stood, of every arm with a choice, likelihood or generation."""
    found = {}
    for mode in run.answering:
        for key in arm_counts(run, mode, every=True)["key"]:
            rows = run.arms[run.arms["key"] == key]
            if rows["label"].notna().any():
                found[key] = position_bias(_orders(run, rows), _chosen(rows), list(rows["truth"]))
    return found


def position_table(run: Run) -> pd.DataFrame:
    """For reading: how much oftener the first and the last option are chosen than true, and whether places are even."""
    found = positions(run)
    shuffled = {key: x.p for key, x in found.items() if run.arm(key).get("shuffle") is not None}
    even = dict(zip(shuffled, holm(list(shuffled.values())), strict=True))
    rows = []
    for key, bias in found.items():
        arm, shown = run.arm(key), {}
        for name, extra in (("first option", bias.first), ("last option", bias.last)):
            low, high = (100 * x for x in extra.interval95)
            points = f"{100 * extra.difference:+.1f} points ({low:+.1f} to {high:+.1f})"
            shown[f"{name}: chosen, true"] = f"{extra.chosen}, {extra.true}: {points}"
        rows.append(
            {
                "arm": run.shown(arm),
                "rule": rule_of(run, arm["answering"]),
                "options": "as listed" if arm.get("shuffle") is None else f"shuffled, seed {arm['shuffle']}",
                "clips with a label": bias.n,
                **shown,
                "all places even, p": p_text(bias.p).removeprefix("= "),
                "p (Holm)": p_text(even[key]).removeprefix("= ") if key in even else "place is label",
            }
        )
    return pd.DataFrame(rows)


def order_pairs(run: Run) -> dict[tuple[str, str], OrderChanges]:
    """(arm as listed, arm with shuffled options) → how often the choice changed with the order alone."""
    found = {}
    for row in paired(run, family="order").itertuples():
        a, b = (run.arms[run.arms["key"] == key].set_index("clip") for key in (row.key_a, row.key_b))
        b = b.loc[a.index]
        found[row.key_a, row.key_b] = order_changes(
            (_orders(run, a), _orders(run, b)), (_chosen(a), _chosen(b)), list(a["truth"])
        )
    return found


def order_table(run: Run) -> pd.DataFrame:
    """For reading: how many choices change with the options' order alone, and what that does to who is right."""
    tests = paired(run, family="order").set_index(["key_a", "key_b"])
    rows = []
    for keys, found in order_pairs(run).items():
        low, high = found.wilson95
        rows.append(
            {
                "arm": run.shown(run.arm(keys[0])),
                "rule": rule_of(run, run.arm(keys[0])["answering"]),
                "another order": found.n,
                "another choice": f"{found.changed} = {percent(found.changed, found.n)}",
                "95% interval": interval(low, high),
                "to right": found.to_right,
                "to wrong": found.to_wrong,
                "wrong to wrong": found.changed - found.to_right - found.to_wrong,
                "accuracy, p (Holm)": p_text(tests.loc[keys, "p_holm"]),
            }
        )
    return pd.DataFrame(rows)


def prompts_asked(run: Run) -> pd.DataFrame:
    """name, source, question: the run's prompts in full, with the options as listed."""
    rows = []
    for name in run.config.get("prompts") or [STUDY.name]:
        source = PROMPTS[name].source if name in PROMPTS else NOT_RECORDED
        rows.append({"prompt": name, "worded by": source, "question": _question(run, name)})
    return pd.DataFrame(rows)


def _question(run: Run, prompt: str) -> str:
    arm = next(a for a in run.summary["arms"] if a.get("prompt", STUDY.name) == prompt)
    return run.head(arm["name"]).get("question", NOT_RECORDED)


def prompt_table(run: Run, answering: str) -> pd.DataFrame:
    """Every arm of one way to answer, in all words and orders, as `report_tables.accuracy_table`."""
    return accuracy_table(run, answering, every=True)


def prompt_pairs(run: Run) -> pd.DataFrame:
    """For reading: every two prompts on the same clips, all else equal; exact McNemar, Holm over this table."""
    rows = [
        {
            "first": row.a,
            "second": row.b,
            "rule": row.rule,
            "clips": row.n,
            "only first right": row.only_a,
            "only second right": row.only_b,
            "points": f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})",
            "p": p_text(row.p),
            "p (Holm)": p_text(row.p_holm),
        }
        for row in paired(run, family="prompts").itertuples()
    ]
    return pd.DataFrame(rows)


def all_tables(run: Run) -> dict[str, pd.DataFrame]:
    """File name → table, those that the run has."""
    tables = {"positions": position_table(run)}
    if "likelihood" in run.answering:
        tables |= {
            "choice_rules": rules_table(run),
            "calibration": calibration_table(run),
            "calibration_bins": calibration_bins(run),
        }
    if run.varied:
        tables |= {"prompts": prompts_asked(run), "prompt_pairs": prompt_pairs(run), "order_changes": order_table(run)}
        tables |= {f"all_words_{mode}": prompt_table(run, mode) for mode in run.answering}
    return {name: table for name, table in tables.items() if len(table)}


def figures(run: Run) -> dict[str, Callable[[], Figure]]:
    """File name → what draws it."""
    draw: dict[str, Callable[[], Figure]] = {}
    if "likelihood" in run.answering and len(bins := calibration_bins(run)):
        draw["calibration"] = partial(choice_figures.reliability, bins[bins["main"]], title=where(run))
    return draw


def figure(run: Run, name: str) -> Figure | None:
    """One of `figures`, drawn; None where the run has no data for it."""
    return figures(run)[name]() if name in figures(run) else None
