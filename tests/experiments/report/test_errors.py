"""What goes wrong in replies about animals is counted over all of them, and examples are drawn, not picked."""

import numpy as np
import pytest
from made_up_open_runs import ARMS, REPLIES, TEST, TRUTHS, by_hand

from llamavid_kit.evaluation.judges.animal_judge import judge
from llamavid_kit.experiments.report.errors import KINDS, all_tables, error_table, examples
from llamavid_kit.experiments.run import Run

ARMS_IN_WORDS = ["zero-shot, 1 fps", "zero-shot, 4 fps", "fine-tuned, 1 fps", "fine-tuned, 4 fps"]


def test_errors_are_counted_over_all_replies(open_run):
    table = error_table(open_run).set_index("arm")
    assert list(table.columns) == ["replies", *KINDS]
    assert set(all_tables(open_run)["error_counts"]["rule"]) == {open_run.rule}
    assert table.loc[ARMS_IN_WORDS[0]].tolist() == [5, 1, 2, 1, 1, 0, 1, 1]
    assert table.loc[ARMS_IN_WORDS[3]].tolist() == [5, 4, 0, 0, 1, 0, 0, 0]
    for arm, key in zip(ARMS_IN_WORDS, ARMS, strict=True):
        perfect = sum(judge(r, t, open_run.animals).score == 5 for r, t in zip(REPLIES[key], TRUTHS, strict=True))
        assert table.loc[arm, "perfect"] == perfect


def test_table_5_shows_replies_with_their_errors_in_words(open_run):
    table = examples(open_run, fps=1).set_index("clip")
    assert list(table.index) == TEST  # t0 to t3 zero-shot, t4 fine-tuned
    assert list(table.columns) == [
        "truth",
        "zero-shot",
        "zero-shot: score",
        "zero-shot: errors",
        "fine-tuned",
        "fine-tuned: score",
        "fine-tuned: errors",
    ]
    for k, clip in enumerate(TEST):
        assert table.loc[clip, "truth"] == TRUTHS[k] and table.loc[clip, "zero-shot"] == REPLIES[ARMS[0]][k]
        assert table.loc[clip, "fine-tuned"] == REPLIES[ARMS[2]][k]
    assert table["zero-shot: errors"].tolist() == [
        "missed action (lion: walking, lion: eating); invented action (lion: sleeping)",
        "empty reply",
        'nothing parsed ("lovely day")',
        "missed action (frog: keeping still); wrong animal (bird: flying)",
        "none",
    ]
    assert table["fine-tuned: errors"].tolist()[2:] == [
        "missed action (goby fish: swimming)",
        "none",
        "missed action (lion: walking); wrong animal (frog: keeping still)",
    ]
    assert table["fine-tuned: score"].tolist() == [5, 5, 3, 5, 0]


def test_examples_are_drawn_by_the_stated_rule(open_run):
    wrong = [0, 1, 2, 3]  # at 4 fps; on the last clip both are perfect
    for seed in range(4):
        table = examples(open_run, 2, seed=seed)
        drawn = np.random.default_rng(seed).choice(4, 2, replace=False)
        assert table["clip"].tolist() == [TEST[wrong[k]] for k in sorted(drawn)]
        assert table.attrs["chosen"] == (
            "2 of the 4 clips (of 5) on which not every reply at 4 fps is perfect, drawn by numpy's "
            f"default_rng({seed}) from the clip list: nobody picked them."
        )
    assert examples(open_run, 99)["clip"].tolist() == TEST[:4]
    with pytest.raises(ValueError, match="fps=6: the run has 1, 4 fps"):
        examples(open_run, fps=6)


def test_examples_of_a_run_without_training_or_without_errors(open_zero_shot, tmp_path):
    assert "fine-tuned" not in examples(open_zero_shot)
    by_hand(tmp_path / "run", replies=dict.fromkeys(ARMS, TRUTHS))
    table = examples(Run(tmp_path / "run"))
    assert table.empty and table.attrs["chosen"].startswith("0 of the 0 clips (of 5)")
