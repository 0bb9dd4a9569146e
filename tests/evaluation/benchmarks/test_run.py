"""The six image benchmarks on small made-up data: read, asked, resumed, scored by id."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_benchmarks import MAKERS, UNKNOWN, WORD
from scipy import stats
from scripted_model import Scripted, made, run

from llamavid_kit.__main__ import main
from llamavid_kit.evaluation.benchmarks import FILES, benchmark
from llamavid_kit.evaluation.benchmarks.run import OUTCOMES, REPLIES, RESULT, answer, evaluate, score_run
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.model.checkpoints import load

IMAGE_BENCHMARKS = tuple(MAKERS)


LOCAL = ("gqa", "pope", "scienceqa", "mmbench")


LETTER = "\nAnswer with the option's letter from the given choices directly."


@pytest.fixture(scope="module")
def tiny():
    return load("tiny")


def by_hand(outcomes, groups):
    """The default interval a second time: Wilson, or the cluster sandwich with a t quantile."""
    n, names = len(outcomes), sorted(set(groups))
    if len(names) == n:
        return wilson(int(sum(outcomes)), n)
    if len(set(outcomes)) == 1:
        return wilson(len(names) * int(outcomes[0]), len(names))
    mean, size = sum(outcomes) / n, len(names)
    sums = [sum(x - mean for x, group in zip(outcomes, groups, strict=True) if group == name) for name in names]
    half = stats.t.ppf(0.975, size - 1) * (size / (size - 1) * sum(s * s for s in sums)) ** 0.5 / n
    return max(0, mean - half), min(1, mean + half)


@pytest.mark.parametrize("name", IMAGE_BENCHMARKS)
def test_end_to_end_with_tiny(name, tmp_path, monkeypatch, capsys, tiny):
    """One command: replies of every item, a result that a recount gives again, a file for the server."""
    if name == "mmbench":
        pytest.importorskip("openpyxl")
    monkeypatch.setattr("llamavid_kit.model.checkpoints.load", lambda *_, **__: tiny)
    chosen, items, _ = made(name, tmp_path / "data")
    out = tmp_path / "out"
    argv = ["evaluate", name, "--data", str(tmp_path / "data"), "--out", str(out), "--max-new-tokens", "4"]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert f"{chosen.title}, {len(items)} items, tiny" in printed and "nothing was published" in printed
    head, *lines = [json.loads(line) for line in (out / REPLIES).read_text().splitlines()]
    assert head["run"] | {"benchmark": name, "model": "tiny", "max_new_tokens": 4, "n": len(items)} == head["run"]
    assert [line["id"] for line in lines] == [item.id for item in items]
    result = json.loads((out / RESULT).read_text())
    assert result["n"] == len(items) and set(result["scores"]) == set(chosen.modes)
    if name in LOCAL:
        for mode, score in result["scores"].items():
            with (out / OUTCOMES).open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row[mode]]
            outcomes = [float(row[mode]) for row in rows]
            assert sum(part["n"] for part in score["parts"].values()) == len(outcomes)
            assert sum(part["k"] for part in score["parts"].values()) == sum(outcomes)
            low, high = by_hand(outcomes, [row["group"] for row in rows])
            assert score["intervals95"][""] == pytest.approx([100 * low, 100 * high])
    else:
        assert result["scores"]["original"]["value"] is None and (out / result["submission"]).is_file()
    before = (out / REPLIES).read_bytes()
    assert main(argv) == 0 and (out / REPLIES).read_bytes() == before  # nothing is asked again


@pytest.mark.parametrize("name", LOCAL)
def test_right_replies_are_right_and_wrong_ones_wrong(name, tmp_path):
    """In every mode; the labels lie in another order than the questions."""
    if name == "mmbench":
        pytest.importorskip("openpyxl")
    result, _, items = run(name, tmp_path / "right")
    assert [score.value for score in result.scores.values()] == pytest.approx([100.0] * len(result.scores))
    assert not any(score.no_answer for score in result.scores.values())
    other = {"Yes": "No", "No": "Yes", "A": "B", "B": "A", "C": "D", "D": "C", "E": "A"}
    wrong, _, _ = run(name, tmp_path / "wrong", replies=lambda reply: other.get(reply, reply[:2]))
    for score in wrong.scores.values():
        assert score.value == 0 and set(score.outcomes.values()) == {0.0}
    assert sum(p.n for p in result.scores["original"].parts.values()) == len(result.scores["original"].outcomes)
    assert len(items) == result.n


def test_prompts_and_queries_are_the_originals(tmp_path):
    """MMBench's instruction is not told to the text decoder; ScienceQA's pictures are not padded."""
    pytest.importorskip("openpyxl")
    calls = {name: run(name, tmp_path / name)[1].calls for name in IMAGE_BENCHMARKS}
    assert calls["gqa"][0] == (f"What colour fills the picture?{WORD}",) * 2 + (True,)
    assert calls["vizwiz"][0] == (f"What colour is this?{UNKNOWN}{WORD}",) * 2 + (True,)
    science = f"Which colour is it?\nA. green\nB. red{LETTER}"
    assert calls["scienceqa"][0] == (science, science, False)
    plain, hinted = "Which colour is it?\nA. red\nB. green", "Look at all of it.\nWhich colour is it?\nA. green"
    assert calls["mmbench"][0] == (plain + LETTER, plain, True)
    assert any(query.startswith(hinted) for _, query, _ in calls["mmbench"])
    assert len(calls["scienceqa"]) == 4  # the fifth question has no picture


def test_a_run_that_was_cut_off_goes_on(tmp_path):
    """Killed after a batch, with a line and a half written: the file becomes that of an undisturbed run."""
    chosen, items, truth = made("pope", tmp_path / "data")
    whole = tmp_path / "whole"
    options = {"name": "m", "settings": {"weights": "w"}, "batch": 3}
    answer(chosen, items, Scripted(items, truth), whole, **options)
    with pytest.raises(KeyboardInterrupt):
        answer(chosen, items, Scripted(items, truth, stop_after=3), tmp_path / "cut", **options)
    path = tmp_path / "cut" / REPLIES
    with path.open("a") as file:
        file.write('{"id": "a whole line of an unfinished batch", "reply": ""}\n{"id": "hal')
    model = Scripted(items, truth)
    answer(chosen, items, model, tmp_path / "cut", **options)
    assert path.read_bytes() == (whole / REPLIES).read_bytes() and len(model.calls) == len(items) - 3


@pytest.mark.parametrize("change", [{"name": "other"}, {"settings": {"weights": "v"}}, {"batch": 2}])
def test_a_folder_of_another_run_is_refused(change, tmp_path):
    chosen, items, truth = made("gqa", tmp_path / "data")
    options = {"name": "m", "settings": {"weights": "w"}, "batch": 3}
    answer(chosen, items, Scripted(items, truth), tmp_path / "out", **options)
    ((key, value),) = (change.get("settings") or {"model": change["name"]} if "batch" not in change else change).items()
    with pytest.raises(ValueError, match=f"belongs to another run: {key} .*, now {value!r}; give another"):
        answer(chosen, items, Scripted(items, truth), tmp_path / "out", **options | change)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"not empty and holds no replies\.jsonl"):
        answer(chosen, items, Scripted(items, truth), tmp_path / "full", **options)


def test_other_questions_or_pictures_are_another_run(tmp_path):
    chosen, items, truth = made("gqa", tmp_path / "data")
    options = {"name": "m", "settings": {}, "batch": 3}
    answer(chosen, items, Scripted(items, truth), tmp_path / "out", **options)
    items[0].media.write_bytes(items[0].media.read_bytes() + b" ")
    with pytest.raises(ValueError, match="belongs to another run: items '"):
        answer(chosen, items, Scripted(items, truth), tmp_path / "out", **options)


def test_a_run_that_answered_nothing_leaves_its_folder_free(tmp_path):
    """A first try with a wrong option writes no reply, and keeps nobody from the right one."""
    chosen, items, truth = made("gqa", tmp_path / "data")
    options = {"settings": {}, "batch": 3}
    with pytest.raises(KeyboardInterrupt):
        answer(chosen, items, Scripted(items, truth, stop_after=0), tmp_path / "out", name="wrong", **options)
    path = answer(chosen, items, Scripted(items, truth), tmp_path / "out", name="right", **options)
    head, *lines = path.read_text().splitlines()
    assert json.loads(head)["run"]["model"] == "right" and len(lines) == len(items)


def test_a_damaged_line_is_named(tmp_path):
    result, _, items = run("gqa", tmp_path)
    path = tmp_path / "out" / REPLIES
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, lines[0], lines[1][:9], *lines[2:], ""]))
    with pytest.raises(ValueError, match=r"replies\.jsonl, line 3 is damaged"):
        score_run(result.benchmark, items, path)
    path.write_text("\n".join(["{", *lines, ""]))
    with pytest.raises(ValueError, match=r"replies\.jsonl, line 1 is damaged"):
        run("gqa", tmp_path)


def test_a_broken_picture_stops_the_run(tmp_path, tiny, monkeypatch, capsys):
    """Named, and the command says it in one line."""
    monkeypatch.setattr("llamavid_kit.model.checkpoints.load", lambda *_, **__: tiny)
    MAKERS["gqa"](tmp_path / "data")
    (tmp_path / "data" / "images" / "n2.png").write_bytes(b"no picture")
    assert main(["evaluate", "gqa", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]) == 2
    assert "n2.png cannot be read as a picture" in capsys.readouterr().err


def test_intervals_get_outcomes_and_clusters_by_id(tmp_path, monkeypatch):
    """What `clustered_interval` returns is what is shown."""
    chosen, items, truth = made("pope", tmp_path / "data")
    arguments = []

    def interval(outcomes, clusters):
        arguments.append((outcomes, clusters))
        return 0.25, 0.75

    monkeypatch.setattr("llamavid_kit.evaluation.benchmarks.run.clustered_interval", interval)
    result = evaluate(chosen, Scripted(items, truth), data=tmp_path / "data", out=tmp_path / "out", name="m")
    assert result.intervals["original"][""] == (25, 75)
    outcomes, clusters = arguments[0]
    assert outcomes.keys() == clusters.keys() == truth.keys() and len(set(clusters.values())) == 4


def test_a_judge_is_asked_for():
    with pytest.raises(ValueError, match="scored by a judge"):
        evaluate(replace(benchmark("gqa"), judged=True), None, data=Path(), out=Path(), name="m")


def test_a_judge_that_nobody_asks_is_an_error(tmp_path, capsys):
    MAKERS["pope"](tmp_path / "data")
    argv = ["evaluate", "pope", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert main([*argv, "--judge-rule", "words"]) == 2
    assert "POPE is scored by its own rule and takes no judge" in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_one_line(tmp_path, capsys):
    MAKERS["gqa"](tmp_path / "data")
    (tmp_path / "out").write_text("")
    argv = ["evaluate", "gqa", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert main(argv) == 2 and "File exists" in capsys.readouterr().err


def test_help_says_what_the_folder_must_hold(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    printed = capsys.readouterr().out
    assert all(name in printed and files[:30] in printed for name, files in FILES.items())
    with pytest.raises(ValueError, match="unknown benchmark 'mme': expected one of gqa, pope"):
        benchmark("mme")


def test_an_edited_file_is_noticed_before_a_picture_is_asked_about(tmp_path):
    """A batch of other ids; a run that lacks a line of its batch asks the batch again."""
    chosen, items, truth = made("gqa", tmp_path / "data")
    options = {"name": "m", "settings": {}, "batch": 2}
    with pytest.raises(KeyboardInterrupt):
        answer(chosen, items, Scripted(items, truth, stop_after=2), tmp_path / "out", **options)
    path, rest = tmp_path / "out" / REPLIES, Scripted(items, truth)
    whole = path.read_text()
    path.write_text(whole.replace(items[1].id, "other"))
    with pytest.raises(ValueError, match="was edited since: .*1 unknown .other.*put it back, or delete it"):
        answer(chosen, items, rest, tmp_path / "out", **options)
    assert not rest.calls
    path.write_text("".join(whole.splitlines(keepends=True)[:2]))
    answer(chosen, items, rest, tmp_path / "out", **options)
    assert len(rest.calls) == 4


def test_kept_replies_are_joined_by_id(tmp_path):
    """The file's lines in another order give the same outcomes."""
    result, _, items = run("gqa", tmp_path)
    path = tmp_path / "out" / REPLIES
    head, *lines = path.read_text().splitlines()
    lines[0] = lines[0].replace('"reply": "', '"reply": "not ')
    outcomes = []
    for order in (lines, lines[::-1]):
        path.write_text("\n".join([head, *order, ""]))
        outcomes.append(score_run(result.benchmark, items, path).scores["original"].outcomes)
    assert outcomes[0] == outcomes[1] and list(outcomes[0].values()) == [0.0] + [1.0] * (len(items) - 1)


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "mmbench"])
def test_the_interval_beside_a_value_is_of_that_value(name, tmp_path):
    """Where a row gives no interval of its own for the value, the mean of the outcomes is the value."""
    result, _, _ = run(name, tmp_path, replies=lambda text: text if len(text) % 2 else "red")
    for score in result.scores.values():
        if score.value is not None and score.outcomes and name != "pope":
            assert score.interval95 is None
            assert score.value == pytest.approx(100 * sum(score.outcomes.values()) / len(score.outcomes))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gqa", {"fps": 2}, r"fps=2 for GQA: pictures have no rate; leave --fps out"),
        ("gqa", {"batch": 0}, r"batch=0: expected at least 1 \(--batch\)"),
        ("msvd", {"batch": 16}, r"batch=16 for MSVD-QA: questions about clips are .*; leave --batch out"),
        ("msvd", {"fps": -1}, r"fps=-1 samples nothing"),
    ],
)
def test_an_option_that_does_not_apply_is_an_error(name, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        answer(benchmark(name), [], None, tmp_path / "out", name="m", settings={}, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "message"), [("gqa", "expected a model with `look`"), ("msvd", "with `watch`")])
def test_a_model_that_cannot_be_asked_is_named(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        answer(benchmark(name), [], object(), tmp_path / "out", name="m")


@pytest.mark.parametrize("name", ["msvd", "video_chatgpt"])
def test_a_judge_s_mode_needs_a_judge(name):
    with pytest.raises(ValueError, match="judge=None, mode='strict': expected a judge, and one of strict, original"):
        benchmark(name).score([], {}, mode="strict")
