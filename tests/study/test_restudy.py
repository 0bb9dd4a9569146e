"""The study counted again: made-up logs by hand, the shipped counts, what is refused, and the command."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from made_up_logs import REPLIES, TRUTHS, make_annotation, make_logs, rows_of, write

from data_prep.ucf_crime.lists import events_of
from llamavid_kit.__main__ import main
from llamavid_kit.evaluation.scoring import RULES
from llamavid_kit.study import figures as restudy_figures
from llamavid_kit.study import logs as prediction_logs
from llamavid_kit.study import recount as restudy
from llamavid_kit.study.claims import findings, more_frames, same_clips
from llamavid_kit.study.evidence import event_lengths, evidence, with_road
from llamavid_kit.study.report import closing_lines
from llamavid_kit.study.results import BY_RULE, LOGGED, PAIRED_BY_RULE, SETTINGS, TABLE_3_CLASSES


@pytest.fixture
def logs(tmp_path):
    return make_logs(tmp_path / "logs")


@pytest.fixture
def found(logs, tmp_path):
    return evidence(logs, events_of(make_annotation(tmp_path / "annotation.txt")), event_source="annotation.txt")


@pytest.fixture(scope="module")
def shipped():
    return evidence()


def test_labels_by_hand(found):
    given = found.outcomes
    assert list(given["truth"]) == list(TRUTHS.values()) and list(given.columns[1:]) == list(LOGGED)
    assert list(given["zero_shot_fps1"]) == [
        "Abuse",
        "no label",
        "Fighting",
        "Normal Video",
        "no label",
        "Normal Video",
    ]
    assert list(given["finetuned_fps6"])[-1] == "skipped" and len(found.common) == 5
    assert [len(found.answered(key)) for key in LOGGED] == [6, 6, 5]
    assert list(with_road(given)["finetuned_fps1"])[-1] == "Road Accident"
    assert list(with_road(given)["zero_shot_fps1"]) == list(given["zero_shot_fps1"])


def test_counts_by_rule_by_hand(found):
    """Right and without label, of six and of the common five."""
    zero = found.by_rule["zero_shot_fps1"]
    assert zero["exact"] == (3, 2, 2, 2) and zero["normalised"] == (3, 1, 2, 1)
    assert zero["first_mention"] == (4, 0, 3, 0) and zero["last_mention"] == (3, 0, 2, 0)
    assert zero["unique_mention"] == (3, 1, 2, 1)
    assert found.by_rule["finetuned_fps1"]["exact_plus_Road_prefix"] == (3, 0, 3, 0)
    assert found.paired_by_rule["finetuned_fps1", "finetuned_fps6"]["exact"] == (5, 0, 2)
    assert found.paired_by_rule["zero_shot_fps1", "finetuned_fps1"]["exact"] == (6, 2, 2)


def test_tables_by_hand(found):
    two = restudy.table_2(found).set_index("setting")
    assert two.loc["fine-tuned, 1 fps", "its own clips"] == "3/6 = 50.0%"
    assert two.loc["fine-tuned, 1 fps", "common 5 clips"] == "3/5 = 60.0%"
    assert two.loc["zero-shot, 6 fps", "published"] == "57.9%" and "no log" in set(two.loc["zero-shot, 6 fps"])
    three = restudy.table_3(found).set_index("class")
    assert three.loc["Arson", "fine-tuned, 1 fps"] == "33% · 1/2 = 50%"
    assert three.loc["Arson", "zero-shot, 6 fps"] == "43% · no log"
    own = restudy.per_class(found, clips="answered").set_index(["key", "class"])
    assert own.loc[("finetuned_fps1", "Normal Video"), "n"] == 3
    numbers = restudy.accuracies(found).set_index("key")
    assert numbers.loc["finetuned_fps6", "balanced_accuracy"].value == 1
    assert numbers.loc["finetuned_fps1", "balanced_accuracy"].value == pytest.approx(1.5 / 3)


def test_comparisons_by_hand(found):
    table = restudy.comparisons(found).set_index(["key_a", "key_b"])
    assert list(table.index) == [("finetuned_fps1", "finetuned_fps6"), ("zero_shot_fps1", "finetuned_fps1")]
    row = table.loc["finetuned_fps1", "finetuned_fps6"]
    assert tuple(row[["n", "correct_a", "correct_b", "only_a", "only_b"]]) == (5, 3, 5, 0, 2)
    assert row["p"] == 0.5 and row["p_holm"] == 1
    only = restudy.discordant(found, "finetuned_fps1", "finetuned_fps6")
    assert list(only["video"]) == ["Arson002_x264.mp4", "Fighting001_x264.mp4"]
    assert set(only["right in"]) == {"fine-tuned, 6 fps"}
    back = restudy.discordant(found, "finetuned_fps6", "finetuned_fps1")
    assert list(back["right in"]) == list(only["right in"])


def test_events_by_hand(found, logs, tmp_path):
    """Arson002 lasts a third of a second between two frames of 1 fps; Fighting001 lasts as long as the video."""
    by_video = event_lengths(prediction_logs.read_logs(logs), events_of(tmp_path / "annotation.txt")).set_index("video")
    assert list(by_video.index) == ["Arson002_x264.mp4", "Arson001_x264.mp4", "Fighting001_x264.mp4"]
    assert list(by_video["sampled_1"]) == [0, 1, 30] and list(by_video["sampled_6"]) == [2, 6, 180]
    assert list(by_video["length_s"]) == pytest.approx([1 / 3, 1, 30])
    assert list(by_video["finetuned_fps6"]) == [True, True, True]
    halves = found.halves.set_index("half")
    assert list(halves.loc["shorter", ["n", "first", "second"]]) == [2, 1, 2]
    assert list(halves.loc["longer", ["n", "first", "second"]]) == [1, 0, 1]
    seen = {point.fps: (point.seen, point.n) for point in found.curve}
    assert seen[1] == (2, 3) and seen[6] == (3, 3)
    missed = next(f for f in findings(found) if "misses" in f.claim)
    assert missed.verdict == "holds in part" and "1 at 1 fps, 0 at 6 fps" in missed.text
    assert "annotation.txt" in missed.text and "Whatever" not in missed.text


def test_an_annotation_as_a_table(logs, tmp_path):
    table = tmp_path / "events.csv"
    rows = [f"{v},{a / 30},{b / 30}" for v, (a, b) in {"Arson001_x264.mp4": (300, 330)}.items()]
    table.write_text("\n".join(["clip,start_s,end_s", *rows, *(f"{v},," for v in list(TRUTHS)[1:])]))
    assert evidence(logs, events_of(table)).curve[0].n == 1
    table.write_text("clip,start_s,end_s\nArson001_x264.mp4,1,2\n")
    with pytest.raises(ValueError, match="does not list 4 of the videos, such as Arson002"):
        evidence(logs, events_of(table))
    with pytest.raises(FileNotFoundError, match="no.txt is not a file"):
        events_of(tmp_path / "no.txt")
    with pytest.raises(ValueError, match="without predictions"):
        evidence(None, events_of(table))


def test_the_shipped_counts_agree_with_each_other(shipped):
    """The joint table gives the counts that stand beside it, by the exact rule."""
    for key in LOGGED:
        for place, rows in ((0, shipped.answered(key)), (2, shipped.common)):
            table = restudy.arm(rows, key)
            assert BY_RULE[key]["exact"][place : place + 2] == (table.correct, table.no_label)
            roads = restudy.arm(with_road(rows), key)
            assert BY_RULE[key]["exact_plus_Road_prefix"][place : place + 2] == (roads.correct, roads.no_label)
    for (a, b), by_rule in PAIRED_BY_RULE.items():
        pair = restudy.compare(shipped, a, b)
        assert by_rule["exact"] == (pair.n, len(pair.only_a), len(pair.only_b))
    assert len(shipped.outcomes) == 259 and len(shipped.common) == 242
    events = shipped.common[shipped.common["truth"] != "Normal Video"]
    assert shipped.halves["n"].sum() == len(events) == shipped.curve[0].n
    assert shipped.halves["first"].sum() == (events["truth"] == events["finetuned_fps1"]).sum()
    assert shipped.halves["second"].sum() == (events["truth"] == events["finetuned_fps6"]).sum()


def test_what_the_study_shows(shipped):
    verdicts = {f.claim: f.verdict for f in findings(shipped)}
    assert [v for c, v in verdicts.items() if c.startswith("The fine-tuned columns")] == ["holds"]
    assert [v for c, v in verdicts.items() if c.startswith("The zero-shot columns")] == ["not shown"]
    assert verdicts["Fine-tuning helps"] == "holds"
    assert verdicts["With fine-tuning, 6 frames a second give more right answers than 1"] == "suggested"
    assert verdicts["6 frames a second see brief events that 1 frame a second misses"] == "not shown"
    assert verdicts["Without fine-tuning, more frames change little"] == "cannot be checked"
    assert verdicts["The settings are compared on the same videos"] == "holds in part"
    said = " ".join(f.text for f in findings(shipped))
    assert "published are shares of the common ones" in said
    for number in (
        "22 of 22",
        "140/242 = 57.9%",
        "p = 0.077",
        "80% needs 510",
        "105/257",
        "133/257",
        "149 of 259",
        "Arson 43% of 9",
        "34.2 to 100.0%",
        "24 → 24 of 51",
        "16 → 22 of 51",
        "noticed 6",
        "mid-p form: 0.049",
        "0.027 by Holm",
        "22 of them rightly",
        "40 and 46 of 102 right, 7 only at 6 fps, 1 only at 1 fps, p = 0.070",
    ):
        assert number in said, number


def test_findings_follow_the_numbers(tmp_path):
    """Other logs, other verdicts: six of six new right answers, and the same videos for all."""
    folder = tmp_path / "logs"
    folder.mkdir()
    truths = [(f"Arson{i:03d}_x264.mp4", "Arson") for i in range(12)]
    for setting, replies in {
        "zero_shot_fps1": ["Abuse"] * 12,
        "zero_shot_fps6": ["Abuse"] * 12,
        "finetuned_fps1": ["Abuse"] * 12,
        "finetuned_fps6": ["Arson"] * 12,
    }.items():
        row = {"n_frames": 900, "video_fps": 30, "sampled_frames": 30}
        write(
            folder / f"{setting}.csv",
            [{**row, "video": v, "truth": t, "prediction": r} for (v, t), r in zip(truths, replies, strict=True)],
        )
    found = evidence(folder)
    verdicts = {f.claim: f.verdict for f in findings(found)}
    assert verdicts["With fine-tuning, 6 frames a second give more right answers than 1"] == "holds"
    assert verdicts["The settings are compared on the same videos"] == "holds"
    assert verdicts["Fine-tuning helps"] == "not shown"
    assert verdicts["The fine-tuned columns of Tables 2 and 3 follow from the logs"] == "not shown"
    assert len(restudy.comparisons(found)) == 4 and not any("no log" in line for line in closing_lines(found))


def test_a_loss_is_no_hint_of_a_gain(shipped):
    """With the two fine-tuned columns exchanged, all that suggested more frames speaks against them."""
    swapped = shipped.outcomes.rename(columns={"finetuned_fps1": "finetuned_fps6", "finetuned_fps6": "finetuned_fps1"})
    more = more_frames(replace(shipped, outcomes=swapped))
    assert more.verdict == "not shown" and "-3.3 points, 95% interval -7.0 to -0.1" in more.text
    assert same_clips(replace(shipped, outcomes=swapped)).verdict == "not shown", "no longer the published numbers"
    rows = [("Normal Video", "Normal Video", "Arson")] * 9 + [("Normal Video",) * 3] * 131
    rows += [("Arson", "Abuse", "Arson")] * 7  # fewer right answers, though better balanced
    given = pd.DataFrame(rows, columns=["truth", "finetuned_fps1", "finetuned_fps6"])
    less = more_frames(replace(shipped, outcomes=given))
    assert less.verdict == "not shown" and "accuracy, which the study did not report, it is +0.4" in less.text


def test_settings_without_logs(tmp_path):
    found = evidence(make_logs(tmp_path / "logs", ["zero_shot_fps1"]))
    judged = {f.claim: f for f in findings(found)}
    assert judged["Fine-tuning helps"].verdict == "cannot be checked"
    assert judged["Fine-tuning helps"].text == "There is no log of fine-tuned, 1 fps."
    lines = closing_lines(found)
    assert len(lines) == 4 and all("no log of" in line for line in lines)
    assert "no log of zero-shot, 6 fps and fine-tuned, 6 fps" in lines[-1]
    assert restudy.comparisons(found).empty
    assert found.source.endswith("1 settings (no file zero_shot_fps6.csv, finetuned_fps1.csv, finetuned_fps6.csv)")
    restudy_figures.figures(found)


def test_closing_lines_of_the_study(shipped):
    lines = closing_lines(shipped)
    assert lines[1] == (
        "fine-tuned, 1 fps against fine-tuned, 6 fps: 150/242 = 62.0% against 158/242 = 65.3%; only first right 4, "
        "only second 12; McNemar p = 0.077, Holm 0.077"
    )
    assert "105/257 = 40.9% against 158/257 = 61.5%" in lines[2] and lines[2].endswith("p = 7.3e-11, Holm 1.5e-10")
    assert lines[0].endswith("no log of zero-shot, 6 fps")


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
    assert restudy.possible_counts(percent, n, decimals=decimals) == expected


def test_possible_counts_refuses_nonsense():
    with pytest.raises(ValueError, match="n=0"):
        restudy.possible_counts(50, 0)
    with pytest.raises(ValueError, match="percent=101"):
        restudy.possible_counts(101, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": "Stealing"}, "truth 'Stealing'"),
        ({"n_frames": "x"}, "n_frames='x'"),
        ({"video_fps": 0}, "video_fps='0'"),
        ({"sampled_frames": 0}, "sampled_frames='0'"),
        ({"sampled_frames": 901}, "sampled_frames='901'"),
        ({"video": "a.mp4"}, "a.mp4 was already listed"),
        ({"video": " "}, "video is empty"),
    ],
)
def test_rows_that_are_refused(tmp_path, change, message):
    path = write(tmp_path / "finetuned_fps1.csv", rows_of("finetuned_fps1", **change))
    with pytest.raises(ValueError, match=rf"finetuned_fps1.csv, line \d.*{message}"):
        prediction_logs.read_log(path)


def test_files_that_are_refused(tmp_path, logs):
    with pytest.raises(ValueError, match=r"columns \['prediction'\] are missing"):
        prediction_logs.read_log(write(tmp_path / "x.csv", [], prediction_logs.COLUMNS[:-1]))
    with pytest.raises(ValueError, match="lists no predictions"):
        prediction_logs.read_log(write(tmp_path / "x.csv", []))
    (tmp_path / "short.csv").write_text(",".join(prediction_logs.COLUMNS) + "\na.mp4,900\n")
    with pytest.raises(ValueError, match="line 2: 2 fields"):
        prediction_logs.read_log(tmp_path / "short.csv")
    with pytest.raises(FileNotFoundError, match="nowhere is no folder; expected the one with"):
        prediction_logs.read_logs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds none of zero_shot_fps1.csv"):
        prediction_logs.read_logs(tmp_path / "empty")
    write(logs / "finetuned_fps6.csv", rows_of("finetuned_fps6")[1:])
    with pytest.raises(ValueError, match="disagree about 1 videos, such as Arson001_x264.mp4"):
        prediction_logs.read_logs(logs)


def test_other_files_are_left_alone_and_said_so(logs, caplog):
    (logs / "notes.csv").write_text("a,b\n")
    assert set(prediction_logs.read_logs(logs)) == set(REPLIES)
    assert "notes.csv is not read" in caplog.text


def test_records_have_every_rule_and_set(logs):
    found = prediction_logs.records(prediction_logs.read_logs(logs))
    assert list(found["results"]["finetuned_fps6"])[1:] == list(RULES)
    six = found["results"]["finetuned_fps6"]["exact"]
    assert {k: (v["n"], v["correct"]) for k, v in six.items()} == {
        "all_predicted": (5, 5),
        "common_5": (5, 5),
        "all_6_opened_skips_counted_wrong": (6, 5),
    }
    binary = found["results"]["finetuned_fps1"]["exact"]["all_predicted"]["binary"]
    assert binary["anomaly_as_normal"] == 1 and binary["normal_no_label"] == 1 and binary["normal_as_normal"] == 2
    assert json.loads(json.dumps(found)) == found


def test_figures_show_what_the_tables_hold(shipped):
    drawn = restudy_figures.figures(shipped)
    assert {"table_2", "figure_4_confusion", "figure_5_confusion", "figures_4_5_binary", "figure_6_classes"} <= set(
        drawn
    )
    texts = {
        name: "\n".join(t.get_text() for t in fig.findobj(lambda x: hasattr(x, "get_text")))
        for name, fig in drawn.items()
    }
    assert "158/242 = 65.3%" in texts["table_2"] and "no log" in texts["table_2"] and "57.9%" in texts["table_2"]
    assert "n = 257" in texts["figure_4_confusion"] and "n = 242" in texts["figure_5_confusion"]
    assert "no label" in texts["figure_4_confusion"] and "no label" not in texts["figure_5_confusion"]
    assert "n = 140" in texts["figure_6_classes"] and "102/102" in texts["events_shown"]
    assert "only first right: 4, only second: 12" in texts["comparisons"]
    axes = drawn["figure_6_classes"].axes
    heights = [[bar.get_height() for bar in ax.patches] for ax in axes[:4]]
    fine = restudy.per_class(shipped).query("key == 'finetuned_fps6'")
    assert heights[3] == pytest.approx(list(fine["correct"] / fine["n"])) and heights[1] == []
    diamonds = [next(line for line in ax.lines if line.get_marker() == "D").get_ydata() for ax in axes[:4]]
    assert [list(d * 100) for d in diamonds] == [pytest.approx(s.classes) for s in SETTINGS]
    curve = restudy_figures.power(4 / 242, 12 / 242, marks={"80%": 510})
    assert "80%: n = 510, 80%" in "\n".join(t.get_text() for t in curve.axes[0].texts)


def test_the_command_prints_writes_and_ends_with_the_comparisons(logs, tmp_path, capsys):
    out, annotation = tmp_path / "out", make_annotation(tmp_path / "a.txt")
    assert main(["restudy", "--predictions", str(logs), "--annotation", str(annotation), "--out", str(out)]) == 0
    said = capsys.readouterr().out.rstrip().splitlines()
    assert said[-4:] == closing_lines(evidence(logs))
    assert set(json.loads((out / "restudy.json").read_text())["results"]) == set(REPLIES)
    page = (out / "restudy.md").read_text()
    assert "## Claim by claim" in page and said[-3] in page
    assert all((out / "figures" / name).is_file() for name in ("table_2.png", "figure_6_classes.png"))
    numbers = pd.read_csv(out / "tables" / "accuracies.csv")
    assert {"macro_f1", "macro_f1_low", "macro_f1_high"} <= set(numbers.columns)
    assert list(pd.read_csv(out / "tables" / "per_class.csv")["class"].unique()) == list(TABLE_3_CLASSES)
    everything = "".join(path.read_text() for path in out.rglob("*") if path.suffix in (".md", ".json", ".csv"))
    assert "There is no arson" not in everything  # no reply's text is copied


def test_the_command_without_files_uses_the_counts_that_ship(capsys, tmp_path):
    assert main(["restudy"]) == 0
    assert "150/242 = 62.0% against 158/242" in capsys.readouterr().out
    assert main(["restudy", "--predictions", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "holds none of" in said and "the counts that ship with the kit are read" in said
