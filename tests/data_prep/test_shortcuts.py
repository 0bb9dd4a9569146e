"""The event's kind is in its own frames and nowhere else: forests on everything beside them, and arms without them."""

import numpy as np
import pytest
import torch
from scipy.stats import binom
from statsmodels.stats.proportion import binom_tost

from data_prep.tiny.clips import watch
from data_prep.toy_world import plan_clip
from data_prep.toy_world.street.controls import AT_CHANCE, CLASSES, Control, control, mean_frame
from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.model.answering import choice_log_likelihood
from llamavid_kit.model.checkpoints import load
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.study.setup import CRIME, NORMAL
from llamavid_kit.training.finetune import TrainSettings, adapter, finetune

pytestmark = pytest.mark.slow

CHANCE = 1 / len(CLASSES)
LABELS = [NORMAL if kind is None else CRIME.renamed.get(kind, kind) for kind in CLASSES]


def equivalent(k: int, n: int, *, chance: float, margin: float, level: float = 0.95) -> bool:
    """Whether k of n shows that the true share lies within `margin` of `chance`: exact, two one-sided tests.

    Not the same as "no significant difference", which few clips always give: here too few clips give False. True means
    that both p-values of statsmodels' `binom_tost` are below 1 - `level`.
    """
    if not 0 <= k <= n or n < 1 or not 0 < chance < 1 or not 0 < margin < 1:
        raise ValueError(f"{k=}, {n=}, {chance=}, {margin=}: expected 0 <= k <= n, n >= 1, shares between 0 and 1")
    p, *_ = binom_tost(k, n, max(chance - margin, 1e-9), min(chance + margin, 1 - 1e-9))
    return bool(p < 1 - level)


def test_equivalence_needs_evidence():
    """Against the exact tails: near chance with few clips is not enough, far from it never."""
    cases = ((30, 330, 1 / 11, 0.05), (3, 33, 1 / 11, 0.05), (50, 330, 1 / 11, 0.05), (0, 330, 0.03, 0.05))
    for k, n, chance, margin in cases:
        above = binom.sf(k - 1, n, max(chance - margin, 1e-9))  # would so many be odd at the lower bound?
        below = binom.cdf(k, n, chance + margin)
        assert equivalent(k, n, chance=chance, margin=margin) == (max(above, below) < 0.05)
    assert equivalent(30, 330, chance=1 / 11, margin=0.05) and not equivalent(3, 33, chance=1 / 11, margin=0.05)
    assert not equivalent(50, 330, chance=1 / 11, margin=0.05)
    with pytest.raises(ValueError, match="k=4, n=3"):
        equivalent(4, 3, chance=0.5, margin=0.1)


@pytest.mark.parametrize("name", AT_CHANCE)
def test_what_is_not_the_event_says_nothing_about_it(name):
    result = control(name, AT_CHANCE[name], n_train=40, n_test=100)
    assert result.n == 1100 and result.wilson95[1] < CHANCE + 0.05, str(result)


@pytest.fixture(scope="module")
def event_frame() -> Control:
    """What the same forests name right from one frame of the event."""
    return control("event", lambda plan: AT_CHANCE["first frame"](_from(plan)), n_train=40, n_test=20)


def test_the_mean_frame_does_not_tell_the_class(event_frame):
    """The mean over a clip holds a faint shadow of the event, and may be somewhat better than chance. But it does not
    stand in for looking at frames: it names fewer than three times as many as chance, and stays nearer to chance than
    to one frame of the event. Were the mean frame enough, a model could pass the ablation without finding the event.
    """
    result = control("mean frame", mean_frame, n_train=40, n_test=40)
    half_way = (CHANCE + event_frame.wilson95[0]) / 2
    assert result.wilson95[1] < min(3 * CHANCE, half_way), f"{result}; {event_frame}"


def test_a_leak_would_be_seen(event_frame):
    """The same forests on a frame of the event: they can learn, so that staying at chance means something."""
    assert event_frame.wilson95[0] > 0.4, str(event_frame)
    assert "chance 9.1%" in str(event_frame) and Control("x", 0, 10).wilson95[0] == 0


def _from(plan):
    """The clip as it is from the middle of its event on."""

    class Later:
        draw = staticmethod(lambda i: plan.draw(i + (plan.start + plan.end) // 2))

    return Later


def is_at_chance(k: int, n: int, *, margin: float = 0.05) -> bool:
    """Two one-sided exact tests at 5%: the true share lies within `margin` of chance."""
    below = binom.cdf(k, n, CHANCE + margin)
    above = binom.sf(k - 1, n, CHANCE - margin)
    return max(below, above) < 0.05


def tokens_of(model, plans, fps) -> list[VisualTokens]:
    clips = []
    for plan in plans:
        frames, _ = watch(plan, fps=fps, size=model.config.image_size)
        with torch.inference_mode():
            tokens = model.frame_tokens(model.encode_frames(torch.from_numpy(frames)), CRIME.question)
        clips.append(VisualTokens(tokens.context, tokens.content))
    return clips


def plans_of(first_seed: int, n: int, *, twins: bool = False):
    plans = [plan_clip(first_seed + k, kind, event_s=(1.0, 3.0)) for k, kind in enumerate(CLASSES * n)]
    return [plan.twin() for plan in plans] if twins else plans


def test_arms_without_the_event_are_at_chance(tmp_path):
    """A fine-tuned model on whole clips, on the same clips with the event taken out, and on no frames at all."""
    model, per_class, fps = load("tiny"), 30, 1
    trained = plans_of(8 * 10**10, 12)
    pairs = [
        InstructionPair(id=str(k), video=f"{k}.mp4", question=CRIME.question, answer=label, split="train")
        for k, label in enumerate(LABELS * 12)
    ]
    folder = finetune(
        model, pairs, tokens_of(model, trained, fps), out=tmp_path, settings=TrainSettings(epochs=4, save_every=1000)
    )
    truth = LABELS * per_class
    whole = tokens_of(model, plans_of(9 * 10**10, per_class), fps)
    without = tokens_of(model, plans_of(9 * 10**10, per_class, twins=True), fps)
    nothing = [VisualTokens(t.context[:0], t.content[:0]) for t in whole]
    right = {}
    with adapter(model, folder) as tuned:
        for name, tokens in (("whole", whole), ("event taken out", without), ("text only", nothing)):
            parts = [
                choice_log_likelihood(tuned, CRIME.question, tokens[k : k + 33], LABELS) for k in range(0, 330, 33)
            ]
            likeliest = np.concatenate(parts).argmax(1)
            right[name] = sum(LABELS[k] == label for k, label in zip(likeliest, truth, strict=True))
    assert right["whole"] > binom.ppf(0.9999, 330, CHANCE), right
    for name in ("event taken out", "text only"):
        assert is_at_chance(right[name], 330), (name, right)
    print(right)
