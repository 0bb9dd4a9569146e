"""Guards the reading of real-world subtitle files, and that no frame gets words from another part of the film."""

import logging

import pytest

from llamavid_kit.data.subtitles import Cue, frame_texts, read_subtitles

VTT = """WEBVTT - a title

STYLE
::cue { color: red }

NOTE a comment

intro
00:01.000 --> 00:02.500 align:start
<v Anna>Salt &amp; <i>pepper</i></v>
for two

NOTE 17
between

02:00:03.250 --> 02:00:04.000
Ka<02:00:03.500>raoke in
1917
"""
SRT = (
    '\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\n<font color="x">Café</font>\r\n- you\r\n\r\n'
    "2\r\n00:00:03,000 --> 00:00:04,000\r\n\r\n"
    "3\r\n00:00:09,000 --> 00:00:08,000\r\nbackwards\r\n\r\n"
    "4\r\n00:00:05,040 --> 00:00:06,000\r\n1917\r\n"
)


def test_vtt(tmp_path):
    path = tmp_path / "film.vtt"
    path.write_text(VTT, encoding="utf-8")
    assert read_subtitles(path) == [Cue(1.0, 2.5, "Salt & pepper for two"), Cue(7203.25, 7204.0, "Karaoke in 1917")]


def test_srt_with_windows_lines_and_sloppy_cues(tmp_path, caplog):
    path = tmp_path / "film.SRT"
    path.write_bytes(SRT.encode())
    assert read_subtitles(path) == [Cue(1.0, 2.0, "Café - you"), Cue(5.04, 6.0, "1917")]
    assert "left out 1 cues that end before they start" in caplog.text and "backwards" in caplog.text


def test_cue_times_that_were_not_used_are_counted(tmp_path, caplog):
    path = tmp_path / "film.vtt"
    path.write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n\n00:03,000 --> 00:04,000\ncommas\n")
    assert [cue.text for cue in read_subtitles(path)] == ["Hi"]
    assert "1 of 2 cue times could not be used" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.sub", b"{1}{2}Hi", "'.sub', expected .srt or .vtt"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nCafé\n".encode("latin-1"), "not UTF-8.*iconv"),
        ("a.srt", b"just a text\n", "could not be read as .srt"),
        ("a.vtt", b"WEBVTT\n", "holds no subtitles"),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\n\n", "holds no subtitles"),
    ],
)
def test_what_is_not_subtitles(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_subtitles(tmp_path / name)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected subtitles"):
        read_subtitles(tmp_path / "none.srt")


CUES = [
    Cue(0, 10, "early"),
    Cue(9.5, 10.5, "first"),
    Cue(11.2, 11.8, "between"),
    Cue(11.5, 12, "too"),
    Cue(13.5, 99, "open"),
    Cue(14, 15, "late"),
]


def test_a_cue_goes_to_the_last_frame_before_it_ends(caplog):
    caplog.set_level(logging.INFO)
    assert frame_texts(CUES, [10, 11, 12, 13], end_s=14) == ["first", "between too", "", "open"]
    assert "2 of 6 subtitles lie outside the 4 frames" in caplog.text


def test_without_an_end_the_last_frame_speaks_for_what_follows():
    assert frame_texts(CUES, [10, 11, 12, 13]) == ["first", "between too", "", "open late"]


def test_the_original_writes_an_early_cue_to_the_last_frame():
    assert frame_texts(CUES, [10, 11, 12, 13], rule="original") == ["first", "between too", "", "early open late"]


@pytest.mark.parametrize("times", [[], [0, 0], [1, 0], [0, float("nan")], [[0, 1]]])
def test_frame_times_must_increase(times):
    with pytest.raises(ValueError, match="expected increasing seconds"):
        frame_texts(CUES, times)


@pytest.mark.parametrize("bad", [{"rule": "nearest"}, {"end_s": 0.5}, {"end_s": 9, "rule": "original"}])
def test_frame_texts_refuses(bad):
    with pytest.raises(ValueError, match="rule|end_s"):
        frame_texts(CUES, [0, 1], **bad)
