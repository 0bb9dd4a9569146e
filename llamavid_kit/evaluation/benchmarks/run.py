"""A benchmark, answered and scored: data folder and model → `replies.jsonl`, `result.json`, `outcomes.csv`, submission.

`replies.jsonl` begins with the run's configuration and holds each item once; a run that is killed goes on where it
stopped, and a folder begun with something else is refused. Scoring reads that file again: it can be repeated alone.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from llamavid_kit.data.sampling import check_fps
from llamavid_kit.evaluation.benchmarks.base import (
    Benchmark,
    Interval,
    Item,
    Score,
    check_begun,
    clustered_interval,
    joined,
    wilson_interval,
)
from llamavid_kit.evaluation.benchmarks.clips import check_clips, clip_by_clip
from llamavid_kit.evaluation.benchmarks.panel import Judging, check_judges, judge_run, score_record
from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE
from llamavid_kit.files import append, read_head, read_texts, resume, write_whole
from llamavid_kit.model.answering import ClipModel, ImageModel, VideoModel

REPLIES, RESULT, OUTCOMES, VERDICTS = "replies.jsonl", "result.json", "outcomes.csv", "verdicts.csv"


@dataclass(frozen=True)
class Result:
    """A scored run. scores: mode → `Score`, the one beside the published numbers first.

    intervals: mode → part → 95% interval of the mean outcome in the table's unit, None where the method does not apply;
    "" is all items together
    note: what a reader of the intervals must know
    fps: frames a second that a video benchmark was asked with, None for pictures
    judging: of a judged benchmark, what each judge says and how far they agree; `scores` are the first one's
    """

    benchmark: Benchmark
    model: str
    n: int
    scores: dict[str, Score]
    intervals: dict[str, dict[str, tuple[float, float] | None]]
    submission: Path | None
    note: str = ""
    fps: float | None = None
    judging: Judging | None = None


def evaluate(
    benchmark: Benchmark,
    model: ImageModel | VideoModel | ClipModel,
    *,
    data: Path,
    out: Path,
    name: str,
    settings: dict[str, Any] | None = None,
    batch: int | None = None,
    fps: float | None = None,
    judge: Any = None,
    more_judges: Sequence[Any] = (),
    again: int = 0,
    interval: Interval = clustered_interval,
) -> Result:
    """Answer what is not answered yet, score, and write the result.

    Args:
        model: a picture benchmark asks `ImageModel.look`, a video benchmark `ClipModel.watch`, or where the model has
            none `VideoModel.generate`; see `clip_by_clip`.
        data, out: the benchmark's folder; the run's own folder.
        name: the model's, in the tables.
        settings: JSON values that tell runs apart: a hash of the weights, the longest reply, …
        batch: pictures answered at once, 16 by default; part of the run's configuration, for it decides the last
            digits. Not for a video benchmark, whose questions are answered one at a time.
        fps: frames a second, 1 by default; of a video benchmark alone.
        judge: a `judge.Judge`, for a benchmark that needs one; ValueError where there is none. What it says is kept in
            `out`, for this run alone.
        more_judges, again: compared with it, and how often each is asked once more; see `judges.judge_run`.
        interval: how sure a mean is; by default clustered where several items share a picture or clip, else Wilson's.

    Raises ValueError for an option that does not apply to the benchmark, and where the data are not as expected,
    `out` belongs to another run, or replies and items differ.
    """
    if benchmark.judged and judge is None:
        raise ValueError(f"{benchmark.title} is scored by a judge: name one")
    if benchmark.judged:
        check_judges([judge, *more_judges], again)
    items = benchmark.load(Path(data))
    path = answer(benchmark, items, model, Path(out), name=name, settings=settings or {}, batch=batch, fps=fps)
    return score_run(benchmark, items, path, judge=judge, more_judges=more_judges, again=again, interval=interval)


def asked_with(benchmark: Benchmark, *, batch: int | None, fps: float | None) -> dict[str, Any]:
    """What decides the replies beside model and items, for the run's head. ValueError for what does not apply.

    batch, fps: None for the default, 16 pictures at once or 1 frame a second.
    """
    if benchmark.media == "image":
        if fps is not None:
            raise ValueError(f"fps={fps} for {benchmark.title}: pictures have no rate; leave --fps out")
        if batch is not None and batch < 1:
            raise ValueError(f"batch={batch}: expected at least 1 (--batch)")
        return {"batch": 16 if batch is None else batch, "pad": benchmark.pad}
    if batch is not None:
        raise ValueError(
            f"batch={batch} for {benchmark.title}: questions about clips are answered one at a time; leave --batch out"
        )
    return {"fps": 1.0 if fps is None else check_fps(fps)}


def answer(
    benchmark: Benchmark,
    items: Sequence[Item],
    model: ImageModel | VideoModel | ClipModel,
    out: Path,
    *,
    name: str,
    settings: dict[str, Any],
    batch: int | None = None,
    fps: float | None = None,
) -> Path:
    """Every item's reply → `out/replies.jsonl`, in the items' order; goes on where a killed run stopped."""
    asked = asked_with(benchmark, batch=batch, fps=fps)
    path = out / REPLIES
    if not path.is_file() and out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no {REPLIES}: give another output folder")
    head = {
        "benchmark": benchmark.name,
        "model": name,
        **settings,
        "items": _items_key(items, benchmark.media),
        "n": len(items),
        **asked,
    }
    if benchmark.media == "video":
        clip_by_clip(items, model, path, head=head, fps=asked["fps"])
        return path
    batch = asked["batch"]
    done = resume(path, head, n=len(items), batch=batch, what="run")
    check_begun(items[:done], path)
    starts = range(done, len(items), batch)
    for at in tqdm(starts, desc=benchmark.name, unit="batch", disable=not len(starts)):
        shown = items[at : at + batch]
        pictures = [_picture(item) for item in shown]
        prompts, queries = [i.prompt for i in shown], [i.question for i in shown]
        replies = model.look(pictures, prompts, queries=queries, pad=benchmark.pad)
        append(path, [{"id": i.id, "reply": r.text} for i, r in zip(shown, replies, strict=True)])
    return path


def _picture(item: Item) -> Path | np.ndarray:
    if item.picture is None:
        return item.media
    try:
        with Image.open(io.BytesIO(item.picture)) as file:
            return np.asarray(file.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{item.media}, item {item.id}: its picture cannot be read ({error})") from error


def _items_key(items: Sequence[Item], media: str) -> str:
    """Hash of all that the replies depend on: ids, prompts, and which files are shown. Labels are not in it.

    A clip's size stands beside its replies instead (`clips.check_clips`): one that cannot be read may be mended.
    """
    digest = hashlib.sha256()
    for item in items:
        if item.picture is not None:
            shown = hashlib.sha256(item.picture).hexdigest()
        else:
            shown = item.media.stat().st_size if media == "image" else None
        digest.update(json.dumps([item.id, item.media.name, shown, item.prompt, item.question]).encode())
    return digest.hexdigest()


def score_run(
    benchmark: Benchmark,
    items: Sequence[Item],
    path: Path,
    *,
    judge: Any = None,
    more_judges: Sequence[Any] = (),
    again: int = 0,
    interval: Interval = clustered_interval,
) -> Result:
    """Score a finished reply file in each of the benchmark's modes and write the result beside it."""
    head, said = read_texts(path)
    replies = joined(items, said)
    between, judging = partial(_intervals, benchmark, items, interval=interval), None
    if benchmark.judged:
        judges = [one.for_arm(path.parent, _arm(head)) for one in (judge, *more_judges)]
        judging = judge_run(benchmark.score, benchmark.modes, items, replies, judges, between=between, again=again)
        scores, intervals = judging.judges[0].scores, judging.judges[0].intervals
    else:
        scores = {mode: benchmark.score(items, replies, mode=mode) for mode in benchmark.modes}
        intervals = {mode: between(score) for mode, score in scores.items()}
    submission = benchmark.submit(items, replies, path.parent) if benchmark.submit else None
    note = _note(items, scores[benchmark.modes[0]], interval)
    result = Result(benchmark, head["model"], len(items), scores, intervals, submission, note, head.get("fps"), judging)
    _write(result, head, items, replies, path.parent)
    return result


def _arm(head: dict[str, Any]) -> str:
    """A run by its whole configuration, for the judge's file: no other run is to find its verdicts."""
    return f"{head['model']} {hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()[:16]}"


def _intervals(benchmark: Benchmark, items: Sequence[Item], score: Score, interval: Interval):
    """`interval` is given shares of the best outcome, 0 to 1, whatever the unit."""
    best, scale = (1, 100) if benchmark.unit == "%" else (TOP_SCORE, TOP_SCORE)
    groups = {i.id: i.group for i in items}
    found = {}
    for name in ("", *score.parts):
        outcomes = score.axes.get(name) or {
            i.id: score.outcomes[i.id] for i in items if name in ("", i.split or "all") and i.id in score.outcomes
        }
        shares = {i: value / best for i, value in outcomes.items()}
        pair = interval(shares, {i: groups[i] for i in shares}) if shares else None
        found[name] = None if pair is None else (scale * pair[0], scale * pair[1])
    return found


def _note(items: Sequence[Item], score: Score, interval: Interval) -> str:
    answered = set(score.outcomes).union(*score.axes.values())
    counted = [item for item in items if item.id in answered]
    groups = {item.group for item in counted}
    if len(groups) == len(counted):
        return ""
    shared = f"{len(counted)} items about {len(groups)} pictures or clips"
    if interval is clustered_interval:
        return f"intervals clustered by picture or clip: {shared}"
    return f"intervals as if {shared} were independent: too narrow" if interval is wilson_interval else ""


def _write(result: Result, head: dict[str, Any], items: Sequence[Item], replies: dict[str, str], out: Path) -> None:
    rows = pd.DataFrame(
        [
            {"id": i.id, "split": i.split, "group": i.group, "answers": "|".join(i.answers), "reply": replies[i.id]}
            | {mode: score.outcomes.get(i.id) for mode, score in result.scores.items()}
            | {
                f"{mode} {axis}": found.get(i.id)
                for mode, score in result.scores.items()
                for axis, found in score.axes.items()
            }
            for i in items
        ]
    )
    rows.to_csv(out / OUTCOMES, index=False)
    scores, benchmark, judged = score_record(result.scores, result.intervals), result.benchmark, {}
    if result.judging is not None:
        result.judging.verdicts.to_csv(out / VERDICTS, index=False)
        judged = {"judging": result.judging.record()}
    record = {
        "benchmark": benchmark.name,
        "model": result.model,
        "n": result.n,
        "size": benchmark.size,
        "unit": benchmark.unit,
        "metric": benchmark.metric,
        "note": result.note,
        "scores": scores,
        "submission": result.submission and result.submission.name,
        "run": head,
        **judged,
    }
    write_whole(out / RESULT, json.dumps(record, indent=1, ensure_ascii=False))


# --- a finished run, scored again


def rescore(
    benchmark: Benchmark,
    *,
    data: Path,
    out: Path,
    judges: Sequence[Any] = (),
    again: int = 0,
    given: dict[str, Any] | None = None,
    interval: Interval = clustered_interval,
) -> tuple[Result, dict[str, Any]]:
    """Score the finished run in `out` again, by any judges; gives the result and the run's configuration.

    No model is loaded and no clip is opened: of the media only names and sizes are looked at, to know that the items
    are those that were asked. given: settings that the run must have had, such as {"fps": 1.0}.

    Raises FileNotFoundError where there is no run; ValueError where it is not finished, is of another benchmark or
    other settings, or was asked other items than `data` holds now; and as `evaluate`.
    """
    path = Path(out) / REPLIES
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: expected the folder of a finished run of `evaluate`")
    head, n_lines = read_head(path, what="run")
    if head.get("benchmark") != benchmark.name:
        raise ValueError(f"{path} is a run of {head.get('benchmark')!r}, not of {benchmark.name!r}: name that one")
    if odd := [name for name, value in (given or {}).items() if name in head and head[name] != value]:
        said = "; ".join(f"{name} {head[name]!r}, not {given[name]!r}" for name in odd)
        raise ValueError(f"{path} was made with {said}: leave that out, or give another output folder")
    if not isinstance(head.get("model"), str):
        raise ValueError(
            f"{path}, line 1 names no model: it is not as `evaluate` wrote it; answer anew in another folder"
        )
    items = benchmark.load(Path(data))
    if head.get("items") != _items_key(items, benchmark.media):
        raise ValueError(
            f"{path} answers {head.get('n')} other items than the {len(items)} in {data}: their ids, prompts, "
            "questions or pictures were changed since; put them back as they were, or answer anew in another folder"
        )
    if n_lines < len(items):
        text = f"{path} holds {n_lines} of {len(items)} replies: finish the run first, it goes on where it stopped"
        raise ValueError(text)
    if benchmark.media == "video":
        check_clips(items, path)
    first, *more = judges or (None,)
    result = score_run(benchmark, items, path, judge=first, more_judges=more, again=again, interval=interval)
    return result, head
