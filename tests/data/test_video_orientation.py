"""Four turns, mirrored or not, through both readers; what a matrix may say besides; and very narrow pictures."""

import numpy as np
import pytest
from marked_clips import ORIENTATIONS, VIDEOS, copy_stream, corners, write_corners
from timed_clips import READERS

from llamavid_kit.data.video import Video, VideoError

HALF_TURN = (-1, 0, 0, -1)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("matrix, wanted", ORIENTATIONS.items())
@pytest.mark.parametrize("width", [64, 98])
def test_eight_orientations(tmp_path, reader, matrix, wanted, width):
    video = Video(write_corners(tmp_path / "a.mp4", width=width, matrix=matrix), reader=reader)
    frames = video.frames([0, 2])
    assert corners(frames[0]) == corners(frames[1]) == wanted
    assert frames.shape[1:] == ((48, width, 3) if matrix[0] else (width, 48, 3)) == (video.height, video.width, 3)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name, wanted", [("plain", "RG/BK"), ("hflip", "GR/KB"), ("rot180", "KB/GR")])
def test_kept_clips(reader, name, wanted):
    assert corners(Video(VIDEOS / f"{name}.mp4", reader=reader).frames([4])[0]) == wanted


def test_a_narrow_quarter_turn():
    """decord hands out 4 channels, the fourth of it padding."""
    by_decord, by_pyav = (Video(VIDEOS / "rot90_64x48.mp4", reader=reader).frames(range(5)) for reader in READERS)
    assert by_decord.shape == (5, 64, 48, 3)
    np.testing.assert_array_equal(by_decord, by_pyav)


@pytest.mark.parametrize("width", [2, 8, 10, 16, 24, 34, 48])
def test_narrow_clips(tmp_path, width):
    path = write_corners(tmp_path / "a.mp4", width=width)
    by_decord, by_pyav = (Video(path, reader=reader).frames([0, 1]) for reader in READERS)
    np.testing.assert_array_equal(by_decord, by_pyav)


@pytest.mark.parametrize("matrix, wanted", list(ORIENTATIONS.items())[1:])
def test_matroska_where_decord_does_not_turn(tmp_path, matrix, wanted):
    path = write_corners(tmp_path / "a.mkv", matrix=matrix)
    assert corners(Video(path).frames([0])[0]) == wanted


def test_a_turn_in_the_stream_itself(tmp_path):
    """H.264 may carry it (SEI); decord does not look there."""
    edit = "h264_metadata=display_orientation=insert:flip=horizontal"
    path = copy_stream(write_corners(tmp_path / "a.mp4"), tmp_path / "b.mp4", bit_filter=edit)
    assert corners(Video(path).frames([0])[0]) == "GR/KB"
    with pytest.raises(VideoError, match="decord does not turn it.*use reader='auto'"):
        Video(path, reader="decord")


def test_a_black_first_picture_tells_nothing(tmp_path):
    for suffix in ("mp4", "mkv"):
        path = write_corners(tmp_path / f"a.{suffix}", matrix=HALF_TURN, black_first=True)
        video = Video(path)
        assert video.reader == "pyav" and corners(video.frames([2])[0]) == "KB/GR"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "matrix, wanted",
    [
        ((2, 0, 0, 2), "RG/BK"),
        ((-2, 0, 0, 1), "GR/KB"),
        ((0, 0.5, -0.5, 0), "BR/KG"),
        ((0.99996, 0.00873, -0.00873, 0.99996), "RG/BK"),  # half a degree
        ((0, 0, 0, 0), "RG/BK"),
        ((1, 0, 0, 0), "RG/BK"),
    ],
)
def test_scale_and_nonsense_are_left_out(tmp_path, caplog, reader, matrix, wanted):
    video = Video(write_corners(tmp_path / "a.mp4", matrix=matrix), reader=reader)
    assert corners(video.frames([1])[0]) == wanted
    assert ("shows nothing" in caplog.text) == (np.linalg.det(np.reshape(matrix, (2, 2))) == 0)


@pytest.mark.parametrize("matrix", [(0.866, 0.5, -0.5, 0.866), (0.707, 0.707, -0.707, 0.707), (1, 0.5, 0, 1)])
def test_other_turns_are_refused(tmp_path, matrix):
    with pytest.raises(VideoError, match=r"degrees or slants it; expected quarter turns; make an upright copy"):
        Video(write_corners(tmp_path / "a.mp4", matrix=matrix))
