"""A benchmark, answered and scored: data folder and model → `replies.jsonl`, `result.json`, `outcomes.csv`, submission.

`replies.jsonl` begins with the run's configuration and holds each item once; a run that is killed goes on where it
stopped, and a folder begun with something else is refused. Scoring reads that file again: it can be repeated alone.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from llamavid_kit.data.pictures import read_picture
from llamavid_kit.data.sampling import check_fps
from llamavid_kit.data.video import content_key
from llamavid_kit.evaluation.benchmarks.base import (
    Benchmark,
    Item,
    Mode,
    Score,
    check_begun,
    clustered_interval,
    joined,
)
from llamavid_kit.evaluation.benchmarks.clips import AnyModel, check_clips, clip_by_clip
from llamavid_kit.evaluation.benchmarks.panel import Intervals, Judging, check_judges, judge_run, score_record
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.evaluation.judges.verdict_parser import TOP_SCORE
from llamavid_kit.files import append, holds_files, read_head, read_texts, resume, write_whole, writing
from llamavid_kit.model.answering import ClipModel, ImageModel
from llamavid_kit.processes import from_main, held, shared

REPLIES, RESULT, OUTCOMES, VERDICTS = "replies.jsonl", "result.json", "outcomes.csv", "verdicts.csv"


@dataclass(frozen=True)
class Result:
    """A scored run. scores: mode → `Score`, the one beside the published numbers first.

    n: items; head: the run's configuration, as in `replies.jsonl`
    intervals: mode → part → 95% interval of the mean outcome in the table's unit, None where the method does not apply;
    "" is all items together
    note: what a reader of the intervals must know
    judging: of a judged benchmark, every judge's scores and how far they agree; `scores` are the first one's
    """

    benchmark: Benchmark
    head: Mapping[str, Any]
    n: int
    scores: dict[Mode, Score]
    intervals: dict[Mode, Intervals]
    submission: Path | None = None
    note: str = ""
    judging: Judging | None = None


def evaluate(
    benchmark: Benchmark,
    model: AnyModel,
    *,
    data: Path,
    out: Path,
    name: str,
    settings: dict[str, Any] | None = None,
    batch: int | None = None,
    fps: float | None = None,
    judges: Sequence[Judge] = (),
    again: int = 0,
) -> Result:
    """Answer what is not answered yet, score, and write the result.

    model: a picture benchmark asks `ImageModel.look`, a video benchmark `ClipModel.watch`, or where there is none
    `VideoModel.generate`, question by question
    name: the model's, in the tables; settings: JSON values that tell runs apart, such as a hash of the weights
    batch, fps: see `media_settings`
    judges, again: see `panel.judge_run`; verdicts are kept in `out`, for this run alone

    Raises ValueError for an option that does not apply to the benchmark, and where the data are not as expected,
    `out` belongs to another run, or replies and items differ. Under `accelerate launch` every process calls this alike:
    all answer, the main one scores, and each gets the result.
    """
    check_scoring(benchmark, judges, again)
    items = benchmark.load(Path(data))
    with held(out):
        path = answer(benchmark, items, model, Path(out), name=name, settings=settings, batch=batch, fps=fps)
        return from_main(lambda: score_run(benchmark, items, path, judges=judges, again=again))


def check_scoring(benchmark: Benchmark, judges: Sequence[Judge], again: int) -> None:
    """ValueError for judges that a benchmark lacks or has no use for, and as `panel.check_judges`."""
    if benchmark.judged and not judges:
        raise ValueError(f"{benchmark.title} is scored by a judge: name one with --judge-rule or --judge-model")
    if not benchmark.judged and (judges or again):
        raise ValueError(f"{benchmark.title} is scored by its own rule and takes no judge: leave --judge-… out")
    if judges:
        check_judges(judges, again)


def media_settings(benchmark: Benchmark, *, batch: int | None, fps: float | None) -> dict[str, Any]:
    """What decides the replies beside model and items, for the run's head. ValueError for what does not apply.

    batch: pictures answered at once, 16 by default; it decides the last digits. fps: frames a second, 1 by default.
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
    model: AnyModel,
    out: Path,
    *,
    name: str,
    settings: dict[str, Any] | None = None,
    batch: int | None = None,
    fps: float | None = None,
) -> Path:
    """Every item's reply → `out/replies.jsonl`, in the items' order; goes on where a killed run stopped."""
    media = media_settings(benchmark, batch=batch, fps=fps)
    path = out / REPLIES
    if not path.is_file() and holds_files(out):
        raise ValueError(f"{out} is not empty and holds no {REPLIES}: give another output folder")
    key = items_key(items, benchmark.media)
    head = {"benchmark": benchmark.name, "model": name, **(settings or {}), "items": key, "n": len(items), **media}
    if benchmark.media == "video":
        if not isinstance(model, ClipModel) and not hasattr(model, "generate"):
            raise ValueError(f"{benchmark.title} asks about clips: expected a model with `watch`, see `ClipModel`")
        clip_by_clip(items, model, path, head=head, max_new_tokens=head.get("max_new_tokens", benchmark.max_new_tokens))
    elif isinstance(model, ImageModel):
        _picture_by_picture(items, model, path, head=head)
    else:
        raise ValueError(f"{benchmark.title} asks about pictures: expected a model with `look`, see `ImageModel`")
    return path


def _picture_by_picture(items: Sequence[Item], model: ImageModel, path: Path, *, head: dict[str, Any]) -> None:
    batch = head["batch"]

    def begun() -> int:
        done = resume(path, head, n=len(items), batch=batch, what="run")
        check_begun(items[:done], path)
        return done

    def look(start: int) -> list[dict[str, str]]:
        batch_items = items[start : start + batch]
        prompts, queries = [i.prompt for i in batch_items], [i.question for i in batch_items]
        replies = model.look([_picture(i) for i in batch_items], prompts, queries=queries, pad=head["pad"])
        return [{"id": i.id, "reply": r.text} for i, r in zip(batch_items, replies, strict=True)]

    starts = range(from_main(begun), len(items), batch)
    looks = shared(look, starts)
    for _, lines in tqdm(looks, desc=head["benchmark"], unit="batch", total=len(starts), disable=not starts):
        append(path, lines)


def _picture(item: Item) -> Path | np.ndarray:
    if item.picture is None:
        return item.media
    return read_picture(io.BytesIO(item.picture), name=f"the picture of {item.media}, item {item.id}")


def items_key(items: Sequence[Item], media: str) -> str:
    """Hash of all that the replies depend on: ids, prompts, and which files they are about. Labels are not in it.

    A clip's content stands beside its replies instead (`clips.check_clips`): one that cannot be read may be mended.
    """
    digest, key_of = hashlib.sha256(), cache(content_key)
    for item in items:
        content: str | None = None
        if item.picture is not None:
            content = hashlib.sha256(item.picture).hexdigest()
        elif media == "image":
            content = key_of(item.media)
        digest.update(json.dumps([item.id, item.media.name, content, item.prompt, item.question]).encode())
    return digest.hexdigest()


def score_run(
    benchmark: Benchmark, items: Sequence[Item], path: Path, *, judges: Sequence[Judge] = (), again: int = 0
) -> Result:
    """Score a finished reply file in each of the benchmark's modes and write the result beside it."""
    head, lines = read_texts(path)
    replies = joined(items, lines)
    between, judging = partial(_intervals, benchmark, items), None
    if benchmark.judged:
        # a run by its whole configuration, for the judge's file: no other run is to find its verdicts
        arm = f"{head['model']} {hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()[:16]}"
        own = [judge.for_arm(path.parent, arm) for judge in judges]
        judging = judge_run(benchmark.score, benchmark.modes, items, replies, own, between=between, again=again)
        scores, intervals = judging.judges[0].scores, judging.judges[0].intervals
    else:
        scores = {mode: benchmark.score(items, replies, mode=mode) for mode in benchmark.modes}
        intervals = {mode: between(score) for mode, score in scores.items()}
    submission = benchmark.submit(items, replies, path.parent) if benchmark.submit else None
    note = _note(items, scores[benchmark.modes[0]])
    result = Result(benchmark, head, len(items), scores, intervals, submission, note, judging)
    _write(result, items, replies, path.parent)
    return result


def _intervals(benchmark: Benchmark, items: Sequence[Item], score: Score) -> Intervals:
    """`clustered_interval` takes shares of the best outcome, 0 to 1, whatever the unit."""
    best, scale = (1, 100) if benchmark.unit == "%" else (TOP_SCORE, TOP_SCORE)
    groups, intervals = {i.id: i.group for i in items}, {}
    for name in ("", *score.parts):
        outcomes = score.axes.get(name) or {
            i.id: score.outcomes[i.id] for i in items if name in ("", i.split or "all") and i.id in score.outcomes
        }
        shares = {i: value / best for i, value in outcomes.items()}
        interval = clustered_interval(shares, {i: groups[i] for i in shares}) if shares else None
        intervals[name] = None if interval is None else (scale * interval[0], scale * interval[1])
    return intervals


def _note(items: Sequence[Item], score: Score) -> str:
    ids = set(score.outcomes).union(*score.axes.values())
    groups = [item.group for item in items if item.id in ids]
    if len(set(groups)) == len(groups):
        return ""
    return f"intervals clustered by picture or clip: {len(groups)} items about {len(set(groups))} pictures or clips"


def _write(result: Result, items: Sequence[Item], replies: Mapping[str, str], out: Path) -> None:
    columns = {mode: score.outcomes for mode, score in result.scores.items()} | {
        f"{mode} {axis}": outcomes for mode, score in result.scores.items() for axis, outcomes in score.axes.items()
    }
    rows = [
        {"id": i.id, "split": i.split, "group": i.group, "answers": "|".join(i.answers), "reply": replies[i.id]}
        | {name: outcomes.get(i.id) for name, outcomes in columns.items()}
        for i in items
    ]
    write_whole(out / OUTCOMES, pd.DataFrame(rows).to_csv(index=False))
    benchmark = result.benchmark
    record = {
        "benchmark": benchmark.name,
        "model": result.head["model"],
        "n": result.n,
        **{name: getattr(benchmark, name) for name in ("size", "unit", "metric")},
        "note": result.note,
        "scores": score_record(result.scores, result.intervals),
        "submission": result.submission and result.submission.name,
        "run": result.head,
    }
    if result.judging is not None:
        write_whole(out / VERDICTS, result.judging.verdicts.to_csv(index=False))
        record["judging"] = result.judging.record()
    write_whole(out / RESULT, json.dumps(record, indent=1, ensure_ascii=False))


# --- a finished run, scored again


def rescore(
    benchmark: Benchmark,
    *,
    data: Path,
    out: Path,
    judges: Sequence[Judge] = (),
    again: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Score the finished run in `out` again, by any judges.

    No model is loaded and no clip is decoded: the media are read to know that they are those that were answered.
    settings: what the run must have had, such as {"fps": 1.0}.

    Raises FileNotFoundError where there is no run; ValueError where it is not finished, is of another benchmark or
    other settings, or answers other items than `data` holds now; and as `evaluate`.
    """
    check_scoring(benchmark, judges, again)
    path = Path(out) / REPLIES
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: expected the folder of a finished run of `evaluate`")
    head, n_lines = read_head(path, what="run")
    if head.get("benchmark") != benchmark.name:
        raise ValueError(f"{path} is a run of {head.get('benchmark')!r}, not of {benchmark.name!r}: name that one")
    settings = settings or {}
    if differing := [name for name in settings if name in head and head[name] != settings[name]]:
        words = "; ".join(f"{name} {head[name]!r}, not {settings[name]!r}" for name in differing)
        raise ValueError(f"{path} was made with {words}: leave that out, or give another output folder")
    if not isinstance(head.get("model"), str):
        raise ValueError(
            f"{path}, line 1 names no model: it is not as `evaluate` wrote it; answer again in another folder"
        )
    items = benchmark.load(Path(data))
    if head.get("items") != items_key(items, benchmark.media):
        raise ValueError(
            f"{path} answers {head.get('n')} other items than the {len(items)} in {data}: their ids, prompts, "
            "questions or pictures were changed since; put them back as they were, or answer again in another folder"
        )
    if n_lines < len(items):
        text = f"{path} holds {n_lines} of {len(items)} replies: finish the run first: it continues where it stopped"
        raise ValueError(text)
    if benchmark.media == "video":
        check_clips(items, path)
    with writing(out):
        return score_run(benchmark, items, path, judges=judges, again=again)
