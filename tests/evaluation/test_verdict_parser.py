"""Guards how a judge's words are read: what is a verdict, what is none and why, and the original's own reading."""

import ast
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_readings import ALONE, EMPTY, KEYS, RANGE, STRICT_READINGS, WHOLE, WORD

from llamavid_kit.evaluation.judges import verdict_parser
from llamavid_kit.evaluation.judges.verdict_parser import (
    ASKED_AGAIN,
    CRASHES,
    Verdict,
    read_original,
    read_verdict,
    verdict_table,
)


@pytest.mark.parametrize(("reply", "expected", "why"), STRICT_READINGS, ids=[why for *_, why in STRICT_READINGS])
def test_strict(reply, expected, why):
    is_verdict = isinstance(expected, tuple)
    verdict = Verdict("i", *expected, reply) if is_verdict else Verdict("i", None, None, reply, expected)
    assert read_verdict("i", reply) == verdict


YES_4 = "{'pred': 'yes', 'score': 4}"


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>\nSame meaning.\n</think>\n\n{YES_4}",
        f"<think>Perhaps {{'pred': 'no', 'score': 1}}?</think>{YES_4}",
        f"<think>{'long ' * 4000}</think>{YES_4}",
        f"the template began the thoughts</think>\n{YES_4}",
        f"<Reasoning>same</Reasoning><answer>{YES_4}</answer>",
        f"<|channel|>analysis<|message|>same<|end|><|start|>assistant<|channel|>final<|message|>{YES_4}<|return|>",
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{YES_4}<|eot_id|>",
        f"assistant\n\n{YES_4}",
        f"{YES_4}</s>",
        f"{YES_4}<|im_end|>\n<|endoftext|>",
        f"{YES_4}<｜end▁of▁sentence｜>",
        f"```json\n{YES_4}\n```<|im_end|>",
        f"```\n{YES_4}</s>",
        f"`{YES_4}`",
        f"~~~\n{YES_4}\n~~~",
        '{"reasoning": "same", "pred": "yes", "score": 4}',
        '{"pred": "YES", "score": "four", "why": "the same </s>"}',
        "{'Pred': 'Yes.', 'Score': '4/5'}",
        "{'pred': 'yes', 'score': 4/5}",
        "{'pred': 'yes', 'score': '4 out of 5'}",
        "{'pred': 'yes', 'score': '4.0'}",
    ],
)
def test_thoughts_marks_and_further_keys_are_form(reply):
    assert read_verdict("i", reply) == Verdict("i", True, 4, reply)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("<think>\nI would say {'pred': 'yes', 'score': 4}", "thoughts or marks alone"),
        ("<|channel|>analysis<|message|>same", "thoughts or marks alone"),
        ("<think>same</think><|eot_id|>", "thoughts or marks alone"),
        ('thought\n{"score":', "cut off"),
        ("<think>same</think>{'pred': 'yes', 'score': 4.8}", WHOLE),
        ("{'pred': 'yes', 'score': '8/10'}", WHOLE),
        ("{'pred': 'yes', 'score': 8/10}", ALONE),
        ("{'pred': 'yes', 'PRED': 'no', 'score': 4}", "a key twice"),
        ("{'pred': 'yes', 'score': 'high'}", WHOLE),
    ],
)
def test_why_a_reply_with_thoughts_is_no_verdict(reply, problem):
    assert read_verdict("i", reply) == Verdict("i", None, None, reply, problem)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("{'score': 3}", 3),
        ('```json\n{"score": 0}\n```', 0),
        ("{'score': 5.0}", 5),
        ("{'score': ' 2 '}", 2),
        ("{''score': 4.8}", ALONE),
        ("{'score': 4.8}", WHOLE),
        ("{'pred': 'yes', 'score': 4}", 4),
        ("4", ALONE),
        ("{'score': None}", WHOLE),
        ("{'score': True}", WHOLE),
        ("{'score': [4]}", WHOLE),
        ("{'score': 6}", RANGE),
        ('{"score": NaN}', WHOLE),
        ('{"score": 1e999}', WHOLE),
        ("{'score': 10**2}", ALONE),
        ("{'score': '٤'}", WHOLE),
        ('{"score": 1, "score": 5}', "a key twice"),
        ("{'score': 1, 'score': 5}", "a key twice"),
        ("{'score': 4, **{}}", ALONE),
        ("{'score': 4 for _ in 'a'}", ALONE),
        ("{'score'}", ALONE),
        ("{}", KEYS),
        ("{'score': {'score': 4}}", WHOLE),
        ("{'score': __import__('os')}", ALONE),
        ("  \n", EMPTY),
        ("{'score': 1" + "0" * 5000 + "}", ALONE),
        ("{'score': " + " " * 10_000 + "4}", "too long for a verdict"),
        ("```\n{'score': 4}\n```\n```\n{'score': 2}\n```", ALONE),
        ("{'score': '4', 'why': 'good'}", 4),
    ],
)
def test_strict_without_yes_or_no(reply, expected):
    verdict = read_verdict("i", reply, yes_no=False)
    assert (verdict.score if isinstance(expected, int) else verdict.problem) == expected
    assert verdict.correct is None and bool(verdict.problem) != isinstance(expected, int)


@pytest.mark.parametrize(
    ("reply", "verdict", "score", "error", "effect"),
    [
        ("{'pred': 'not sure', 'score': 2}", "no", 2, "", ""),
        ("{'pred': 'yes', 'score': 4.8}", "yes", 4, "", ""),
        ("{'pred': 'no, yes', 'score': 7}", "yes", 7, "", ""),
        ("{'predicted': 'NO', 'score': True}", "no", 1, "", ""),
        ("{'pred': 'maybe', 'score': 2}", None, 2, "Exception: Invalid prediction", CRASHES),
        ("{'pred': 'yes', 'score': 1e999}", None, None, "OverflowError", CRASHES),
        ("{'pred': 'yes', 'score': 1e308}", None, None, "OverflowError", CRASHES),
        ("{'pred': 'yes', 'score': " + "9" * 400 + "}", None, None, "OverflowError", CRASHES),
        ("{'pred': 'yes', 'score': {4}}", None, None, "TypeError", CRASHES),
        ("yes, 4", None, None, "ValueError: malformed node", ASKED_AGAIN),
        ("", None, None, "SyntaxError", ASKED_AGAIN),
        ("\0", None, None, "", ASKED_AGAIN),
        ("{'score': 4}" + " " * verdict_parser.MAX_CHARS, None, None, "MemoryError: too complex", ASKED_AGAIN),
    ],
)
def test_the_original_reading(reply, verdict, score, error, effect):
    reading = read_original(reply)
    assert (reading.verdict, reading.int_score, reading.effect) == (verdict, score, effect)
    assert reading.error.startswith(error) and bool(reading.error) == bool(effect)


def test_what_json_cannot_hold_is_a_crash():
    """The original writes each verdict as JSON: a set beside a good score leaves half a file."""
    reading = read_original("{'pred': 'yes', 'score': 4, 'why': {1, 2}}")
    assert reading.effect == CRASHES and reading.error.startswith("TypeError") and reading.verdict is None


def test_a_reply_on_an_indented_second_line_is_not_read_by_the_original():
    """`ast.literal_eval` takes blanks before a dictionary away, but no line break."""
    assert read_original("  {'pred': 'yes', 'score': 4}").verdict == "yes"
    assert read_original("\n  {'pred': 'yes', 'score': 4}").effect == ASKED_AGAIN


def test_the_original_reading_as_a_verdict():
    assert read_verdict("i", "{'pred': 'unknown', 'score': 4.8}", mode="original").correct is False
    assert read_verdict("i", "{'score': 4.8}", mode="original", yes_no=False).score == 4
    assert read_verdict("i", "", mode="original").problem == "asked again in the original (SyntaxError)"
    assert read_verdict("i", "{'pred': 'yes'}", mode="original").problem == "crash in the original (KeyError)"
    with pytest.raises(ValueError, match=r"mode='lenient' is not known; choose strict or original"):
        read_verdict("i", "", mode="lenient")


@given(st.text() | st.text(alphabet="{}[]()'\":,.-+`~* \n0123459predscoyns\\#"), st.booleans())
def test_no_reply_breaks_a_reader(reply, yes_no):
    for mode in ("strict", "original"):
        verdict = read_verdict("i", reply, mode=mode, yes_no=yes_no)
        assert bool(verdict.problem) == (verdict.score is None) and verdict.reply == reply


PRED = st.sampled_from(["yes", "no", "YES", "No", "maybe", "", "yes no"]) | st.integers() | st.none() | st.booleans()
SCORE = st.integers(-3, 9) | st.floats() | st.sampled_from(["3", "4.8", "", "x"]) | st.none() | st.booleans()


@given(PRED, SCORE)
def test_what_strict_takes_is_on_the_scale_and_original_agrees(pred, score):
    """Where strict sees a verdict, the two readers see the same one."""
    reply = repr({"pred": pred, "score": score})
    verdict = read_verdict("i", reply)
    if not verdict.problem:
        assert verdict.score in range(6) and verdict.correct is (str(pred).lower() == "yes")
        if not isinstance(score, str):
            assert float(score) == verdict.score
        assert read_verdict("i", reply, mode="original") == verdict


def test_long_and_nested_replies_do_not_break_the_interpreter():
    """In a process of its own, which a stack overflow would kill."""
    code = """
from llamavid_kit.evaluation.judges.verdict_parser import read_verdict
for piece in ("-", "[", "(", "{'a':", "~", "not ", "1+", "a.", "f(", "'", "{'score':", "`", "\\\\", "1if 1else "):
    for n in (50, 3_000, 9_990 // len(piece), 1_000_000):
        for mode in ("strict", "original"):
            for end in ("1", "", "'pred'"):
                assert read_verdict("i", piece * n + end, mode=mode).problem
print("read")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout) == (0, "read\n"), ran.stderr[-2000:]


def test_nothing_is_evaluated():
    """No file of the library or of its data preparation calls eval, exec or compile."""
    root = Path(verdict_parser.__file__).parents[3]
    files = [*(root / "llamavid_kit").rglob("*.py"), *(root / "data_prep").rglob("*.py")]
    assert len(files) > 50
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert name not in ("eval", "exec", "compile", "__import__"), f"{path}:{node.lineno} calls {name}"


# --- sums


def verdicts_and_none():
    """Five verdicts, and three replies without one."""
    pairs = [(True, 5), (True, 4), (False, 1), (False, 0), (True, 3)]
    verdicts = [Verdict(f"q{k}", yes, score) for k, (yes, score) in enumerate(pairs)]
    problems = (("?", WORD), ("", EMPTY), ("!", WORD))
    return verdicts + [Verdict(f"q{k}", None, None, reply, why) for k, (reply, why) in enumerate(problems, 5)]


def test_a_table_counts_verdicts_and_what_is_none():
    table = verdict_table(verdicts_and_none())
    assert (table.n, table.n_verdicts, table.no_verdict, table.yes, table.no) == (8, 5, 3, 3, 2)
    assert table.accuracy == 3 / 5 and table.score == 13 / 5
    assert table.accuracy_between == (3 / 8, 6 / 8)
    assert table.problems == {WORD: 2, EMPTY: 1}
    assert table.wilson95[0] < 0.6 < table.wilson95[1] and table.score95[0] < 2.6 < table.score95[1]


def test_scores_alone_have_no_accuracy():
    table = verdict_table([Verdict("a", None, 4), Verdict("b", None, 1), Verdict("c", None, None, "", EMPTY)])
    assert (table.accuracy, table.wilson95, table.accuracy_between, table.yes, table.no) == (None, None, None, 0, 0)
    assert table.score == 2.5 and table.no_verdict == 1


def test_no_verdict_at_all():
    table = verdict_table([Verdict("a", None, None, "", EMPTY)])
    assert (table.accuracy, table.score, table.score95, table.n_verdicts) == (None, None, None, 0)


def test_questions_about_one_video_are_one_draw():
    """Ten alike answers a video say no more than one: the interval over videos is the wider one."""
    many = [Verdict(f"{v}-{k}", v % 2 == 0, 5 * (v % 2)) for v in range(8) for k in range(10)]
    videos = [v.item.split("-")[0] for v in many]
    alone, grouped = verdict_table(many).score95, verdict_table(many, videos=videos).score95
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])
    one_each = verdict_table([Verdict(str(v), None, 5 * (v % 2)) for v in range(8)]).score95
    assert all(math.isclose(a, b, abs_tol=0.01) for a, b in zip(grouped, one_each, strict=True))


def test_the_largest_scores_that_the_original_reads_have_a_mean():
    verdicts = [
        read_verdict(f"q{k}", "{'pred': 'yes', 'score': %s}" % digits, mode="original")  # noqa: UP031
        for k, digits in enumerate(("1e99", "9" * 100, "-" + "9" * 100, "9" * 400, "1e308"))
    ]
    table = verdict_table(verdicts)
    assert (table.n_verdicts, table.problems) == (3, {"crash in the original (OverflowError)": 2})
    assert table.score == pytest.approx(1e99 / 3)


def test_what_a_table_refuses():
    with pytest.raises(ValueError, match=r"item 'a' is judged twice \(1 such items\)"):
        verdict_table([Verdict("a", True, 5), Verdict("a", True, 5)])
    with pytest.raises(ValueError, match="0 verdicts, no list of videos"):
        verdict_table([])
    with pytest.raises(ValueError, match="1 verdicts, 2 of videos"):
        verdict_table([Verdict("a", True, 5)], videos=["v", "w"])
