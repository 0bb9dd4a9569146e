"""Two processes on one folder: the second is refused and told who writes, nothing is doubled or mixed, and a lock ends
with its process.
"""

import json
import multiprocessing
import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
import torch
from colour_clips import good_clips
from safetensors.torch import save_file
from small import QUESTION, small_model, write_clip

from llamavid_kit.data.video import Video
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.run import Run
from llamavid_kit.files import BusyError, CheckpointError, filling, partial_path, whole, write_whole, writing
from llamavid_kit.model import frame_cache
from llamavid_kit.model.frame_cache import FrameCache

FORK = multiprocessing.get_context("fork")


def forked(function, *args) -> multiprocessing.Process:
    process = FORK.Process(target=function, args=args)
    process.start()
    return process


def hold(folder: Path, ready: Path, seconds: float = 60) -> None:
    with writing(folder):
        ready.touch()
        time.sleep(seconds)


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.01)


@pytest.fixture
def holder(tmp_path):
    """A process that holds `tmp_path / "run"`."""
    process = forked(hold, tmp_path / "run", tmp_path / "ready")
    wait_for(tmp_path / "ready")
    yield process
    process.kill()
    process.join()


def test_who_comes_second_is_told_who_writes(holder, tmp_path):
    who = f"process {holder.pid} on {re.escape(socket.gethostname())} since 20"
    message = f"run is being written by {who}.*: wait for it, or give another folder"
    with pytest.raises(BusyError, match=message), writing(tmp_path / "run"):
        pytest.fail("written by two")
    with writing(tmp_path / "other"):
        pass


def test_a_lock_ends_with_its_process_and_so_do_its_parts(holder, tmp_path):
    (tmp_path / "run" / "arms").mkdir()
    for place in (tmp_path / "run", tmp_path / "run" / "arms"):
        partial_path(place / "a.json").write_text("{")
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with writing(tmp_path / "run"):
        assert {path.name for path in (tmp_path / "run").rglob("*")} == {"arms", ".lock", ".writer.json"}
    assert {path.name for path in (tmp_path / "run").rglob("*")} == {"arms", ".lock"}


def test_a_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(KeyError), writing(tmp_path):
        raise KeyError
    with writing(tmp_path):
        pass


def test_a_model_that_was_not_finished_is_begun_anew(tmp_path):
    """What the interrupted one left goes; a finished model, and somebody's files, stay and are named."""
    folder = tmp_path / "model"
    with pytest.raises(KeyError), filling(folder):
        (folder / "model-00001-of-00002.safetensors").touch()
        (folder / "original").mkdir()
        raise KeyError
    with filling(folder):
        assert [path.name for path in folder.glob("[!.]*")] == []
        (folder / "config.json").touch()
    with pytest.raises(CheckpointError, match=f"{folder} holds a model already"), filling(folder):
        pytest.fail("written over")
    (folder / "config.json").rename(folder / "somebody's.txt")
    with pytest.raises(CheckpointError, match=f"{folder} is not empty"), filling(folder):
        pytest.fail("emptied")
    assert [path.name for path in folder.glob("[!.]*")] == ["somebody's.txt"]


def test_two_that_write_one_file_leave_one_of_them_whole(tmp_path):
    path, texts = tmp_path / "a.json", [letter * 200_000 for letter in "ab"]

    def write(text: str) -> None:
        for _ in range(50):
            write_whole(path, text)

    processes = [forked(write, text) for text in texts]
    while any(process.is_alive() for process in processes):
        assert not path.exists() or path.read_text() in texts
    assert [process.exitcode for process in processes] == [0, 0] and path.read_text() in texts
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


CONFIG = AblationConfig(model="small", fps=(1, 4), finetune=False, batch=2, max_new_tokens=4)


def test_two_ablations_on_one_folder_give_the_replies_once(tokenizers, tmp_path):
    """Started at the same moment, several times: one ends, the other is refused; every clip has one reply an arm."""
    pairs = good_clips(tmp_path / "clips", n_test=4, n_train=0)

    def go(out: Path, log: Path) -> None:
        try:
            ablate(pairs, root=tmp_path / "clips", out=out, config=CONFIG, model=small_model(*tokenizers))
        except BusyError as error:
            log.write_text(str(error))

    go(tmp_path / "calm", tmp_path / "none")
    for k in range(3):
        out = tmp_path / f"run{k}"
        logs = [tmp_path / f"log{k}{i}" for i in range(2)]
        processes = [forked(go, out, log) for log in logs]
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        assert sum(log.exists() for log in logs) <= 1  # or one ended before the other began
        for name in ("arms", "clips.json"):
            paths = [out / name] if "." in name else sorted((out / name).iterdir())
            for path in paths:
                assert path.read_bytes() == (tmp_path / "calm" / path.relative_to(out)).read_bytes()
        assert Run(out).check().startswith("4 arms answered the same 4 clips")
        assert not list(out.rglob("*.partial"))


def test_a_cache_file_that_is_exchanged_while_it_is_read_is_one_of_both(tmp_path, monkeypatch):
    """Two sizes under one name: header and data must come from one file."""
    path, entries = tmp_path / "a.safetensors", []
    for n in (3, 40):
        values = torch.full((n, 1, 8), float(n))
        entry = {"indices": torch.arange(n), "context": values, "content": values.clone()}
        entries.append(entry | {frame_cache.DIGEST: frame_cache._digest(entry)})

    def exchange() -> None:
        for k in range(300):
            save_file(entries[k % 2], partial := partial_path(path))
            partial.replace(path)

    save_file(entries[0], path)
    writer = forked(exchange)
    n_reads = 0
    while writer.is_alive():
        entry = frame_cache._read(path)
        n = len(entry["indices"])
        assert entry["context"].shape == (n, 1, 8) and bool((entry["context"] == n).all())
        n_reads += 1
    assert n_reads > 20 and frame_cache._read(tmp_path / "none") is None


def test_two_processes_fill_one_cache(tokenizers, tmp_path):
    model, clip = small_model(*tokenizers), write_clip(tmp_path / "a.mp4", seconds=2)
    whole, _ = FrameCache(model).tokens(Video(clip), QUESTION, fps=12)

    def fill() -> None:
        torch.set_num_threads(1)
        cache = FrameCache(model, tmp_path / "cache")
        for fps in (1, 2, 3, 4, 6, 12):
            cache.fill(Video(clip), [QUESTION], fps=fps)

    for process in [forked(fill) for _ in range(2)]:
        process.join()
        assert process.exitcode == 0
    tokens, _ = FrameCache(model, tmp_path / "cache").tokens(Video(clip), QUESTION, fps=12)
    assert torch.allclose(tokens.context, whole.context, atol=1e-5) and torch.allclose(tokens.content, whole.content)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_cache_that_is_pruned_while_it_is_filled_gives_the_right_tokens(tokenizers, tmp_path):
    """Two that fill it, one with a limit, and one that empties it over and over."""
    model = small_model(*tokenizers)
    clips = [write_clip(tmp_path / f"{k}.mp4", seconds=1, seed=k) for k in range(4)]
    whole = [FrameCache(model).tokens(Video(clip), QUESTION, fps=12)[0] for clip in clips]
    limit = 2 * whole[0].context.nbytes * 3  # of about two files

    def fill(limit_bytes: int | None) -> None:
        torch.set_num_threads(1)
        cache = FrameCache(model, tmp_path / "cache", limit_bytes=limit_bytes)
        for fps in (1, 2, 3, 4, 6, 12, 12):
            for clip, expected in zip(clips, whole, strict=True):
                tokens, _ = cache.tokens(Video(clip), QUESTION, fps=fps)
                assert torch.allclose(tokens.context, expected.context[:: 12 // fps], atol=1e-5)

    def empty() -> None:
        while not (tmp_path / "done").exists():
            frame_cache.prune(tmp_path / "cache", 0)
            time.sleep(0.002)

    (tmp_path / "cache").mkdir()
    emptying, filling = forked(empty), [forked(fill, limit_bytes) for limit_bytes in (None, limit)]
    for process in filling:
        process.join()
    (tmp_path / "done").touch()
    emptying.join()
    assert [process.exitcode for process in (emptying, *filling)] == [0, 0, 0]
    fill(limit)
    assert 0 < sum(file.n_bytes for file in frame_cache.entries(tmp_path / "cache")) <= limit
    assert all(frame_cache.ENTRY.fullmatch(path.name) for path in (tmp_path / "cache").iterdir())


def test_hidden_files_are_no_run(tmp_path, tokenizers):
    """What a refused or killed process, or a desktop, may leave: `.lock`, `.DS_Store`."""
    pairs = good_clips(tmp_path / "clips", n_test=2, n_train=0)
    for name in (".lock", ".DS_Store"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).touch()
    summary = ablate(
        pairs, root=tmp_path / "clips", out=tmp_path / "run", config=CONFIG, model=small_model(*tokenizers)
    )
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "a.png").mkdir()
    (tmp_path / "a.png" / "holiday.txt").write_text("photos")
    with pytest.raises(IsADirectoryError) as error, whole(tmp_path / "a.png") as partial:
        partial.write_text("picture")
    assert error.value.filename == str(tmp_path / "a.png")
    assert [p.name for p in tmp_path.rglob("*")] == ["a.png", "holiday.txt"]


def test_a_folder_is_whole_or_absent(tmp_path):
    with pytest.raises(KeyError), whole(tmp_path / "adapter") as partial:
        partial.mkdir()
        (partial / "config.json").write_text("{}")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    for text in ("old", "new"):
        with whole(tmp_path / "adapter") as partial:
            partial.mkdir()
            (partial / f"{text}.json").write_text(text)
    assert [p.name for p in tmp_path.rglob("*")] == ["adapter", "new.json"]
