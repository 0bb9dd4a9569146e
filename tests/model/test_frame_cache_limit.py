"""Guards a cache that may not grow: what was used longest ago goes, nothing of others does, and tokens stay right."""

import os

import pytest
import torch
from small import QUESTION, write_clip

from llamavid_kit.data.video import Video
from llamavid_kit.model.frame_cache import FrameCache, entries, prune

DAY_S = 86_400


@pytest.fixture
def clips(tmp_path):
    return [Video(write_clip(tmp_path / "clips" / f"{k}.mp4", seconds=1, seed=k)) for k in range(4)]


@pytest.fixture
def folder(model, clips, tmp_path):
    """A cache of four files, the first used four days ago, the last a day ago."""
    for k, clip in enumerate(clips):
        FrameCache(model, tmp_path / "cache").tokens(clip, QUESTION, fps=2)
        os.utime(newest(tmp_path / "cache"), (0, DAY_S * k))
    return tmp_path / "cache"


def newest(folder):
    return entries(folder)[-1].path


def test_what_was_read_last_stays(model, clips, folder):
    kept = entries(folder)
    assert [file.used_s for file in kept] == [0, DAY_S, 2 * DAY_S, 3 * DAY_S]
    assert [file.n_bytes for file in kept] == [file.path.stat().st_size for file in kept]
    FrameCache(model, folder).tokens(clips[0], QUESTION, fps=1)
    total = sum(file.n_bytes for file in kept)
    assert prune(folder, total) == []
    assert [file.path for file in prune(folder, total - 1)] == [kept[1].path]
    assert [file.path for file in prune(folder, kept[0].n_bytes + 1)] == [kept[2].path, kept[3].path]
    assert [file.path for file in entries(folder)] == [kept[0].path]
    assert len(prune(folder, 0)) == 1 and entries(folder) == []


def test_files_of_others_stay_and_do_not_count(folder):
    (ours, *_) = entries(folder)
    name = ours.path.name
    others = [
        "model.safetensors",
        name.upper(),
        f"{name}.txt",
        f"0{name}",
        f".{ours.path.stem}.123-0123abcd.partial.safetensors",
        "notes.txt",
    ]
    for other in others:
        (folder / other).write_bytes(b"x" * 100_000)
    (folder / f"{'0' * 32}-{'0' * 16}.safetensors").mkdir()
    (folder / f"{'1' * 32}-{'1' * 16}.safetensors").symlink_to(folder / "notes.txt")
    (folder / "below").mkdir()
    (folder / "below" / name).write_bytes(b"x")
    before = {path.name for path in folder.iterdir()}
    kept = {file.path.name for file in entries(folder)}
    assert len(kept) == 4
    prune(folder, 0)
    assert {path.name for path in folder.iterdir()} == before - kept and (folder / "below" / name).exists()


def test_the_limit_holds_after_every_file(model, clips, folder, tmp_path, caplog):
    """Two files fit: all clips are asked about twice, each looked at again, and each gets its own tokens."""
    limit, expected = 2 * entries(folder)[0].n_bytes, [FrameCache(model).tokens(c, QUESTION, fps=2)[0] for c in clips]
    cache = FrameCache(model, tmp_path / "small", limit_bytes=limit)
    for clip, tokens in zip([*clips, *clips], [*expected, *expected], strict=True):
        got, _ = cache.tokens(clip, QUESTION, fps=2)
        assert torch.equal(got.context, tokens.context) and torch.equal(got.content, tokens.content)
        assert sum(file.n_bytes for file in entries(tmp_path / "small")) <= limit
    assert len(entries(tmp_path / "small")) == 2
    assert caplog.text.count("small is full: what was used longest ago goes") == 1
    nothing = FrameCache(model, tmp_path / "none", limit_bytes=limit // 4)  # not one fits
    assert len(nothing.tokens(clips[0], QUESTION, fps=2)[0]) == 2 and entries(tmp_path / "none") == []


def test_a_cache_that_is_only_read_is_read(model, clips, folder, monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr("llamavid_kit.model.frame_cache.os.utime", refuse)
    assert len(FrameCache(model, folder).tokens(clips[0], QUESTION, fps=2)[0]) == 2


def test_what_another_process_removed_first_is_gone_all_the_same(folder, monkeypatch):
    kept = entries(folder)
    monkeypatch.setattr("llamavid_kit.model.frame_cache.entries", lambda _: kept)
    kept[0].path.unlink()
    assert prune(folder, 0) == kept and list(folder.iterdir()) == []
