"""Speed of a small model on a CPU: `bench`.

Every row says what was counted, the baseline, ours, and their ratio. Explorers stand beside a target in milliseconds.
"""

import tempfile
import timeit
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from data_prep.toy_world import plan_clip
from data_prep.toy_world.render import render_clip
from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.prompt import human_turn, template, tokenize
from llamavid_kit.data.video import Video
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.browser import PredictionBrowser
from llamavid_kit.model.answering import LlamaVidAnswerer, View, choice_log_likelihood, generate_texts
from llamavid_kit.model.checkpoints import load
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.study.setup import CRIME
from llamavid_kit.viz.explorers.attention import AttentionExplorer
from llamavid_kit.viz.explorers.budget import TokenBudget
from llamavid_kit.viz.explorers.sampler import FrameSampler

Row = tuple[str, float, float]  # what, seconds of the baseline, our seconds
CLIPS, REPEATS = 16, 3
TARGET_MS, BROWSED = 300, 330


def bench_small(name: str) -> None:
    model = load(name)
    with tempfile.TemporaryDirectory() as folder:
        videos = []
        for i in range(CLIPS):
            render_clip(plan_clip(i, None), Path(folder) / f"{i}.mp4")
            videos.append(Video(Path(folder) / f"{i}.mp4"))
        rows = [_cache_row(model, videos, Path(folder) / "cache")]
        tokens = [FrameCache(model, Path(folder) / "cache").tokens(v, CRIME.question, fps=6)[0] for v in videos]
        rows += [_choice_row(model, tokens), _batch_row(model, tokens), _chunk_row(model, videos[0])]
        rows.append(_questions_row(model, videos[:4]))
        interactions = _interactions(model, videos[0], Path(folder) / "run")
    print(f"{'what':66s} {'baseline s':>10s} {'ours s':>8s} {'ratio':>6s}")
    for what, baseline, ours in rows:
        print(f"{what:66s} {baseline:10.3f} {ours:8.3f} {baseline / ours:5.1f}x")
    print(f"\n{'interaction of an explorer, on what it keeps':66s} {'target ms':>10s} {'ours ms':>8s}")
    for what, seconds in interactions:
        print(f"{what:66s} {TARGET_MS:10d} {1000 * seconds:8.0f}")


def _interactions(model: LlamaVid, video: Video, out: Path) -> list[tuple[str, float]]:
    """(interaction, median seconds in the kernel) of each explorer; what the browser then draws is not in it."""
    attention, sampler, budget = AttentionExplorer(model, video, fps=2), FrameSampler(video), TokenBudget(model.config)
    questions = (f"What is thing number {i}?" for i in count())
    n, browser = attention.frame.max + 1, _browser(video, out)
    rows = [
        (f"AttentionExplorer: new question, {n} frames, with the reply", attention.question, questions),
        ("AttentionExplorer: another frame", attention.frame, cycle((1, 2, 3))),
        ("FrameSampler: another budget", sampler.budget, cycle((9, 10, 11))),
        ("TokenBudget: another rate", budget.fps, cycle((1, 2, 3))),
        (f"PredictionBrowser: another cell, {BROWSED} clips in 2 arms", browser.truth, cycle(CRIME.labels[1:4])),
    ]

    def move(control: Any, values: Iterator) -> None:
        control.value = next(values)

    return [(what, _seconds(partial(move, control, values))) for what, control, values in rows]


def _browser(video: Video, out: Path) -> PredictionBrowser:
    """Of a run of the tiny model in two arms, on one clip under many names: which clip is browsed costs the same."""
    answers = islice(cycle(CRIME.labels), BROWSED)
    pairs = [
        InstructionPair(id=str(k), video=video.path.name, question=CRIME.question, answer=answer, choices=CRIME.labels)
        for k, answer in enumerate(answers)
    ]
    config = AblationConfig(fps=(1, 6), finetune=False, answering=("generation",))
    ablate(pairs, root=video.path.parent, out=out, config=config)
    return PredictionBrowser(out)


def _cache_row(model: LlamaVid, videos: Sequence[Video], folder: Path) -> Row:
    fresh, cache = FrameCache(model), FrameCache(model, folder)
    for video in videos:
        cache.tokens(video, CRIME.question, fps=6)
    cold = _seconds(lambda: [fresh.tokens(v, CRIME.question, fps=1) for v in videos])
    warm = _seconds(lambda: [cache.tokens(v, CRIME.question, fps=1) for v in videos])
    return f"1-fps tokens of {len(videos)} clips: decode and encode / from the 6-fps cache", cold, warm


def _choice_row(model: LlamaVid, tokens: Sequence[VisualTokens]) -> Row:
    def one_by_one() -> None:
        form = template(model.config.template)
        for choice in CRIME.labels:
            text = form.render([(human_turn(CRIME.question), choice)])
            ids = torch.tensor([tokenize(model.tokenizer, text)] * len(tokens))
            with torch.inference_mode():
                model(input_ids=ids, visual=[[t] for t in tokens])

    ours = _seconds(lambda: choice_log_likelihood(model, CRIME.question, tokens, CRIME.labels))
    return f"likelihood of {len(CRIME.labels)} choices: whole prompt each / shared cache", _seconds(one_by_one), ours


def _batch_row(model: LlamaVid, tokens: Sequence[VisualTokens]) -> Row:
    alone = _seconds(lambda: [generate_texts(model, "What happens?", [t], max_new_tokens=16) for t in tokens])
    batch = _seconds(lambda: generate_texts(model, "What happens?", tokens, max_new_tokens=16))
    return f"greedy replies for {len(tokens)} clips: one by one / as a batch", alone, batch


def _questions_row(model: LlamaVid, videos: Sequence[Video], n: int = 25) -> Row:
    """As a video benchmark asks: MSVD-QA has some 25 questions a clip."""
    answerer = LlamaVidAnswerer(model, FrameCache(model), max_new_tokens=16)
    questions = [f"What is thing number {k} doing?" for k in range(n)]
    each = _seconds(lambda: [answerer.generate([v], question, View(1)) for v in videos for question in questions])
    once = _seconds(lambda: [answerer.watch(v, questions, fps=1) for v in videos])
    return f"{n} questions about each of {len(videos)} clips, with replies: look for each / once", each, once


def _chunk_row(model: LlamaVid, video: Video) -> Row:
    frames = video.frames(video.sample(6).indices)
    pixels = model.config.pixel_values(frames)
    with torch.inference_mode():
        alone = _seconds(lambda: model.encode_frames(pixels, chunk=1))
        batch = _seconds(lambda: model.encode_frames(pixels))
    return f"vision tower, {len(pixels)} frames: one by one / in chunks", alone, batch


def _seconds(work: Callable[[], object]) -> float:
    """Median wall seconds of `work`."""
    return median(timeit.repeat(work, number=1, repeat=REPEATS))
