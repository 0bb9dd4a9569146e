"""The audit says of each family, from its own processor at the published sizes, what a rate changes beside frames."""

import json

import pytest
from small import write_clip

import llamavid_kit as lvk
from llamavid_kit.__main__ import main
from llamavid_kit.files import CheckpointError
from llamavid_kit.model import transformers_video

FPS = (1, 2, 6)


def by_rate(result, column):
    return [*result.table()[column]]


def slugs(result):
    return {confound.name: confound.fix for confound in result.confounds}


def test_llama_vid_spends_two_tokens_at_every_rate():
    """Of the published shape and of a model on disk; and it is told no time."""
    for name, side, context in (("7b_224", 224, 4096), ("tiny", 112, 2048)):
        result = lvk.audit(name, fps=FPS, duration_s=10)
        assert by_rate(result, "frames given") == by_rate(result, "arrived") == [10, 20, 60]
        assert by_rate(result, "tokens a frame") == [2, 2, 2]
        assert by_rate(result, "pixels a frame") == [side**2] * 3
        assert by_rate(result, "times told") == [0, 0, 0]
        assert slugs(result) == {"times": {}} and result.context == context
    with pytest.raises(ValueError, match="leave --fix out"):
        result.write_fixes("nowhere")
    with pytest.raises(ValueError, match="is LLaMA-VID"):
        lvk.audit("tiny", settings={"times_in_prompt": True})


def test_a_clip_brings_its_own_times(tmp_path):
    """And no frame of it comes twice, however many are asked for."""
    write_clip(tmp_path / "clip.mp4", seconds=1.5)
    clip = lvk.Video(tmp_path / "clip.mp4")
    result = lvk.audit("tiny", fps=(1000, 1), clip=clip)
    assert by_rate(result, "frames given") == [2, len(clip)]
    assert (result.duration_s, result.size) == (clip.duration_s, (clip.width, clip.height))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"duration_s": 0}, "above 0"),
        ({"size": (0, 720)}, "above 0"),
        ({"fps": ()}, "no rates"),
        ({"fps": (0,)}, "fps=0"),
    ],
)
def test_nothing_is_guessed(asked, message):
    with pytest.raises(ValueError, match=message):
        lvk.audit("tiny", **asked)
    with pytest.raises(ValueError, match="'no-model' is not a model of this kit"):
        lvk.audit("no-model")


def test_a_size_beside_a_clip_is_refused(capsys):
    assert main(["audit", "tiny", "--clip", "clip.mp4", "--size", "10x10"]) == 2
    assert "--size: of a made-up clip" in capsys.readouterr().err


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each family, at the sizes of the published checkpoints and without weights."""
    for package in ("torchvision", "num2words"):
        pytest.importorskip(package, reason=f"the extra [models] is not installed: no {package}")
    from data_prep.tiny.families import FAMILIES, save_family

    return {one: save_family(one, tmp_path_factory.mktemp(one), published=True) for one in FAMILIES}


@pytest.mark.parametrize(
    ("family", "tokens", "total", "frames", "told", "distinct", "off", "confounds"),
    [
        (
            "qwen3_vl",
            [195, 95, 33],
            [11_700, 11_400, 11_880],
            ["832x480", "608x320", "352x192"],
            [30, 60, 180],
            [30, 60, 180],
            [0, 0.05, 0.05],
            {"pixels", "sampling"},
        ),
        (
            "qwen2_5_vl",
            [360, 360, 360],
            [21_600, 43_200, 129_600],
            ["1008x560"] * 3,
            [30, 60, 180],
            [30, 60, 120],
            [0, 0, 0.333],
            {"times", "context"},
        ),
        (
            "llava_onevision",
            [196, 196, 196],
            [11_761, 23_521, 70_561],  # 196 a frame and one to close the clip
            ["384x384"] * 3,
            [0, 0, 0],
            [0, 0, 0],
            None,
            {"times", "context"},
        ),
        (
            "internvl",
            [256, 256, 256],
            [15_360, 30_720, 92_160],
            ["448x448"] * 3,
            [0, 0, 0],
            [0, 0, 0],
            None,
            {"times", "context"},
        ),
        (
            "smolvlm",
            [64, 64, 64],
            [3_840, 7_680, 23_040],
            ["512x512"] * 3,
            [60, 120, 360],
            [60, 60, 60],
            [0, 0.5, 0.833],
            {"times", "context"},
        ),
    ],
)
def test_the_published_sizes(folders, family, tokens, total, frames, told, distinct, off, confounds):
    """60 seconds of 1280 x 720."""
    result = lvk.audit(folders[family], fps=FPS)
    assert by_rate(result, "frames given") == by_rate(result, "arrived") == [60, 120, 360]
    assert by_rate(result, "tokens a frame") == pytest.approx(tokens, abs=0.02)
    assert by_rate(result, "tokens in all") == total
    assert by_rate(result, "frame") == frames
    assert (by_rate(result, "times told"), by_rate(result, "distinct times")) == (told, distinct)
    if off is not None:
        assert by_rate(result, "off by at most (s)") == pytest.approx(off, abs=1e-3)
    assert {*slugs(result)} == confounds
    if family == "qwen3_vl":
        assert [rate.n_kept for rate in result.rates] == [60, 120, 120]
        assert "told the true rate, its processor keeps 60 of 60" in str(result)


@pytest.mark.parametrize(("family", "twice"), [("qwen3_vl", [1, 1, 0]), ("qwen2_5_vl", [1, 1, 0]), ("internvl", None)])
def test_frames_that_fill_a_group(folders, family, twice):
    """1, 7 and 42 frames: pairs of one, of seven, of all."""
    result = lvk.audit(folders[family], fps=(1 / 7, 1, 6), duration_s=7, size=(224, 224))
    assert by_rate(result, "frames given") == [1, 7, 42]
    assert [rate.receipt.n_doubled for rate in result.rates] == (twice or [0, 0, 0])
    assert ("doubled" in slugs(result)) == (twice is not None)


def test_what_the_fixes_do(folders, tmp_path):
    """Equal pixels for Qwen3-VL at every rate and length; the times of all 360 frames for the others."""
    for family, folder in folders.items():
        result = lvk.audit(folder)
        (path,) = result.write_fixes(tmp_path / family)
        fixed = lvk.audit(path)
        assert "times" not in slugs(fixed) and "pixels" not in slugs(fixed)
        if family == "qwen3_vl":
            assert path.name == "equal-pixels.json" and by_rate(fixed, "tokens a frame") == [33, 33]
            assert by_rate(lvk.audit(path, duration_s=180), "tokens a frame") == [33, 33]
        else:
            assert path.name == "times-in-prompt.json" and by_rate(fixed, "distinct times") == [60, 360]
            assert max(by_rate(fixed, "off by at most (s)")) <= 0.005


def test_equal_pixels_are_equal_at_odd_numbers_of_frames(folders, tmp_path):
    """5 and 30 frames: the last of an odd number comes twice, so that all is whole groups."""
    (path,) = lvk.audit(folders["qwen3_vl"], duration_s=5).write_fixes(tmp_path)
    fixed = lvk.audit(path, duration_s=5)
    assert by_rate(fixed, "frames given") == [5, 30] and len({*by_rate(fixed, "frame")}) == 1
    assert "pixels" not in slugs(fixed) and "doubled" in slugs(fixed)


def test_times_that_are_off_are_a_confound_though_no_two_are_alike(folders):
    for family, fps, off in (("smolvlm", (0.5, 0.7), [0, 0.857]), ("qwen2_5_vl", (1, 3), [0, 0.333])):
        result = lvk.audit(folders[family], fps=fps, duration_s=20, size=(320, 240))
        assert by_rate(result, "distinct times") == by_rate(result, "times told")
        assert by_rate(result, "off by at most (s)") == pytest.approx(off, abs=1e-3)
        assert "times" in slugs(result) and f"off by at most 0 s, {off[1]} s" in str(result)


def test_files_of_settings_are_not_mixed_up(folders, tmp_path):
    """Neither overwritten by another model's, nor one inside another."""
    (path,) = lvk.audit(folders["smolvlm"]).write_fixes(tmp_path)
    assert lvk.audit(folders["smolvlm"]).write_fixes(tmp_path) == [path]
    with pytest.raises(ValueError, match="another model's"):
        lvk.audit(folders["internvl"]).write_fixes(tmp_path)
    (tmp_path / "outer.json").write_text(json.dumps({"model": str(path), "settings": {}}))
    with pytest.raises(ValueError, match="name the model itself"):
        lvk.audit(tmp_path / "outer.json")


def test_from_the_command_line(folders, tmp_path, capsys):
    options = ["--duration", "8", "--size", "224x224", "--out", str(tmp_path / "a.json")]
    options += ["--fix", str(tmp_path), "--figure", str(tmp_path / "a.png")]
    assert main(["audit", str(folders["internvl"]), *options]) == 0
    out = capsys.readouterr().out
    assert "Beside the number of frames, the rates differ in:\n- times: " in out
    assert f"--model {tmp_path / 'times-in-prompt.json'} --no-finetune" in out
    record = json.loads((tmp_path / "a.json").read_text())
    assert [rate["receipt"]["n_tokens"] for rate in record["rates"]] == [8 * 256, 48 * 256]
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pixels_a_frame": 1000}, "is for a processor that spreads one budget"),
        ({"times_in_prompt": True, "do_sample_frames": True}, "give one only"),
        ({"times_in_prompt": "no"}, "expected true or false"),
    ],
)
def test_settings_that_do_not_apply(folders, settings, message):
    with pytest.raises(ValueError, match=message):
        lvk.audit(folders["smolvlm"], settings=settings)


def test_what_is_missing_is_said(folders, tmp_path, monkeypatch):
    held = tmp_path / "fix.json"
    held.write_text('{"model": 3, "settings": {}}')
    with pytest.raises(ValueError, match="as `audit --fix` writes it"):
        lvk.audit(held)
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl"}')
    with pytest.raises(CheckpointError, match="processor cannot be opened"):
        lvk.audit(tmp_path)
    monkeypatch.setattr(transformers_video, "is_torchvision_available", lambda: False)
    with pytest.raises(ValueError, match=r"llamavid-kit\[models\]"):
        lvk.audit(folders["smolvlm"])
