"""The one list of clips that every arm answers, fixed before the first of them: `clips.json`.

Input: pairs, the clips' folder, the arms and their models. Output: which clips are used and, for each other one, why
not. Looking at a clip also lets the models prepare it. Who answers is `ablation`'s.
"""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.video import Video, VideoError
from llamavid_kit.experiments.arms import AblationConfig, Arm
from llamavid_kit.experiments.prompts import wording
from llamavid_kit.experiments.tasks import Question
from llamavid_kit.files import read_json, write_whole
from llamavid_kit.model.answering import VideoModel, View


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

    A clip that cannot be read, or that one arm's model has no room for, is excluded for all with its reason.
    """
    path = out / "clips.json"
    if path.is_file():
        return read_json(path, way_out="give another output folder, or delete this one and begin anew")
    trained = any(arm.adapter for arm in arms)
    kept: dict[str, list] = {"train": [], "test": []}
    excluded = []
    usable = [pair for pair in pairs if pair.split == "test" or trained]
    threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1))  # some decode while one's frames are in the model
    try:
        looks = threads.map(lambda pair: _look(pair, root, config, arms, models, question), usable)
        for pair, result in zip(usable, tqdm(looks, desc="clips", unit="clip", total=len(usable)), strict=True):
            if isinstance(result, Exception):
                reason = str(result).replace(f"{root}{os.sep}", "")
                excluded.append({"clip": pair.id, "split": pair.split, "reason": reason})
            else:
                kept[pair.split].append(pair.to_dict() | {"content": result})
    finally:
        threads.shutdown(cancel_futures=True)
    if not kept["test"]:
        raise ValueError(f"none of {len(usable)} clips can be used; the first reason: {excluded[0]['reason']}")
    if trained and not kept["train"]:
        raise ValueError(f"no training clip can be used; the first reason: {excluded[0]['reason']}")
    clips = {**question.record(), "source": config.source, **kept, "excluded": excluded}
    write_whole(path, json.dumps(clips, indent=1))
    return clips


def _look(
    pair: InstructionPair,
    root: Path,
    config: AblationConfig,
    arms: Sequence[Arm],
    models: Mapping[str, VideoModel],
    question: Question,
) -> str | Exception:
    """The clip's content key, or why it cannot be used."""
    try:
        video = Video(pair.video_path(root))
        for name, model in models.items():
            needs = _needs(pair, [arm for arm in arms if arm.model == name], question)
            for view, text, options in needs:
                model.fits(video, text, options, view, max_new_tokens=config.max_new_tokens)
            views, texts = ([*dict.fromkeys(need[k] for need in needs)] for k in (0, 1))
            if prepare := getattr(model, "prepare", None):
                prepare(video, texts, views)
            else:
                _decode(video, views)
        return video.content_key()
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
