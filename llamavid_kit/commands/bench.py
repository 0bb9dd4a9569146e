"""Speed, each time beside a baseline measured in the same run: `make bench`.

Every row says what was counted, the baseline, ours, and their ratio. Explorers stand beside a target in milliseconds.
Nothing here is a test.
"""

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from data_prep.toy_world import plan_clip
from data_prep.toy_world.render import render_clip
from llamavid_kit.commands.options import MODEL_HELP
from llamavid_kit.data.prompt import human_turn, template, tokenize
from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.scoring import score
from llamavid_kit.model.answering import LlamaVidAnswerer, View, choice_log_likelihood, generate_texts
from llamavid_kit.model.checkpoints import load
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.study.setup import CRIME

CLIPS, REPEATS = 16, 3
TARGET_MS, BROWSED = 300, 330


def bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="tiny", help=MODEL_HELP)


def bench(args: argparse.Namespace) -> None:
    run(args.model)


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
        rows.append(_questions_row(model, videos[:4]))
        explorers = explorer_rows(model, videos[0])
    print(f"{'what':66s} {'baseline s':>10s} {'ours s':>8s} {'ratio':>6s}")
    for what, baseline, ours in rows:
        print(f"{what:66s} {baseline:10.3f} {ours:8.3f} {baseline / ours:5.1f}x")
    print(f"\n{'interaction of an explorer, on what it keeps':66s} {'target ms':>10s} {'ours ms':>8s}")
    for what, seconds in explorers:
        print(f"{what:66s} {TARGET_MS:10d} {1000 * seconds:8.0f}")
    return rows


def explorer_rows(model: LlamaVid, video: Video) -> list[tuple[str, float]]:
    """(interaction, median seconds in the kernel) of each explorer; what the browser then draws is not in it."""
    from llamavid_kit.viz.explorers.attention import AttentionExplorer
    from llamavid_kit.viz.explorers.budget import TokenBudget
    from llamavid_kit.viz.explorers.sampler import FrameSampler

    attention, sampler, budget = AttentionExplorer(model, video, fps=2), FrameSampler(video), TokenBudget(model.config)
    questions = (f"What is thing number {i}?" for i in itertools.count())
    frames, sizes = itertools.cycle((1, 2, 3)), itertools.cycle((9, 10, 11))
    n = len(attention.state.clip)
    return [
        (
            f"AttentionExplorer: new question, {n} frames, with the reply",
            _seconds(lambda: setattr(attention.question, "value", next(questions))),
        ),
        ("AttentionExplorer: another frame", _seconds(lambda: setattr(attention.frame, "value", next(frames)))),
        ("FrameSampler: another budget", _seconds(lambda: setattr(sampler.budget, "value", next(sizes)))),
        ("TokenBudget: another rate", _seconds(lambda: setattr(budget.fps, "value", next(frames)))),
        (f"PredictionBrowser: another cell, {BROWSED} clips in 2 arms", _browser_seconds()),
    ]


def _browser_seconds() -> float:
    """Of a run of two arms that were never run: what is browsed makes no difference to the time."""
    from llamavid_kit.experiments.browser import PredictionBrowser

    rng, labels = random.Random(0), CRIME.labels
    clips = [
        {"id": f"{k}", "video": f"{k}.mp4", "answer": labels[k % len(labels)], "split": "test"} for k in range(BROWSED)
    ]
    arms = [{"name": f"zero-shot-{fps}fps", "fps": fps, "finetune": None, "answering": "generation"} for fps in (1, 6)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        (out / "arms").mkdir()
        for arm in arms:
            said = [rng.choice(labels) for _ in clips]
            truths = [clip["answer"] for clip in clips]
            arm |= score(truths, said, labels=labels).to_dict()
            lines = [
                {
                    "clip": clip["id"],
                    "truth": truth,
                    "reply": label,
                    "label": label,
                    "correct": label == truth,
                    "timestamps_s": [0.0],
                }
                for clip, truth, label in zip(clips, truths, said, strict=True)
            ]
            (out / "arms" / f"{arm['name']}.jsonl").write_text("\n".join(map(json.dumps, [{"arm": arm}, *lines])))
        (out / "clips.json").write_text(json.dumps({"question": CRIME.question, "labels": labels, "test": clips}))
        (out / "config.json").write_text("{}")
        (out / "summary.json").write_text(json.dumps({"arms": arms}))
        browser = PredictionBrowser(out)
    cells = itertools.cycle(labels[1:4])
    return _seconds(lambda: setattr(browser.truth, "value", next(cells)))


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


def _questions_row(model, videos, n=25):
    """As a video benchmark asks: MSVD-QA has some 25 questions a clip."""
    answerer = LlamaVidAnswerer(model, FrameCache(model), max_new_tokens=16)
    questions = [f"What is thing number {k} doing?" for k in range(n)]
    each = _seconds(lambda: [answerer.generate([v], question, View(1)) for v in videos for question in questions])
    once = _seconds(lambda: [answerer.watch(v, questions, fps=1) for v in videos])
    return f"{n} questions about each of {len(videos)} clips, with replies: look for each / once", each, once


def _chunk_row(model, video):
    frames = video.frames(video.sample(6).indices)
    pixels = model.config.pixel_values(frames)
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
