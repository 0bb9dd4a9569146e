"""The one list of clips that every arm answers, fixed before the first of them: `clips.json`.

Input: pairs, the clips' folder, the rates. Output: which clips are used and, for each other one, why not. Looking at a
clip also fills the frame cache. Who answers is `ablation.py`.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.prompt import open_prompt
from llamavid_kit.data.video import Video, VideoError
from llamavid_kit.files import read_json, write_whole
from llamavid_kit.model.planner import check_fits


def fix_clip_list(pairs, root, out, config, model, cache, asked, n_reply) -> dict:
    """Look at every clip at every rate, largest first, and write the list that all arms answer: `clips.json`.

    asked: the `questions.Question`; n_reply: tokens that its answers need. A clip that cannot be read, or does not fit
    the model at the largest rate in the longest of the arms' wordings, is excluded with its reason.
    """
    path = out / "clips.json"
    if path.is_file():
        return read_json(path, way_out="give another output folder, or delete this one and begin anew")
    arms = config.arms()

    def look(pair: InstructionPair) -> str | Exception:
        """The clip's content key, or why it cannot be used."""
        wordings = [arm.asks(asked, pair.id)[0] for arm in arms] if pair.split == "test" else [asked.text]
        questions = list(dict.fromkeys(wordings))
        longest = max(len(open_prompt(model.tokenizer, model.config.template, question)) for question in questions)
        try:
            video = Video(pair.video_path(root))
            for rate in sorted(config.fps, reverse=True):
                check_fits(model.config, n_frames=len(video.sample(rate)), n_prompt=longest + n_reply, fps=rate)
                cache.fill(video, questions, fps=rate)
            return video.content_key()
        except (VideoError, ValueError) as error:
            return error

    kept, excluded = {"train": [], "test": []}, []
    wanted = [p for p in pairs if p.split == "test" or config.finetune]
    threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1))  # some decode while one's frames are in the model
    try:
        looks = tqdm(threads.map(look, wanted), desc="clips", unit="clip", total=len(wanted))
        for pair, found in zip(wanted, looks, strict=True):
            if isinstance(found, Exception):
                reason = str(found).replace(f"{root}{os.sep}", "")
                excluded.append({"clip": pair.id, "split": pair.split, "reason": reason})
            else:
                kept[pair.split].append(pair.to_dict() | {"content": found})
    finally:
        threads.shutdown(cancel_futures=True)
    if not kept["test"]:
        raise ValueError(f"none of {len(wanted)} clips can be used; the first reason: {excluded[0]['reason']}")
    if config.finetune and not kept["train"]:
        raise ValueError(f"no training clip can be used; the first reason: {excluded[0]['reason']}")
    clips = {**asked.listed(), "source": config.source, **kept, "excluded": excluded}
    write_whole(path, json.dumps(clips, indent=1))
    return clips
