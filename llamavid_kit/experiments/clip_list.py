"""The one list of clips that every arm answers, fixed before the first of them: `clips.json`.

Input: pairs, the clips' folder, the arms and their models. Output: which clips are used and, for each other one, why
not. Looking at a clip also lets the models prepare it. Who answers is `ablation`'s.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.video import Video, VideoError, content_key
from llamavid_kit.evaluation.visibility import Event, check_events, n_events_seen
from llamavid_kit.experiments import shapes
from llamavid_kit.experiments.arms import AblationConfig, Arm
from llamavid_kit.experiments.prompts import wording
from llamavid_kit.experiments.tasks import Question
from llamavid_kit.files import ANOTHER_FOLDER, check_shape, read_json, some, write_whole
from llamavid_kit.model.answering import VideoModel, View
from llamavid_kit.processes import from_main, shared

log = logging.getLogger(__name__)
CURVE_FPS = (1, 2, 3, 6)  # rates at which a set's events are counted, and UCF-Crime's
# what a row says of the clip's file, and a whole list, as they must lie where a run goes on
LOOKED = {"n_frames": int, "fps": float, "content": str, "events_seen": {f"{fps}": int for fps in CURVE_FPS}}
BEGUN = shapes.CLIPS | {"arms": [str], "train": [shapes.CLIP | LOOKED], "test": [shapes.CLIP | LOOKED]}


def fix_clip_list(
    pairs: Sequence[InstructionPair],
    root: Path,
    out: Path,
    config: AblationConfig,
    arms: Sequence[Arm],
    models: Mapping[str, VideoModel],
    question: Question,
) -> dict:
    """Look at every clip as every arm will, and write the list that all arms answer: `clips.json`.

    A clip that cannot be read, or that one arm's model has no room for, is excluded for all with its reason. Where the
    list was made before, clips with the same content are not looked at again, unless an arm is new; what has changed
    is said, and raises ValueError where adapters were trained on clips that were others. Several processes share the
    clips; the list is the main one's.
    """
    path = out / "clips.json"
    before = {}
    if path.is_file():
        before = read_json(path, way_out=ANOTHER_FOLDER)
        check_shape(before, BEGUN, str(path), way_out=ANOTHER_FOLDER)
    names = [arm.name for arm in arms]
    rows = [*before.get("train", ()), *before.get("test", ())] if {*names} <= {*before.get("arms", ())} else ()
    looks_before = {row["id"]: row for row in rows}
    trained = any(arm.adapter for arm in arms)
    usable = [pair for pair in pairs if pair.split == "test" or trained]

    def look(pair: InstructionPair) -> dict | Exception:
        row = looks_before.get(pair.id)
        if row is not None and row["content"] == _content(pair.video_path(root)) and _is_of(row, pair):
            return row
        return _look(pair, root, config, arms, models, question)

    threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1))  # some decode while one's frames are in the model
    try:
        shares = shared(look, usable, mapped=threads.map)
        looks = [*tqdm(shares, desc="clips", unit="clip", total=len(usable))]
    finally:
        threads.shutdown(cancel_futures=True)

    def fixed() -> dict:
        clips = {**question.record(), "source": config.source, "arms": names, **_kept(looks, root, trained=trained)}
        if before:
            _say_changes(before, clips, out)
        if clips != before:
            write_whole(path, json.dumps(clips, indent=1))
        return clips

    return from_main(fixed)


def _kept(looks: Sequence[tuple[InstructionPair, dict | Exception]], root: Path, *, trained: bool) -> dict[str, list]:
    """The rows of each split, and which clips are left out, with the reason. ValueError where too few are left."""
    kept: dict[str, list] = {"train": [], "test": [], "excluded": []}
    for pair, result in looks:
        if isinstance(result, Exception):
            kept["excluded"].append({"clip": pair.id, "split": pair.split, "reason": _below(root, str(result))})
        else:
            kept[pair.split].append(result)
    if not kept["test"]:
        raise ValueError(f"none of {len(looks)} clips can be used; the first reason: {kept['excluded'][0]['reason']}")
    if trained and not kept["train"]:
        raise ValueError(f"no training clip can be used; the first reason: {kept['excluded'][0]['reason']}")
    return kept


def _is_of(row: dict, pair: InstructionPair) -> bool:
    """Whether a row of the list says of the pair what it says itself, with the four things that its file says."""
    said = pair.to_dict()
    return said.keys() | LOOKED.keys() == row.keys() and all(row[n] == said[n] for n in said.keys() - LOOKED.keys())


def _below(root: Path, text: str) -> str:
    """A reason that is the same wherever the clips lie."""
    for place in (root.absolute(), root):
        text = text.replace(f"{place}{os.sep}", "").replace(f" ({place})", "")
    return text


def _say_changes(before: dict, clips: dict, out: Path) -> None:
    """Each change of the list since the run began, in a sentence; ValueError where adapters were trained on the old."""
    then, now = ({row["id"]: row for split in ("train", "test") for row in x[split]} for x in (before, clips))
    reasons = {row["clip"]: row["reason"] for row in clips["excluded"]}
    known = {*then, *(row["clip"] for row in before["excluded"])}
    changes = {
        clip: "has other content" for clip in then if clip in now and then[clip]["content"] != now[clip]["content"]
    }
    changes |= {clip: "can be used now" for clip in now if clip in known and clip not in then}
    changes |= {clip: f"is left out now ({reasons.get(clip)})" for clip in then if clip not in now}
    if not changes:
        return
    text = some((f"{clip} {change}" for clip, change in changes.items()), at_most=10)
    train = {row["id"] for row in (*before["train"], *clips["train"])}
    if train & {*changes} and any((out / "finetune").glob("*/settings.json")):
        raise ValueError(
            f"since the adapters of {out} were trained, clips have changed: {text}; delete {out / 'finetune'} to train "
            "and answer again, or give another output folder"
        )
    log.warning(
        "%s: since this run began, clips have changed: %s; every arm answers again from the first of their batches on",
        out,
        text,
    )


def events_seen(events: Sequence[Event], timestamps_s: np.ndarray, duration_s: float) -> dict[str, int]:
    """Rate of CURVE_FPS → how many of a clip's events hold a frame that this rate takes."""
    return {f"{fps}": n_events_seen(events, timestamps_s, duration_s, fps) for fps in CURVE_FPS}


def _content(path: Path) -> str | None:
    """As `Video.content_key`; None where the file cannot be read."""
    try:
        return content_key(path)
    except OSError:
        return None


def _look(
    pair: InstructionPair,
    root: Path,
    config: AblationConfig,
    arms: Sequence[Arm],
    models: Mapping[str, VideoModel],
    question: Question,
) -> dict | Exception:
    """The clip's row of the list, with what its file holds; or why it cannot be used."""
    try:
        video = Video(pair.video_path(root))
        check_events(pair.events, video.duration_s, clip=pair.id)
        for name, model in models.items():
            needs = _needs(pair, [arm for arm in arms if arm.model == name], question)
            for view, text, options in needs:
                model.fits(video, text, options, view, max_new_tokens=config.max_new_tokens)
            views, texts = ([*dict.fromkeys(need[k] for need in needs)] for k in (0, 1))
            if prepare := getattr(model, "prepare", None):
                prepare(video, texts, views)
            else:
                _decode(video, views)
        file = {"n_frames": video.n_frames, "fps": video.fps, "content": video.content_key()}
        return pair.to_dict() | file | {"events_seen": events_seen(pair.events, video.timestamps_s, video.duration_s)}
    except (VideoError, ValueError) as error:
        return error


def _decode(video: Video, views: Sequence[View]) -> None:
    """Reads every frame that the views need. Raises VideoError where one cannot be had."""
    for view in views:
        for _ in video.chunks(video.sample(view.fps, rule=view.frames)):
            pass


def _needs(pair: InstructionPair, arms: Sequence[Arm], question: Question) -> list[tuple]:
    """(view, question in words, options) of every way in which the arms look at the clip; the highest rate first."""
    if pair.split == "train":  # seen at the rate of the training, asked in the pairs' own words
        needs = [(replace(a.view, fps=a.trained_at), question.text, question.labels) for a in arms if a.adapter]
    else:
        needs = [
            (a.view, *wording(question.text, question.labels, prompt=a.prompt, order=a.order, clip=pair.id))
            for a in arms
        ]
    return sorted(dict.fromkeys(needs), key=lambda need: -need[0].fps)
