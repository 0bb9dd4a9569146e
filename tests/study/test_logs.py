"""Prediction files in the study's format: what is refused, and the records of every rule and set of clips."""

import json

import pytest
from made_up_logs import REPLIES, rows_of, write

from llamavid_kit.evaluation.scoring import RULES
from llamavid_kit.study.logs import COLUMNS, read_log, read_logs, records
from llamavid_kit.study.results import SETTINGS


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
        read_log(path)


def test_files_that_are_refused(tmp_path, logs):
    with pytest.raises(ValueError, match=r"columns \['prediction'\] are missing"):
        read_log(write(tmp_path / "x.csv", [], COLUMNS[:-1]))
    with pytest.raises(ValueError, match="lists no predictions"):
        read_log(write(tmp_path / "x.csv", []))
    (tmp_path / "short.csv").write_text(",".join(COLUMNS) + "\na.mp4,900\n")
    with pytest.raises(ValueError, match="line 2: 2 fields"):
        read_log(tmp_path / "short.csv")
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; expected the one with"):
        read_logs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds none of zero_shot_fps1.csv"):
        read_logs(tmp_path / "empty")
    write(logs / "finetuned_fps6.csv", rows_of("finetuned_fps6")[1:])
    with pytest.raises(ValueError, match="disagree about 1 videos, such as Arson001_x264.mp4"):
        read_logs(logs)


def test_other_files_are_left_alone_and_said_so(logs, caplog):
    (logs / "notes.csv").write_text("a,b\n")
    assert set(read_logs(logs)) == set(REPLIES)
    (message,) = caplog.messages
    assert (
        "notes.csv is not read: the files are called zero_shot_fps1.csv (zero-shot, 1 fps), zero_shot_fps6" in message
    )
    assert "zero_shot_fps6.csv (zero-shot, 6 fps, of which no log was found), finetuned_fps1.csv" in message


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_a_setting_under_another_name_is_told_its_own(tmp_path, caplog, setting):
    """The names that the tables print, those of the study's jobs, and other spellings."""
    names = {f"{setting.name}.csv", f"{setting.key}.CSV", f"{setting.key.replace('_', '-').upper()}.csv"}
    for name in names | ({f"{setting.log}.csv"} if setting.log else set()):
        (tmp_path / name).touch()
        caplog.clear()
        with pytest.raises(FileNotFoundError, match=f"holds none of .*{setting.key}.csv"):
            read_logs(tmp_path)
        expected = f"the predictions of {setting.name} are called {setting.key}.csv; rename it"
        assert caplog.messages == [f"{tmp_path / name} is not read: {expected}"]
        (tmp_path / name).unlink()


def test_records_have_every_rule_and_set(logs):
    counts = records(read_logs(logs))
    assert list(counts["results"]["finetuned_fps6"])[1:] == list(RULES)
    six = counts["results"]["finetuned_fps6"]["exact"]
    assert {k: (v["n"], v["correct"]) for k, v in six.items()} == {
        "all_predicted": (5, 5),
        "common_5": (5, 5),
        "all_6_opened_skips_counted_wrong": (6, 5),
    }
    binary = counts["results"]["finetuned_fps1"]["exact"]["all_predicted"]["binary"]
    assert binary["anomaly_as_normal"] == 1 and binary["normal_no_label"] == 1 and binary["normal_as_normal"] == 2
    assert json.loads(json.dumps(counts)) == counts
