"""What a reading of the study rests on: its per-clip predictions and a temporal annotation, or the counts that ship.

`read_evidence` gathers either into one object: which label each setting gave to each test video, how the matching rule
moves the counts, and what sampling showed of the annotated events. Tables are made from it in `recount`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from llamavid_kit.evaluation.scoring import NO_LABEL, RuleName
from llamavid_kit.evaluation.visibility import Events, Visibility, check_events, clip_curve, n_frames_shown
from llamavid_kit.study import results
from llamavid_kit.study.logs import RULES, Log, answered_videos, common_videos, labels_of, pair_records, read_logs
from llamavid_kit.study.results import SETTINGS, Setting
from llamavid_kit.study.setup import STUDY_FPS

SKIPPED = "skipped"
SHIPPED = "the counts that ship with the kit"
HALVES = ("half", "n", "first", "second", "shortest_s", "longest_s")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a reading of the study rests on.

    outcomes: a row a test video; columns truth and one a logged setting: the label given, "no label" or "skipped"
    by_rule: setting → rule → (right, without label) of its answered videos, then of the common ones
    paired_by_rule: pair of settings → rule → (videos both answered, right in the first only, in the second only)
    curve: share of the common videos with an event of which a sampled frame shows one, over frame rates
    halves: columns HALVES: videos with an event in two halves by annotated length; right at 1 and 6 fps (fine-tuned)
    source, event_source: where the predictions and the events came from, in words
    """

    outcomes: pd.DataFrame
    by_rule: Mapping[str, Mapping[str, tuple[int, int, int, int]]]
    paired_by_rule: Mapping[tuple[str, str], Mapping[str, tuple[int, int, int]]]
    curve: list[Visibility]
    halves: pd.DataFrame
    source: str = SHIPPED
    event_source: str = SHIPPED

    @property
    def logged(self) -> list[Setting]:
        return [s for s in SETTINGS if s.key in self.outcomes]

    @property
    def common(self) -> pd.DataFrame:
        """Videos that every logged setting answered."""
        return self.answered(*(s.key for s in self.logged))

    def answered(self, *settings: str) -> pd.DataFrame:
        """Rows that all of `settings` answered."""
        return self.outcomes[(self.outcomes[list(settings)] != SKIPPED).all(axis=1)]


def read_evidence(
    predictions: str | Path | None = None, events: Events | None = None, *, event_source: str = "the events given"
) -> Evidence:
    """From a folder of predictions (`logs.read_logs`) and the videos' events, each where it is given.

    Without predictions: the counts that ship with the kit. Without events: the event counts that ship. Events alone
    are refused, since which half of the events gained cannot be told without predictions.
    events: {video: [(start_s, end_s), …]}; `data_prep.ucf_crime.lists.events_of` reads UCF-Crime's own list. ValueError
    for one that begins behind its video's end.
    event_source: where they came from, in words.
    """
    evidence = Evidence(
        outcomes=pd.read_csv(results.OUTCOMES, index_col="video"),
        by_rule=results.BY_RULE,
        paired_by_rule=results.PAIRED_BY_RULE,
        curve=[Visibility(fps, results.CLIPS_WITH_EVENT, n_visible) for fps, n_visible in results.CLIPS_SEEN.items()],
        halves=pd.DataFrame(results.BY_EVENT_LENGTH, columns=HALVES),
    )
    if predictions is None:
        if events is not None:
            raise ValueError(
                f"{event_source} without predictions: give the folder of prediction files, too (--predictions)"
            )
        return evidence
    logs = read_logs(predictions)
    if events is not None:
        curve, halves = _curve_and_halves(logs, events)
        evidence = replace(evidence, curve=curve, halves=halves, event_source=event_source)
    common = common_videos(logs)
    pairs: dict[tuple[str, str], dict[str, tuple[int, int, int]]] = {}
    for row in pair_records(logs):
        pairs.setdefault((row["a"], row["b"]), {})[row["rule"]] = (row["n_common"], row["only_a"], row["only_b"])
    absent = [f"{s.key}.csv" for s in SETTINGS if s.key not in logs]
    return replace(
        evidence,
        outcomes=_outcomes(logs),
        by_rule={key: {rule: _counts(rows, common, rule) for rule in RULES} for key, rows in logs.items()},
        paired_by_rule=pairs,
        source=f"the predictions of {len(logs)} settings" + (f" (no file {', '.join(absent)})" if absent else ""),
    )


def with_road(outcomes: pd.DataFrame) -> pd.DataFrame:
    """As the study's Figure 5 counts: the one fine-tuned reply without a label, "Road", is Road Accident."""
    changed = outcomes.copy()
    for key in set(outcomes) & {"finetuned_fps1", "finetuned_fps6"}:
        changed[key] = changed[key].replace(NO_LABEL, "Road Accident")
    return changed


def _outcomes(logs: Mapping[str, Log]) -> pd.DataFrame:
    """`Evidence.outcomes` of prediction files, replies matched exactly, indexed by video."""
    first = next(iter(logs.values()))
    table = pd.DataFrame({"truth": {v: row.truth for v, row in first.items()}})
    for key, rows in logs.items():
        labels = zip(rows, labels_of(rows, list(rows), "exact"), strict=True)
        table[key] = {v: SKIPPED if rows[v].reply is None else label or NO_LABEL for v, label in labels}
    return table.rename_axis("video")


def _counts(rows: Log, common: list[str], rule: RuleName) -> tuple[int, int, int, int]:
    """Right and without label, of the answered videos, then of the common ones."""

    def counts(videos: list[str]) -> tuple[int, int]:
        labels = labels_of(rows, videos, rule)
        return sum(x == rows[v].truth for x, v in zip(labels, videos, strict=True)), labels.count(None)

    return *counts(answered_videos(rows)), *counts(common)


def event_lengths(logs: Mapping[str, Log], events: Events) -> pd.DataFrame:
    """A row a common video with an event, shortest first: length_s, sampled_1, sampled_6, and right in each setting.

    length_s: annotated seconds; sampled_*: frames inside its events that the study's own rule takes at 1 and 6 fps.
    Raises ValueError for videos that the annotation does not list, and where no video has an event.
    """
    videos = common_videos(logs)
    if unlisted := sorted(set(videos) - set(events)):
        raise ValueError(f"the annotation does not list {len(unlisted)} of the videos, such as {unlisted[0]}")
    rows, first = [], next(iter(logs.values()))
    for video in videos:
        if not events[video]:
            continue
        p = first[video]
        frames = [(round(a * p.fps), round(b * p.fps)) for a, b in events[video]]
        sampled = {
            f"sampled_{fps}": n_frames_shown(frames, n_frames=p.n_frames, video_fps=p.fps, fps=fps) for fps in STUDY_FPS
        }
        right = {key: log[video].reply == log[video].truth for key, log in logs.items()}
        rows.append({"video": video, "length_s": sum(b - a for a, b in events[video]), **sampled, **right})
    if not rows:
        raise ValueError("no video that all settings answered has an annotated event")
    return pd.DataFrame(rows).sort_values(["length_s", "video"], ignore_index=True)


def _curve_and_halves(logs: Mapping[str, Log], events: Events) -> tuple[list[Visibility], pd.DataFrame]:
    lengths = event_lengths(logs, events)
    halves = []
    for name, rows in zip(("shorter", "longer"), np.array_split(np.arange(len(lengths)), 2), strict=True):
        part = lengths.iloc[rows]
        right = [int(part[k].sum()) if k in part else None for k in ("finetuned_fps1", "finetuned_fps6")]
        halves.append((name, len(part), *right, part["length_s"].min(), part["length_s"].max()))
    first = next(iter(logs.values()))
    shown = {v: check_events(events[v], first[v].n_frames / first[v].fps, clip=v) for v in lengths["video"]}
    curve = clip_curve(shown, fps=tuple(results.CLIPS_SEEN))
    return curve, pd.DataFrame(halves, columns=HALVES)
