"""Guards what is taken from a film's folder: each passage word for word, all of the text, none too short."""

from itertools import pairwise

import pytest
from made_up_films import PARAGRAPHS, SRT

from data_prep.movies.sources import passages, read_films


@pytest.mark.parametrize(
    "text", ["\r\n".join(PARAGRAPHS), SRT, "word " * 999, "x" * 5000, "\n \n" + "A b. " * 300 + "\n\n"]
)
@pytest.mark.parametrize("most", [1, 100, 777, 10_000])
def test_passages_hold_everything_once(text, most):
    pieces = passages("f.txt", text, most)
    assert "".join("".join(p.text.split()) for p in pieces) == "".join(text.split())
    assert all(text[p.start : p.end] == p.text == p.text.strip() and 0 < len(p.text) <= most for p in pieces)
    assert all(a.end <= b.start for a, b in pairwise(pieces))
    if most == 777:
        assert min(len(p.text) for p in pieces) > most / 5, "no rest of a few words"


def test_passages_are_about_as_long_as_each_other():
    assert [len(p.text) for p in passages("f.txt", "x" * 2001, 1000)] == [667, 667, 667]


def test_passages_are_cut_between_paragraphs():
    pieces = passages("f.txt", "\r\n".join(PARAGRAPHS), 900)
    assert len(pieces) > 3 and all(p.text.startswith("Act ") and p.text.endswith("a ship.") for p in pieces)


def test_what_is_not_a_folder_of_films(films, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected one with a folder a film"):
        read_films(tmp_path / "none")
    with pytest.raises(ValueError, match="holds synopsis.txt itself: give the folder above"):
        read_films(films / "Alpha (1922)")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no folders"):
        read_films(tmp_path / "empty")
