"""Guards every character of a prompt and every supervised token: the model sees nothing else of what was asked."""

from itertools import groupby

import pytest
from original_mask import original_supervised

from llamavid_kit.data.prompt import (
    IGNORE,
    IMAGE_SLOT,
    TEMPLATES,
    Template,
    human_turn,
    open_prompt,
    stop_ids,
    supervised,
    template,
    tokenize,
)

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. "
)
CHATS = sorted(name for name, form in TEMPLATES.items() if isinstance(form, Template))
TURNS = [("<image>\nWhat happens?", "A car."), ("Where?", "At a house.")]


def answers_of(tokenizer, labels: list[int]) -> list[str]:
    """The stretches that are supervised, as text."""
    runs = [list(run) for ignored, run in groupby(labels, lambda label: label == IGNORE) if not ignored]
    return [tokenizer.decode(run).replace(" \n ", "\n").strip() for run in runs]


@pytest.mark.parametrize("name", ["vicuna_v1", "imgsp_v1"])
def test_vicuna_character_by_character(name):
    form = template(name)
    assert form.render([("<image>\nWhat happens?", None)]) == SYSTEM + "USER: <image>\nWhat happens? ASSISTANT:"
    assert form.render(TURNS) == (
        SYSTEM + "USER: <image>\nWhat happens? ASSISTANT: A car.</s>USER: Where? ASSISTANT: At a house.</s>"
    )


def test_plain_character_by_character():
    form = template("plain")
    assert form.render([(human_turn("What happens?"), None)]) == "USER: <image>\nWhat happens? ASSISTANT:"
    assert form.render([*TURNS[:1], ("Where?", None)]) == (
        "USER: <image>\nWhat happens? ASSISTANT: A car.</s>USER: Where? ASSISTANT:"
    )


def test_an_unknown_template_names_the_known():
    with pytest.raises(ValueError, match="'llava_v0': expected one of vicuna_v1, .*plain_guided, plain"):
        template("llava_v0")


def test_slots_stand_between_the_ids_of_the_stretches(tokenizers):
    tokenizer, _ = tokenizers

    def ids(text):
        return tokenizer(text).input_ids

    bos = tokenizer.bos_token_id
    assert tokenize(tokenizer, "What happens?") == ids("What happens?") and ids("a")[0] == bos
    expected = [*ids("USER: "), IMAGE_SLOT, *ids("\nWhat")[1:], IMAGE_SLOT, *ids(" now")[1:]]
    assert tokenize(tokenizer, "USER: <image>\nWhat<image> now") == expected
    assert tokenize(tokenizer, "<image>") == [bos, IMAGE_SLOT]
    assert tokenize(tokenizer, "<image><image>") == [bos, IMAGE_SLOT, IMAGE_SLOT]
    assert expected.count(bos) == 1


def test_a_tokenizer_without_bos_loses_no_token():
    class Letters:
        bos_token_id = None

        def __call__(self, text):
            return type("Encoded", (), {"input_ids": [ord(c) for c in text]})

    assert tokenize(Letters(), "ab<image>cd") == [97, 98, IMAGE_SLOT, 99, 100]


@pytest.mark.parametrize("name", CHATS)
def test_open_prompt(tokenizers, name):
    tokenizer, _ = tokenizers
    mark = "<im_start><image><im_end>" if name.endswith("_im_start_end") else "<image>"
    text = template(name).system + " " * bool(template(name).system) + f"USER: {mark}\nWhat happens? ASSISTANT:"
    assert open_prompt(tokenizer, name, "What happens?") == tokenize(tokenizer, text)


@pytest.mark.parametrize("name", CHATS)
def test_exactly_the_answers_and_their_ends_are_supervised(tokenizers, name):
    tokenizer, _ = tokenizers
    ids, labels = supervised(tokenizer, name, TURNS)
    assert ids == tokenize(tokenizer, template(name).render(TURNS)) and len(labels) == len(ids)
    assert all(label in (IGNORE, token) for token, label in zip(ids, labels, strict=True))
    assert answers_of(tokenizer, labels) == ["A car.</s>", "At a house.</s>"]
    assert labels[: len(open_prompt(tokenizer, name, "What happens?"))] == [IGNORE] * len(
        open_prompt(tokenizer, name, "What happens?")
    )


@pytest.mark.parametrize("answer", ["", "  ", "\n", "A car.</s>A bus.", "A <image> car"])
@pytest.mark.parametrize("turn", [0, 1])
def test_answers_that_cannot_be_supervised(tokenizers, answer, turn):
    turns = [(q, answer if k == turn else a) for k, (q, a) in enumerate(TURNS)]
    with pytest.raises(ValueError, match="cannot be supervised"):
        supervised(tokenizers[0], "plain", turns)


def test_an_answer_may_speak_of_the_assistant(tokenizers):
    """Roles are only words; the original gives up where a human says " ASSISTANT: "."""
    ids, labels = supervised(tokenizers[0], "plain", [("<image>\nRepeat: ASSISTANT: hello", "hello")])
    assert tokenizers[0].decode([x for x in labels if x != IGNORE]) == "hello</s>" and ids[-1] == labels[-1] == 2


def test_a_caption_follows_its_image(tokenizers):
    """Stage 1 shows the language model no question; everything after the image is supervised."""
    tokenizer, form = tokenizers[0], template("plain_guided")
    turns = [("<image>\nWhat happens?", "A car.")]
    assert form.render(turns) == "<image>A car.\n" and form.render([(turns[0][0], None)]) == "<image>\nWhat happens?\n"
    ids, labels = supervised(tokenizer, "plain_guided", turns)
    assert ids == tokenize(tokenizer, "<image>A car.\n") and ids[1] == IMAGE_SLOT
    assert labels == [IGNORE, IGNORE, *ids[2:]]
    for wrong in ([("What happens?", "A car.")], TURNS, []):
        with pytest.raises(ValueError, match="one <image> in one turn"):
            form.render(wrong)


def test_where_answers_stop(tokenizers):
    tokenizer = tokenizers[0]
    assert stop_ids(tokenizer, "vicuna_v1") == stop_ids(tokenizer, "plain") == [tokenizer.eos_token_id]
    assert tokenizer.decode(stop_ids(tokenizer, "plain_guided")).endswith("\n")


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize(
    "turns",
    [
        [("<image>\nRepeat: ASSISTANT: hello", "hello")],
        [("<image>\nWhat is </s>?", "An end.")],
        [("<image>\nWhat?", "He says ASSISTANT: hello")],
        [("<image>\nWhat?", " ASSISTANT: hello")],
        [("<image>\nRepeat ASSISTANT: ", "hello")],
        [("ASSISTANT: hello", "hello")],
        [*TURNS, ("ASSISTANT: hello", "hello")],
        [("<image>\nWhat?", "")],
        [("<image>\nWhat?", "A car.</s>A bus.")],
        [*TURNS, ("Why?", "")],
        [("<image>\nWhy? ASSISTANT: x</s>", "")],
    ],
)
def test_where_the_original_gives_up(tokenizers, name, turns):
    """A conversation that its separators do not cut into turns is masked as a whole; here an answer decides."""
    tokenizer = tokenizers[0]
    ids, labels = original_supervised(tokenizer, name, turns)
    assert ids == tokenize(tokenizer, template(name).render(turns)) and set(labels) == {IGNORE}
    if all(answer and "</s>" not in answer for _, answer in turns):
        assert answers_of(tokenizer, supervised(tokenizer, name, turns)[1]) == [f"{a.lstrip()}</s>" for _, a in turns]
    else:
        with pytest.raises(ValueError, match="cannot be supervised"):
            supervised(tokenizer, name, turns)


ROLES = ("USER:", "ASSISTANT:", "user:", "Assistant:")
ROLE_TEXTS = [
    f"{before}{role}{after}"
    for role in ROLES
    for before, after in (
        ("", ""),
        ("", "hello"),
        ("Say ", " "),
        ("Say ", "it"),
        ("Say", ""),
        ("Say\n", ""),
        ("Say ", ""),
    )
]


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("text", ROLE_TEXTS)
@pytest.mark.parametrize("place", ["only question", "question with image", "second question", "answer"])
def test_role_marks_within_texts(tokenizers, name, text, place):
    """The original supervises the same tokens, but where a question that ends in " ASSISTANT:" hides the true mark."""
    tokenizer = tokenizers[0]
    turns = {
        "only question": [(text, "ok")],
        "question with image": [(f"<image>\n{text}", "ok")],
        "second question": [*TURNS[:1], (text, "ok")],
        "answer": [(TURNS[0][0], text)],
    }[place]
    ids, labels = supervised(tokenizer, name, turns)
    original_ids, original_labels = original_supervised(tokenizer, name, turns)
    answers = [f"{answer}</s>" for _, answer in turns]
    assert ids == original_ids and answers_of(tokenizer, labels) == answers
    rendered = template(name).render(turns[-1:])
    if rendered.count(" ASSISTANT: ") > 1:
        assert set(original_labels) == {IGNORE}
    elif " ASSISTANT: ASSISTANT: ok" in rendered:
        assert place != "answer" and text.endswith("ASSISTANT:")
        assert answers_of(tokenizer, original_labels) == [*answers[:-1], "ASSISTANT: ok</s>"]
    else:
        assert original_labels == labels
