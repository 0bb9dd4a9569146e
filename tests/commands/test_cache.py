"""`cache` says how much frame tokens take, and takes away what was used longest ago, of runs and of bare folders."""

import os

import pytest

from llamavid_kit.__main__ import main
from llamavid_kit.experiments import ablation
from llamavid_kit.experiments.report import answer, page

NAMES = [f"{letter * 32}-{'0' * 16}.safetensors" for letter in "abc"]


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run" / "frame_tokens"
    folder.mkdir(parents=True)
    for k, name in enumerate(NAMES):
        (folder / name).write_bytes(bytes(2**20))
        os.utime(folder / name, (0, 86_400 * (k + 1)))
    (tmp_path / "run" / NAMES[0]).write_bytes(b"of somebody else")
    return tmp_path / "run"


def test_a_run_and_its_cache_are_the_same_folder(run, capsys):
    assert main(["cache", str(run), str(run / "frame_tokens")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second and first.startswith(f"{run / 'frame_tokens'}: 3 files, 3.0 MiB, last used 1970-01-0")


def test_pruned_to_a_size(run, capsys):
    assert main(["cache", str(run), "--limit", "0.0015"]) == 0  # of 1.5 MiB and a little more
    said = capsys.readouterr().out
    assert "frame_tokens: 1 file, 1.0 MiB, last used" in said and said.endswith("; 2 files, 2.0 MiB removed\n")
    assert [path.name for path in (run / "frame_tokens").iterdir()] == [NAMES[2]]
    assert main(["cache", str(run), "--limit", "0"]) == 0 and "0 files, 0 B; 1 file, 1.0 MiB" in capsys.readouterr().out
    assert (run / NAMES[0]).exists()


@pytest.mark.parametrize("limit", ["-1", "nan", "inf", "much"])
def test_a_limit_is_a_size(run, capsys, limit):
    with pytest.raises(SystemExit):
        main(["cache", str(run), "--limit", limit])
    assert limit in capsys.readouterr().err and len(list((run / "frame_tokens").iterdir())) == 3


def test_a_folder_that_is_none_is_named_before_anything_goes(run, capsys):
    assert main(["cache", str(run), str(run / "none"), "--limit", "0"]) == 2
    assert "none is not a folder; expected a run, or its frame_tokens" in capsys.readouterr().err
    assert len(list((run / "frame_tokens").iterdir())) == 3


def test_an_ablation_takes_a_limit(tmp_path, monkeypatch):
    got = {}
    monkeypatch.setattr(ablation, "ablate", lambda pairs, **options: got.update(options))
    monkeypatch.setattr(page, "write_report", lambda out, **_: out)
    monkeypatch.setattr(answer, "result_lines", lambda run: [])
    monkeypatch.setattr("llamavid_kit.experiments.run.Run", lambda out: out)
    (tmp_path / "a.csv").write_text("video,label\na.mp4,x\nb.mp4,y\n")
    for name in "ab":
        (tmp_path / f"{name}.mp4").touch()
    argv = ["ablate", "--clips", str(tmp_path / "a.csv"), "--no-finetune", "--out", str(tmp_path / "run")]
    for option, n_bytes in (([], None), (["--cache-limit", "1.5"], 3 * 2**29)):
        assert main([*argv, *option]) == 0 and got["cache_bytes"] == n_bytes
