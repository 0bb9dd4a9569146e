"""How often the shipped model answers right, by kind of question, on clips that it never saw:

    python -m data_prep.tiny.check --clips 60

The tables of the model card: greedy replies at 3 frames a second on street scenes and on wildlife. An event or action
that no sampled frame shows is asked about as for a clip without it; any wording of the true event counts. And
calibration: how likely the model takes its choice among several to be, against how often it is right.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.special import softmax
from tqdm import tqdm

from data_prep.tiny.clips import CAPTIONS, CHECK_SEEDS, Watched, draw, pick, visible
from data_prep.tiny.tower import KIND_WEIGHTS, KINDS, wild_scene
from data_prep.toy_world import FPS as DRAWN_FPS
from data_prep.toy_world import plan_clip
from data_prep.toy_world.street.wording import EVENT_WORDS, NOTHING
from llamavid_kit.evaluation.calibration import calibration
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.model.answering import choice_log_likelihood, generate_texts
from llamavid_kit.model.checkpoints import load
from llamavid_kit.model.llama_vid import LlamaVid

FPS = 3


@dataclass
class Checked:
    """`right`: kind of question → right or wrong for each time it was asked, by the words of the reply. `choices`: of
    the multiple-choice ones (probability of the likeliest choice, whether it is true)."""

    right: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    choices: list[tuple[float, bool]] = field(default_factory=list)


def look(i: int, *, wild: bool, size: int) -> tuple[Watched, np.ndarray, dict]:
    """Clip i of the check: how it was sampled, its frames, the scene's facts."""
    rng, seed, event_s = np.random.default_rng([CHECK_SEEDS, i]), CHECK_SEEDS + i, (1.0, 3.0)
    kind = KINDS[rng.choice(len(KINDS), p=KIND_WEIGHTS)]
    plan = wild_scene(seed, event_s) if wild else plan_clip(seed, kind, event_s=event_s)
    indices = pick(plan, fps=FPS)
    frames = draw(plan, indices, size=size)
    if wild:
        return Watched(seed, plan.brief, event_s, tuple((indices / DRAWN_FPS).tolist())), frames, plan.facts
    return Watched(seed, kind if visible(plan, indices) else None, event_s), frames, plan.facts


def true_answers(event: str | None, facts: dict, sort: str, answer: str) -> tuple[str, ...]:
    """All wordings of the true answer to a question of `sort`: events have several."""
    if sort != "event_happens":
        return (answer,)
    words = NOTHING if event is None else EVENT_WORDS[event][0]
    return tuple(sentence.format(animal=facts["animal"]) for sentence in words)


def check(model: LlamaVid, n: int, *, wild: bool, content: str = "mean") -> Checked:
    """Every question about each of `n` clips, but for descriptions, which have many right wordings."""
    found = Checked()
    for i in tqdm(range(n), desc="wildlife" if wild else "street", unit="clip"):
        watched, frames, facts = look(i, wild=wild, size=model.config.image_size)
        features = model.encode_frames(torch.from_numpy(frames))
        for sort, question, answer, choices in watched.questions(np.random.default_rng([CHECK_SEEDS, i, 1])):
            if sort in CAPTIONS:
                continue
            tokens = [model.frame_tokens(features, question, content=content)]
            reply = generate_texts(model, question, tokens, max_new_tokens=24)[0]
            found.right[sort].append(reply in true_answers(watched.happens, facts, sort, answer))
            if choices:
                likely = softmax(choice_log_likelihood(model, question, tokens, choices)[0])
                found.choices.append((float(likely.max()), choices[int(likely.argmax())] == answer))
    return found


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--clips", type=int, default=60, help="of each half of the world (default: 60)")
    parser.add_argument("--content", default="mean", help="content tokens of a frame: mean or grid:N (default: mean)")
    args = parser.parse_args(argv)
    with torch.inference_mode():
        halves = [check(load(args.model), args.clips, wild=wild, content=args.content) for wild in (False, True)]
    everything = [one for half in halves for found in half.right.values() for one in found]
    print(f"{sum(everything)} of {len(everything)} replies are right\n")
    for half in halves:
        for sort, found in sorted(half.right.items()):
            low, high = wilson(sum(found), len(found))
            print(f"| {sort} | {sum(found)}/{len(found)} | {np.mean(found):.0%} | {low:.0%} to {high:.0%} |")
    for name, half in zip(("street", "wildlife"), halves, strict=True):
        error, rows = calibration(*zip(*half.choices, strict=True))
        print(f"\n{name}: expected calibration error {error:.3f} over {len(half.choices)} multiple-choice questions")
        for low, high, n, said, was in rows:
            print(f"| {low:.1f} to {high:.1f} | {n} | {said:.2f} | {was:.2f} |")


if __name__ == "__main__":
    main()
