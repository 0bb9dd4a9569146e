"""Frames and subtitles in one turn."""

import pytest

from llamavid_kit.data.films import MOVIE_END, MOVIE_START, interleave, movie_turn, query_of, show_frames
from llamavid_kit.data.prompt import human_turn


def test_interleave():
    assert interleave(["", "Hello.", "so..."]) == "<image><image>Hello.<image>so"
    assert interleave(["a...b"], tokens_per_frame=3, ellipses="keep") == "<image><image><image>a...b"
    for bad in ({"texts": ["an <image>"]}, {"texts": ["a"], "tokens_per_frame": 0}, {"texts": ["a"], "ellipses": ""}):
        with pytest.raises(ValueError, match="expected|the mark of a frame"):
            interleave(**bad)


def test_a_whole_turn():
    turn = movie_turn("Who wins?")
    assert show_frames(turn, interleave(["Hi", ""])) == f"{MOVIE_START}<image>Hi<image>{MOVIE_END}\nWho wins?"
    assert query_of(turn) == f"{MOVIE_START}{MOVIE_END}\nWho wins?"
    assert query_of(human_turn("Who wins?")) == "Who wins?"
    for function in (query_of, lambda turn: show_frames(turn, "")):
        with pytest.raises(ValueError, match="2 times <image>"):
            function("<image><image> Who?")
