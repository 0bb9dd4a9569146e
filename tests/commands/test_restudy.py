"""`restudy`: what it prints and writes, of predictions and of the counts that ship."""

import json

import pandas as pd
import pytest
from made_up_logs import REPLIES, make_annotation, make_logs

from llamavid_kit.__main__ import main
from llamavid_kit.study.evidence import read_evidence
from llamavid_kit.study.report import closing_lines
from llamavid_kit.study.results import TABLE_3_CLASSES

pytestmark = pytest.mark.slow


def test_it_prints_writes_and_ends_with_the_comparisons(tmp_path, capsys):
    logs, out, annotation = make_logs(tmp_path / "logs"), tmp_path / "out", make_annotation(tmp_path / "a.txt")
    assert main(["restudy", "--predictions", str(logs), "--annotation", str(annotation), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()
    assert lines[-4:] == closing_lines(read_evidence(logs))
    assert set(json.loads((out / "restudy.json").read_text())["results"]) == set(REPLIES)
    page = (out / "restudy.md").read_text()
    assert "## Claim by claim" in page and lines[-3] in page
    assert all((out / "figures" / name).is_file() for name in ("table_2.png", "figure_6_classes.png"))
    numbers = pd.read_csv(out / "tables" / "accuracies.csv")
    assert {"macro_f1", "macro_f1_low", "macro_f1_high"} <= set(numbers.columns)
    assert list(pd.read_csv(out / "tables" / "per_class.csv")["class"].unique()) == list(TABLE_3_CLASSES)
    everything = "".join(path.read_text() for path in out.rglob("*") if path.suffix in (".md", ".json", ".csv"))
    assert "There is no arson" not in everything  # no reply's text is copied


def test_without_files_it_uses_the_counts_that_ship(capsys, tmp_path):
    assert main(["restudy", "--out", str(tmp_path / "out")]) == 0
    assert "150/242 = 62.0% against 158/242" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {"restudy.md", "tables", "figures"}
    with pytest.raises(SystemExit):
        main(["restudy", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "for restudy.md, tables, figures, and of --predictions restudy.json" in words
    assert main(["restudy", "--predictions", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "holds none of" in error and "the counts that ship with the kit are read" in error
