"""A video benchmark's questions, answered clip by clip: each clip is decoded and encoded once a run.

Items and model in, `replies.jsonl` in the items' order out. The questions about a clip need not lie side by side in the
benchmark's files (Video-ChatGPT asks about a clip in three of them): what is answered before its turn waits as text in
`replies.ahead.jsonl`, which goes when the run is done. Frame tokens are never kept: on disk they would take 5.6 KB a
frame and question (7B), in memory they are one clip's.
"""

from collections.abc import Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from llamavid_kit.data.video import Video, VideoError, content_key
from llamavid_kit.evaluation.benchmarks.base import Item, check_begun
from llamavid_kit.files import append, read_replies, read_texts, resume, some
from llamavid_kit.model.answering import ClipModel, ImageModel, VideoModel, View
from llamavid_kit.model.ask import Reply
from llamavid_kit.processes import from_main, shared

AHEAD = ".ahead.jsonl"
AnyModel = ImageModel | ClipModel | VideoModel


def clip_by_clip(
    items: Sequence[Item], model: AnyModel, path: Path, *, head: dict[str, Any], max_new_tokens: int
) -> None:
    """Answers what `path` does not hold yet; a run that is killed asks again about the clips that were under way.

    A model without `watch` is asked one question after the other, for replies of at most `max_new_tokens`.
    Raises ValueError where `path` was begun with another `head`, and, after all other clips, for those that cannot be
    read.
    """
    ahead = path.with_suffix(AHEAD)

    def begun() -> tuple[int, dict[str, dict[str, Any]]]:
        done, _ = (resume(file, head, n=len(items), batch=1, what="run") for file in (path, ahead))
        check_begun(items[:done], path)
        for file in (path, ahead):
            check_clips(items, file)
        return done, {line["id"]: line for line in read_texts(ahead)[1]}

    def watch(media: Path) -> list[dict[str, Any]] | str:
        try:
            clip = Video(media)
            answers = _watch(model, clip, [item.prompt for item in clips[media]], head["fps"], max_new_tokens)
        except VideoError as error:
            return f"{len(clips[media])} questions: {error}"
        content = clip.content_key()
        return [reply_line(item, answer.text, content) for item, answer in zip(clips[media], answers, strict=True)]

    done, lines = from_main(begun)
    clips: dict[Path, list[Item]] = {}
    for item in items[done:]:
        if item.id not in lines:
            clips.setdefault(item.media, []).append(item)
    unreadable, watched = [], shared(watch, [*clips])
    for _, new in tqdm(watched, desc=head["benchmark"], unit="clip", total=len(clips), disable=not clips):
        if isinstance(new, str):
            unreadable.append(new)
            continue
        append(ahead, new)
        lines |= {line["id"]: line for line in new}
        done += _in_turn(items, done, lines, path)
    from_main(lambda: _finish(items, done, lines, path, unreadable))


def _finish(
    items: Sequence[Item], done: int, lines: dict[str, dict[str, Any]], path: Path, unreadable: Sequence[str]
) -> None:
    _in_turn(items, done, lines, path)  # a run killed between the two files
    if unreadable:
        n, bad = len({item.media for item in items}), "\n  ".join(unreadable)
        raise ValueError(
            f"{len(unreadable)} of {n} clips cannot be read, so these questions have no reply and nothing is scored:\n"
            f"  {bad}\nThe other replies are kept: put whole files in their place and run the same again"
        )
    path.with_suffix(AHEAD).unlink()


def _watch(model: AnyModel, clip: Video, questions: Sequence[str], fps: float, max_new_tokens: int) -> list[Reply]:
    if isinstance(model, ClipModel):
        return model.watch(clip, questions, fps=fps)
    assert hasattr(model, "generate"), "`run.answer` refuses any other model"
    return [model.generate([clip], text, View(fps), max_new_tokens=max_new_tokens)[0] for text in questions]


def _in_turn(items: Sequence[Item], done: int, lines: dict[str, dict[str, Any]], path: Path) -> int:
    """Appends the replies whose turn has come; how many."""
    ready = list(takewhile(lambda item: item.id in lines, islice(items, done, None)))
    if ready:
        append(path, [lines[item.id] for item in ready])
    return len(ready)


def reply_line(item: Item, reply: str, content: str) -> dict[str, Any]:
    """content: the clip's `content_key`, so that another file under its name is noticed."""
    return {"id": item.id, "reply": reply, "content": content}


def check_clips(items: Sequence[Item], path: Path) -> None:
    """ValueError naming the clips that are not those about which the replies in `path` were given."""
    contents = {line["id"]: line.get("content") for line in read_replies(path, what="run")[1]}
    told = {(item.media, contents[item.id]) for item in items if item.id in contents}
    keys = {media: content_key(media) for media, _ in told}
    if changed := sorted({str(media) for media, content in told if keys[media] != content}):
        raise ValueError(
            f"{some(changed)}: changed since questions about them were answered in {path}; put them back as they "
            "were, or answer again in another output folder"
        )
