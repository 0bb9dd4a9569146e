"""How a closed question was asked, in tables and sentences: two rules of likelihood, calibration, places and orders."""

import json
import shutil
from pathlib import Path

import pytest
from small import LABELS
from worded_runs import PLAIN, N, go

from llamavid_kit.experiments.report import choices, tables, text
from llamavid_kit.experiments.report.figures import figure
from llamavid_kit.experiments.report.page import write_report
from llamavid_kit.experiments.run import Run

pytestmark = pytest.mark.slow


def recount(run, key):
    rows = run.of(key)
    right = {"raw": 0, "per token": 0}
    for row in rows.itertuples():
        values = {label: (v, v / row.n_tokens[label]) for label, v in row.log_likelihood.items()}
        for k, rule in enumerate(right):
            best = max(run.labels, key=lambda label, k=k: values[label][k])
            right[rule] += best == row.truth
    return right


def test_tables_of_the_run(worded_run):
    read = Run(worded_run[0])
    read.check()
    table = choices.rules_table(read)
    assert (
        len(table) == 12 and len({*read.replies["n_tokens"].dropna().map(lambda x: x["Green light"] != x["Red"])}) == 1
    )
    keys = tables.of_arms(read, "likelihood", every=True)["key"]
    for key, row in zip(keys, table.to_dict("records"), strict=True):
        right = recount(read, key)
        for rule in right:
            assert row[f"right, {rule}"].startswith(f"{right[rule]}/{N} ")
    assert len(choices.calibration_table(read)) == 24 and len(tables.paired(read, "prompt")) == 24
    order = choices.order_table(read)
    assert len(order) == 12 and len(choices.position_table(read)) >= 12
    for row, (a, b) in zip(order.to_dict("records"), choices.order_pairs(read), strict=True):
        one, two = (read.of(key).set_index("clip") for key in (a, b))
        turned = [list(x) != list(LABELS) for x in two["options"]]
        labels = zip(one["label"].fillna("-"), two["label"].fillna("-"), turned, strict=True)
        assert row["another order"] == sum(turned)
        assert row["another choice"].startswith(f"{sum(x != y and t for x, y, t in labels)} =")
    assert list(tables.prompts(read)["worded by"]) == ["the study's script", "ours", "ours"]
    assert all(len(t) for t in choices.all_tables(read).values())


def test_main_tables_hold_the_main_arms_alone(worded_run):
    read = Run(worded_run[0])
    for mode in read.answering:
        assert len(tables.arm_table(read, mode)) == 2
        assert len(tables.arm_table(read, mode, every=True)) == 12
        main = {f"zero-shot, {fps} fps, study prompt, options as listed" for fps in (1, 3)}
        assert set(tables.of_arms(read, mode, "class")["arm"]) == main
        assert set(tables.class_table(read, mode)) == {"class", *main}
    sizes = {"fps": 12, "prompt": 24, "order": 12, "answering": 12}
    assert {family: len(tables.paired(read, family)) for family in read.families} == sizes
    assert len(tables.paired(read)) == sum(sizes.values())
    assert read.varied == ["prompt", "order"] and read.families[0] == "fps"


def test_sentences_of_the_run(worded_run):
    read = Run(worded_run[0])
    assert "likeliest as the whole answer" in choices.rules(read) and "The two disagree on" in choices.rules(read)
    assert choices.calibration(read).count("- ") >= 12
    for family, n in (("prompt", 24), ("order", 12)):
        assert f"Of {n} comparisons, " in text.family(read, family)
    assert "rule `normalised`" in choices.written(read)


def without(folder: Path, name: str) -> Run:
    """The run, had the model not said `name` of its replies."""
    for path in (folder / "arms").iterdir():
        head, *lines = path.read_text().splitlines()
        lines = [json.dumps({k: v for k, v in json.loads(line).items() if k != name}) for line in lines]
        path.write_text("\n".join([head, *lines]) + "\n")
    return Run(folder)


def test_a_model_that_does_not_count_its_choices_has_one_rule_alone(worded_clips, tokenizers, tmp_path):
    go(worded_clips, tokenizers, tmp_path, PLAIN)
    read = without(tmp_path, "n_tokens")
    table = choices.rules_table(read)
    assert list(table) == ["arm", "clips", "right, raw"] and not read.varied
    assert "did not say how long its choices are" in choices.rules(read)
    assert figure(read, "calibration") is not None and set(choices.calibration_bins(read)["rule"]) == {"raw"}
    assert len(tables.arm_table(read, "likelihood")) == 2 and len(tables.paired(read, "fps")) == 2


def test_the_rule_is_in_every_table_about_labels(worded_run):
    """Whoever finds one CSV of a run reads in it which rule made its labels."""
    read = Run(worded_run[0])
    silent = {"class_sizes", "excluded", "visibility", "seconds", "prompts"}
    every = tables.all_tables(read) | choices.all_tables(read)
    for name, table in every.items():
        both = ({"right, raw", "right, per token"}, {"rule_a", "rule_b"})
        assert ("rule" in table or any(columns <= set(table) for columns in both)) != (name in silent), name
        if "rule" in table and "generation" in name:
            assert set(table["rule"]) == {"normalised"}, name
    header = (worded_run[0] / "results.csv").read_text().split("\n")[0]
    rules = every["paired"].set_index("family")[["rule_a", "rule_b"]]
    assert ",rule," in header and set(rules.loc["answering"].to_records(index=False).tolist()) == {
        ("normalised", "likeliest choice")
    }


def test_the_curve_shows_what_the_bins_hold(worded_run):
    read = Run(worded_run[0])
    fig = figure(read, "calibration")
    bins = choices.calibration_bins(read)
    arm = "zero-shot, 3 fps, study prompt, options as listed"
    bins = bins[bins["main"] & (bins["rule"] == "raw") & (bins["arm"] == arm)].sort_values("confidence")
    line = fig.axes[1].containers[0].lines[0]
    assert line.get_xdata() == pytest.approx(bins["confidence"]) and line.get_ydata() == pytest.approx(
        bins["correct"] / bins["n"]
    )
    titles = [" ".join(ax.get_title(loc="left").split()) for ax in fig.axes]
    assert titles == [
        f"zero-shot, {fps} fps, study prompt, options as listed rule {rule}"
        for rule in ("raw", "per token")
        for fps in (1, 3)
    ]


def test_the_report_of_a_run_in_other_words(worded_run, tmp_path):
    """One page: every sentence and table of the section, the prompts in full, and a section for either factor."""
    own = Path(shutil.copytree(worded_run[0], tmp_path / "run"))
    page = write_report(own).read_text()
    section = page[page.index("8. Does the answer depend") : page.index("9. Fine-tuning")]
    assert "Nothing to list" not in section
    assert "What does the video show: Red, Green light, or Blue?" in section and "the study's script" in section
    assert 'alt="Figure: Is it as sure as it is right?"' in section and "in another order</h3>" not in section
    differences = page[page.index("5. Do two arms differ") : page.index("6. Class by class")]
    for title in ("The same question in other words", "The same options in another order"):
        assert f">{title}</h3>" in differences and f'alt="Figure: {title}"' in differences
    assert (
        "The words and orders that were asked are a few of many" in page and "One wording of one question" not in page
    )
    assert (own / "figures" / "calibration.png").stat().st_size > 0
    tables_written = {path.stem for path in (own / "tables").iterdir()}
    assert tables_written >= {"positions", "choice_rules", "calibration", "paired", "prompts", "order_changes"}
    assert {"arms_generation", "arms_likelihood", "measures"} <= tables_written
    figures_written = {path.stem for path in (own / "figures").iterdir()}
    assert figures_written >= {"paired_fps", "paired_prompt", "paired_order", "every_arm_generation"}
