"""Guards who judges: what is asked and of whom, what is kept and for whom, and what rules grant."""

import json

import pytest
from fake_endpoint import Fault, completion, serve
from judging import CAT, DOG, NO, TWO, YES, by_words, endpoint

from llamavid_kit.commands import judge_options
from llamavid_kit.evaluation.judges.animal_judge import judge as judge_animals
from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint, UnreachableError
from llamavid_kit.evaluation.judges.chat.local import LocalModel
from llamavid_kit.evaluation.judges.judge import RULE_TEXT, ChatJudge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import DETERMINISTIC, JudgeItem, judge_prompt
from llamavid_kit.evaluation.judges.verdict_parser import Verdict

# --- a chat model


def test_what_is_asked_and_what_comes_back():
    with serve(by_words) as fake:
        judge = ChatJudge(endpoint(fake, settings=DETERMINISTIC))
        assert judge.verdicts([DOG, CAT]) == [Verdict("q1", True, 5, YES), Verdict("q2", False, 0, NO)]
        assert ChatJudge(endpoint(fake), prompt="published").verdicts([DOG])[0].correct is True
    assert [body["messages"] for body in fake.bodies] == [
        judge_prompt("qa").messages(DOG),
        judge_prompt("qa").messages(CAT),
        judge_prompt("qa", "published").messages(DOG),
    ]
    assert fake.bodies[0]["temperature"] == 0 and fake.bodies[0]["max_tokens"] == 256


def test_an_axis_is_asked_for_a_score_alone():
    with serve(lambda *_: '{"score": 4}') as fake:
        verdict = ChatJudge(endpoint(fake)).verdicts([DOG], task="temporal")[0]
    assert (verdict.correct, verdict.score, verdict.problem) == (None, 4, "")
    assert fake.bodies[0]["messages"] == judge_prompt("temporal").messages(DOG)


def test_what_is_no_verdict_is_counted_and_asked_once():
    """The original asks for ever."""
    with serve(lambda *_: "I would say yes.") as fake:
        for mode, problem in (("strict", "not one dictionary alone"), ("original", "asked again in the original")):
            verdict = ChatJudge(endpoint(fake)).verdicts([DOG], mode=mode)[0]
            assert verdict.problem.startswith(problem) and verdict.reply == "I would say yes."
    assert len(fake.bodies) == 2


def test_a_kept_reply_is_not_asked_again_and_both_modes_read_it(tmp_path):
    with serve(lambda *_: "{'pred': 'not sure', 'score': 2}") as fake:
        judge = ChatJudge(endpoint(fake))
        for mode in ("strict", "original", "strict"):
            both = judge.for_arm(tmp_path, "fps1").verdicts([DOG, CAT], mode=mode)
            assert [v.correct for v in both] == ([None, None] if mode == "strict" else [False, False])
    assert len(fake.bodies) == 2


def test_nothing_is_kept_without_an_arm(tmp_path):
    with serve(by_words) as fake:
        for _ in range(2):
            ChatJudge(endpoint(fake)).verdicts([DOG])
    assert len(fake.bodies) == 2 and not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="expected the name of the arm"):
        ChatJudge(endpoint(fake)).for_arm(tmp_path, "")


CHANGES = {
    "question": lambda j, i: (j, JudgeItem("q1", "Who runs?", "a dog", "The dog runs.")),
    "answer": lambda j, i: (j, JudgeItem("q1", "What runs?", "a wolf", "The dog runs.")),
    "prediction": lambda j, i: (j, JudgeItem("q1", "What runs?", "a dog", "A dog runs.")),
    "prompt": lambda j, i: (ChatJudge(j.chat, prompt="published"), i),
    "model": lambda j, i: (ChatJudge(Endpoint(j.chat.url, "another")), i),
    "settings": lambda j, i: (ChatJudge(Endpoint(j.chat.url, "a-judge", settings={"temperature": 1})), i),
}


@pytest.mark.parametrize("change", [*CHANGES, "arm", "copied", "copied to another judge", "task"])
def test_what_differs_in_anything_is_judged_anew(tmp_path, change):
    """Even where somebody copies one arm's file, or one judge's, to the name of another."""
    with serve(by_words) as fake:
        judge = ChatJudge(endpoint(fake))
        first = judge.for_arm(tmp_path, "one")
        first.verdicts([DOG])
        first.verdicts([JudgeItem("other id, other video", *("What runs?", "a dog", "The dog runs."), video="w")])
        assert len(fake.bodies) == 1  # content is what counts
        known = change if change in CHANGES else "model" if change == "copied to another judge" else None
        other, item = CHANGES[known](judge, DOG) if known else (judge, DOG)
        second = other.for_arm(tmp_path, "two" if change in ("arm", "copied") else "one")
        if change.startswith("copied"):
            second.log.path.write_bytes(first.log.path.read_bytes())
            second = other.for_arm(tmp_path, second.arm)
            assert len(second.log) == 1
        second.verdicts([item], task="context" if change == "task" else "qa")
        assert len(fake.bodies) == 2
    if change in ("arm", "copied", "prompt", "model", "settings"):
        assert second.log.path != first.log.path


def test_arms_whose_names_look_alike_have_files_of_their_own(tmp_path):
    judge = ChatJudge(Endpoint("http://127.0.0.1:1/v1", "m"))
    names = ["a/b", "a b", "a_b", "../a", "x" * 300, "x" * 301, ".hidden"]
    paths = [judge.for_arm(tmp_path, name).log.path for name in names]
    assert len(set(paths)) == len(names) and all(path.parent == tmp_path for path in paths)
    assert all(len(path.name) < 200 and not path.name.startswith(".") for path in paths)


def test_an_endpoint_that_goes_away_loses_nothing(tmp_path):
    items = [JudgeItem(f"q{k}", "What?", "a dog", f"dog runs {k}") for k in range(4)]
    with serve(lambda body, n: Fault(status=500) if n in (2, 3) else YES) as fake:
        judge = ChatJudge(endpoint(fake)).for_arm(tmp_path, "arm")
        with pytest.raises(UnreachableError):
            judge.verdicts(items)
        n = len(fake.bodies)
        again = ChatJudge(endpoint(fake)).for_arm(tmp_path, "arm").verdicts(items)
    assert [v.correct for v in again] == [True] * 4
    assert (
        len({json.dumps(b["messages"]) for b in fake.bodies[n:]} & {json.dumps(b["messages"]) for b in fake.bodies[:2]})
        == 0
    )


def test_nothing_more_is_asked_once_a_request_has_failed_for_good(tmp_path):
    """Further items would each wait through all retries before the error is seen."""
    items = [JudgeItem(f"q{k}", "What?", "a dog", f"dog runs {k}") for k in range(8)]
    with serve(lambda body, n: Fault(status=429)) as fake:
        with pytest.raises(UnreachableError):
            ChatJudge(endpoint(fake)).for_arm(tmp_path, "arm").verdicts(items)
        assert len(fake.bodies) == 2


def test_a_refused_item_is_no_verdict(caplog):
    with serve(lambda body, n: Fault(status=400, body="too long") if n == 0 else YES) as fake:
        refused, judged = ChatJudge(endpoint(fake)).verdicts([DOG, CAT])
    assert "refused 1 of 2 items; q1: HTTP 400 too long" in caplog.text  # a setting that it does not know is said so
    assert refused.problem == "refused by the judge" and "too long" in refused.reply and judged.correct


def test_several_at_a_time_come_back_in_order(tmp_path):
    items = [JudgeItem(f"q{k}", "What?", "a dog", f"no {k}" if k % 3 else f"dog runs {k}") for k in range(12)]

    def slow_first(body, number):
        return Fault(wait_s=0.2 if number == 0 else 0.0, body=completion(by_words(body, number)))

    with serve(slow_first) as fake:
        in_order = ChatJudge(endpoint(fake), workers=4).for_arm(tmp_path, "arm").verdicts(items)
    assert [(v.item, v.correct) for v in in_order] == [(f"q{k}", k % 3 == 0) for k in range(12)]
    with pytest.raises(ValueError, match="workers=0"):
        ChatJudge(endpoint(fake), workers=0)


def test_a_local_model_judges(chat_model, tmp_path):
    chat = LocalModel(str(chat_model), settings={"temperature": 0, "max_tokens": 4}, device="cpu")
    chat.model.config.max_position_embeddings = 4000
    judge = ChatJudge(chat).for_arm(tmp_path, "arm")
    verdict = judge.verdicts([DOG])[0]
    assert verdict.reply == chat.reply(judge_prompt("qa").messages(DOG)).text
    assert judge.identity["weights"] == chat.weights and judge.identity["settings"]["temperature"] == 0
    assert judge.log.path.is_file()


@pytest.mark.parametrize(
    "judge", [RuleJudge(), ChatJudge(Endpoint("http://127.0.0.1:1/v1", "m"))], ids=["rule", "chat"]
)
def test_what_every_judge_refuses(judge):
    with pytest.raises(ValueError, match=r"'q1' is given twice"):
        judge.verdicts([DOG, CAT, DOG])
    with pytest.raises(ValueError, match="'q1' has no question2"):
        judge.verdicts([TWO, DOG], task="consistency")
    with pytest.raises(ValueError, match="'colour'"):
        judge.verdicts([DOG], task="colour")


# --- rules


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


def test_the_rule_of_animals_keeps_the_same_protocol():
    animals = JudgeItem("i", "?", "The lion is walking. The frog is jumping.", "A lion walks. A bird sings.")
    verdict = judge_animals(animals.prediction, animals.answer, ("lion", "frog", "bird"))
    assert RuleJudge("animals", animals=("lion", "frog", "bird")).verdicts([animals])[0] == Verdict(
        "i", verdict.correct, verdict.score
    )
    assert set(RULE_TEXT) == {"exact", "mention", "words", "animals"}


def test_a_rule_takes_the_worse_of_two_replies_and_says_no_yes_about_an_axis(tmp_path):
    assert RuleJudge().verdicts([TWO], task="consistency") == [Verdict("q3", None, 0)]
    assert RuleJudge().verdicts([DOG], task="detail") == [Verdict("q1", None, 5)]
    assert RuleJudge().for_arm(tmp_path, "arm") == RuleJudge() and not list(tmp_path.iterdir())


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="rule='kind' is not known; choose one of exact, mention, words, animals"):
        RuleJudge("kind")


def test_the_command_line_offers_the_rules_that_need_nothing_else():
    assert set(judge_options.RULES) == set(RULE_TEXT) - {"animals"}


def test_the_rule_of_words_counts_repeats():
    (verdict,) = RuleJudge("words").verdicts([JudgeItem("i", "?", "dog dog cat", "dog dog")])
    assert verdict.score == 1 + 8 * 2 // 5


def test_the_rule_of_mentions_knows_an_answer_that_is_an_article():
    (verdict,) = RuleJudge("mention").verdicts([JudgeItem("i", "which letter?", "A", "a.")])
    assert verdict.correct
