"""Other words and orders of a closed question: the study's stay its own, letter by letter, and shuffles are paired."""

from collections import Counter

import pytest
from small import LABELS, QUESTION

from llamavid_kit.data.pairs import multiple_choice_question, read_choices
from llamavid_kit.experiments.prompts import PROMPTS, check_wording, shuffled, worded
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
    said = worded(CRIME.question, prompt, options).split(": ", 1)[1]
    assert [said.count(label) for label in options] == [1] * 11
    assert sorted(options, key=said.index) == list(options) != list(CRIME.labels)


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
