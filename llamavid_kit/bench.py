"""Speed, each time beside a baseline measured in the same run: `make bench`.

Every row says what was counted, the baseline, ours, and their ratio. Nothing here is a test.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from data_prep.toy_world import plan_clip
from data_prep.toy_world.render import render_clip
from llamavid_kit.answering import choice_log_likelihood, generate_texts
from llamavid_kit.checkpoints import load
from llamavid_kit.frame_cache import FrameCache
from llamavid_kit.model import LlamaVid
from llamavid_kit.pixels import pixel_values
from llamavid_kit.prompt import human_turn, template, tokenize
from llamavid_kit.study import CRIME
from llamavid_kit.video import Video

CLIPS, REPEATS = 16, 3


def run(model: LlamaVid | str = "tiny") -> list[tuple[str, float, float]]:
    """Print the table; returns (what, baseline seconds, our seconds) of each row."""
    model = load(model) if isinstance(model, str) else model
    with tempfile.TemporaryDirectory() as folder:
        videos = []
        for i in range(CLIPS):
            render_clip(plan_clip(i, None), Path(folder) / f"{i}.mp4")
            videos.append(Video(Path(folder) / f"{i}.mp4"))
        rows = [_cache_row(model, videos, Path(folder) / "cache")]
        tokens = [FrameCache(model, Path(folder) / "cache").tokens(v, CRIME.question, fps=6)[0] for v in videos]
        rows += [_choice_row(model, tokens), _batch_row(model, tokens), _chunk_row(model, videos[0])]
    print(f"{'what':66s} {'baseline s':>10s} {'ours s':>8s} {'ratio':>6s}")
    for what, baseline, ours in rows:
        print(f"{what:66s} {baseline:10.3f} {ours:8.3f} {baseline / ours:5.1f}x")
    return rows


def _cache_row(model, videos, folder):
    fresh, cache = FrameCache(model), FrameCache(model, folder)
    for video in videos:
        cache.tokens(video, CRIME.question, fps=6)
    cold = _seconds(lambda: [fresh.tokens(v, CRIME.question, fps=1) for v in videos])
    warm = _seconds(lambda: [cache.tokens(v, CRIME.question, fps=1) for v in videos])
    return f"1-fps tokens of {len(videos)} clips: decode and encode / from the 6-fps cache", cold, warm


def _choice_row(model, tokens):
    def one_by_one():
        form = template(model.config.template)
        for choice in CRIME.labels:
            text = form.render([(human_turn(CRIME.question), choice)])
            ids = torch.tensor([tokenize(model.tokenizer, text)] * len(tokens))
            with torch.inference_mode():
                model(input_ids=ids, visual=[[t] for t in tokens])

    ours = _seconds(lambda: choice_log_likelihood(model, CRIME.question, tokens, CRIME.labels))
    return f"likelihood of {len(CRIME.labels)} choices: whole prompt each / shared cache", _seconds(one_by_one), ours


def _batch_row(model, tokens):
    alone = _seconds(lambda: [generate_texts(model, "What happens?", [t], max_new_tokens=16) for t in tokens])
    batch = _seconds(lambda: generate_texts(model, "What happens?", tokens, max_new_tokens=16))
    return f"greedy replies for {len(tokens)} clips: one by one / as a batch", alone, batch


def _chunk_row(model, video):
    frames = video.frames(video.sample(6).indices)
    pixels = pixel_values(frames, size=model.config.image_size)
    with torch.inference_mode():
        alone = _seconds(lambda: model.encode_frames(pixels, chunk=1))
        batch = _seconds(lambda: model.encode_frames(pixels))
    return f"vision tower, {len(pixels)} frames: one by one / in chunks", alone, batch


def _seconds(work: Callable, repeats: int = REPEATS) -> float:
    """Median wall seconds of `work`."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[len(taken) // 2]
