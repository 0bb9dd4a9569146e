"""Other words and orders of a closed question: the study's stay its own, letter by letter, shuffles are paired, and
arms that are asked so see the same clips, with nothing else changed and all of it recorded.
"""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import LABELS, QUESTION, small_model
from worded_runs import CONFIG, PLAIN, N, go, lines_of

from llamavid_kit.data.pairs import multiple_choice_question, read_choices
from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.statistics import holm
from llamavid_kit.experiments.prompts import PROMPTS, check_wording, shuffled, worded, wording
from llamavid_kit.files import read_replies
from llamavid_kit.model.answering import answer_ids, choice_log_likelihood
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.study.setup import CRIME


def test_the_studys_prompt_is_the_studys_question():
    assert worded(CRIME.question, "study", CRIME.labels) == CRIME.question
    form = PROMPTS["study"].form.format(
        task=CRIME.task, options=f"{', '.join(CRIME.labels[:-1])}, or {CRIME.labels[-1]}"
    )
    assert form == CRIME.question and PROMPTS["study"].source == "the study's script"
    assert [prompt.source for name, prompt in PROMPTS.items() if name != "study"] == ["ours", "ours"]


def test_the_other_prompts_word_for_word():
    plain, short = (worded(QUESTION, name, LABELS) for name in ("plain", "short"))
    assert plain == "Say which colour fills the picture. Choose one of these answers: Red, Green light, or Blue."
    assert short == "What does the video show: Red, Green light, or Blue?"


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_prompt_lists_every_option_once_in_the_order_given(prompt):
    options = shuffled(CRIME.labels, seed=3, clip="x")
    listing = worded(CRIME.question, prompt, options).split(": ", 1)[1]
    assert [listing.count(label) for label in options] == [1] * 11
    assert sorted(options, key=listing.index) == list(options) != list(CRIME.labels)


def test_a_task_with_braces_stays_as_it_is():
    question = multiple_choice_question("Say {options} or {task}", LABELS)
    assert worded(question, "plain", LABELS).startswith("Say {options} or {task}. Choose")


def test_a_shuffle_depends_on_seed_and_clip_alone():
    one = {clip: shuffled(CRIME.labels, seed=0, clip=clip) for clip in ("a", "b")}
    assert one == {clip: shuffled(CRIME.labels, seed=0, clip=clip) for clip in ("b", "a")}
    assert one["a"] != one["b"] and shuffled(CRIME.labels, seed=1, clip="a") != one["a"]
    assert sorted(one["a"]) == sorted(CRIME.labels)


def test_shuffles_are_even():
    """Each label stands first about equally often: 1,100 clips, 11 labels."""
    first = Counter(shuffled(CRIME.labels, seed=0, clip=f"clip {k}")[0] for k in range(1100))
    assert len(first) == 11 and max(first.values()) < 140 and min(first.values()) > 65


def test_questions_of_another_form_are_refused():
    with pytest.raises(ValueError, match="does not end in the study's list of options"):
        check_wording("Is it red?", ("yes", "no"), ("study", "plain"), None)
    with pytest.raises(ValueError, match="--shuffle-choices"):
        check_wording("Is it red?", ("yes", "no"), ("study",), 0)
    check_wording("Is it red?", ("yes", "no"), ("study",), None)
    with pytest.raises(ValueError, match="expected those of"):
        worded(QUESTION, "plain", ("Red", "Blue"))
    assert read_choices(QUESTION) == LABELS


def test_a_wording_is_prompt_and_order_together():
    """Without a seed, or without a clip, the options stand as listed; the study's own words stay letter by letter."""
    assert wording(QUESTION, LABELS, prompt="study", order=None, clip="a") == (QUESTION, LABELS)
    assert wording(QUESTION, LABELS, prompt="study", order=7) == (QUESTION, LABELS)
    assert wording(QUESTION, LABELS, prompt="short", order=7) == (worded(QUESTION, "short", LABELS), LABELS)
    options = shuffled(LABELS, seed=7, clip="a")
    assert wording(QUESTION, LABELS, prompt="plain", order=7, clip="a") == (worded(QUESTION, "plain", options), options)
    assert wording("Is it red?", (), prompt="study", order=None, clip="a") == ("Is it red?", ())


# --- arms in other words


def test_every_combination_is_an_arm_and_the_first_are_the_usual_ones(worded_run, worded_clips, tokenizers, tmp_path):
    """Asking more changes nothing of what is asked by default, byte for byte."""
    out, summary = worded_run
    names = [arm["name"] for arm in summary["arms"]]
    assert len(names) == len(set(names)) == 2 * 2 * 3 * 2
    assert names[:4] == [f"zero-shot-{fps}fps-{way}" for fps in (1, 3) for way in ("generation", "likelihood")]
    assert "zero-shot-3fps-short-shuffled7-likelihood" in names
    go(worded_clips, tokenizers, tmp_path, PLAIN)
    assert [arm.name for arm in PLAIN.arms()] == names[:4]
    for name in names[:4]:
        assert (tmp_path / "arms" / f"{name}.jsonl").read_bytes() == (out / "arms" / f"{name}.jsonl").read_bytes()
    plain = json.loads((tmp_path / "summary.json").read_text())["paired"]
    assert {row["family"] for row in plain} == {"fps", "answering"} and len(plain) == 2 + 2
    unadjusted = [{name: row[name] for name in row if name != "p_holm"} for row in summary["paired"]]
    for row in plain:  # a family of more comparisons has a larger correction, and the same counts
        assert {name: row[name] for name in row if name != "p_holm"} in unadjusted


def test_all_arms_see_the_same_clips_and_each_heads_its_file(worded_run):
    for arm in CONFIG.arms():
        head, lines = read_replies(worded_run[0] / "arms" / f"{arm.name}.jsonl")
        assert [line["clip"] for line in lines] == [f"t{k}" for k in range(N)]
        assert head["question"] == worded(QUESTION, arm.prompt, LABELS)
        factors = arm.factors()
        assert factors.pop("change") is None
        assert head == {
            **factors,
            "name": arm.name,
            "question": head["question"],
            "rule": head["rule"],
            "training": None,
        }
        assert (head["prompt"], head["order"]) == (arm.prompt, arm.order)
        assert head["rule"] == ("normalised" if arm.answering == "generation" else "likeliest choice")


def test_the_same_clip_gets_the_same_shuffle_in_every_arm(worded_run):
    """Paired: prompt, rate and way of answering play no part; clips differ."""
    orders = [
        [tuple(line["options"]) for line in lines_of(worded_run[0], arm.name)]
        for arm in CONFIG.arms()
        if arm.order is not None
    ]
    assert len(orders) == 12 and all(order == orders[0] for order in orders)
    assert orders[0] == [shuffled(LABELS, seed=7, clip=f"t{k}") for k in range(N)] and len(set(orders[0])) > 2
    assert all(
        "options" not in line for a in CONFIG.arms() if a.order is None for line in lines_of(worded_run[0], a.name)
    )


@pytest.mark.parametrize("name", ["zero-shot-1fps-plain-likelihood", "zero-shot-3fps-short-shuffled7-likelihood"])
def test_likelihoods_are_those_of_the_words_that_were_asked(worded_run, worded_clips, tokenizers, name):
    """Clip by clip with the model itself: question, order, and the tokens that the text decoder made of it."""
    arm = next(arm for arm in CONFIG.arms() if arm.name == name)
    model = small_model(*tokenizers)
    cache = FrameCache(model)
    for k, line in enumerate(lines_of(worded_run[0], arm.name)):
        options = LABELS if arm.order is None else shuffled(LABELS, seed=7, clip=f"t{k}")
        question = worded(QUESTION, arm.prompt, options)
        tokens, _ = cache.tokens(Video(worded_clips[0] / f"t{k}.mp4"), question, fps=arm.fps)
        expected = choice_log_likelihood(model, question, [tokens], options)[0]
        assert list(line["log_likelihood"]) == list(options)
        assert list(line["log_likelihood"].values()) == pytest.approx(expected, abs=2e-3)
        assert line["n_tokens"] == {x: len(answer_ids(model, question, x)) for x in options}
        assert line["label"] == options[int(expected.argmax())]


def test_a_killed_run_goes_on(worded_run, worded_clips, tokenizers, tmp_path):
    own = Path(shutil.copytree(worded_run[0], tmp_path / "run"))
    path = own / "arms" / "zero-shot-3fps-plain-shuffled7-likelihood.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    (own / "arms" / "zero-shot-3fps-short-generation.jsonl").unlink()
    again = go(worded_clips, tokenizers, own)
    assert (
        path.read_bytes() == whole
        and again["arms"] == worded_run[1]["arms"]
        and again["paired"] == worded_run[1]["paired"]
    )


def test_another_shuffle_is_another_run(worded_run, worded_clips, tokenizers, tmp_path):
    own = Path(shutil.copytree(worded_run[0], tmp_path / "run"))
    with pytest.raises(ValueError, match="differ in shuffle_choices"):
        go(worded_clips, tokenizers, own, replace(CONFIG, shuffle_choices=8))


def test_prompts_and_orders_are_compared_in_pairs_with_holm_of_their_own(worded_run):
    rows = {family: [r for r in worded_run[1]["paired"] if r["family"] == family] for family in ("prompt", "order")}
    assert len(rows["prompt"]) == 3 * 2 * 2 * 2 and len(rows["order"]) == 3 * 2 * 2
    for family in rows.values():
        assert [r["p_holm"] for r in family] == pytest.approx(holm([r["p"] for r in family]))
        for row in family:
            a, b = ({x["clip"]: x["label"] == x["truth"] for x in lines_of(worded_run[0], row[side])} for side in "ab")
            assert row["only_a"] == sum(a[c] and not b[c] for c in a) and row["n"] == N
    assert all("shuffled" not in r["a"] and r["b"].count("shuffled7") == 1 for r in rows["order"])
    assert all(r["a"].count("shuffled7") == r["b"].count("shuffled7") for r in rows["prompt"])
    bare = [{side: r[side].replace("-plain", "").replace("-short", "") for side in "ab"} for r in rows["prompt"]]
    assert all(r["a"] == r["b"] for r in bare) and all(r["a"] != r["b"] for r in rows["prompt"])


def test_vision_is_done_once_for_all_words(worded_clips, tokenizers, monkeypatch):
    """Six questions, one pass of the frames; the tokens are those of asking one by one."""
    model, questions = small_model(*tokenizers), [worded(QUESTION, name, LABELS) for name in PROMPTS]
    video, passes = Video(worded_clips[0] / "t0.mp4"), []
    encode = model.encode_frames
    monkeypatch.setattr(model, "encode_frames", lambda pixels: passes.append(len(pixels)) or encode(pixels))
    indices = np.array([0, 4, 9])
    together = FrameCache(model).compute(video, [(question, None) for question in questions], indices)
    assert passes == [3]
    for question, tokens in zip(questions, together, strict=True):
        (alone,) = FrameCache(model).compute(video, [(question, None)], indices)
        assert (alone.context == tokens.context).all() and (alone.content == tokens.content).all()
    assert not (together[0].context == together[1].context).all()
