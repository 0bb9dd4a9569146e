"""The study's Tables 2 and 3, counted again from `evidence`, with the published number and an interval beside.

Numbers come as DataFrames for `plots`, and as tables of texts for reading. Nothing is rounded before it is printed, and
a setting without a log stays without numbers. What follows in words is in `claims`, pictures are in `figures`.
"""

from typing import Any

import numpy as np
import pandas as pd

from llamavid_kit.evaluation.resampling import Estimate, metric_intervals
from llamavid_kit.evaluation.scoring import NO_LABEL, ArmTable, collapse, score
from llamavid_kit.evaluation.statistics import Paired, compare_arms, holm
from llamavid_kit.study.evidence import Evidence
from llamavid_kit.study.results import BY_KEY, COMPARISONS, SETTINGS, TABLE_3_CLASSES, Setting
from llamavid_kit.study.setup import NORMAL

NO_LOG = "no log"
ANOMALY = "Anomaly"


def arm(rows: pd.DataFrame, setting: str, *, binary: bool = False) -> ArmTable:
    """The table of one setting on `rows`; binary: every class but Normal Video is Anomaly, as in Figures 4 and 5."""
    truths, answers = list(rows["truth"]), answers_of(rows, setting)
    if binary:
        return score(collapse(truths, keep=NORMAL), collapse(answers, keep=NORMAL), labels=(ANOMALY, NORMAL))
    return score(truths, answers, labels=TABLE_3_CLASSES)


def answers_of(rows: pd.DataFrame, setting: str) -> list[str | None]:
    """The labels that a setting gave, None where its reply names none."""
    return [None if label == NO_LABEL else label for label in rows[setting]]


def right_in(rows: pd.DataFrame, setting: str) -> dict[str, bool]:
    """Video → whether the setting answered it right."""
    return dict(zip(rows.index, rows[setting] == rows["truth"], strict=True))


def _videos(evidence: Evidence, setting: Setting, clips: str) -> pd.DataFrame:
    return evidence.common if clips == "common" else evidence.answered(setting.key)


def _head(setting: Setting) -> dict[str, Any]:
    return {"arm": setting.name, "key": setting.key, "fps": float(setting.fps), "fine_tuned": setting.fine_tuned}


def accuracies(evidence: Evidence, *, clips: str = "common") -> pd.DataFrame:
    """Table 2 as numbers, a row a setting: arm, key, fps, fine_tuned, published (percent), and where there is a log n,
    correct, low, high (Wilson 95%), no_label, and Estimates of balanced_accuracy and macro_f1.

    clips: "common", or "answered" for what each setting answered itself.
    """
    rows = []
    for setting in SETTINGS:
        row = {**_head(setting), "published": setting.published}
        if setting in evidence.logged:
            videos = _videos(evidence, setting, clips)
            table, answers = arm(videos, setting.key), answers_of(videos, setting.key)
            intervals = metric_intervals(list(videos["truth"]), answers, labels=TABLE_3_CLASSES)
            low, high = table.wilson95
            row |= {"n": table.n, "correct": table.correct, "low": low, "high": high, "no_label": table.no_label}
            row |= {name: intervals[name] for name in ("balanced_accuracy", "macro_f1")}
        rows.append(row)
    return pd.DataFrame(rows)


def table_2(evidence: Evidence) -> pd.DataFrame:
    """Table 2 for reading: published, what each setting answered, the common videos, and the baseline."""
    own, common = (accuracies(evidence, clips=clips).set_index("key") for clips in ("answered", "common"))
    of_common, rows = f"common {len(evidence.common)} clips", []
    for key, setting in BY_KEY.items():
        row = {"setting": setting.name, "published": f"{setting.published}%"}
        if setting not in evidence.logged:
            rows.append(row | {"its own clips": NO_LOG, of_common: NO_LOG})
            continue
        a, b = own.loc[key], common.loc[key]
        rows.append(
            {
                **row,
                "its own clips": share_text(a["correct"], a["n"]),
                of_common: share_text(b["correct"], b["n"]),
                "95% interval": percents_text(b["low"], b["high"]),
                NO_LABEL: f"{b['no_label']:.0f}",
                "balanced accuracy": interval_text(b["balanced_accuracy"]),
                "macro-F1": interval_text(b["macro_f1"]),
            }
        )
    return pd.DataFrame(rows).fillna("–")


def share_text(k: float, n: float) -> str:
    """ "158/242 = 65.3%"."""
    return f"{k:.0f}/{n:.0f} = {k / n:.1%}"


def percents_text(low: float, high: float) -> str:
    """ "59.1 to 71.0%"."""
    return f"{100 * low:.1f} to {100 * high:.1f}%"


def interval_text(x: Estimate) -> str:
    """ "0.427 [0.332, 0.533]"."""
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"


def per_class(evidence: Evidence, *, clips: str = "common") -> pd.DataFrame:
    """Table 3 and Figure 6 as numbers: class, arm, key, fps, fine_tuned, published (percent), n, correct, low, high."""
    rows = []
    for setting in SETTINGS:
        logged = setting in evidence.logged
        counts = arm(_videos(evidence, setting, clips), setting.key).per_class if logged else {}
        for label, published in zip(TABLE_3_CLASSES, setting.classes, strict=True):
            row = {"class": label, **_head(setting), "published": published}
            if logged:
                low, high = counts[label].wilson95
                row |= {"n": counts[label].n, "correct": counts[label].correct, "low": low, "high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def table_3(evidence: Evidence) -> pd.DataFrame:
    """Table 3 for reading: a row a class, for each setting the published percentage and the recount."""
    wide = {"class": list(TABLE_3_CLASSES)}
    for key, rows in per_class(evidence).groupby("key", sort=False):
        logged = BY_KEY[key] in evidence.logged
        wide[BY_KEY[key].name] = [
            f"{r.published}% · {f'{r.correct:.0f}/{r.n:.0f} = {r.correct / r.n:.0%}' if logged and r.n else NO_LOG}"
            for r in rows.itertuples()
        ]
    return pd.DataFrame(wide)


def compare(evidence: Evidence, a: str, b: str) -> Paired:
    """Two logged settings on the videos that both answered."""
    rows = evidence.answered(a, b)
    return compare_arms(right_in(rows, a), right_in(rows, b), names=(BY_KEY[a].name, BY_KEY[b].name))


def comparisons(evidence: Evidence) -> pd.DataFrame:
    """Each of the study's comparisons that has two logs, with Holm's correction over them; `plots.paired_differences`.

    Columns: a, b, key_a, key_b, n, correct_a, correct_b, only_a, only_b, difference, low, high, p, p_holm.
    """
    rows = []
    for a, b in COMPARISONS:
        if {a, b} <= set(evidence.outcomes):
            pair = compare(evidence, a, b)
            only_a, only_b, (low, high) = len(pair.only_a), len(pair.only_b), pair.interval95
            row = {"a": pair.a, "b": pair.b, "key_a": a, "key_b": b, "n": pair.n}
            row |= {
                "correct_a": pair.both + only_a,
                "correct_b": pair.both + only_b,
                "only_a": only_a,
                "only_b": only_b,
            }
            rows.append(row | {"difference": pair.difference, "low": low, "high": high, "p": pair.p})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(list(table["p"]))) if len(table) else table


def discordant(evidence: Evidence, a: str, b: str) -> pd.DataFrame:
    """Videos that exactly one of two settings got right: truth, the two labels given, right in; sorted."""
    rows = evidence.answered(a, b)
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
