"""Tables 2 and 3 counted again from made-up logs, by hand, and which percentages are a share of n clips."""

import pytest

from llamavid_kit.study import recount


def test_tables_by_hand(evidence):
    two = recount.table_2(evidence).set_index("setting")
    assert two.loc["fine-tuned, 1 fps", "its own clips"] == "3/6 = 50.0%"
    assert two.loc["fine-tuned, 1 fps", "common 5 clips"] == "3/5 = 60.0%"
    assert two.loc["zero-shot, 6 fps", "published"] == "57.9%" and "no log" in set(two.loc["zero-shot, 6 fps"])
    three = recount.table_3(evidence).set_index("class")
    assert three.loc["Arson", "fine-tuned, 1 fps"] == "33% · 1/2 = 50%"
    assert three.loc["Arson", "zero-shot, 6 fps"] == "43% · no log"
    own = recount.per_class(evidence, clips="answered").set_index(["key", "class"])
    assert own.loc[("finetuned_fps1", "Normal Video"), "n"] == 3
    numbers = recount.accuracies(evidence).set_index("key")
    assert numbers.loc["finetuned_fps6", "balanced_accuracy"].value == 1
    assert numbers.loc["finetuned_fps1", "balanced_accuracy"].value == pytest.approx(1.5 / 3)


def test_comparisons_by_hand(evidence):
    table = recount.comparisons(evidence).set_index(["key_a", "key_b"])
    assert list(table.index) == [("finetuned_fps1", "finetuned_fps6"), ("zero_shot_fps1", "finetuned_fps1")]
    row = table.loc["finetuned_fps1", "finetuned_fps6"]
    assert tuple(row[["n", "correct_a", "correct_b", "only_a", "only_b"]]) == (5, 3, 5, 0, 2)
    assert row["p"] == 0.5 and row["p_holm"] == 1
    only = recount.discordant(evidence, "finetuned_fps1", "finetuned_fps6")
    assert list(only["video"]) == ["Arson002_x264.mp4", "Fighting001_x264.mp4"]
    assert set(only["right in"]) == {"fine-tuned, 6 fps"}
    back = recount.discordant(evidence, "finetuned_fps6", "finetuned_fps1")
    assert list(back["right in"]) == list(only["right in"])


@pytest.mark.parametrize(
    ("percent", "n", "decimals", "expected"),
    [
        (57.5, 257, 1, []),
        (57.9, 242, 1, [140]),
        (43, 9, 0, []),
        (33, 9, 0, [3]),
        (50, 2, 0, [1]),
        (12, 8, 0, [1]),
        (13, 8, 0, [1]),
        (0, 5, 0, [0]),
        (100, 3, 0, [3]),
        (50, 300, 0, [149, 150, 151]),
    ],
)
def test_percentages_that_are_shares_of_n(percent, n, decimals, expected):
    assert recount.possible_counts(percent, n, decimals=decimals) == expected


def test_possible_counts_refuses_nonsense():
    with pytest.raises(ValueError, match="n=0"):
        recount.possible_counts(50, 0)
    with pytest.raises(ValueError, match="percent=101"):
        recount.possible_counts(101, 3)
