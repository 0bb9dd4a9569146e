"""Three clips by a stated rule, with what each arm saw and said, and every reply once."""

import re
from dataclasses import replace

import pytest
import small
from made_up_runs import USUAL, MadeUp, write_run

from llamavid_kit.experiments.report import single_clips, tables
from llamavid_kit.experiments.report.answer import main_pair
from llamavid_kit.experiments.report.single_clips import every_reply, kinds, three_clips
from llamavid_kit.experiments.run import Run

MADE = MadeUp(USUAL, n_test=44, answering=("generation",), source="my clips")


def cards(run: Run, root=None) -> list[str]:
    """A text a card, and the small print."""
    parts = three_clips(run, root).data.split('<div class="clip">')[1:]
    last, small_print = parts[-1].split('<p class="small">')
    return [*parts[:-1], last, small_print]


@pytest.fixture
def run(tmp_path):
    return Run(write_run(tmp_path / "run", MADE))


def test_each_is_the_first_of_its_kind_in_the_list(run):
    pair = main_pair(run, "generation")
    slow, fast = (
        dict(zip(*run.of(pair[key])[["clip", "correct"]].T.to_numpy(), strict=True)) for key in ("key_a", "key_b")
    )
    only_fast, only_slow, neither, both = kinds(run)
    assert (len(only_slow.clips), len(only_fast.clips)) == (pair["only_a"], pair["only_b"])
    order = list(run.test["clip"])
    for kind, right in ((only_fast, (0, 1)), (only_slow, (1, 0)), (neither, (0, 0)), (both, (1, 1))):
        assert kind.clips == [clip for clip in order if (slow[clip], fast[clip]) == right]
    *shown, small_print = cards(run)
    for card, kind in zip(shown, (only_fast, only_slow, neither), strict=True):
        assert (
            f"<strong>{kind.words}</strong>, {len(kind.clips)} of 44 clips. The first: {kind.clips[0]}, truth" in card
        )
    assert f"Not shown: “Both are right”, {len(both.clips)} of 44." in small_print and "root=CLIPS" in small_print


def test_a_card_says_what_each_arm_saw_and_replied(run):
    card, clip = cards(run)[0], kinds(run)[0].clips[0]
    slow, fast = card.split('<div class="arm">')[1:]
    assert "Fine-tuned, 1 fps saw 8 frames (16 tokens)" in slow and "✗ It replied: <strong>" in slow
    truth = run.test.set_index("clip").loc[clip, "label"]
    assert (
        "Fine-tuned, 6 fps saw 48 frames (96 tokens)" in fast
        and f"✓ It replied: <strong>{truth}</strong></div>" in fast
    )
    assert f"truth: <strong>{truth}</strong>" in card and "<img" not in card


def test_frames_are_those_that_the_arm_saw_and_one_of_the_event_is_marked(run, tmp_path):
    first, second = (kind.clips[0] for kind in kinds(run)[:2])
    small.write_clip(tmp_path / f"{first}.mp4", seconds=8)
    small.write_clip(tmp_path / f"{second}.mp4", seconds=3)
    run.clips.at[run.clips.index[run.clips["clip"] == first][0], "events"] = [(2.3, 2.8)]
    one, another, missing, small_print = cards(run, tmp_path)
    slow, fast = one.split('<div class="arm">')[1:]
    times = [
        re.findall(r'class="(\w+)"><img src="data:image/jpeg;base64,[^"]+" alt="frame">([\d.]+) s', arm)
        for arm in (slow, fast)
    ]
    assert times[0] == [("quiet", f"{s}.00") for s in range(8)]
    assert len(times[1]) == 8 and [time for kind, time in times[1] if kind == "event"] == ["2.50"]
    for card in (another, missing):  # the one is too short, the other is not there
        assert "<img" not in card and card.count("cannot be read here, or is another one now") == 2
    assert str(tmp_path) not in "".join((another, missing)) and "At most 8 frames" in small_print


def test_kinds_that_do_not_occur_are_named(tmp_path):
    skill = {(True, 1): 1.0, (True, 6): 1.0}
    shown, small_print = cards(Run(write_run(tmp_path / "run", replace(MADE, skill=skill))))
    assert (
        "Both are right" in shown
        and "No clip: “Only fine-tuned, 6 fps is right”, “Only fine-tuned, 1 fps is right”, “Neither is right”."
        in small_print
    )
    one_arm = Run(write_run(tmp_path / "one", replace(MADE, skill={(False, 1): 0.5})))
    assert [kind.words for kind in kinds(one_arm)] == ["Wrong", "Right"] and len(cards(one_arm)) == 3


def test_long_replies_and_markup_are_shortened_and_escaped(run):
    key = single_clips.compared(run)[0]
    run.replies.loc[run.replies["key"] == key, "reply"] = "<i>" + "word " * 100
    card = cards(run)[0]
    assert "&lt;i&gt;word word" in card and " …</strong>" in card and len(card) < 2000
    run.replies.loc[run.replies["key"] == key, "reply"] = ""
    assert "<strong>(nothing)</strong>" in cards(run)[0]


def test_every_reply_is_listed_once_and_marked(run, open_run, monkeypatch):
    folds = [*every_reply(run)]
    assert [summary for summary, _ in folds] == [f"{label}: 4 clips" for label in run.labels]
    assert sorted(clip for _, table in folds for clip in table["clip"]) == sorted(run.test["clip"])
    replies = run.replies.set_index(["arm", "clip"])
    for _, table in folds:
        for row in table.to_dict("records"):
            for arm in tables.of_arms(run, "generation")["arm"]:
                line = replies.loc[(arm, row["clip"])]
                assert row[arm] == f"{'✓' if line['correct'] else '✗'} {line['reply']}"
    ((summary, table),) = every_reply(open_run)
    assert summary == "Clips 1 to 5" and list(table["truth"]) == list(open_run.test["label"])
    assert single_clips.left_out(run) == ""
    monkeypatch.setattr(single_clips, "MOST_REPLIES", 4 * 30)  # four arms
    assert sum(len(table) for _, table in every_reply(run)) == 30
    assert single_clips.left_out(run).startswith("The first 30 of 44 clips are listed")
