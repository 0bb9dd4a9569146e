"""The functions that the course's exercises ask for, each with what `check` compares it with.

Input: a student's function; its name says which exercise it answers. The lessons ask, and
`notebooks/solutions.ipynb` answers with functions that pass the same checks. No model is needed: inputs are toys.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle, islice

import torch
from scipy.stats import binomtest
from torch import Tensor
from torch.nn.functional import fold, pad

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.prompt import IMAGE_SLOT
from llamavid_kit.viz.checking import Exercise, verdict


def check(answer: Callable) -> None:
    """Print what is wrong with a student's function on the first input where something is, or that it is right."""
    name = getattr(answer, "__name__", repr(answer))
    unknown = f"Not yet. No exercise asks for {name}: keep the function's first line as it was."
    print(verdict(answer, EXERCISES[name]) if name in EXERCISES else unknown)


def _count(*shape: int) -> Tensor:
    """0, 1, 2, … in that shape."""
    return torch.arange(float(math.prod(shape))).reshape(shape)


# 00: how many of a rate's frames show an event
def _frames(start_s: float, end_s: float, fps: float, duration_s: float) -> int:
    last = math.ceil(min(end_s, duration_s) * fps)  # the first frame after the event
    return max(0, last - math.ceil(max(start_s, 0) * fps))


def _frames_on_average(start_s: float, end_s: float, fps: float, duration_s: float) -> int:
    return int((end_s - start_s) * fps)


def _frames_to_the_end(start_s: float, end_s: float, fps: float, duration_s: float) -> int:
    return max(0, math.floor(min(end_s, duration_s) * fps) - math.ceil(start_s * fps) + 1)


def _frames_after_the_clip(start_s: float, end_s: float, fps: float, duration_s: float) -> int:
    return _frames(start_s, end_s, fps, math.inf)


# 01: patches (T, N, c * side * side), row by row → frames (T, c, h, w)
def _glue(patches: Tensor, side: int, across: int) -> Tensor:
    size = (patches.shape[1] // across * side, across * side)
    return fold(patches.mT, size, kernel_size=side, stride=side)


def _glue_by_reshaping(patches: Tensor, side: int, across: int) -> Tensor:
    return patches.reshape(_glue(patches, side, across).shape)


def _glue_colours_last(patches: Tensor, side: int, across: int) -> Tensor:
    return _glue(patches.unflatten(2, (side * side, -1)).mT.flatten(2), side, across)


# 02: scores (T, heads, M + Lt, M + Lt), mask (T, Lt) of the words → weights
def _may_be_seen(scores: Tensor, mask: Tensor) -> Tensor:
    """(T, 1, 1, M + Lt): 1 for each query and for each word that is no padding."""
    return pad(mask, (scores.shape[-1] - mask.shape[-1], 0), value=1)[:, None, None]


def _weights(scores: Tensor, mask: Tensor) -> Tensor:
    kept = scores.exp() * _may_be_seen(scores, mask)
    return kept / kept.sum(-1, keepdim=True)


def _weights_cut_after(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.softmax(-1) * _may_be_seen(scores, mask)


def _weights_of_zeroed_scores(scores: Tensor, mask: Tensor) -> Tensor:
    return (scores * _may_be_seen(scores, mask)).softmax(-1)


# 03: scores (T, M, N), patches (T, N, C) → (T, C)
def _context(scores: Tensor, patches: Tensor) -> Tensor:
    kept = scores.exp()
    return torch.einsum("tmn,tnc->tc", kept / kept.sum(-1, keepdim=True), patches) / scores.shape[1]


def _context_over_queries(scores: Tensor, patches: Tensor) -> Tensor:
    return (scores.softmax(1) @ patches).mean(1)


def _context_of_the_mean_score(scores: Tensor, patches: Tensor) -> Tensor:
    return (scores.mean(1, keepdim=True).softmax(-1) @ patches)[:, 0]


def _context_summed(scores: Tensor, patches: Tensor) -> Tensor:
    return _context(scores, patches) * scores.shape[1]


# 04: ids with any number of slots, a row of vectors for each slot → (L', D)
def _splice(ids: list[int], rows: Sequence[Tensor], embed: Callable) -> Tensor:
    waiting = iter(rows)
    return torch.cat([next(waiting) if i == IMAGE_SLOT else embed(torch.tensor([i])) for i in ids])


def _splice_first_row(ids: list[int], rows: Sequence[Tensor], embed: Callable) -> Tensor:
    return _splice(ids, list(rows[:1]) * len(rows), embed)


def _splice_without_the_end(ids: list[int], rows: Sequence[Tensor], embed: Callable) -> Tensor:
    end = max((at + 1 for at, i in enumerate(ids) if i == IMAGE_SLOT), default=len(ids))
    return _splice(ids[:end], rows, embed)


def embed(ids: Tensor) -> Tensor:
    """Toy vectors of words, (L,) → (L, 2): the word 7 is (7, 7)."""
    return ids.long()[:, None].repeat(1, 2).float()


# 05: two programs' tensors of each stage → the first stage that is too far apart, or None
_STAGES = {"features": _count(2, 3), "queries": _count(4), "logits": _count(300)}


def _moved(**by: float) -> dict[str, Tensor]:
    """The stages, the last number of some moved."""
    return {name: stage + by.get(name, 0) * (stage == stage.max()) for name, stage in _STAGES.items()}


def _first(is_far: Callable[[Tensor, float], bool]) -> Callable:
    """A function that names the first stage whose difference `is_far`, given the tolerance."""
    return lambda ours, stored, tolerance: next(
        (name for name in ours if is_far(ours[name] - stored[name], tolerance)), None
    )


# 06: a map (rows, columns), a box of patches → the share inside over the share of the area
def _over_area(weights: Tensor, box: tuple[int, int, int, int]) -> float:
    x0, y0, x1, y1 = box
    inside = sum(float(weights[y, x]) for y in range(y0, y1) for x in range(x0, x1))
    return inside * weights.numel() / (float(weights.sum()) * (x1 - x0) * (y1 - y0))


def _over_area_turned(weights: Tensor, box: tuple[int, int, int, int]) -> float:
    return _over_area(weights.T, box)


def _share_inside(weights: Tensor, box: tuple[int, int, int, int]) -> float:
    x0, y0, x1, y1 = box
    return float(weights[y0:y1, x0:x1].sum() / weights.sum())


def _over_area_unscaled(weights: Tensor, box: tuple[int, int, int, int]) -> float:
    return _over_area(weights, box) * float(weights.sum())


# 07: pairs → as many of each answer, by repeating clips
def _balanced(pairs: Sequence[InstructionPair]) -> list[InstructionPair]:
    answers = Counter(pair.answer for pair in pairs)
    most, balanced = max(answers.values()), []
    for answer in answers:
        again = islice(cycle([pair for pair in pairs if pair.answer == answer]), most)
        balanced += [replace(pair, id=f"{pair.id}-{k}") for k, pair in enumerate(again)]
    return balanced


def _same_ids(pairs: Sequence[InstructionPair]) -> list[InstructionPair]:
    return [replace(pair, id=pair.id.rpartition("-")[0]) for pair in _balanced(pairs)]


def _cut_down(pairs: Sequence[InstructionPair]) -> list[InstructionPair]:
    least = min(Counter(pair.answer for pair in pairs).values())
    answers = dict.fromkeys(pair.answer for pair in pairs)
    return [pair for answer in answers for pair in [p for p in pairs if p.answer == answer][:least]]


def _what_is_balanced(pairs: Sequence[InstructionPair]) -> dict:
    return {
        "answers": dict(sorted(Counter(pair.answer for pair in pairs).items())),
        "different ids": len({pair.id for pair in pairs}),
        "copies of a clip": dict(sorted(Counter(pair.video for pair in pairs).items())),
    }


def _some_pairs(**clips: int) -> list[InstructionPair]:
    """So many clips of each answer."""
    names = [(answer, f"{answer}{k}") for answer, n in clips.items() for k in range(n)]
    return [InstructionPair(id=name, video=f"{name}.mp4", question="What?", answer=a) for a, name in names]


# 08: weights by name, (A, B) of those with an adapter → the merged weights
def _merge(factor: Callable[[float, int], float]) -> Callable:
    """A function that merges with that factor of B A, given alpha and r."""

    def merge(weights: dict[str, Tensor], adapter: dict[str, tuple[Tensor, Tensor]], alpha: float) -> dict[str, Tensor]:
        change = {name: factor(alpha, len(A)) * torch.einsum("rn,mr->mn", A, B) for name, (A, B) in adapter.items()}
        return {name: weight + change.get(name, 0) for name, weight in weights.items()}

    return merge


# 09: two arms, clip → right or wrong → clips that only one got right, for each; exact p
def _pair(one: dict[str, bool], two: dict[str, bool]) -> tuple[int, int, float]:
    only_one, only_two = (sum(a[clip] > b[clip] for clip in a) for a, b in ((one, two), (two, one)))
    n = only_one + only_two
    return only_one, only_two, float(binomtest(only_one, n).pvalue) if n else 1.0


def _pair_by_place(one: dict[str, bool], two: dict[str, bool]) -> tuple[int, int, float]:
    return _pair(one, dict(zip(one, two.values(), strict=True)))


def _pair_one_tail(one: dict[str, bool], two: dict[str, bool]) -> tuple[int, int, float]:
    a, b, p = _pair(one, two)
    return a, b, p / 2


def _pair_two_tails(one: dict[str, bool], two: dict[str, bool]) -> tuple[int, int, float]:
    a, b, _ = _pair(one, two)
    return a, b, 2 * sum(math.comb(a + b, k) for k in range(min(a, b) + 1)) / 2 ** (a + b)


def _arm(right: str, wrong: str) -> dict[str, bool]:
    """Clips named by single letters."""
    return dict.fromkeys(right, True) | dict.fromkeys(wrong, False)


# 10: a printed percentage of n clips → the counts that it can be
def _counts(percent: float, n: int, decimals: int) -> list[int]:
    return [k for k in range(n + 1) if f"{100 * k / n:.{decimals}f}" == f"{percent:.{decimals}f}"]


def _counts_nearest(percent: float, n: int, decimals: int) -> list[int]:
    return [round(percent / 100 * n)]


def _counts_cut_off(percent: float, n: int, decimals: int) -> list[int]:
    return [k for k in range(n + 1) if f"{100 * k / n:.9f}".startswith(f"{percent:.{decimals}f}")]


# 11: which rates and content grids let a film fit
def _settings(seconds: int, context: int, rates: Sequence[int], sides: Sequence[int], n_text: int) -> list:
    tokens = {(fps, k): seconds * fps * (k * k + 1) for fps in rates for k in sides}
    return [setting for setting, n in tokens.items() if n_text + n <= context]


def _settings_without_context_token(seconds: int, context: int, rates, sides, n_text: int) -> list:
    return [(fps, k) for fps in rates for k in sides if seconds * fps * k * k + n_text <= context]


def _settings_without_text(seconds: int, context: int, rates, sides, n_text: int) -> list:
    return _settings(seconds, context, rates, sides, 0)


# 12: the most pixels that every frame of every arm can have under one budget for a clip
def _pixels(durations_s: Sequence[int], rates: Sequence[int], budget: int, width: int, height: int) -> int:
    return min([width * height, *(budget // (seconds * fps) for seconds in durations_s for fps in rates)])


def _pixels_at_the_lowest_rate(durations_s: Sequence[int], rates, budget: int, width: int, height: int) -> int:
    return _pixels(durations_s, [min(rates)], budget, width, height)


def _pixels_enlarged(durations_s: Sequence[int], rates, budget: int, width: int, height: int) -> int:
    return budget // (max(durations_s) * max(rates))


EXERCISES = {
    "frames_of_event": Exercise(
        _frames,
        inputs=[
            (2.25, 2.75, 1, 8),
            (1.0, 2.0, 2, 8),
            (0, 0.5, 6, 8),
            (7.5, 9.4, 4, 8),
            (2.25, 4.25, 0.5, 8),
        ],
        slips={
            "Does it matter where the event lies?": _frames_on_average,
            "Is the event still on show at its end?": _frames_to_the_end,
            "Are there frames after the clip's end?": _frames_after_the_clip,
        },
    ),
    "glue": Exercise(
        _glue,
        inputs=[(_count(1, 4, 4), 2, 2), (_count(1, 6, 4), 2, 3), (_count(2, 6, 27), 3, 2)],
        slips={
            "Was it only reshaped? A patch's numbers do not lie in one row of the frame.": _glue_by_reshaping,
            "Do the colours of a patch come first, or last?": _glue_colours_last,
        },
    ),
    "look_weights": Exercise(
        _weights,
        inputs=[
            (_count(1, 1, 4, 4).sin(), torch.tensor([[1, 0]])),
            (_count(2, 2, 5, 5).sin(), torch.tensor([[1, 1, 0], [1, 1, 1]])),
        ],
        slips={
            "Does each row still sum to 1?": _weights_cut_after,
            "Is a score of 0 no weight? The softmax gives it exp(0).": _weights_of_zeroed_scores,
        },
    ),
    "context_token": Exercise(
        _context,
        inputs=[
            (_count(1, 2, 3).sin(), _count(1, 3, 2)),
            (3 * _count(2, 3, 4).cos(), _count(2, 4, 5).sin()),
        ],
        slips={
            "Does each query spread one hundred percent over the patches?": _context_over_queries,
            "Is the mean taken before the softmax, or after it?": _context_of_the_mean_score,
            "Is it the sum of the queries' tokens, or their mean?": _context_summed,
        },
    ),
    "splice_all": Exercise(
        _splice,
        inputs=[
            ([5, IMAGE_SLOT, 7, IMAGE_SLOT, 9, 3], [100 + _count(2, 2), 200 + _count(3, 2)], embed),
            ([IMAGE_SLOT, IMAGE_SLOT, 4, IMAGE_SLOT], [100 + _count(n, 2) for n in (1, 3, 2)], embed),
            ([5, 7], [], embed),
        ],
        slips={
            "Does each slot get a row of its own?": _splice_first_row,
            "Where are the words after the last slot?": _splice_without_the_end,
        },
    ),
    "first_fault": Exercise(
        _first(lambda apart, most: not (apart.abs() <= most).all()),
        inputs=[
            (_moved(features=0.001, queries=1, logits=9), _STAGES, 0.01),
            (_moved(queries=-1), _STAGES, 0.01),
            (_moved(logits=0.5), _STAGES, 0.01),
            (_moved(queries=math.nan), _STAGES, 0.01),
            (_moved(features=0.001), _STAGES, 0.01),
        ],
        slips={
            "One stage holds NaN, which is neither above nor below the tolerance.": _first(
                lambda apart, most: bool(apart.abs().max() > most)
            ),
            "Can a number be too small as well?": _first(lambda apart, most: bool(apart.max() > most)),
            "Is one wrong number among many seen?": _first(lambda apart, most: bool(apart.abs().mean() > most)),
        },
    ),
    "over_area": Exercise(
        _over_area,
        inputs=[
            (torch.tensor([[0.1, 0.2], [0.3, 0.4]]), (1, 0, 2, 1)),
            (1 + _count(3, 4), (1, 0, 3, 2)),
            (torch.ones(4, 4), (0, 1, 3, 4)),
        ],
        slips={
            "Does x count rows, or columns?": _over_area_turned,
            "What share would an even map put there?": _share_inside,
            "Do the weights sum to 1?": _over_area_unscaled,
        },
    ),
    "balance": Exercise(
        _balanced,
        inputs=[(_some_pairs(Arson=1, Fighting=3),), (_some_pairs(Normal=5, Arson=2, Abuse=1),)],
        slips={"Can two pairs of a list have one id?": _same_ids, "Which clips are lost?": _cut_down},
        view=_what_is_balanced,
    ),
    "merge": Exercise(
        _merge(lambda alpha, r: alpha / r),
        inputs=[
            ({"q": _count(2, 3), "v": _count(2, 2)}, {"q": (_count(1, 3), _count(2, 1))}, 2),
            ({"q": _count(4, 4), "v": _count(3, 5)}, {"v": (_count(2, 5), _count(3, 2))}, 3),
        ],
        slips={
            "Is the size of the change α?": _merge(lambda alpha, r: alpha),
            "Is the change scaled at all?": _merge(lambda alpha, r: 1),
        },
    ),
    "pair_arms": Exercise(
        _pair,
        inputs=[
            (_arm("a", "bcdef"), _arm("", "a") | _arm("bcdef", "")),
            (_arm("ab", "cde"), _arm("ea", "bdc")),
            (_arm("abx", "cd"), _arm("cdx", "ab")),
            (_arm("ab", "c"), _arm("ab", "c")),
        ],
        slips={
            "Do the two arms list their clips in the same order?": _pair_by_place,
            "Is a split as uneven the other way counted too?": _pair_one_tail,
            "Can a probability be above 1?": _pair_two_tails,
        },
    ),
    "possible_counts": Exercise(
        _counts,
        inputs=[(66.7, 30, 1), (57.5, 257, 1), (50, 301, 0), (0, 7, 0), (100, 7, 0)],
        slips={
            "Does that count give the percentage when it is rounded?": _counts_nearest,
            "Are digits cut off here, or rounded?": _counts_cut_off,
        },
    ),
    "settings_that_fit": Exercise(
        _settings,
        inputs=[
            (5400, 65536, (1, 2), (1, 2, 4), 128),
            (10, 195, (1, 2), (1, 3), 10),
            (100, 600, (1, 3), (1, 2), 100),
        ],
        slips={
            "Where do question and answer go?": _settings_without_text,
            "Which token of a frame is missing?": _settings_without_context_token,
        },
    ),
    "equal_pixels": Exercise(
        _pixels,
        inputs=[
            ((60,), (1, 2, 6), 25_165_824, 1280, 720),
            ((8, 300, 60), (6, 1), 25_165_824, 1280, 720),
            ((2, 3), (1, 2), 25_165_824, 640, 360),
        ],
        slips={
            "Has every arm that many pixels to give?": _pixels_at_the_lowest_rate,
            "Can a frame have more pixels than the camera took?": _pixels_enlarged,
        },
    ),
}
