"""`ask` and `attention`: a picture has no overlay of frames, an overlay is on the scale of `--scale`."""

import pytest
import torch
from matplotlib.text import Text
from PIL import Image
from small import random_tokens, write_clip

from llamavid_kit.__main__ import main
from llamavid_kit.commands.ask import _say_if_full
from llamavid_kit.data.video import Video
from llamavid_kit.model.ask import Reply
from llamavid_kit.model.planner import Need
from llamavid_kit.viz import overlay


@pytest.mark.parametrize("command", [["ask", "{}", "What?", "--attention", "x.png"], ["attention", "{}", "What?"]])
def test_a_picture_has_no_overlay_of_frames(tmp_path, capsys, command):
    """Said, not silently left out."""
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    assert main([word.format(tmp_path / "p.png") for word in command]) == 2
    assert "p.png is a picture" in capsys.readouterr().err


def test_an_overlay_is_drawn_on_the_scale_of_the_option(tmp_path, capsys, monkeypatch):
    video = write_clip(tmp_path / "clip.mp4")
    figures, draw = [], overlay.attention_overlay
    monkeypatch.setattr(overlay, "attention_overlay", lambda *a, **k: figures.append(draw(*a, **k)) or figures[-1])
    command = ["attention", str(video), "What happens?", "--fps", "1", "--out", str(tmp_path / "a.png")]
    for scale in ([], ["--scale", "20"]):
        assert main([*command, *scale]) == 0 and (tmp_path / "a.png").stat().st_size
    own, fixed = (" ".join(" ".join(t.get_text() for t in fig.findobj(Text)).split()) for fig in figures)
    assert "one scale for all frames, 0 to " in own and "scale given: 0 to 20; here up to " in fixed
    reply = capsys.readouterr().out.splitlines()[0]
    assert f"reply: “{reply}”" in own and f"reply: “{reply}”" in fixed


def test_a_reply_is_shown_without_its_tensors(model):
    reply = Reply("A car.", (0.0, 1.0), tokens=random_tokens(model, 2))
    said = "timestamps_s=(0.0, 1.0), log_likelihood={}, n_tokens={}, notes=(), n_visual=None, receipt=None"
    assert repr(reply) == f"Reply(text='A car.', {said})" and reply.tokens is not None


def test_a_choice_comes_with_the_probability_of_each(tmp_path, capsys):
    video = write_clip(tmp_path / "clip.mp4")
    assert main(["ask", str(video), "Which colour?", "--choices", "red", "blue", "a green light", "--fps", "2"]) == 0
    first, *_, seen, best, second, third = capsys.readouterr().out.splitlines()
    assert seen.startswith("seen: ") and first in ("red", "blue", "a green light") and best.endswith(f"  {first}")
    shares = [float(line.split("%")[0]) for line in (best, second, third)]
    assert shares == sorted(shares, reverse=True) and abs(sum(shares) - 100) < 0.2
    assert main(["ask", str(video), "Which?", "--choices", "red", "blue", "--attention", "a.png"]) == 2
    assert "--attention: for a written reply, and --choices lets the model choose" in capsys.readouterr().err


def test_frames_by_the_stride_of_the_original(tmp_path, capsys, monkeypatch):
    """The overlay is drawn on the frames that the rule picks."""
    video = write_clip(tmp_path / "clip.mp4", seconds=2)
    drawn, draw, read = [], overlay.attention_overlay, []
    monkeypatch.setattr(overlay, "attention_overlay", lambda *a, **k: drawn.append(k["timestamps_s"]) or draw(*a, **k))
    frames = Video.frames
    monkeypatch.setattr(Video, "frames", lambda self, at: read.append(list(at)) or frames(self, at))
    clip, picked = Video(video), []
    for rule in ("time", "train"):
        command = ["ask", str(video), "What?", "--fps", "5", "--frames", rule, "--attention", str(tmp_path / "a.png")]
        assert main(command) == 0
        sample = clip.sample(5, rule=rule)
        assert drawn[-1] == tuple(sample.timestamps_s) and read[-1] == list(sample.indices)
        picked.append(list(sample.indices))
    assert picked[0] != picked[1]


def test_memory_that_may_not_do_is_said(model, monkeypatch, caplog):
    """Before the model is asked; on a GPU alone."""
    fits = []
    monkeypatch.setattr(Need, "fits", lambda need, device: fits.append(need.n_bytes) or len(fits) == 1)
    _say_if_full(model, 100)
    assert not fits
    monkeypatch.setattr(type(model), "device", torch.device("cuda"))
    _say_if_full(model, 100)
    assert not caplog.text
    _say_if_full(model, 200)
    assert "200 frames need about" in caplog.text and "--quantise 4bit" in caplog.text and fits[1] > fits[0]
