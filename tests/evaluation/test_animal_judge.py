"""The rule judge of animals: what a verdict promises whatever the sentences are."""

import random
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamavid_kit.evaluation.judges.animal_judge import judge

LEXICON = ("lion", "Young of the lion (cub)", "birds", "grey bird", "frog", "frog tadpole", "russell's viper", "wolf")
TRUTH = "The lion is walking. The lion is eating. The frog is jumping."


@pytest.mark.parametrize(
    ("reply", "counts", "score"),
    [
        (TRUTH, (3, 0, 0), 5),
        ("the frog jumps. A lion is eating and walking", (3, 0, 0), 5),
        ("", (0, 3, 0), 0),
        ("The lion is sleeping.", (0, 3, 1), 0),
        ("The lion is walking. The lion is eating.", (2, 1, 0), 4),  # F1 4/5
        ("The lion is walking.", (1, 2, 0), 3),  # 1/2, the lowest yes
        ("The lion is walking. The wolf is eating.", (1, 2, 1), 2),  # 2/5
        (TRUTH + " The bird is flying.", (3, 0, 1), 4),  # 6/7
        (TRUTH + " What a lovely afternoon.", (3, 0, 1), 4),  # babble is a claim too
        ("The lion is walking. " + " ".join(f"The bird is carrying {i} eggs." for i in range(5)), (1, 2, 5), 1),  # 2/9
    ],
)
def test_counts_and_score_by_hand(reply, counts, score):
    verdict = judge(reply, TRUTH, LEXICON)
    assert (len(verdict.matched), len(verdict.missing), len(verdict.invented)) == counts
    assert verdict.score == score and verdict.correct == (score >= 3)


def test_the_score_is_a_step_function_of_f1():
    """Every F1 of up to 12 against 12 claims: 0, then a step at each quarter, 5 for F1 = 1 only."""
    for n_truth in range(1, 13):
        truth = " ".join(f"The lion is carrying {i} eggs." for i in range(n_truth))
        for n_right in range(n_truth + 1):
            for n_more in range(13 - n_right):
                sentences = [f"The lion is carrying {i} eggs." for i in range(n_right)]
                sentences += [f"The frog is carrying {i} eggs." for i in range(n_more)]
                f1 = Fraction(2 * n_right, n_truth + n_right + n_more)
                expected = 0 if f1 == 0 else 5 if f1 == 1 else 1 + sum(f1 >= Fraction(q, 4) for q in (1, 2, 3))
                verdict = judge(" ".join(sentences), truth, LEXICON)
                assert verdict.score == expected and verdict.f1 == pytest.approx(float(f1))
                assert verdict.correct == (f1 >= Fraction(1, 2))


ANIMALS = ("lion", "frog", "goby fish", "young of the lion (cub)")
DOES = ("walking", "keeping still", "sensing its environment", "eating", "jumping")
SENTENCES = st.lists(st.tuples(st.sampled_from(ANIMALS), st.sampled_from(DOES)), max_size=8)


def sentences_of(pairs) -> str:
    return " ".join(f"The {animal} is {action}." for animal, action in pairs)


@given(SENTENCES, SENTENCES.filter(bool))
def test_a_verdict_is_arithmetic_on_sets(reply, truth):
    """Against Python's sets, for claims, animals and actions."""
    verdict, claims, true = judge(sentences_of(reply), sentences_of(truth), ANIMALS), set(reply), set(truth)
    right = len(claims & true)
    assert verdict.precision == pytest.approx(right / len(claims) if claims else 0)
    assert verdict.recall == pytest.approx(right / len(true))
    assert verdict.f1 == pytest.approx(2 * right / (len(claims) + len(true)))
    for part, f1 in ((0, verdict.animals_f1), (1, verdict.actions_f1)):
        a, b = {x[part] for x in claims}, {x[part] for x in true}
        assert f1 == pytest.approx(2 * len(a & b) / (len(a) + len(b)))
    assert (verdict.score == 5) == (claims == true) and (verdict.score == 0) == (right == 0)


@given(SENTENCES.filter(bool), SENTENCES.filter(bool), st.randoms())
def test_order_and_repetition_do_not_matter_and_sides_can_be_changed(reply, truth, chance: random.Random):
    verdict = judge(sentences_of(reply), sentences_of(truth), ANIMALS)
    mixed, twice = [*reply, *reply], [*truth, truth[0]]
    chance.shuffle(mixed)
    again, other = (
        judge(sentences_of(mixed), sentences_of(twice), ANIMALS),
        judge(sentences_of(truth), sentences_of(reply), ANIMALS),
    )
    for name in ("precision", "recall", "f1", "score", "animals_f1", "actions_f1"):
        assert getattr(verdict, name) == getattr(again, name)
    assert (other.precision, other.recall) == (verdict.recall, verdict.precision)
    for name in ("f1", "score", "animals_f1", "actions_f1"):
        assert getattr(verdict, name) == getattr(other, name)


@given(SENTENCES.filter(bool), SENTENCES.filter(bool), st.sampled_from(["The wolf is howling.", "Hm hm.", "wolf"]))
def test_more_inventions_never_help(reply, truth, invention):
    before, after = (
        judge(sentences_of(reply), sentences_of(truth)),
        judge(sentences_of(reply) + " " + invention, sentences_of(truth)),
    )
    assert after.score <= before.score and after.precision <= before.precision and after.recall == before.recall
    assert (after.f1 < before.f1) == bool(before.matched) and (before.score < 5 or after.score < 5)


def test_animals_and_actions_apart_are_not_in_the_score():
    verdict = judge("The wolf is walking. The lion is jumping.", "The lion is walking. The lion is eating.", LEXICON)
    assert (
        verdict.score == 0 and verdict.animals_f1 == pytest.approx(2 / 3) and verdict.actions_f1 == pytest.approx(1 / 2)
    )


def test_unparsed_sentences_match_the_same_words_only():
    truth = "The lion is walking. Somewhere, far away."
    assert judge("somewhere far away! the lion walks", truth, LEXICON).score == 5
    verdict = judge("The lion is walking. Somewhere near.", truth, LEXICON)
    assert [str(claim) for claim in verdict.unparsed] == ['"somewhere near"'] == [str(c) for c in verdict.invented]
    assert [str(claim) for claim in verdict.missing] == ['"somewhere far away"']
    assert verdict.animals_f1 == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("reply", "errors"),
    [
        (TRUTH, {}),
        ("", {"empty reply": []}),
        ("a lovely day", {"nothing parsed": ['"a lovely day"']}),
        ("The lion is walking. The lion is eating.", {"missed action": ["frog: jumping"]}),
        (TRUTH + " The frog is eating. Hm.", {"invented action": ["frog: eating"], "not parsed": ['"hm"']}),
        (
            "The lion is walking and eating. The wolves are jumping.",
            {"missed action": ["frog: jumping"], "wrong animal": ["wolves: jumping"]},
        ),
    ],
)
def test_kinds_of_error(reply, errors):
    assert judge(reply, TRUTH, LEXICON).errors == errors


def test_a_truth_without_words_is_refused():
    with pytest.raises(ValueError, match=re.escape("truth='...' holds no sentence; expected something like")):
        judge("The lion is walking.", "...")
