"""Guards what is asked about each film: which passages, and how the pairs are spread over them."""

import pytest
from made_up_films import PARAGRAPHS

from data_prep.movies.plan import plan
from data_prep.movies.sources import read_films


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
    def spread(n, chars):
        per_film = {"summary": 0, "plot": 0, "detail": n}
        requests = [
            r for r in plan(read_films(films), per_film=per_film, passage_chars=chars)[0] if r.film.name[0] == "A"
        ]
        return [(r.n, r.passage.start) for r in requests]

    few, many = spread(5, 1500), spread(2, 100)
    assert [n for n, _ in few] == [2, 2, 1], "three passages"
    n_chars = len("\r\n".join(PARAGRAPHS))
    assert [(n, pytest.approx(at / n_chars, abs=0.05)) for n, at in many] == [(1, 0.25), (1, 0.75)]
    assert spread(0, 900) == []
