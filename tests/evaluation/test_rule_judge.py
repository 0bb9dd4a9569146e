"""Guards what the rules grant, and that they judge by the protocol of every judge."""

import pytest
from test_judge import DOG, TWO

from llamavid_kit.commands import judge_options
from llamavid_kit.evaluation.judges.animal_judge import judge as judge_animals
from llamavid_kit.evaluation.judges.judge import RULE_TEXT, RuleJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem
from llamavid_kit.evaluation.judges.verdict_parser import Verdict


@pytest.mark.parametrize(
    ("rule", "prediction", "answer", "score"),
    [
        ("exact", "dog", "dog", 5),
        ("exact", "Dog", "dog", 0),
        ("exact", "dog.", "dog", 0),
        ("mention", "It is a Dog.", "dog", 5),
        ("mention", "hotdogs", "dog", 0),
        ("mention", "", "dog", 0),
        ("mention", "a black dog runs", "the black dog", 5),
        ("mention", "a dog, black", "black dog", 0),
        ("mention", "yes, it is", "yes", 5),
        ("mention", "yes and no", "yes", 0),
        ("mention", "No.", "no", 5),
        ("mention", "nothing", "no", 0),
        ("mention", "the", "the", 5),
        ("mention", "?", "?", 5),
        ("mention", "a", "?", 0),
        ("words", "the dog runs", "dog runs", 5),
        ("words", "dog", "cat", 0),
        ("words", "dog cat", "dog", 3),
        ("words", "dog dog", "dog", 3),
        ("words", "a b c d dog", "dog", 2),
        ("words", "x y z u v w t s dog", "dog", 1),
        ("words", "runs dog", "dog runs", 5),
        ("words", "one two three four five", "one two three four", 4),
    ],
)
def test_rules_by_hand(rule, prediction, answer, score):
    verdict = RuleJudge(rule).verdicts([JudgeItem("i", "?", answer, prediction)])[0]
    assert (verdict.score, verdict.correct, verdict.problem) == (score, score >= 3, "")


def test_the_rules_that_were_there_before_keep_the_same_protocol():
    labels = ("Road Accident", "Normal Video")
    closed = JudgeItem("i", "?", "Road Accident", "a road accident, I think")
    assert RuleJudge("label", labels, "unique_mention").verdicts([closed])[0].correct
    assert not RuleJudge("label", labels).verdicts([closed])[0].correct  # normalised: nothing else may stand there
    animals = JudgeItem("i", "?", "The lion is walking. The frog is jumping.", "A lion walks. A bird sings.")
    verdict = judge_animals(animals.prediction, animals.answer, ("lion", "frog", "bird"))
    assert RuleJudge("animals", animals=("lion", "frog", "bird")).verdicts([animals])[0] == Verdict(
        "i", verdict.correct, verdict.score
    )
    assert set(RULE_TEXT) == {"exact", "mention", "words", "animals", "label"}


def test_a_rule_takes_the_worse_of_two_replies_and_says_no_yes_about_an_axis(tmp_path):
    assert RuleJudge().verdicts([TWO], task="consistency") == [Verdict("q3", None, 0)]
    assert RuleJudge().verdicts([DOG], task="detail") == [Verdict("q1", None, 5)]
    assert RuleJudge().for_arm(tmp_path, "arm") == RuleJudge() and not list(tmp_path.iterdir())


def test_unknown_rules_are_refused():
    for odd in (
        {"rule": "kind"},
        {"rule": "label"},
        {"rule": "mention", "labels": ("a",)},
        {"rule": "label", "labels": ("a",), "label_rule": "odd"},
    ):
        with pytest.raises(ValueError, match=r"is not known|labels go with"):
            RuleJudge(**odd)


def test_the_command_line_offers_the_rules_that_need_nothing_else():
    assert set(judge_options.RULES) == set(RULE_TEXT) - {"animals", "label"}
