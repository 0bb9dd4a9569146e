"""Guards that a byte that is no UTF-8, in any file that is read back, names file and line and the way out."""

import pytest
from made_up_runs import MadeUp, write_run

from data_prep.animal_kingdom.lists import read_durations, read_sheet
from data_prep.dataset import lines_of
from data_prep.ucf_crime.lists import read_frame_counts
from llamavid_kit.data.clips_csv import clips_from_csv
from llamavid_kit.data.pairs import read_jsonl, read_llava
from llamavid_kit.data.subtitles import read_subtitles
from llamavid_kit.evaluation.benchmarks.reading import read_rows
from llamavid_kit.evaluation.visibility import read_events
from llamavid_kit.experiments.run import Run
from llamavid_kit.files import append, check_shape, claim, csv_text, read_json, read_replies, read_text, resume
from llamavid_kit.model.original.tensors import read_object
from llamavid_kit.model.tokenizers import load_llm_tokenizer
from llamavid_kit.study.logs import read_log

LINES = b"first\nsecond\nM\xfcller, third\n"  # Latin-1


@pytest.mark.parametrize(
    ("read", "ending"),
    [
        (read_text, "txt"),
        (csv_text, "csv"),
        (read_events, "csv"),
        (clips_from_csv, "csv"),
        (read_log, "csv"),
        (read_frame_counts, "csv"),
        (read_sheet, "csv"),
        (read_jsonl, "jsonl"),
        (read_llava, "json"),
        (lambda path: list(lines_of(path)), "txt"),
        (lambda path: read_rows(path, {}), "json"),
        (read_subtitles, "srt"),
        (lambda path: read_json(path, way_out="write it again"), "json"),
        (lambda path: claim(path, {}), "json"),
        (read_replies, "jsonl"),
        (lambda path: resume(path, {}, n=3, batch=1), "jsonl"),
    ],
)
def test_the_line_is_named(read, ending, tmp_path):
    path = tmp_path / f"made_up.{ending}"
    path.write_bytes(LINES)
    with pytest.raises(ValueError, match=rf"made_up\.{ending}, line 3 is not UTF-8 \(byte 0xfc\); \w+") as raised:
        read(path)
    assert not isinstance(raised.value, UnicodeDecodeError)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "9" * 5000, "\ufeff{}", "{\n"], ids=["deep", "long", "mark", "torn"]
)
@pytest.mark.parametrize(
    "read",
    [
        read_jsonl,
        read_llava,
        lambda path: read_rows(path, {}),
        lambda path: read_json(path, way_out="write it again"),
        lambda path: claim(path, {}),
        read_object,
        read_durations,
        lambda path: load_llm_tokenizer(path.parent),
    ],
)
def test_json_that_python_cannot_take(read, content, tmp_path):
    """Lists in lists and numbers of many digits fail in ways of their own; the file and the way out are named."""
    path = tmp_path / "added_tokens.json"
    path.write_text(content, encoding="utf-8")
    (tmp_path / "tokenizer.model").write_bytes(b"x")
    if content.startswith("\ufeff") and read is read_durations:
        content = "a list is expected"  # the authors' files may begin with a mark
    with pytest.raises(ValueError, match=r"added_tokens\.json(, line 1)?( is not JSON|: ).*; ?\w+") as raised:
        read(path)
    assert "is not JSON" in str(raised.value) or content == "a list is expected"


SHAPE = {"name": str, "n": (int, None), "rows?": [{"share": float}], "by_name": {str: bool}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 1}, "x.json, name: 1, expected a text; again"),
        ({"n": 1.5}, "x.json, n: 1.5, expected a whole number or null"),
        ({"n": True}, "x.json, n: True, expected a whole number"),
        ({"rows": {}}, "x.json, rows: {}, expected a list"),
        ({"rows": [{"share": 1}, {"share": "1"}]}, r"x.json, rows\[1\], share: '1', expected a number"),
        ({"rows": [[]]}, r"x.json, rows\[0\]: \[\], expected an object"),
        ({"by_name": {"a": 0}}, r"x.json, by_name\[0\]: 0, expected true or false"),
    ],
)
def test_a_field_of_another_kind_is_named(change, message):
    value = {"name": "a", "n": None, "by_name": {"a": True}, "more": object()}
    check_shape(value, SHAPE, "x.json", way_out="again")
    with pytest.raises(ValueError, match=message):
        check_shape(value | change, SHAPE, "x.json", way_out="again")
    with pytest.raises(ValueError, match="x.json: by_name is missing; again"):
        check_shape({"name": "a", "n": 1}, SHAPE, "x.json", way_out="again")


def test_text_is_read_as_before(tmp_path):
    """Line ends of every kind, a mark at the beginning, letters beyond ASCII."""
    path = tmp_path / "a.txt"
    path.write_bytes("eins\r\nzwei\rdrei\u2028 \u00fc\n".encode())
    assert read_text(path) == path.read_text(encoding="utf-8") == "eins\nzwei\ndrei\u2028 \u00fc\n"
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n"x\r\ny",1\r\n')
    assert read_text(path, encoding="utf-8-sig") == 'a,b\n"x\ny",1\n'
    with path.open(newline="", encoding="utf-8-sig") as file:
        assert list(csv_text(path)) == list(file)


def test_a_reply_file_goes_on_where_the_error_says(tmp_path):
    """The way out is one: without the damaged line and those after it the run is finished as if never disturbed."""
    path, head = tmp_path / "replies.jsonl", {"model": "m"}
    assert resume(path, head, n=4, batch=1) == 0
    append(path, [{"id": str(k), "reply": f"r\u00e9ponse {k}"} for k in range(4)])
    whole = path.read_bytes()
    path.write_bytes(whole.replace("r\u00e9ponse 2".encode(), b"r\xe9ponse 2"))
    for read in (read_replies, lambda path: resume(path, head, n=4, batch=1)):
        with pytest.raises(ValueError, match=r"line 4 is not UTF-8 \(byte 0xe9\); delete this line and all after it"):
            read(path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    assert resume(path, head, n=4, batch=1) == 2
    append(path, [{"id": str(k), "reply": f"r\u00e9ponse {k}"} for k in (2, 3)])
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", ["5", '"text"', "[]", "[" * 100_000, '{"id": '])
def test_a_line_that_is_no_object_is_damaged(line, tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_text(f'{{"arm": {{}}}}\n{line}\n')
    with pytest.raises(ValueError, match=r"replies\.jsonl, line 2 is damaged: .*; delete this line and all after it"):
        read_replies(path)
    path.write_text('{"run": {}}\n')
    with pytest.raises(ValueError, match="line 1: not the head of a arm"):
        read_replies(path)


@pytest.mark.parametrize("name", ["config.json", "clips.json", "arms/zero-shot-1fps-generation.jsonl"])
def test_a_run_folder_names_its_damaged_file(name, tmp_path):
    run = write_run(tmp_path / "run", MadeUp({(False, 1): 0.5}, n_test=4, answering=("generation",)))
    file = run / name
    for content in (file.read_bytes() + b"\xff\n", b"{\n"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{file.name}(, line \d+)? is (not UTF-8|not JSON|damaged).*; .* again"):
            Run(run).replies  # noqa: B018
