"""Pairs: the record's rules, the one multiple-choice sentence, and both files there and back."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llamavid_kit.data.pairs import (
    InstructionPair,
    check_disjoint,
    multiple_choice_question,
    read_choices,
    read_jsonl,
    read_llava,
    write_jsonl,
    write_llava,
)
from llamavid_kit.data.prompt import human_turn
from llamavid_kit.study.setup import CRIME

CRIME_SENTENCE = (
    "You will perform anomaly detection on a surveillance camera video. Classify the activity in the video by using "
    "ONLY ONE of the mentioned categories: Abuse, Arrest, Arson, Assault, Burglary, Explosion, Fighting, Robbery, Road "
    "Accident, Shooting, or Normal Video."
)


def pair(**changes) -> InstructionPair:
    values = {
        "id": "Arson011_x264",
        "video": "Videos/Arson/Arson011_x264.mp4",
        "question": CRIME.question,
        "answer": "Arson",
        "choices": CRIME.labels,
        "split": "test",
        "source": "UCF-Crime",
        "events": ((5.0, 14.0), (22.5, 42.25)),
        "n_frames": 1266,
        "fps": 30.0,
        "extra": {"event_frames": [[150, 420]]},
    }
    return InstructionPair(**{**values, **changes})


def test_crime_question_character_by_character():
    assert CRIME.question == CRIME_SENTENCE
    assert multiple_choice_question(CRIME.task, CRIME.labels) == CRIME_SENTENCE
    assert read_choices(CRIME_SENTENCE) == CRIME.labels
    assert human_turn("Q?") == "<image>\nQ?"


def test_open_questions_have_no_choices():
    assert read_choices("What happens in the video?") == ()
    assert read_choices("Say it by using ONLY ONE of the mentioned categories: nothing.") == ()


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=2, max_size=6))
def test_choices_are_read_back_or_refused(choices):
    try:
        question = multiple_choice_question("Classify the activity in the video", choices)
    except ValueError:
        assume(False)
    assert read_choices(question) == tuple(choices)


@pytest.mark.parametrize("choices", [["A"], [], ["A", "a"], ["A", "B, C"], ["A", " B"], ["A", "B."], ["A", ""]])
def test_choices_that_cannot_be_told_apart(choices):
    with pytest.raises(ValueError, match="choices"):
        multiple_choice_question("Classify", choices)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": "Theft"}, "answer='Theft' is not one of its choices"),
        ({"split": "val"}, "split='val'"),
        ({"events": ((2.0, 2.0),)}, "0 <= start_s < end_s"),
        ({"events": ((-1.0, 2.0),)}, "0 <= start_s < end_s"),
        ({"events": ((float("nan"), 2.0),)}, "0 <= start_s < end_s"),
        ({"events": (3.0, 4.0)}, "0 <= start_s < end_s"),
        ({"n_frames": 0}, "n_frames=0"),
        ({"n_frames": 2.5}, "n_frames=2.5"),
        ({"fps": 0.0}, "fps=0.0"),
        ({"question": "<image>\nWhat?"}, "slot"),
        ({"id": ""}, "id=''"),
        ({"choices": "Arson"}, "choices='Arson'"),
        ({"choices": ("Arson", " ")}, "choices="),
        ({"id": "a\ud800"}, r"id holds '\\ud800', half a character"),
        ({"question": "\ud800?"}, "question holds"),
        ({"choices": ("Arson", "\udfff")}, "choices holds"),
    ],
)
def test_a_bad_field_is_named(change, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        pair(**change)


def test_jsonl_there_and_back(tmp_path):
    pairs = [pair(), pair(id="b", choices=(), answer="Ein Löwe.", question="Wer?", n_frames=None, fps=None, events=())]
    path = write_jsonl(pairs, tmp_path / "new" / "pairs.jsonl")
    assert read_jsonl(path) == pairs
    assert pairs[0].duration_s == pytest.approx(42.2) and pairs[1].duration_s is None
    assert pairs[0].video_path(tmp_path) == tmp_path / "Videos/Arson/Arson011_x264.mp4"


@given(
    answer=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
    start=st.floats(0, 1e4),
    length=st.floats(0.01, 100),
    split=st.sampled_from(["train", "test"]),
)
def test_jsonl_keeps_any_text_and_number(tmp_path_factory, answer, start, length, split):
    one = pair(choices=(), answer=answer, events=((start, start + length),), split=split)
    path = tmp_path_factory.mktemp("pairs") / "p.jsonl"
    assert read_jsonl(write_jsonl([one], path)) == [one]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "Expecting property name"),
        ("[1]", "expected a JSON object"),
        ('{"id": "x"}', r"fields \['video', 'question', 'answer'\] are missing"),
        (json.dumps({**pair().to_dict(), "anwser": "x"}), "anwser"),
        (json.dumps({**pair().to_dict(), "choices": "Arson"}), "choices='Arson'"),
        (json.dumps({**pair().to_dict(), "answer": "Theft"}), "answer='Theft'"),
        (json.dumps(pair().to_dict()), "already used in line 1"),
    ],
)
def test_jsonl_fault_names_file_and_line(tmp_path, line, message):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(pair().to_dict()) + "\n\n" + line + "\n")
    with pytest.raises(ValueError, match=rf"pairs.jsonl, line 3\b.*{message}"):
        read_jsonl(path)


def test_files_that_hold_nothing(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="holds no pairs"):
        read_jsonl(tmp_path / "empty.jsonl")
    with pytest.raises(FileNotFoundError, match="no.jsonl is not a file"):
        read_jsonl(tmp_path / "no.jsonl")


def test_llava_is_the_originals_format(tmp_path):
    path = write_llava([pair()], tmp_path / "llava.json")
    assert json.loads(path.read_text()) == [
        {
            "id": "Arson011_x264",
            "video": "Videos/Arson/Arson011_x264.mp4",
            "conversations": [
                {"from": "human", "value": "<image>\n" + CRIME_SENTENCE},
                {"from": "gpt", "value": "Arson"},
            ],
        }
    ]
    (back,) = read_llava(path, split="test", source="UCF-Crime")
    assert back == pair(events=(), n_frames=None, fps=None, extra={})


def test_llava_slot_after_the_question(tmp_path):
    turns = [{"from": "human", "value": "What?\n<image>"}, {"from": "gpt", "value": "Rain."}]
    (tmp_path / "a.json").write_text(json.dumps([{"id": "1", "video": "a.mp4", "conversations": turns}]))
    assert read_llava(tmp_path / "a.json")[0].question == "What?"


HUMAN, GPT = {"from": "human", "value": "<image>\nQ"}, {"from": "gpt", "value": "A"}


@pytest.mark.parametrize(
    "record",
    [
        {"id": "1", "video": "a.mp4"},
        {"id": "1", "video": "a.mp4", "conversations": "x"},
        {"id": "1", "video": "a.mp4", "conversations": [HUMAN]},
        {"id": "1", "video": "a.mp4", "conversations": [HUMAN, GPT, HUMAN, GPT]},
        {"id": "1", "video": "a.mp4", "conversations": [{"from": "human", "value": "Q"}, GPT]},
        {"id": "1", "video": "", "conversations": [HUMAN, GPT]},
        7,
    ],
)
def test_llava_fault_names_file_and_record(tmp_path, record):
    (tmp_path / "a.json").write_text(json.dumps([record]))
    with pytest.raises(ValueError, match="a.json, record 0: "):
        read_llava(tmp_path / "a.json")


def test_train_and_test_must_not_share_clips():
    check_disjoint([pair(), pair(id="b", split="train", video="other.mp4")])
    with pytest.raises(ValueError, match="in train and in test.*Arson011"):
        check_disjoint([pair(), pair(id="b", split="train")])
    with pytest.raises(ValueError, match="occurs twice"):
        write_jsonl([pair(), pair()], "never-written.jsonl")
