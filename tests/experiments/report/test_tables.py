"""One table of arms and measures feeds all others: counts that can be counted again from the replies."""

import re

import pandas as pd
import pytest

from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.experiments.report import tables
from llamavid_kit.experiments.report.figures import binary

ARMS = ["zero-shot, 1 fps", "zero-shot, 4 fps", "fine-tuned, 1 fps", "fine-tuned, 4 fps"]


def test_measures_are_those_of_the_summary_and_parts_add_up(runs):
    run = runs["normal"]
    table = tables.measures(run)
    whole = table[table["of"] == tables.ALL].set_index(["key", "measure"])
    for arm in run.summary["arms"]:
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "no_label"):
            assert whole.loc[(arm["name"], name), "value"] == arm[name]
        row = whole.loc[(arm["name"], "accuracy")]
        assert (row["k"], row["n"], [row["low"], row["high"]]) == (arm["correct"], arm["n"], arm["wilson95"])
        for measure in ("class", "group", "event"):
            part = table[(table["key"] == arm["name"]) & (table["measure"] == measure)]
            assert part["n"].sum() == 330 and part["k"].sum() == arm["correct"], measure
    classes = table[(table["measure"] == "class") & (table["key"] == run.arms[0].name)]
    replies = run.of(run.arms[0].name)
    for row in classes.itertuples():
        own = replies[replies["truth"] == row.of]
        assert (row.k, row.n, row.value) == (own["correct"].sum(), len(own), own["correct"].mean())
        assert (row.low, row.high) == wilson(row.k, row.n)
    assert set(table["rule"]) == {"exact", "likeliest choice"}


def test_arms_stand_zero_shot_first_then_by_rate(runs):
    table = tables.of_arms(runs["normal"], "generation")
    assert list(table["arm"]) == ["zero-shot, 1 fps", "zero-shot, 6 fps", "fine-tuned, 1 fps", "fine-tuned, 6 fps"]
    assert list(table["correct"]) == list(table["k"]) and table["main"].all()
    assert len(tables.of_arms(runs["seeds"], "generation")) == 2 + 2 * 2


def test_published_numbers_stand_beside_the_studys_labels_only(runs):
    table = tables.arm_table(runs["normal"], "generation")
    assert list(table["study: published"]) == ["57.5%", "57.9%", "62.0%", "65.3%"]
    assert list(table["study: its logs give"])[2:] == ["150/242 = 62.0%", "158/242 = 65.3%"]
    assert "study: published" not in tables.arm_table(runs["own_labels"], "generation")
    assert "study: published" not in tables.arm_table(runs["normal"], "likelihood")


def test_an_arms_row_says_what_its_model_got_to_see(runs):
    table = tables.arm_table(runs["normal"], "generation").set_index("arm")
    assert table.loc["zero-shot, 1 fps", ["frames a clip", "tokens a frame", "tokens in all"]].tolist() == [
        "8.0",
        "2",
        "5,280",
    ]
    assert table.loc["fine-tuned, 6 fps", "tokens in all"] == "31,680"


def test_accuracy_by_what_the_frames_held_adds_up(runs):
    run = runs["normal"]
    for way in run.answering:
        table = tables.by_part(run, way, "event").set_index("arm")
        assert set(table) == {tables.EVENT_IN_FRAME, tables.EVENT_BETWEEN, tables.NO_EVENT}
        for arm in (arm for arm in run.arms if arm.answering == way):
            counted = [re.match(r"(\d+)/(\d+)", cell) for cell in table.loc[run.name_in_tables(arm)] if cell != "–"]
            assert sum(int(c[2]) for c in counted) == 330
            assert sum(int(c[1]) for c in counted) == run.scores[arm.name]["correct"]


def test_the_binary_matrix_counts_every_clip_and_keeps_no_label_apart(runs):
    matrix, labels, columns = binary(runs["normal"], "zero-shot-1fps-generation")
    assert labels == ("Anomaly", "Normal Video") and columns[-1] == "no label"
    assert [sum(row) for row in matrix] == [300, 30]
    assert tables.normal_label(runs["own_labels"]) == "Nothing"
    assert tables.normal_label(runs["normal"]) == "Normal Video"


def test_discordant_clips_are_those_that_one_of_two_got_right(runs):
    run = runs["normal"]
    row = tables.paired(run, "fps").iloc[0]
    table = tables.discordant(run, row["key_a"], row["key_b"])
    right = [set(rows[rows["correct"]]["clip"]) for rows in (run.of(row["key_a"]), run.of(row["key_b"]))]
    assert set(table["clip"]) == right[0] ^ right[1] and list(table["clip"]) == sorted(table["clip"])
    assert set(table[table["right in"] == "first"]["clip"]) == right[0] - right[1]
    assert len(table) == row["only_a"] + row["only_b"]


def test_comparisons_are_those_of_the_summary_in_words(runs):
    run = runs["normal"]
    table = tables.paired(run)
    assert len(table) == len(run.summary["paired"]) == 3 * 4
    assert set(table["family"]) == {"fps", "adapter", "answering"} == set(run.families)
    assert len(tables.paired(run, "fps", answering="generation")) == 2
    for row, record in zip(table.itertuples(), run.summary["paired"], strict=True):
        assert (row.key_a, row.key_b, row.p, row.p_holm) == (record["a"], record["b"], record["p"], record["p_holm"])
        assert [row.low, row.high] == record["interval95"]
        assert (row.a, row.b) == (run.words(record["a"]), run.words(record["b"]))
    assert tables.paired(run, "content").empty and "p_holm" in tables.paired(run, "content")


def test_class_sizes_and_exclusions_count_clips(runs):
    run = runs["normal"]
    sizes = tables.class_sizes(run)
    assert sizes["class"].tolist() == run.labels and sizes["test"].sum() == 330 and sizes["train"].sum() == 20
    assert tables.exclusions(run).to_dict("records") == [{"reason": "more frames than the model can read", "clips": 1}]


# --- an open question


def test_table_4_has_an_arm_a_row_the_baseline_and_the_published_numbers(open_run):
    table = tables.arm_table(open_run, "generation")
    assert table["arm"].tolist() == [*ARMS, 'always "The frog is jumping."']
    assert table["right"].tolist() == ["1/5", "2/5", "4/5", "5/5", "1/5"]
    assert [cell.split()[0] for cell in table["score, 0 to 5"]] == ["1.00", "2.20", "3.60", "4.80", "1.00"]
    assert table["study: accuracy"].tolist() == ["18.04%", "–", "34.06%", "–", "–"]
    assert table["study: score"].tolist() == ["1.32", "–", "2.65", "–", "–"]
    arm = open_run.summary["arms"][3]
    low, high = arm["f1_interval95"]
    assert table["F1"][3] == f"{100 * arm['f1']:.1f}% ({100 * low:.1f} to {100 * high:.1f}%)"
    assert table["accuracy"][0] == "20.0% (3.6 to 62.4%)"


def test_pairs_for_reading(open_run):
    """8/32 after Holm over four tests of one family."""
    table = tables.paired_table(open_run, "fps")
    assert (table["first"][0], table["second"][0]) == (ARMS[0], ARMS[1])
    assert table["only second right"][0] == 1 and table["accuracy, points"][0].startswith("+20.0 (")
    assert table["score"][0].startswith("+1.20 (") and table["p of the score (Holm)"][0] == "1.000"


def test_every_table_is_written_where_it_holds_something(runs, open_run):
    names = set(tables.all_tables(runs["normal"]))
    assert names >= {"measures", "excluded", "visibility", "paired", "seconds", "class_sizes", "arms_generation"}
    assert names >= {f"by_{part}_{way}" for part in ("class", "group", "event") for way in ("generation", "likelihood")}
    assert "prompts" not in names and not {"class_sizes", "by_class_generation"} & set(tables.all_tables(open_run))
    assert all(isinstance(table, pd.DataFrame) and len(table) for table in tables.all_tables(open_run).values())


@pytest.mark.parametrize(
    ("value", "bounds", "form", "text"),
    [
        (0.5, None, "%", "50.0%"),
        (0.5, (0.25, 0.75), "%", "50.0% (25.0 to 75.0%)"),
        (3, (1, 4), "n", "3"),
        (1.234, (1, 2), ".2f", "1.23 (1.00 to 2.00)"),
    ],
)
def test_numbers_are_written_with_their_intervals(value, bounds, form, text):
    assert tables.written(value, bounds, form) == text
    assert tables.percent(1, 0) == "–" and tables.percent(1, 4) == "25.0%"
