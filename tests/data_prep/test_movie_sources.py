"""Guards what is taken from a film's folder: each passage word for word, all of the text, and evenly."""

from itertools import pairwise

import pytest
from made_up_films import PARAGRAPHS, SRT

from data_prep.movies.plan import plan
from data_prep.movies.sources import passages, read_films


def test_a_synopsis_that_is_too_long_is_not_summed_up_in_part(films):
    (films / "Beta" / "synopsis.txt").write_text("A long story. " * 100)
    requests, unmade = plan(read_films(films), passage_chars=900)
    assert [u for u in unmade if u.film == "Beta"] == [
        (
            "Beta",
            "summary",
            "Beta/synopsis.txt has 1400 characters and may not be cut for a summary; raise --passage-chars",
        )
    ]
    assert [r.n for r in requests if r.film.name == "Beta" and r.kind == "plot"] == [5, 5]


def test_pairs_are_spread_over_the_film(films):
    def asked(n, chars):
        per_film = {"summary": 0, "plot": 0, "detail": n}
        requests = [
            r for r in plan(read_films(films), per_film=per_film, passage_chars=chars)[0] if r.film.name[0] == "A"
        ]
        return [(r.n, r.passage.start) for r in requests]

    few, many = asked(5, 1500), asked(2, 100)
    assert [n for n, _ in few] == [2, 2, 1], "three passages"
    n_chars = len("\r\n".join(PARAGRAPHS))
    assert [(n, pytest.approx(at / n_chars, abs=0.05)) for n, at in many] == [(1, 0.25), (1, 0.75)]
    assert asked(0, 900) == []


@pytest.mark.parametrize(
    "text", ["\r\n".join(PARAGRAPHS), SRT, "word " * 999, "x" * 5000, "\n \n" + "A b. " * 300 + "\n\n"]
)
@pytest.mark.parametrize("most", [1, 100, 777, 10_000])
def test_passages_hold_everything_once(text, most):
    found = passages("f.txt", text, most)
    assert "".join("".join(p.text.split()) for p in found) == "".join(text.split())
    assert all(text[p.start : p.end] == p.text == p.text.strip() and 0 < len(p.text) <= most for p in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    if most == 777:
        assert min(len(p.text) for p in found) > most / 5, "no rest of a few words"


def test_passages_are_about_as_long_as_each_other():
    assert [len(p.text) for p in passages("f.txt", "x" * 2001, 1000)] == [667, 667, 667]


def test_passages_are_cut_between_paragraphs():
    found = passages("f.txt", "\r\n".join(PARAGRAPHS), 900)
    assert len(found) > 3 and all(p.text.startswith("Act ") and p.text.endswith("a ship.") for p in found)


def test_what_is_not_a_folder_of_films(films, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected one with a folder a film"):
        read_films(tmp_path / "none")
    with pytest.raises(ValueError, match="holds synopsis.txt itself: give the folder above"):
        read_films(films / "Alpha (1922)")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no folders"):
        read_films(tmp_path / "empty")
