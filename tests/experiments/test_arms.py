"""Arms as data: a name an arm, pairs that differ in one factor alone, words that say what varies, refusals by name."""

import json
import math
from dataclasses import replace
from itertools import product

import pytest
from made_up_open_runs import open_pairs
from small import LABELS, QUESTION

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.experiments.arms import (
    FACTORS,
    NESTING,
    SEED,
    AblationConfig,
    Arm,
    Lora,
    difference,
    pairs_of,
    title,
    varying,
    words,
)
from llamavid_kit.model.answering import View
from llamavid_kit.study.setup import CRIME

LARGE = AblationConfig(
    model=("tiny", "weights/7b", "other weights/7b"),
    fps=(6, 0.5),
    seeds=(0, 3),
    train_fps=(4, 1),
    content=(None, "mean", "grid:2"),
    frames=("time", "train"),
    change=(None, "each:6"),
    prompts=("study", "plain"),
    shuffle_choices=7,
)
N_LARGE = 3 * (1 + 2 * 2) * 2 * 3 * 2 * 2 * 2 * 2 * 2


# --- names


def test_every_arm_of_a_large_configuration_has_a_name_of_its_own_and_no_arm_is_there_twice():
    arms = LARGE.arms()
    assert len(arms) == len({arm.name for arm in arms}) == len(set(arms)) == N_LARGE
    assert all(set(arm.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.") for arm in arms)
    assert len({LARGE.adapter_folder(arm) for arm in arms if arm.adapter}) == 3 * 2 * 2 * 3 * 2 * 2
    assert {LARGE.adapter_folder(arm) for arm in arms if not arm.adapter} == {None}


def test_names_say_what_was_chosen_and_leave_out_what_was_not():
    usual = [arm.name for arm in AblationConfig(seeds=(0, 1)).arms()]
    ways = ("generation", "likelihood")
    trained = [f"lora-seed{seed}-{fps}fps-{way}" for seed in (0, 1) for fps in (1, 6) for way in ways]
    assert usual == [*(f"zero-shot-{fps}fps-{way}" for fps in (1, 6) for way in ways), *trained]
    first, last = LARGE.arms()[0], LARGE.arms()[-1]
    assert first.name == "tiny-zero-shot-0.5fps-generation"
    assert last.name == "7b-3-lora-seed3-trained4fps-6fps-grid_2-train-each6-plain-shuffled7-likelihood"
    assert LARGE.adapter_folder(last) == "finetune/7b-3-fps4-seed3-grid_2-train-each6"


def test_an_adapter_is_shared_by_arms_that_were_trained_alike():
    """Rate of the test, words, order and way of answering play no part in training; content, frames and change do."""
    arms = [arm for arm in LARGE.arms() if arm.adapter]
    trained = {}
    for arm in arms:
        recipe = (arm.model, arm.adapter, arm.content, arm.frames, arm.change)
        trained.setdefault(LARGE.adapter_folder(arm), set()).add(recipe)
    assert all(len(recipes) == 1 for recipes in trained.values())
    own_rates = AblationConfig(fps=(1, 6))
    assert {own_rates.adapter_folder(arm): arm.trained_at for arm in own_rates.arms() if arm.adapter} == {
        "finetune/fps1-seed0": 1,
        "finetune/fps6-seed0": 6,
    }
    assert {arm.trained_at for arm in arms} == {1, 4}


def test_rates_that_a_name_does_not_tell_apart_are_refused():
    """NTSC's rate and its short form: six digits are the same, the arms are not."""
    with pytest.raises(
        ValueError, match=r"two arms would be called 'zero-shot-29.97fps-generation': give rates that differ"
    ):
        AblationConfig(fps=(29.97, 30_000 / 1001), finetune=False).arms()


def test_folders_of_one_name_are_told_apart_by_place():
    arms = AblationConfig(model=("a/tiny", "b/tiny", "tiny-1", "b/tiny.1"), fps=(1,), answering=("generation",)).arms()
    assert [arm.name for arm in arms if not arm.adapter] == [
        f"{model}-zero-shot-1fps-generation" for model in ("tiny-1", "tiny-2", "tiny_1", "tiny.1")
    ]


# --- pairs


def by_force(arms):
    """Family → names of every two arms that differ in it alone, counted a second way: by what all else is."""
    families = {}
    for factor in FACTORS:
        rest = {}
        for arm in arms:
            rest.setdefault(json.dumps({**arm.factors(), factor: None}), []).append(arm)
        for alike in rest.values():
            for k, a in enumerate(alike):
                for b in alike[k + 1 :]:
                    recipes = [arm.factors()["adapter"] for arm in (a, b)]
                    luck = factor == "adapter" and None not in recipes and len({r["fps"] for r in recipes}) == 1
                    families.setdefault(SEED if luck else factor, set()).add((a.name, b.name))
    return families


def test_pairs_are_those_of_a_second_implementation():
    arms = replace(LARGE, model=("tiny", "weights/7b"), content=(None, "grid:2")).arms()
    pairs = pairs_of(arms)
    assert {family: {(a.name, b.name) for a, b in both} for family, both in pairs.items()} == by_force(arms)
    assert set(pairs) == {*FACTORS, SEED}
    at = {arm: k for k, arm in enumerate(arms)}
    assert all(at[a] < at[b] for both in pairs.values() for a, b in both)  # the earlier arm first
    assert all(len(pairs[name]) == len(arms) / 2 for name in FACTORS if name != "adapter")  # two values each
    assert len(pairs[SEED]) == 2 * len(arms) / 5  # one pair of seeds at either rate of training, of five adapters
    assert len(pairs["adapter"]) == (math.comb(5, 2) - 2) * len(arms) / 5


def test_difference_is_one_factor_or_none():
    arm = Arm(adapter=Lora(0))
    others = {
        "model": replace(arm, model="other"),
        "fps": replace(arm, fps=6),
        "content": replace(arm, content="grid:2"),
        "frames": replace(arm, frames="train"),
        "change": replace(arm, change="blank"),
        "prompt": replace(arm, prompt="plain"),
        "order": replace(arm, order=0),
        "answering": replace(arm, answering="likelihood"),
        "adapter": replace(arm, adapter=None),
        SEED: replace(arm, adapter=Lora(1)),
    }
    assert {family: difference(arm, other) for family, other in others.items()} == {name: name for name in others}
    assert difference(arm, replace(arm, name="renamed")) is None
    assert difference(arm, replace(arm, fps=6, order=0)) is None
    assert difference(replace(arm, adapter=Lora(0, 1)), replace(arm, adapter=Lora(0, 6))) == "adapter"
    assert difference(replace(arm, adapter=Lora(0, 1)), replace(arm, adapter=Lora(1, 1))) == SEED
    assert title(SEED) == "How much the training seed alone decides"
    assert title("content") == "Do more tokens a frame help?" and title("fps") == "Does the frame rate matter?"


def test_what_is_not_crossed_varies_alone():
    crossed = AblationConfig(
        crossed=("fps", "answering"), content=("mean", "grid:2", "all"), prompts=("study", "short")
    )
    arms = crossed.arms()
    reference, ways = Arm(content="mean"), ("generation", "likelihood")
    others = ({"prompt": "short"}, {"content": "grid:2"}, {"content": "all"}, {"adapter": Lora(0)})
    expected = [
        replace(reference, fps=fps, answering=way, **other)
        for other in ({}, *others)
        for fps, way in product((1, 6), ways)
    ]
    assert set(arms) == set(expected) and len(arms) == len(expected)
    assert arms[:4] == expected[:4]  # the reference first
    pairs = pairs_of(arms)
    assert {family: len(both) for family, both in pairs.items()} == {
        "adapter": 4,
        "fps": 5 * 2,
        "content": 3 * 4,  # every two of three, all else as it is
        "prompt": 4,
        "answering": 5 * 2,
    }
    alone = AblationConfig(crossed=(), finetune=False, shuffle_choices=1, answering=("generation",)).arms()
    assert [(arm.fps, arm.order) for arm in alone] == [(1, None), (1, 1), (6, None)]


def test_models_that_cannot_be_trained_are_zero_shot_alone():
    config = AblationConfig(model=("ours", "theirs"))
    names = [arm.name for arm in config.arms(trainable=["ours"])]
    assert len(names) == 8 + 4 and [name for name in names if "lora" in name and "theirs" in name] == []
    assert names == [arm.name for arm in config.arms() if arm.adapter is None or arm.model == "ours"]


# --- words and records


@pytest.mark.parametrize("arm", [*LARGE.arms()[::37], Arm(), Arm(adapter=Lora(2, 1.5), order=0, name="x")])
def test_an_arm_comes_back_from_json(arm):
    record = json.loads(json.dumps({"name": arm.name, **arm.factors(), "accuracy": 0.5}))
    again = Arm.of(record)
    assert again == arm and again.name == arm.name and again.view == View(arm.fps, arm.content, arm.frames, arm.change)
    assert list(arm.factors()) == list(FACTORS) and set(NESTING) == set(FACTORS)


def test_an_arm_of_a_run_from_before_a_clip_could_be_changed():
    record = {name: value for name, value in Arm(fps=2).factors().items() if name != "change"}
    assert Arm.of({"name": "", **record}) == Arm(fps=2)


def test_words_mention_what_varies_and_only_that():
    plain = AblationConfig(answering=("generation",)).arms()
    assert [words(arm, plain) for arm in plain] == [
        "zero-shot, 1 fps",
        "zero-shot, 6 fps",
        "fine-tuned, 1 fps",
        "fine-tuned, 6 fps",
    ]
    usual = AblationConfig().arms()
    assert words(usual[1], usual) == "zero-shot, 1 fps, likelihood"
    assert words(usual[1], usual, without=("answering",)) == "zero-shot, 1 fps"
    large, last = LARGE.arms(), LARGE.arms()[-1]
    assert words(last, large) == (
        "other weights/7b, fine-tuned, seed 3, trained at 4 fps, 6 fps, content grid:2, frames by rule train, "
        "each frame 6 times, plain prompt, shuffled options, likelihood"
    )
    assert words(large[0], large) == (
        "tiny, zero-shot, 0.5 fps, content as configured, frames by rule time, frames as they are, "
        "study prompt, options as listed, generation"
    )
    assert words(last, [last, replace(last, fps=1)]) == "fine-tuned, trained at 4 fps, 6 fps"  # one seed goes unsaid
    some = large[::7]
    assert len({words(arm, some) for arm in some}) == len(some) > 200
    assert varying(usual) == ["adapter", "fps", "answering"] and varying(large) == list(FACTORS)
    assert varying(iter(plain[:1])) == []


# --- configurations


def test_defaults_suit_the_question():
    closed = [InstructionPair(id="a", video="a.mp4", question=QUESTION, answer="Red", choices=LABELS)]
    assert AblationConfig.for_pairs(closed) == AblationConfig(rule="unique_mention")
    crime = [replace(closed[0], answer="Arson", choices=CRIME.labels)]
    assert AblationConfig.for_pairs(crime) == AblationConfig() and AblationConfig().rule == "normalised"
    config = AblationConfig.for_pairs(open_pairs(), fps=(2,))
    assert config == AblationConfig(answering=("generation",), max_new_tokens=128, fps=(2,))
    assert AblationConfig.for_pairs(open_pairs(), max_new_tokens=70).max_new_tokens == 70


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fps": ()}, "fps="),
        ({"fps": (0,)}, "fps="),
        ({"fps": (1, -2)}, "fps="),
        ({"fps": (1, 1)}, "fps="),
        ({"fps": (float("nan"),)}, "fps="),
        ({"fps": (float("inf"),)}, "fps="),
        ({"answering": ()}, "answering="),
        ({"answering": ("guessing",)}, "answering="),
        ({"seeds": ()}, "seeds="),
        ({"rule": "hope"}, "rule="),
        ({"batch": 0}, "batch="),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"seeds": (1, 1)}, "seeds="),
        ({"train_fps": (2, 2)}, r"train_fps=\(2, 2\): expected different values$"),
        ({"train_fps": (-1,)}, "fps=-1"),
        ({"model": ()}, r"model=\(\): expected different values, at least one"),
        ({"model": ("a", "a")}, "model="),
        ({"content": ()}, "content="),
        ({"content": ("mean", "mean")}, "content="),
        ({"content": ("grid:1",)}, "content='grid:1'"),
        ({"frames": ()}, "frames="),
        ({"frames": ("all",)}, r"frames=\('all',\): expected some of time, train, eval_repro, each once, at least one"),
        ({"change": ()}, "change="),
        ({"change": ("blank", "blank")}, "change="),
        ({"change": ("each:1",)}, "change='each:1': expected each:N or pool:N with N >= 2, no_context, "),
        ({"prompts": ()}, "prompts="),
        ({"prompts": ("polite",)}, "prompts="),
        ({"prompts": ("study", "study")}, "prompts="),
        ({"crossed": ("rate",)}, r"crossed=\('rate',\): expected some of model, adapter, fps, .*, each once$"),
        ({"crossed": ("fps", "fps")}, "crossed="),
    ],
)
def test_configurations_that_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        AblationConfig(**wrong)


def test_settings_of_training_are_not_checked_where_nothing_is_trained():
    assert len(AblationConfig(finetune=False, seeds=()).arms()) == 4
