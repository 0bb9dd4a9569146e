"""What a clip says of itself, and its frames: in any order, in pieces, under another name, pickled."""

import pickle

import numpy as np
import pytest
from timed_clips import CFR_MS, READERS, write_clip

from llamavid_kit.data.video import Video, VideoError


def test_what_a_clip_says(tiny_clip):
    video = Video(tiny_clip)
    assert (video.n_frames, video.height, video.width) == (90, 64, 96)
    assert video.fps == pytest.approx(30, abs=0.01) and video.duration_s == pytest.approx(3, abs=0.002)
    np.testing.assert_allclose(video.timestamps_s, np.array(CFR_MS) / 1000, atol=1e-9)
    assert video.reader in READERS and video.reader_reason
    assert "90 frames" in repr(video) and "tiny.mp4" in repr(video)


@pytest.mark.parametrize("reader", READERS)
def test_frames_in_any_order(tiny_clip, reader):
    video = Video(tiny_clip, reader=reader)
    whole = video.frames(range(90))
    assert whole.shape == (90, 64, 96, 3) and whole.dtype == np.uint8
    greys = whole[:, 60, 5].mean(axis=1)
    np.testing.assert_allclose(greys, [(i * 37) % 256 for i in range(90)], atol=12)  # the right picture at each index
    for indices in ([80, 3, 3, 50], [0], [89, 0], list(range(89, 0, -7))):
        np.testing.assert_array_equal(video.frames(indices), whole[indices])
    assert video.frames([]).shape == (0, 64, 96, 3)
    for wrong in ([90], [-1], [0, 500]):
        with pytest.raises(IndexError, match="the clip has 0 to 89"):
            video.frames(wrong)
    with pytest.raises(TypeError, match="flat list of integers"):
        video.frames([0.5])


@pytest.mark.parametrize("reader", READERS)
def test_chunks_are_the_frames_in_small_pieces(tiny_clip, reader):
    video = Video(tiny_clip, reader=reader)
    sample = video.sample(12)
    pieces = list(video.chunks(sample, chunk=7))
    assert [len(frames) for _, _, frames in pieces] == [7, 7, 7, 7, 7, 1]
    np.testing.assert_array_equal(np.concatenate([p[0] for p in pieces]), sample.indices)
    np.testing.assert_array_equal(np.concatenate([p[1] for p in pieces]), sample.timestamps_s)
    np.testing.assert_array_equal(np.concatenate([p[2] for p in pieces]), video.frames(sample.indices))
    with pytest.raises(ValueError, match="chunk=0"):
        next(video.chunks(sample, chunk=0))


def test_content_key(tiny_clip, tmp_path):
    copy = tmp_path / "other name.mp4"
    copy.write_bytes(tiny_clip.read_bytes())
    assert Video(copy).content_key() == Video(tiny_clip).content_key()
    assert len(Video(copy).content_key()) == 64
    other = write_clip(tmp_path / "other.mp4", CFR_MS[:30])
    assert Video(other).content_key() != Video(copy).content_key()


def test_pickled_and_many(tiny_clip):
    video = Video(tiny_clip)
    frames = video.frames([3, 4])
    again = pickle.loads(pickle.dumps(video))
    assert again.content_key() == video.content_key()
    np.testing.assert_array_equal(again.frames([3, 4]), frames)
    error = pickle.loads(pickle.dumps(VideoError("clip.mp4", "cause", "way out")))
    assert str(error) == "clip.mp4: cause; way out" and isinstance(error, ValueError)


def test_unusual_reader_name(tiny_clip):
    with pytest.raises(ValueError, match="'auto', 'decord' or 'pyav'"):
        Video(tiny_clip, reader="opencv")
