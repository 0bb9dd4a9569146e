"""What stands beside a run: published rows of the same resolution, and whose they are."""

from scripted_model import run

from llamavid_kit.evaluation.benchmarks.published import NO_PAPER, README, ROWS, Row
from llamavid_kit.evaluation.benchmarks.table import table


def test_published_rows_have_the_same_resolution(tmp_path):
    """The study ran the 336-pixel checkpoint: it stands beside the authors' 336 and nowhere else."""
    result, _, _ = run("pope", tmp_path)
    at = {size: table(result, image_size=size) for size in (224, 336, 112, None)}
    assert "86.60%" in at[224] and "study" not in at[224] and "336" not in at[224]
    assert at[336].count("\n  authors ") == 2 and "86.10%" in at[336] and "86.60%" not in at[336]
    assert "not comparable: the published numbers are of 8910 items, this run has 12" in at[336]
    for size in (112, None):
        assert "nothing was published at this resolution" in at[size] and "authors" not in at[size]
    for size in (224, 336):  # no row is the paper's own, and the table says so
        assert at[size].count(NO_PAPER) == 1 and README in at[size]
        assert "\n  paper " not in at[size]
    assert "[low, high]: 95% interval\n  scorer original: as the published numbers were counted" in at[336]
    assert at[336].endswith("scorer strict: ours: a reply that does not clearly name one answer is wrong")
    assert "intervals clustered by picture or clip: 12 items about 4 pictures or clips" in at[336]


def test_a_row_of_the_paper_stands_at_its_resolution_only(tmp_path, monkeypatch):
    """As soon as one is known the note goes, there and nowhere else."""
    result, _, _ = run("pope", tmp_path)
    row = Row("paper", "Vicuna-7B", 224, {"POPE": 12.34}, "its Table 3")
    monkeypatch.setattr("llamavid_kit.evaluation.benchmarks.published.ROWS", (*ROWS, row))
    at = {size: table(result, image_size=size) for size in (224, 336)}
    assert "\n  paper       12.34%  POPE, Vicuna-7B, 224 px: its Table 3\n" in at[224] and NO_PAPER not in at[224]
    assert "12.34" not in at[336] and NO_PAPER in at[336]


def test_why_replies_hold_no_answer(tmp_path):
    """Of the strict reader; the original's has no causes."""
    result, _, _ = run("scienceqa", tmp_path, replies=lambda reply: "A or B")
    n = result.n
    text = table(result, image_size=224)
    assert f"{n} replies hold no answer (several options are named {n}); they count as wrong" in text
    assert f"{n} replies hold no answer; they count as wrong" in text
    assert result.scores["strict"].more["no answer"] == {"several options are named": n}
