"""Guards the reading of real-world subtitle files, and that no frame gets words from another part of the film."""

import logging
import re
import shutil
import subprocess

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
    path.write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n\n00:99.000 --> 00:04.000\nminutes\n\nNOTE --\n\nstray\n")
    assert [cue.text for cue in read_subtitles(path)] == ["Hi"]
    assert "left out 2 cues without times that can be read, first 'minutes'" in caplog.text


def srt(*cues: str) -> str:
    """Cues of one second each, at 1, 3, 5 … s."""
    times = (f"00:00:{2 * k - 1:02d},000 --> 00:00:{2 * k:02d},000" for k in range(1, len(cues) + 1))
    return "".join(f"{k}\n{time}\n{cue}\n\n" for k, (time, cue) in enumerate(zip(times, cues, strict=True), 1))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (r"{\an8}Look up!", "Look up!"),
        (r"{\i1}Who is{\i0} there?\NNobody.", "Who is there? Nobody."),
        (r"<i>Run</i>,\hrun!", "Run, run!"),
        (r"{\pos(192,220)\c&H00FF00&}Here{an8}", "Here"),
        ('<FONT color="#fff">No</FONT> <b>way', "No way"),
        ("<c.yellow.bg_blue>Oh</c> <v Roger Bingham>yes <lang en>you", "Oh yes you"),
        ("I <3 you, 1 < 2 > 0 {really}", "I <3 you, 1 < 2 > 0 {really}"),
        ("&lt;i&gt; is&nbsp;no&#32;tag", "<i> is no tag"),
    ],
)
def test_markup_is_removed_and_nothing_else(tmp_path, line, text):
    path = tmp_path / "film.srt"
    path.write_text(srt(line, "1917"), encoding="utf-8")
    assert read_subtitles(path) == [Cue(1, 2, text), Cue(3, 4, "1917")]


@pytest.mark.parametrize(
    "times",
    [
        "00:01,000 --> 00:02,500",
        "00:00:01 --> 00:00:02.5",
        "0:0:1,0-->0:0:2,50",
        "00:00:01,000 --> 00:00:02,500 X1:9 Y1:2",
    ],
)
def test_short_times_and_positions(tmp_path, times):
    path = tmp_path / "film.srt"
    path.write_text(f"1\n{times}\nHi\n\n")
    assert read_subtitles(path) == [Cue(1, 2.5, "Hi")]
    path = tmp_path / "film.vtt"
    path.write_text(f"WEBVTT\n{times.split(' X')[0]} line:0 position:20%,line-left align:start\nHi\n")
    assert read_subtitles(path) == [Cue(1, 2.5, "Hi")]


@pytest.mark.parametrize(
    ("lost", "first"),
    [
        ("2\nSecond.\n\n", "Second."),
        ("2\n00:00:03,000 -> 00:00:04,000\nSecond.\n\n", "00:00:03,000 -> 00:00:04,000 Second."),
        ("2\n00:00:03,000 --> 00:00:04:12\nSecond.\n\n", "Second."),
        ("2\nSecond.\n", "Second."),
    ],
)
def test_a_cue_that_lost_its_times_is_counted_and_not_glued(tmp_path, caplog, lost, first):
    """Its text would be heard at another time. A number at the end of the file has no text to lose."""
    before, _, after = srt("First.", "Second.", "Third.").partition("2\n00:00:03,000 --> 00:00:04,000\nSecond.\n\n")
    path = tmp_path / "film.srt"
    for text in (before + lost + after + "4\n", before.rstrip("\n") + "\n" + lost + after):
        caplog.clear()
        path.write_text(text)
        assert read_subtitles(path) == [Cue(1, 2, "First."), Cue(5, 6, "Third.")]
        assert f"left out 1 cues without times that can be read, first {first!r}" in caplog.text


def test_empty_lines_where_none_should_be_and_none_where_one_should(tmp_path, caplog):
    cues = [Cue(1, 2, "First. still"), Cue(3, 4, "3 2 1")]
    for text in (srt("First.\n\nstill", "3\n2\n1"), srt("First.\nstill", "3\n2\n1").replace("\n\n", "\n")):
        (tmp_path / "film.srt").write_text(text)
        assert read_subtitles(tmp_path / "film.srt") == cues
    (tmp_path / "film.srt").write_text(srt("First.", "Second.").replace("\n", "\n\n"))
    assert read_subtitles(tmp_path / "film.srt") == [Cue(1, 2, "First."), Cue(3, 4, "Second.")]
    assert not caplog.text


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:01.000 --> 00:00:03.000 align:start position:0%
 
hello<00:00:01.500><c> there</c>

00:00:03.000 --> 00:00:03.010 align:start position:0%
hello there
 

00:00:03.010 --> 00:00:05.000 align:start position:0%
hello there
general<00:00:03.500><c> kenobi</c>

00:00:05.000 --> 00:00:05.010 align:start position:0%
general kenobi
 
"""


def test_lines_of_rolling_captions_are_said_once(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "film.vtt"
    path.write_text(ROLLING)
    assert read_subtitles(path) == [Cue(1, 3, "hello there"), Cue(3.01, 5, "general kenobi")]
    assert "3 lines of rolling captions were shown again and are read once" in caplog.text
    path = tmp_path / "film.srt"  # each line stays until the next but one comes: cues overlap
    path.write_text(
        "1\n00:00:01,000 --> 00:00:04,000\none\n\n2\n00:00:02,000 --> 00:00:06,000\none\ntwo\n\n"
        "3\n00:00:04,000 --> 00:00:06,000\ntwo\nthree\n"
    )
    assert [cue.text for cue in read_subtitles(path)] == ["one", "two", "three"]


@pytest.mark.parametrize("number", ["\u00b2", "\ufeff1", "9" * 5000])
def test_odd_numbers_of_cues(tmp_path, number):
    path = tmp_path / "film.srt"
    path.write_text(f"{number}\n00:00:01,000 --> 00:00:02,000\nHi\n\n{srt('Ho')}", encoding="utf-8")
    assert [cue.text for cue in read_subtitles(path)] == ["Hi", "Ho"]


def test_what_is_said_twice_or_at_once_is_kept(tmp_path):
    path = tmp_path / "film.srt"
    path.write_text(srt("No.", "No.") + "3\n00:00:03,500 --> 00:00:06,000\nYes.\n")
    assert read_subtitles(path) == [Cue(1, 2, "No."), Cue(3, 4, "No."), Cue(3.5, 6, "Yes.")]


@pytest.mark.skipif(not shutil.which("iconv"), reason="no iconv here")
def test_the_advice_for_another_encoding_works(tmp_path):
    path = tmp_path / "old.srt"
    path.write_bytes(srt("Café").encode("cp1252"))
    with pytest.raises(ValueError, match="iconv") as raised:
        read_subtitles(path)
    command = re.search(r"iconv .* > NEW", str(raised.value))[0]
    command = command.replace("FILE", str(path)).replace("NEW", str(tmp_path / "new.srt"))
    subprocess.run(command, shell=True, check=True)
    assert read_subtitles(tmp_path / "new.srt") == [Cue(1, 2, "Café")]


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
