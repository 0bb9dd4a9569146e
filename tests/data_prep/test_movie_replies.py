"""Guards what counts as a usable reply, character by character, and that prompt files say what they must."""

import json
import re
import shutil

import pytest

from data_prep.movies.plan import KINDS
from data_prep.movies.replies import SHIPPED_PROMPTS, MalformedReplyError, Prompts, read_reply


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("plot.txt", "Ask $n things about $film", r"plot.txt: fills in \['film', 'n'\]; expected \['n', 'passage'\]"),
        ("plot.txt", "$n $passage $actor", r"at most \['film', 'n', 'passage'\]"),
        ("plot.txt", "$n $passage costs 5 $", r"\$\$ for a dollar sign"),
        ("again.txt", "Once more.", r"expected \['problem'\]"),
        ("system.txt", "About $film", r"at most \[\]"),
    ],
)
def test_prompt_files_with_faults(tmp_path, file, text, message):
    shutil.copytree(SHIPPED_PROMPTS, tmp_path / "mine")
    (tmp_path / "mine" / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        Prompts(tmp_path / "mine")
    (tmp_path / "mine" / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"{file} is not there; start from a copy"):
        Prompts(tmp_path / "mine")


def pair(k=1, **changes) -> dict:
    return {"type": ("plot", "character")[k % 2], "question": f"Who is number {k}?", "answer": "A count."} | changes


def reply(*pairs, **more) -> str:
    return json.dumps({"pairs": list(pairs), **more})


@pytest.mark.parametrize(
    "text",
    [
        reply(pair(1), pair(2)),
        f"```json\n{reply(pair(1), pair(2))}\n```",
        f"```\n{reply(pair(1), pair(2))}\n```\n",
        f"<think>\nThe {{pairs}} …\n</think>\n\n{reply(pair(1), pair(2))}",
        f"the template began the thoughts</think>\n{reply(pair(1), pair(2))}<|im_end|>",
    ],
)
def test_good_replies(text):
    first, second = read_reply(text, KINDS["plot"], 2)
    assert (first.type, first.question, first.answer) == ("character", "Who is number 1?", "A count.")
    assert second.question == "Who is number 2?"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("Sure! " + reply(pair(1), pair(2)), "not JSON"),
        (reply(pair(1), pair(2))[:-1], "not JSON"),
        ("{'pairs': []}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", 'the one field "pairs"'),
        (reply(pair(1), pair(2), note="done"), 'the one field "pairs"'),
        ('{"pairs": {}}', 'the one field "pairs"'),
        (reply(pair(1)), "has 1 pairs, expected 2"),
        (reply(pair(1), pair(2), pair(3)), "has 3 pairs, expected 2"),
        (reply(pair(1), "Who?"), "pair 2: expected an object"),
        (reply(pair(1), pair(2, why="x")), "pair 2: expected"),
        (reply(pair(1), {"question": "Who is he?", "answer": "A count."}), "pair 2: expected an object"),
        (reply(pair(1), pair(2, type="detail")), "pair 2: type 'detail', expected one of plot, character"),
        (reply(pair(1), pair(2, type=["plot"])), "pair 2: type"),
        (reply(pair(1), pair(3)), "no pair has the type 'plot'"),
        (reply(pair(1), pair(2, answer=5)), "pair 2: the answer is not a text"),
        (reply(pair(1), pair(2, answer=None)), "pair 2: the answer is not a text"),
        (reply(pair(1), pair(2, answer="  ")), "answer of 0 characters, expected 2 to 2000"),
        (reply(pair(1), pair(2, answer="x" * 2001)), "answer of 2001 characters, expected 2 to 2000"),
        (reply(pair(1), pair(2, question="Who?")), "question of 4 characters, expected 8 to 500"),
        (reply(pair(1), pair(2, question="x" * 501)), "question of 501 characters"),
        (reply(pair(1), pair(2, question="??????????")), "holds no words"),
        (reply(pair(1), pair(2, question="Who  is NUMBER 1 ?")), "asks the same twice"),
        (reply(pair(1), pair(2, question="See <image> now?")), "holds <image> or </s>"),
        (reply(pair(1), pair(2, answer="A count.</s>USER")), "holds <image> or </s>"),
        (reply(pair(1), pair(2, answer="half \ud83d")), "half a character"),
    ],
)
def test_unusable_replies(text, problem):
    with pytest.raises(MalformedReplyError, match=re.escape(problem)):
        read_reply(text, KINDS["plot"], 2)


def test_bounds_are_those_of_the_kind():
    summary = {"type": "brief", "question": "What is it about?", "answer": "x" * 39}
    with pytest.raises(MalformedReplyError, match="39 characters, expected 40 to 6000"):
        read_reply(reply(summary), KINDS["summary"], 1)
    assert len(read_reply(reply(summary | {"answer": "x" * 6000}), KINDS["summary"], 1)) == 1


def test_an_unusable_reply_is_sent_back_in_part_and_in_whole_characters():
    first = [{"role": "user", "content": "Ask."}]
    quote = Prompts().ask_again(first, "\ud83d" + "x" * 5000, "half", 1)[1]["content"]
    assert quote == "?" + "x" * 1999
    assert Prompts().ask_again(first, "", "empty", 1)[1]["content"] == "(nothing)"
