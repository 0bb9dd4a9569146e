"""The study's Tables 2 and 3, counted again from `restudy_evidence`, with the published number and an interval beside.

Numbers come as DataFrames for `plots`, and as tables of texts for reading. Nothing is rounded before it is shown, and a
setting without a log stays without numbers. What follows in words is in `restudy_findings`, pictures are in
`restudy_figures`.
"""

import numpy as np
import pandas as pd

from llamavid_kit.evaluation.resampling import Estimate, metric_intervals
from llamavid_kit.evaluation.scoring import NO_LABEL, ArmTable, collapse, score
from llamavid_kit.evaluation.statistics import Paired, compare_arms, holm
from llamavid_kit.study.evidence import Evidence, evidence
from llamavid_kit.study.results import BY_KEY, COMPARISONS, SETTINGS, TABLE_3_CLASSES
from llamavid_kit.study.setup import NORMAL

__all__ = ["Evidence", "evidence"]
NO_LOG = "no log"
ANOMALY = "Anomaly"


def arm(rows: pd.DataFrame, setting: str, *, binary: bool = False) -> ArmTable:
    """The table of one setting on `rows`; binary: every class but Normal Video is Anomaly, as in Figures 4 and 5."""
    truths, given = list(rows["truth"]), [None if x == NO_LABEL else x for x in rows[setting]]
    if binary:
        return score(collapse(truths, keep=NORMAL), collapse(given, keep=NORMAL), labels=(ANOMALY, NORMAL))
    return score(truths, given, labels=TABLE_3_CLASSES)


def accuracies(found: Evidence, *, clips: str = "common") -> pd.DataFrame:
    """Table 2 as numbers, a row a setting: arm, key, fps, fine_tuned, published (percent), and where there is a log n,
    correct, low, high (Wilson 95%), no_label, and Estimates of balanced_accuracy and macro_f1.

    clips: "common", or "answered" for what each setting answered itself.
    """
    rows = []
    for setting in SETTINGS:
        row = {
            "arm": setting.name,
            "key": setting.key,
            "fps": float(setting.fps),
            "fine_tuned": setting.fine_tuned,
            "published": setting.published,
        }
        if setting in found.logged:
            videos = found.common if clips == "common" else found.answered(setting.key)
            table = arm(videos, setting.key)
            given = [None if x == NO_LABEL else x for x in videos[setting.key]]
            sure = metric_intervals(list(videos["truth"]), given, labels=TABLE_3_CLASSES)
            low, high = table.wilson95
            row |= {
                "n": table.n,
                "correct": table.correct,
                "low": low,
                "high": high,
                "no_label": table.no_label,
                "balanced_accuracy": sure["balanced_accuracy"],
                "macro_f1": sure["macro_f1"],
            }
        rows.append(row)
    return pd.DataFrame(rows)


def table_2(found: Evidence) -> pd.DataFrame:
    """Table 2 for reading: published, what each setting answered, the common videos, and the baseline."""
    own, common = accuracies(found, clips="answered").set_index("key"), accuracies(found).set_index("key")
    rows = []
    for key, setting in BY_KEY.items():
        row = {"setting": setting.name, "published": f"{setting.published}%"}
        if setting not in found.logged:
            rows.append(row | dict.fromkeys(("its own clips", f"common {len(found.common)} clips"), NO_LOG))
            continue
        a, b = own.loc[key], common.loc[key]
        rows.append(
            row
            | {
                "its own clips": f"{a['correct']:.0f}/{a['n']:.0f} = {a['correct'] / a['n']:.1%}",
                f"common {len(found.common)} clips": f"{b['correct']:.0f}/{b['n']:.0f} = {b['correct'] / b['n']:.1%}",
                "95% interval": f"{100 * b['low']:.1f} to {100 * b['high']:.1f}%",
                NO_LABEL: f"{b['no_label']:.0f}",
                "balanced accuracy": shown(b["balanced_accuracy"]),
                "macro-F1": shown(b["macro_f1"]),
            }
        )
    return pd.DataFrame(rows).fillna("–")


def shown(x: Estimate) -> str:
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"


def per_class(found: Evidence, *, clips: str = "common") -> pd.DataFrame:
    """Table 3 and Figure 6 as numbers: class, arm, key, fps, fine_tuned, published (percent), n, correct, low, high."""
    rows = []
    for setting in SETTINGS:
        head = {"arm": setting.name, "key": setting.key, "fps": float(setting.fps), "fine_tuned": setting.fine_tuned}
        counts = None
        if setting in found.logged:
            counts = arm(found.common if clips == "common" else found.answered(setting.key), setting.key).per_class
        for label, published in zip(TABLE_3_CLASSES, setting.classes, strict=True):
            row = {"class": label, **head, "published": published}
            if counts is not None:
                low, high = counts[label].wilson95
                row |= {"n": counts[label].n, "correct": counts[label].correct, "low": low, "high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def table_3(found: Evidence, *, clips: str = "common") -> pd.DataFrame:
    """Table 3 for reading: a row a class, for each setting the published percentage and the recount."""
    table = per_class(found, clips=clips)
    wide = {"class": list(TABLE_3_CLASSES)}
    for key, rows in table.groupby("key", sort=False):
        name, known = BY_KEY[key].name, BY_KEY[key] in found.logged
        wide[name] = [
            f"{r.published}% · {f'{r.correct:.0f}/{r.n:.0f} = {r.correct / r.n:.0%}' if known and r.n else NO_LOG}"
            for r in rows.itertuples()
        ]
    return pd.DataFrame(wide)


def compare(found: Evidence, a: str, b: str) -> Paired:
    """Two logged settings on the videos that both answered."""
    rows = found.answered(a, b)
    right = [dict(zip(rows.index, rows[key] == rows["truth"], strict=True)) for key in (a, b)]
    return compare_arms(*right, names=(BY_KEY[a].name, BY_KEY[b].name))


def comparisons(found: Evidence) -> pd.DataFrame:
    """Each of the study's comparisons that has two logs, with Holm's correction over them; `plots.paired_differences`.

    Columns: a, b, key_a, key_b, n, correct_a, correct_b, only_a, only_b, difference, low, high, p, p_holm.
    """
    rows = []
    for a, b in COMPARISONS:
        if {a, b} <= set(found.outcomes):
            pair = compare(found, a, b)
            low, high = pair.interval95
            rows.append(
                {
                    "a": pair.a,
                    "b": pair.b,
                    "key_a": a,
                    "key_b": b,
                    "n": pair.n,
                    "correct_a": pair.both + len(pair.only_a),
                    "correct_b": pair.both + len(pair.only_b),
                    "only_a": len(pair.only_a),
                    "only_b": len(pair.only_b),
                    "difference": pair.difference,
                    "low": low,
                    "high": high,
                    "p": pair.p,
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(list(table["p"]))) if len(table) else table


def discordant(found: Evidence, a: str, b: str) -> pd.DataFrame:
    """Videos that exactly one of two settings got right: truth, the two labels given, right in; sorted."""
    rows = found.answered(a, b)
    rows = rows[(rows[a] == rows["truth"]) != (rows[b] == rows["truth"])]
    where = np.where(rows[b] == rows["truth"], BY_KEY[b].name, BY_KEY[a].name)
    table = rows[["truth", a, b]].rename(columns={k: BY_KEY[k].name for k in (a, b)}).assign(**{"right in": where})
    return table.sort_values(["right in", "truth"], kind="stable").reset_index()


def possible_counts(percent: float, n: int, *, decimals: int = 0) -> list[int]:
    """Counts k of n whose percentage rounds to `percent`; none means that the number is no share of n clips.

    Brown and Heathers' GRIM test (2017). Halves may have been rounded either way.
    """
    if n < 1 or not 0 <= percent <= 100:
        raise ValueError(f"{percent=}, {n=}: expected a percentage and at least one clip")
    half = 0.5 * 10**-decimals + 1e-9
    return [k for k in range(n + 1) if abs(100 * k / n - percent) <= half]
