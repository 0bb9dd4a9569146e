"""Where the shipped model's context token looks, and whether it has to:

    python -m data_prep.tiny.pointing --scenes 200

On scenes that it never saw, at 1 frame a second, for each thing that a question asks about: how often the highest patch
of the map lies on the thing (pointing game), the attention on the thing's box over the box's share of the frame, and
how many replies are right with the context token and with the frame's mean patch in its place. The event is asked about
at the frames that show it, and lies where it changes the picture. Beside them the controls: the map of another question
about the same frame, and that of a text decoder and a context attention with random weights.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from data_prep.tiny.check import true_answers
from data_prep.tiny.clips import CHECK_SEEDS, draw
from data_prep.tiny.tower import BENIGN_KINDS, SEEN_KINDS, wild_scene
from data_prep.toy_world import FPS, plan_clip
from data_prep.toy_world.asking import Question
from data_prep.toy_world.brush import SIZE, Box
from data_prep.toy_world.street.clip import ClipPlan
from data_prep.toy_world.street.questions import questions
from data_prep.toy_world.wildlife.clip import WildPlan
from data_prep.toy_world.wildlife.questions import wild_questions
from llamavid_kit.evaluation.resampling import clustered_mean
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.model.answering import generate_texts
from llamavid_kit.model.checkpoints import load
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.llama_vid import LlamaVid

FIRST_SEED = CHECK_SEEDS + 5_000_000
ON = 0.25  # a patch is on a thing that covers this share of it, or has this share of its own box there
ASKED = {  # question kind → the thing that it is about
    "parked_colour": "parked_car",
    "car_colour": "car",
    "animal_colour": "animal",
    "hat_colour": "worn_hat",
    "hat_shirt": "hat",
    "bag_colour": "bag",
    "door_colour": "door",
    "event_happens": "event",
}
CALLED = {"parked_car": "parked car", "car": "rear car", "animal": "pet", "worn_hat": "hat", "hat": "who wears the hat"}
AN_ANIMAL = "wild_doing"


@dataclass
class Look:
    """What is found about a thing. Each list has one number a scene, the mean over the frames that show the thing; of
    two animals, which share a scene, one number each."""

    scenes: list[int] = field(default_factory=list)
    hits: list[float] = field(default_factory=list)
    chance: list[float] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)
    other_hits: list[float] = field(default_factory=list)
    untrained_hits: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    right_by_mean: list[bool] = field(default_factory=list)


def cover(boxes: list[Box], side: int) -> np.ndarray:
    """Boxes (pixels) → (side², ) float: the share of each patch that they cover, 0 to 1."""
    covered = np.zeros((SIZE, SIZE), bool)
    for x0, y0, x1, y1 in boxes:
        covered[round(y0) : round(y1), round(x0) : round(x1)] = True
    return covered.reshape(side, SIZE // side, side, SIZE // side).mean((1, 3)).ravel()


def changed(plan: ClipPlan | WildPlan, frame: int, side: int) -> np.ndarray:
    """What the event changes in a frame: (side², ) float, the share of each patch that its twin shows otherwise."""
    apart = np.abs(plan.draw(frame).astype(int) - plan.twin().draw(frame)).max(-1) > 12
    return apart.reshape(side, SIZE // side, side, SIZE // side).mean((1, 3)).ravel()


def on(share: np.ndarray) -> np.ndarray:
    """Which patches count as on a thing, by the share of each patch that it covers."""
    return (share >= ON) | (share >= ON * max(share.sum(), 1e-9))


def asked(
    plan: ClipPlan | WildPlan, rng: np.random.Generator, times_s: tuple[float, ...]
) -> Iterator[tuple[str, Question]]:
    """(thing, question about it) of a scene."""
    if isinstance(plan, ClipPlan):
        for question in questions(plan, rng):
            if question.kind in ASKED:
                yield ASKED[question.kind], question
    elif len(names := list(plan.facts["species"])) == 2:
        for question in wild_questions(plan, rng, times_s):
            if question.kind == AN_ANIMAL:
                yield next(name for name in names if name in question.question), question


def shares(plan: ClipPlan | WildPlan, thing: str, frames: np.ndarray, side: int) -> list[np.ndarray | None]:
    """Of each frame, the share of each patch that the thing covers; None where it is out of view."""
    if thing == "event":
        found = [changed(plan, int(j), side) for j in frames]
    else:
        details = plan.details if isinstance(plan, ClipPlan) else lambda j: {}
        boxes = [details(int(j)) | plan.boxes(int(j)) for j in frames]
        found = [cover([of[thing]] if thing in of else [], side) for of in boxes]
    return [share if share.any() else None for share in found]


def untrained(model: LlamaVid) -> LlamaVid:
    """A model of random weights, to be asked about the other's features."""
    torch.manual_seed(0)
    other = LlamaVid(model.config).eval().to(model.device)
    nn.init.normal_(other.text_decoder.query_tokens, std=0.02)
    other.tokenizer, other.question_tokenizer = model.tokenizer, model.question_tokenizer
    other.vision_norm.load_state_dict(model.vision_norm.state_dict())
    return other


def look_at(model: LlamaVid, control: LlamaVid, i: int, *, wild: bool, looks: dict[str, Look]) -> None:
    """Scene i of a half: every thing that is asked about, into `looks`."""
    rng, seed, side = np.random.default_rng([FIRST_SEED, i]), FIRST_SEED + i, model.config.grid
    kind = (*SEEN_KINDS, *BENIGN_KINDS)[int(rng.integers(len(SEEN_KINDS) + len(BENIGN_KINDS)))]
    plan = wild_scene(seed, (1.0, 3.0)) if wild else plan_clip(seed, kind, event_s=(1.0, 3.0))
    every_s = np.arange(0, plan.n_frames, FPS)
    event = np.arange(plan.start, plan.end, FPS // 3)
    cases = list(asked(plan, rng, tuple((every_s / FPS).tolist())))
    features = {
        name: model.encode_frames(torch.from_numpy(draw(plan, at, size=model.config.image_size)))
        for name, at in (("scene", every_s), ("event", event))
    }
    for k, (thing, question) in enumerate(cases):
        at, seen = (event, features["event"]) if thing == "event" else (every_s, features["scene"])
        tokens = model.frame_tokens(seen, question.question)
        other = cases[(k + 1) % len(cases)][1].question
        weights = [_map(tokens), _map(model.frame_tokens(seen, other))]
        weights.append(_map(control.frame_tokens(seen, question.question)))
        of_frames = [
            (np.array([on(share)[int(w[t].argmax())] for w in weights]), share, weights[0][t])
            for t, share in enumerate(shares(plan, thing, at, side))
            if share is not None
        ]
        if not of_frames:
            continue
        look = looks["animal of two" if wild else thing]
        hits = np.mean([hit for hit, _, _ in of_frames], axis=0)
        look.scenes.append(i)
        look.hits.append(hits[0])
        look.other_hits.append(hits[1])
        look.untrained_hits.append(hits[2])
        look.chance.append(float(np.mean([on(share).mean() for _, share, _ in of_frames])))
        look.gain.append(float(np.mean([(w * share).sum() / share.mean() for _, share, w in of_frames])))
        mean_patch = replace(tokens, context=model.patches(seen).mean(1))
        truth = true_answers(plan.event, plan.facts, question.kind, question.answer)
        replies = generate_texts(model, question.question, [tokens, mean_patch], max_new_tokens=24)
        look.right.append(replies[0] in truth)
        look.right_by_mean.append(replies[1] in truth)


def _map(tokens: VisualTokens) -> np.ndarray:
    """(T, N): mean over queries."""
    assert tokens.attention is not None
    return tokens.attention.mean(1).cpu().numpy()


def interval(values: list[float], scenes: list[int]) -> tuple[float, float]:
    """95% interval of a mean; two animals of one scene count as one observation. NaN where there is but one scene."""
    return clustered_mean(values, scenes).interval95 if len({*scenes}) > 1 else (np.nan, np.nan)


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--scenes", type=int, default=200, help="of each half of the world (default: 200)")
    args = parser.parse_args(argv)
    model = load(args.model, device="cuda" if torch.cuda.is_available() else "cpu", dtype=torch.float32)
    control = untrained(model)
    looks: dict[str, Look] = defaultdict(Look)
    with torch.inference_mode():
        for wild in (False, True):
            for i in tqdm(range(args.scenes), desc="wildlife" if wild else "street", unit="scene"):
                look_at(model, control, i, wild=wild, looks=looks)
    print(
        "| asked about | scenes | points at it | chance | another question | untrained | attention over area "
        "| right | right with the mean patch |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for thing, look in looks.items():
        hit, gain = np.clip(interval(look.hits, look.scenes), 0, 1), interval(look.gain, look.scenes)
        shares_right = [
            f"{np.mean(r):.0%} [{low:.0%}, {high:.0%}]"
            for r in (look.right, look.right_by_mean)
            for low, high in [wilson(sum(r), len(r))]
        ]
        n_scenes = len({*look.scenes})
        print(
            f"| {CALLED.get(thing, thing)} | {n_scenes} | {np.mean(look.hits):.0%} [{hit[0]:.0%}, {hit[1]:.0%}] "
            f"| {np.mean(look.chance):.0%} | {np.mean(look.other_hits):.0%} | {np.mean(look.untrained_hits):.0%} "
            f"| {np.mean(look.gain):.1f} [{gain[0]:.1f}, {gain[1]:.1f}] | {' | '.join(shares_right)} |"
        )


if __name__ == "__main__":
    main()
