"""From arm files to numbers: comparisons have a direction, Holm runs within a family, a receipt says what was seen."""

import json
import math

import pandas as pd
import pytest
from made_up_open_runs import ARMS, by_hand
from small import LABELS, QUESTION

from llamavid_kit.evaluation.statistics import holm
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.summary import receipt, write_summary
from llamavid_kit.experiments.tasks import ClosedQuestion

LETTERS = {"R": "Red", "G": "Green light", "B": None}


def by_letters(folder, config: AblationConfig, answers: dict[str, str]) -> dict:
    """The summary of arm files written by hand: arm → a letter a clip; true are R, G, R, G, …"""
    (folder / "arms").mkdir()
    for name, letters in answers.items():
        lines = [{"arm": {"name": name}}]
        for k, letter in enumerate(letters):
            truth, label = LABELS[k % 2], LETTERS[letter]
            line = {"clip": f"c{k}", "truth": truth, "reply": label or "", "label": label, "correct": label == truth}
            lines.append(line | {"timestamps_s": [0.0, 1.0], "n_visual": 10})
        (folder / "arms" / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    n = len(next(iter(answers.values())))
    clips = {"labels": list(LABELS), "test": [{"events": []}] * n, "excluded": []}
    question, rest = ClosedQuestion(QUESTION, LABELS), {"worlds": {"small": "colours"}, "verdicts": folder / "verdicts"}
    return write_summary(folder, config, config.arms(), question, clips, {"answer": 1.26}, **rest)


def test_paired_counts_have_a_direction(tmp_path):
    """`only_b` are the clips that the second arm won: from arm files written by hand."""
    answers = {"zero-shot-1fps-likelihood": "RRRRRR", "zero-shot-4fps-likelihood": "RGRGBG"}
    config = AblationConfig(model="small", fps=(1, 4), finetune=False, answering=("likelihood",))
    summary = by_letters(tmp_path, config, answers)
    (row,) = summary["paired"]
    assert (row["a"], row["b"]) == tuple(answers) and (row["only_a"], row["only_b"]) == (1, 3)
    assert row["difference"] == pytest.approx(2 / 6) and row["p"] == pytest.approx(0.625)
    assert row["family"] == "fps" and row["p_holm"] == row["p"]
    assert [arm["no_label"] for arm in summary["arms"]] == [0, 1] and summary["seconds"] == {"answer": 1.3}
    assert summary["visibility"] == []  # no event is marked: nothing to set beside UCF-Crime
    assert summary["worlds"] == {"small": "colours"} and summary["rule"] == "normalised"
    record = summary["arms"][1]
    assert {name: record[name] for name in ("model", "adapter", "fps", "content", "frames", "prompt", "order")} == {
        "model": "small",
        "adapter": None,
        "fps": 4,
        "content": None,
        "frames": "time",
        "prompt": "study",
        "order": None,
    }
    assert (record["answering"], record["rule"]) == ("likelihood", "likeliest choice")


def test_every_factor_has_a_holm_family_of_its_own(tmp_path):
    """Three families of six, six and six comparisons: the p of one plays no part in another's."""
    config = AblationConfig(
        model=("a", "b"), fps=(1, 2), finetune=False, content=("mean", "grid:2", "all"), answering=("generation",)
    )
    letters = ("RGRGRGRGRG", "GRGRGRGRGR", "RRRRRRRRRR", "BBBBBBBBBB", "RGRGRGBBBB", "RGRGRGRGGR")
    names = [arm.name for arm in config.arms()]
    summary = by_letters(tmp_path, config, {name: letters[k % 6] for k, name in enumerate(names)})
    families = {}
    for row in summary["paired"]:
        families.setdefault(row["family"], []).append(row)
    assert {family: len(rows) for family, rows in families.items()} == {"model": 6, "fps": 6, "content": 12}
    for rows in families.values():
        assert [row["p_holm"] for row in rows] == pytest.approx(holm([row["p"] for row in rows]))
    every = holm([row["p"] for row in summary["paired"]])
    assert [row["p_holm"] for row in summary["paired"]] != pytest.approx(every)


def test_a_receipt_counts_frames_and_tokens():
    lines = [{"timestamps_s": [0.0, 1.0], "n_visual": 10}, {"timestamps_s": [0.0], "n_visual": 5}]
    assert receipt(lines) == {"n_frames": 3, "visual_tokens": 15, "tokens_a_frame": 5}
    silent = [*lines, {"timestamps_s": [0.0], "n_visual": None}]
    assert receipt(silent) == {"n_frames": 4, "visual_tokens": None, "tokens_a_frame": None}


# --- an open question


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by_hand") / "run"
    return folder, *by_hand(folder)


def test_pairs_of_arms_recounted(counted):
    """Discordant clips and score differences by hand, the permutation test by all 32 ways, Holm over both tests."""
    _, summary, frames = counted
    families = {
        "adapter": [(ARMS[0], ARMS[2]), (ARMS[1], ARMS[3])],
        "fps": [(ARMS[0], ARMS[1]), (ARMS[2], ARMS[3])],
    }
    rows = {(row["a"], row["b"]): row for row in summary["paired"]}
    assert list(rows) == [*families["adapter"], *families["fps"]]
    for (a, b), row in rows.items():
        first, second = frames[a], frames[b]
        only_a, only_b = (int((x["correct"] & ~y["correct"]).sum()) for x, y in ((first, second), (second, first)))
        assert (row["n"], row["only_a"], row["only_b"]) == (5, only_a, only_b)
        n = only_a + only_b
        p = min(1.0, 2 * sum(math.comb(n, j) for j in range(min(only_a, only_b) + 1)) / 2**n)
        assert row["p"] == pytest.approx(p)
        gains = (second["score"] - first["score"]).to_numpy()
        assert row["score_difference"] == pytest.approx(gains.mean())
        ways = [abs(sum(g * (1 - 2 * (way >> k & 1)) for k, g in enumerate(gains))) for way in range(32)]
        assert row["score_p"] == pytest.approx(sum(w >= abs(gains.sum()) for w in ways) / 32)
        low, high = row["score_interval95"]
        assert -5 <= low <= gains.mean() <= high <= 5 and (low < high) == (len(set(gains)) > 1)
    for family, pairs in families.items():
        of_family = [rows[pair] for pair in pairs]
        assert {row["family"] for row in of_family} == {family}
        all_p = sorted(row[name] for row in of_family for name in ("p", "score_p"))
        running, adjusted = 0.0, {}
        for rank, p in enumerate(all_p):
            running = max(running, min(1.0, (len(all_p) - rank) * p))
            adjusted.setdefault(p, running)
        for row in of_family:
            for name in ("p", "score_p"):
                assert row[f"{name}_holm"] == pytest.approx(adjusted[row[name]])


def test_paired_scores_have_a_direction(counted):
    rows = {(row["a"], row["b"]): row for row in counted[1]["paired"]}
    row = rows[ARMS[0], ARMS[1]]  # scores 0 0 0 0 5 and 3 0 2 1 5
    assert row["score_difference"] == pytest.approx(6 / 5) and row["score_p"] == pytest.approx(8 / 32)
    assert (row["only_a"], row["only_b"], row["difference"]) == (0, 1, pytest.approx(0.2))


def test_the_summary_is_written_and_the_table_beside_it(counted):
    folder, summary, _ = counted
    assert json.loads((folder / "summary.json").read_text()) == summary
    table = pd.read_csv(folder / "results.csv")
    assert table["name"].tolist() == ARMS and table["correct"].tolist() == [1, 2, 4, 5]
    assert table["score"].tolist() == pytest.approx([arm["score"] for arm in summary["arms"]])
    lows = [arm["f1_interval95"][0] for arm in summary["arms"]]
    assert table["f1_low95"].tolist() == pytest.approx(lows) and "balanced_accuracy" not in table
    assert table["train_fps"].tolist()[2:] == [1, 4] and table["train_seed"].isna().tolist() == [True] * 2 + [False] * 2
    assert table["frames"].tolist() == ["time"] * 4  # the rule
    assert table["n_frames"].tolist() == [5] * 4 and table["visual_tokens"].tolist() == [10] * 4
    assert {row["set"] for row in summary["visibility"]} == {"this set"}
    assert summary["rule"].startswith("animal-action pairs") and summary["groups"] == {}
