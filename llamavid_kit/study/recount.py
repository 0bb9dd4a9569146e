"""The study's Tables 2 and 3, counted again from `evidence`, with the published number and an interval beside.

Numbers come as DataFrames for `plots`, and as tables of texts for reading. Nothing is rounded before it is printed, and
a setting without a log stays without numbers. What follows in words is in `claims`, pictures are in `figures`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from llamavid_kit.evaluation.resampling import Estimate, metric_intervals
from llamavid_kit.evaluation.scoring import NO_LABEL, ArmTable, ClassCount
from llamavid_kit.evaluation.statistics import Paired, compare_arms, holm
from llamavid_kit.study.evidence import Evidence
from llamavid_kit.study.logs import table_of
from llamavid_kit.study.results import BY_KEY, COMPARISONS, SETTINGS, TABLE_3_CLASSES, Setting

NO_LOG = "no log"


def arm(rows: pd.DataFrame, setting: str, *, binary: bool = False) -> ArmTable:
    """The table of one setting on `rows`; binary: every class but Normal Video is Anomaly, as in Figures 4 and 5."""
    return table_of(list(rows["truth"]), answers_of(rows, setting), binary=binary)


def answers_of(rows: pd.DataFrame, setting: str) -> list[str | None]:
    """The labels that a setting gave, None where its reply names none."""
    return [None if label == NO_LABEL else label for label in rows[setting]]


def right_in(rows: pd.DataFrame, setting: str) -> dict[str, bool]:
    """Video → whether the setting answered it right."""
    return dict(zip(rows.index, rows[setting] == rows["truth"], strict=True))


def _arms(evidence: Evidence, clips: str) -> Iterator[tuple[Setting, dict[str, Any], pd.DataFrame | None]]:
    """Each setting, the columns that name it, and its videos; None where there is no log of it."""
    for setting in SETTINGS:
        head = {"arm": setting.name, "key": setting.key, "fps": float(setting.fps), "fine_tuned": setting.fine_tuned}
        own = [setting] if clips == "answered" else evidence.logged
        yield setting, head, evidence.answered(*(s.key for s in own)) if setting in evidence.logged else None


def _counts(table: ArmTable | ClassCount) -> dict[str, Any]:
    return {"n": table.n, "correct": table.correct, **dict(zip(("low", "high"), table.wilson95, strict=True))}


def accuracies(evidence: Evidence, *, clips: str = "common") -> pd.DataFrame:
    """Table 2 as numbers, a row a setting: arm, key, fps, fine_tuned, published (percent), and where there is a log n,
    correct, low, high (Wilson 95%), no_label, and Estimates of balanced_accuracy and macro_f1.

    clips: "common", or "answered" for what each setting answered itself.
    """
    rows = []
    for setting, head, videos in _arms(evidence, clips):
        row = head | {"published": setting.published}
        if videos is not None:
            table, answers = arm(videos, setting.key), answers_of(videos, setting.key)
            intervals = metric_intervals(list(videos["truth"]), answers, labels=TABLE_3_CLASSES)
            row |= _counts(table) | {"no_label": table.no_label}
            row |= {name: intervals[name] for name in ("balanced_accuracy", "macro_f1")}
        rows.append(row)
    return pd.DataFrame(rows)


def table_2(evidence: Evidence) -> pd.DataFrame:
    """Table 2 for reading: published, what each setting answered, the common videos, and the baseline."""
    own, common = (accuracies(evidence, clips=clips).set_index("key") for clips in ("answered", "common"))
    of_common, rows = f"common {len(evidence.common)} clips", []
    for key, setting in BY_KEY.items():
        row = {
            "setting": setting.name,
            "published": f"{setting.published}%",
            "its own clips": NO_LOG,
            of_common: NO_LOG,
        }
        if setting in evidence.logged:
            a, b = own.loc[key], common.loc[key]
            row |= {
                "its own clips": share_text(a["correct"], a["n"]),
                of_common: share_text(b["correct"], b["n"]),
                "95% interval": percents_text(b["low"], b["high"]),
                NO_LABEL: f"{b['no_label']:.0f}",
                "balanced accuracy": interval_text(b["balanced_accuracy"]),
                "macro-F1": interval_text(b["macro_f1"]),
            }
        rows.append(row)
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
    for setting, head, videos in _arms(evidence, clips):
        counts = {} if videos is None else arm(videos, setting.key).per_class
        for label, published in zip(TABLE_3_CLASSES, setting.classes, strict=True):
            row = {"class": label, **head, "published": published}
            rows.append(row | _counts(counts[label]) if label in counts else row)
    return pd.DataFrame(rows)


def published_classes() -> pd.DataFrame:
    """Table 3 as it was published: a row a class."""
    columns = ["zero-shot, 1 fps", "zero-shot, 6 fps", "fine-tuned, 1 fps", "fine-tuned, 6 fps"]
    rows = [[label, *(f"{s.classes[i]}%" for s in SETTINGS)] for i, label in enumerate(TABLE_3_CLASSES)]
    return pd.DataFrame(rows, columns=["class", *columns])


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
