"""Every record of frames/frame_indices.json: the two historical sampling rules, frame by frame."""

import json

import numpy as np
import pytest

from llamavid_kit.data.sampling import sample_indices, stride_of


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


def test_the_grounding_script_is_the_same_rule(combos):
    """The record says so by a flag; the rule itself is `eval_repro`."""
    assert all(combo["eval_repro_grounding_same"] is True for combo in combos if "eval_repro_grounding_same" in combo)


def test_times_of_the_feature_extractor(combos):
    """Its frame times are those that `Video` gives a clip of constant rate: index / rate."""
    n = 0
    for combo in combos:
        record = combo.get("extract_features_tool")
        if isinstance(record, dict) and "error" not in record and "frame_time" in record:
            times = [index / combo["avg_fps"] for index in expected(record)]
            assert record["frame_time"] == pytest.approx(times[: len(record["frame_time"])], abs=1e-6)
            n += 1
    assert n
