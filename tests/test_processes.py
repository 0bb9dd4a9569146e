"""Several processes give what one gives, byte for byte where no gradients are summed; where one fails, all end."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import together
import torch
from safetensors.torch import load_file

from llamavid_kit import processes
from llamavid_kit.model.checkpoints import default_device
from llamavid_kit.processes import n_processes, rank
from llamavid_kit.training.loop import step_share
from llamavid_kit.training.stages import TrainSettings

LAUNCH = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
LAUNCH += " --dynamo_backend no --main_process_port 0"


def launch(*argv: object) -> subprocess.CompletedProcess:
    """Two processes on the CPU; `--cpu` would start one alone, whatever the number."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *LAUNCH.split(), *map(str, argv)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return together.make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def one(world, tmp_path_factory):
    """The folder of all that one process does."""
    out = tmp_path_factory.mktemp("one")
    together.everything(world, out)
    return out


@pytest.fixture(scope="module")
def several(world, tmp_path_factory):
    """(folder of the same by two, all that they said)."""
    out = tmp_path_factory.mktemp("several")
    done = launch(together.__file__, world, out)
    assert done.returncode == 0, done.stderr[-5000:]
    return out, done.stdout + done.stderr


@pytest.mark.slow
def test_an_ablation(world, one, several, tmp_path):
    """The same frame tokens, list and replies; those of fine-tuned arms, too, by one process with the same adapters."""
    theirs, ours = several[0] / "ablation", one / "ablation"
    assert files(theirs / "frame_tokens") == files(ours / "frame_tokens")
    assert (theirs / "clips.json").read_bytes() == (ours / "clips.json").read_bytes()
    assert [row["clip"] for row in json.loads((theirs / "clips.json").read_text())["excluded"]] == ["c03"]
    arms = files(theirs / "arms")
    assert len(arms) == 8 and all(content.count(b"\n") == 7 for content in arms.values())
    again = Path(shutil.copytree(theirs, tmp_path / "again"))
    shutil.rmtree(again / "arms")
    shutil.rmtree(again / "frame_tokens")
    (again / "clips.json").unlink()
    together.ablation(world, again)
    assert files(again / "arms") == arms
    zero_shot = {name for name in arms if name.startswith("zero-shot")}
    assert {name: content for name, content in files(ours / "arms").items() if name in zero_shot} == {
        name: arms[name] for name in zero_shot
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["msvd", "gqa"])
def test_a_benchmark(one, several, name):
    ours, theirs = files(one / name), files(several[0] / name)
    assert ours == theirs and {"replies.jsonl", "result.json", "outcomes.csv"} < set(ours)
    assert len({json.loads(line)["reply"] for line in ours["replies.jsonl"].splitlines()[1:]}) > 1


@pytest.mark.slow
def test_a_fine_tuning(one, several):
    """13 samples in steps of 8 and of 4: what fills up an epoch's last batches is learned once, also after a cut."""
    for folder in ("tuned", "ablation/finetune/fps1-seed0", "ablation/finetune/fps4-seed0"):
        ours, theirs = (load_file(out / folder / "adapter/adapter_model.safetensors") for out in (one, several[0]))
        assert ours.keys() == theirs.keys() and all(ours[name].any() for name in ours)
        for name, tensor in ours.items():
            torch.testing.assert_close(theirs[name], tensor, atol=1e-6, rtol=0)
        curves = [
            [json.loads(line) for line in (out / folder / "training.jsonl").read_text().splitlines()]
            for out in (one, several[0])
        ]
        assert [row["step"] for row in curves[0]] == [row["step"] for row in curves[1]]
        assert [row["loss"] for row in curves[0]] == pytest.approx([row["loss"] for row in curves[1]], abs=1e-5)


@pytest.mark.slow
def test_they_speak_with_one_voice(several):
    said = several[1]
    for words in (
        "MSVD-QA, 12 items",
        "GQA, 4 items",
        "msvd:   0%",
        "frame tokens:   0%",
        "lora-seed0-4fps-likelihood:   0%",
    ):
        assert said.count(words) == 1, words


@pytest.mark.slow
def test_one_is_killed(world, one, several, tmp_path):
    """The other ends within seconds; one process goes on with what they left, and ends with the same arms."""
    done = launch(together.__file__, world, tmp_path, "dies")
    assert done.returncode and time.time() - float((tmp_path / "died").read_text()) < 20
    left = files(tmp_path / "ablation" / "arms")
    assert left["lora-seed0-1fps-likelihood.jsonl"].count(b"\n") == 1 + 2
    together.ablation(world, tmp_path / "ablation")
    arms, theirs, ours = (
        files(out / "arms") for out in (tmp_path / "ablation", several[0] / "ablation", one / "ablation")
    )
    assert arms == theirs | {name: content for name, content in ours.items() if name.startswith("lora-seed0-4fps")}


@pytest.mark.slow
def test_an_error_is_said_once():
    """Both are refused; the launcher's own words stand below."""
    done = launch("-m", "llamavid_kit", "doctor", "x")
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode and errors == ["error: doctor is work for one process: start it without accelerate launch"]


@pytest.fixture
def of_three(monkeypatch):
    """As in process 1 of three, the second on its machine."""
    for name, value in {"WORLD_SIZE": "3", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)


def test_who_is_started_together(of_three, monkeypatch):
    assert (n_processes(), rank()) == (3, 1)
    monkeypatch.delenv("LOCAL_RANK")  # a cluster may set the other two for whatever it starts
    assert (n_processes(), rank()) == (1, 0)


def test_each_has_a_gpu(of_three, monkeypatch):
    current = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    for n_gpus in (2, 1):
        monkeypatch.setattr(torch.cuda, "device_count", lambda n=n_gpus: n)
        if n_gpus == 2:
            assert default_device() == "cuda:1" and current == [1]
        else:
            with pytest.raises(ValueError, match="no GPU for process 1 of this machine, which has 1: start 1"):
                default_device()
    monkeypatch.delenv("LOCAL_RANK")
    assert default_device() == "cuda"


def test_one_that_dies_on_another_machine(of_three, monkeypatch):
    """Its launcher says nothing to ours: those who wait for it notice by themselves, and not while it lives."""
    store = torch.distributed.HashStore()
    monkeypatch.setattr(processes, "_store", lambda: store)
    monkeypatch.setattr(processes, "DEAD_S", 0.3)
    monkeypatch.setattr(processes, "BEAT_S", 0.05)
    monkeypatch.setenv("RANK", "2")
    lives = threading.Event()
    threading.Thread(target=processes._beat, args=(store, lives), daemon=True).start()
    threading.Timer(0.6, processes._put, ["late", [1, "x"]]).start()
    assert processes._get("late", giver=2) == [1, "x"]
    lives.set()
    with pytest.raises(TimeoutError, match=r"no sign of life from process 2 for 0\.3 s: look at its machine"):
        processes._get("never", giver=2)


def test_what_is_large_goes_in_pieces(of_three, monkeypatch):
    """The launcher's store takes 8 MiB at once."""
    store = torch.distributed.HashStore()
    monkeypatch.setattr(processes, "_store", lambda: store)
    value = [bytes([k]) * 2**20 for k in range(9)]
    processes._put("7", value)
    assert processes._get("7", giver=0) == value and store.num_keys() == 1 + 3


@pytest.mark.parametrize(
    ("n", "size", "batches", "share"), [(1, 8, 1, (8, 1)), (2, 8, 1, (4, 1)), (2, 3, 4, (3, 2)), (8, 4, 6, (1, 3))]
)
def test_a_step_is_shared(of_three, monkeypatch, n, size, batches, share):
    monkeypatch.setenv("WORLD_SIZE", f"{n}")
    assert step_share(TrainSettings(batch_size=size, accumulate=batches)) == share
    assert n * share[0] * share[1] == size * batches


def test_a_step_that_cannot_be_shared(of_three):
    message = (
        r"3 processes cannot share a step of 2 x 8 samples evenly: start one of 1, 2, 4, 8, 16 \(--num_processes\)"
    )
    with pytest.raises(ValueError, match=message):
        step_share(TrainSettings(batch_size=8, accumulate=2))
