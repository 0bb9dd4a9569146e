"""How often the shipped model answers right, by kind of question, on clips that it never saw:

    python -m data_prep.toy_world.check_tiny --clips 60

The table of the model card. Greedy replies at 3 frames a second; an event that no sampled frame shows is asked about as
for the twin without it; any wording of the true event counts.
"""

import argparse
from collections import defaultdict

import numpy as np
import torch
from tqdm import tqdm

from data_prep.toy_world import plan_clip
from data_prep.toy_world.questions import questions
from data_prep.toy_world.read_facts import KIND_WEIGHTS, KINDS
from data_prep.toy_world.training_clips import CHECK_SEEDS, watch
from data_prep.toy_world.wording import EVENT_WORDS, NOTHING
from llamavid_kit.answering import generate_texts
from llamavid_kit.checkpoints import load
from llamavid_kit.model import LlamaVid
from llamavid_kit.statistics import wilson

LEFT_OUT = ("caption",)  # has many right wordings
FPS = 3


def true_answers(plan, sort: str, answer: str) -> tuple[str, ...]:
    """All wordings of the true answer to a question of `sort`: events have several."""
    if sort != "event_happens":
        return (answer,)
    words = NOTHING if plan.kind is None else EVENT_WORDS[plan.kind][0]
    return tuple(sentence.format(animal=plan.facts["animal"]) for sentence in words)


def check(model: LlamaVid, n: int) -> dict[str, list[bool]]:
    """Kind of question → right or wrong for each time it was asked, over `n` clips."""
    right = defaultdict(list)
    for i in tqdm(range(n), unit="clip"):
        rng = np.random.default_rng([CHECK_SEEDS, i])
        kind = KINDS[rng.choice(len(KINDS), p=KIND_WEIGHTS)]
        plan = plan_clip(CHECK_SEEDS + i, kind, event_s=(1.0, 3.0))
        frames, visible = watch(plan, fps=FPS, size=model.config.image_size)
        plan = plan if visible else plan.twin()
        features = model.encode_frames(torch.from_numpy(frames))
        for sort, question, answer, _ in questions(plan, rng):
            if sort not in LEFT_OUT:
                reply = generate_texts(model, question, [model.frame_tokens(features, question)], max_new_tokens=24)[0]
                right[sort].append(reply in true_answers(plan, sort, answer))
    return right


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--clips", type=int, default=60)
    args = parser.parse_args(argv)
    with torch.inference_mode():
        right = check(load(args.model), args.clips)
    for sort, found in sorted(right.items()):
        low, high = wilson(sum(found), len(found))
        print(f"| {sort} | {sum(found)}/{len(found)} | {np.mean(found):.0%} | {low:.0%} to {high:.0%} |")


if __name__ == "__main__":
    main()
