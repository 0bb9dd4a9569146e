"""Every record of frames/frame_indices.json: the two historical sampling rules, frame by frame."""

import json

import numpy as np
import pytest

from llamavid_kit.sampling import sample_indices, stride_of


@pytest.fixture(scope="module")
def combos(reference):
    return json.loads((reference / "frames" / "frame_indices.json").read_text())["combos"]


def expected(record: dict) -> list[int] | None:
    """The indices of a record, None where the original raised."""
    if "error" in record:
        return None
    return list(range(*record["indices_arange"])) if "indices_arange" in record else record["indices"]


def check(n_frames, avg_fps, fps, rule, record):
    wanted = expected(record)
    if wanted is None:
        with pytest.raises(ValueError, match="stride 0"):
            sample_indices(n_frames, avg_fps, fps, rule=rule)
        return
    got = sample_indices(n_frames, avg_fps, fps, rule=rule)
    assert got.dtype == np.int64
    assert got.tolist() == wanted and len(got) == record["n"], (n_frames, avg_fps, fps, rule)


# The other tools of the original are one of the two rules: the feature extractor samples as training does, the MSVD
# script as the study's evaluation does at 1 fps.
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("train", "train"),
        ("extract_features_tool", "train"),
        ("eval_repro_ucf", "eval_repro"),
        ("eval_orig_msvd", "eval_repro"),
    ],
)
def test_rule_equals_every_record(combos, name, rule):
    records = [combo for combo in combos if isinstance(combo.get(name), dict)]
    assert records
    for combo in records:
        fps = 1 if name == "eval_orig_msvd" else combo["target_fps"]
        check(combo["total_frames"], combo["avg_fps"], fps, rule, combo[name])


def test_strides(combos):
    for combo in combos:
        if "error" not in combo["train"]:
            assert stride_of("train", combo["avg_fps"], combo["target_fps"]) == combo["train"]["stride"]
