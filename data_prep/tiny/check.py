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

from data_prep.tiny.clips import CAPTIONS, CHECK_SEEDS, Watched, draw, pick, seconds, visible
from data_prep.tiny.tower import KIND_WEIGHTS, KINDS, wild_scene
from data_prep.toy_world import plan_clip
from data_prep.toy_world.street.wording import EVENT_WORDS, NOTHING
from llamavid_kit.evaluation.calibration import calibration
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.model.answering import choice_log_likelihood, generate_texts
from llamavid_kit.model.checkpoints import load
from llamavid_kit.model.llama_vid import LlamaVid

FPS = 3


@dataclass
class Marks:
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
    event = plan.event if wild or visible(plan, indices) else None
    watched = Watched(seed, event, event_s, seconds(indices) if wild else ())
    return watched, draw(plan, indices, size=size), plan.facts


def true_answers(event: str | None, facts: dict, sort: str, answer: str) -> tuple[str, ...]:
    """All wordings of the true answer to a question of `sort`: events have several."""
    if sort != "event_happens":
        return (answer,)
    words = NOTHING if event is None else EVENT_WORDS[event][0]
    return tuple(sentence.format(animal=facts["animal"]) for sentence in words)


def check(model: LlamaVid, n: int, *, wild: bool, content: str = "mean") -> Marks:
    """Every question about each of `n` clips, but for descriptions, which have many right wordings."""
    marks = Marks()
    for i in tqdm(range(n), desc="wildlife" if wild else "street", unit="clip"):
        watched, frames, facts = look(i, wild=wild, size=model.config.image_size)
        features = model.encode_frames(torch.from_numpy(frames))
        for sort, question, answer, choices in watched.questions(np.random.default_rng([CHECK_SEEDS, i, 1])):
            if sort in CAPTIONS:
                continue
            tokens = [model.frame_tokens(features, question, content=content)]
            reply = generate_texts(model, question, tokens, max_new_tokens=24)[0]
            marks.right[sort].append(reply in true_answers(watched.happens, facts, sort, answer))
            if choices:
                likely = softmax(choice_log_likelihood(model, question, tokens, choices)[0])
                marks.choices.append((float(likely.max()), choices[int(likely.argmax())] == answer))
    return marks


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--clips", type=int, default=60, help="of each half of the world (default: 60)")
    parser.add_argument("--content", default="mean", help="content tokens of a frame: mean or grid:N (default: mean)")
    args = parser.parse_args(argv)
    with torch.inference_mode():
        halves = [check(load(args.model), args.clips, wild=wild, content=args.content) for wild in (False, True)]
    replies = [is_right for half in halves for of_kind in half.right.values() for is_right in of_kind]
    print(f"{sum(replies)} of {len(replies)} replies are right\n")
    for half in halves:
        for sort, right in sorted(half.right.items()):
            low, high = wilson(sum(right), len(right))
            print(f"| {sort} | {sum(right)}/{len(right)} | {np.mean(right):.0%} | {low:.0%} to {high:.0%} |")
    for name, half in zip(("street", "wildlife"), halves, strict=True):
        error, rows = calibration(*zip(*half.choices, strict=True))
        print(f"\n{name}: expected calibration error {error:.3f} over {len(half.choices)} multiple-choice questions")
        for low, high, n, likely, share in rows:
            print(f"| {low:.1f} to {high:.1f} | {n} | {likely:.2f} | {share:.2f} |")


if __name__ == "__main__":
    main()
