"""`plan` says beforehand what `lvk.plan` says, for a duration or a file, by name, folder or published shape."""

import pytest
from small import small_model, write_clip

import llamavid_kit as lvk
from llamavid_kit.__main__ import main
from llamavid_kit.model.checkpoints import save
from llamavid_kit.model.loading import SHAPES


def planned(capsys, *options: str) -> list[str]:
    assert main(["plan", *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_each_rate_is_a_line(capsys, tmp_path):
    write_clip(tmp_path / "a.mp4", seconds=2)
    lines = planned(capsys, "--clip", str(tmp_path / "a.mp4"), "--fps", "1", "4")
    assert lines[0].startswith("2 s at 1 fps: 2 frames x 2 tokens = 4, 132 with the prompt, of 2048 (fits)")
    assert lines[1].startswith("2 s at 4 fps: 8 frames x 2 tokens = 16") and len(lines) == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_published_shapes_are_the_configurations(capsys, shape):
    config = getattr(lvk.LlamaVidConfig, f"llama_vid_{shape}")()
    (line,) = planned(capsys, "--model", shape, "--duration", "60", "--fps", "1", "--content", "grid:2")
    assert line == str(lvk.plan(config, duration_s=60, fps=1, content="grid:2"))


def test_a_folder_of_ours_and_one_that_is_none(capsys, tmp_path, tokenizers):
    save(small_model(*tokenizers), tmp_path / "own")
    (line,) = planned(capsys, "--model", str(tmp_path / "own"), "--duration", "3", "--fps", "1")
    assert "3 frames" in line
    (tmp_path / "config.json").write_text('["llama"]')
    for name in (str(tmp_path), "70b"):
        assert main(["plan", "--model", name, "--duration", "3"]) == 2
        assert f"error: {name!r} is not a model of this kit: expected tiny" in capsys.readouterr().err
