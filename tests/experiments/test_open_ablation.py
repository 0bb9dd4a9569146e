"""Guards the open ablation: the closed one's protocol with sentences for answers, and every number of it recounted."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_open_runs import ARMS, ASKED, REPLIES, TEST, TRUTHS, asked_pairs, by_hand, pair, train_pairs
from small import LABELS, QUESTION, small_model, write_clip

from llamavid_kit.__main__ import main
from llamavid_kit.data.pairs import InstructionPair, write_jsonl
from llamavid_kit.evaluation.judges.animal_judge import judge, parse
from llamavid_kit.experiments import ablation, clip_list
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.report import page as report
from llamavid_kit.experiments.summary import read_arm
from llamavid_kit.experiments.tasks import ClosedQuestion, OpenQuestion, question_of
from llamavid_kit.model.ask import Reply
from llamavid_kit.training.finetune import LoraSettings, TrainSettings

CONFIG = AblationConfig(
    model="small",
    source="colours",
    fps=(1, 4),
    batch=2,
    max_new_tokens=60,
    answering=("generation",),
    train=TrainSettings(batch_size=2, max_steps=3, learning_rate=5e-3),
    lora=LoraSettings(r=2, alpha=4),
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Five good test clips, one torn and one too long; four training clips."""
    root = tmp_path_factory.mktemp("clips")
    good = [*asked_pairs(), *train_pairs()]
    for k, p in enumerate(good):
        write_clip(root / p.video, seconds=1.5, label=LABELS[k % 3], seed=k)
    (root / "torn.mp4").write_bytes((root / "t0.mp4").read_bytes()[:500])
    write_clip(root / "long.mp4", seconds=50)
    return root, [pair("torn", TRUTHS[0]), *good, pair("long", TRUTHS[1])]


@pytest.fixture(scope="module")
def run(clips, tokenizers, tmp_path_factory):
    """One whole run; tests read it, and copy it before they break it."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, ablate(clips[1], root=clips[0], out=out, config=CONFIG, model=small_model(*tokenizers))


def arms(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((out / "arms").iterdir())}


# --- the run


def test_all_arms_answer_the_same_clips_and_the_list_says_why_not_others(run):
    out, summary = run
    assert [arm["name"] for arm in summary["arms"]] == ARMS and set(arms(out)) == {f"{name}.jsonl" for name in ARMS}
    for name in ARMS:
        head, lines = read_arm(out / "arms" / f"{name}.jsonl")
        assert head["question"] == ASKED and head["rule"].startswith("animal-action pairs by rule")
        assert [(line["clip"], line["truth"]) for line in lines] == list(zip(TEST, TRUTHS, strict=True))
        assert {len(line["timestamps_s"]) for line in lines} == {2 if head["fps"] == 1 else 6}
    reasons = {row["clip"]: row["reason"] for row in summary["excluded"]}
    assert set(reasons) == {"torn", "long"} and "frames at 4 fps need" in reasons["long"]
    listed = json.loads((out / "clips.json").read_text())
    assert listed["question"] == ASKED and listed["labels"] == [] and listed["animals"] == ["frog", "goby fish", "lion"]


def test_every_line_can_be_judged_again_from_the_folder_alone(run):
    out, _ = run
    clips = json.loads((out / "clips.json").read_text())
    for name in ARMS:
        for line in read_arm(out / "arms" / f"{name}.jsonl")[1]:
            verdict = judge(line["reply"], line["truth"], clips["animals"])
            assert (line["score"], line["correct"], line["f1"]) == (verdict.score, verdict.correct, verdict.f1)
            for part in ("matched", "missing", "invented"):
                assert line[part] == [[claim.animal, claim.action] for claim in getattr(verdict, part)]


def test_adapters_and_rates_reach_the_replies(run):
    bodies = [content.split(b"\n", 1)[1] for content in arms(run[0]).values()]
    assert len(set(bodies)) == 4


def test_a_reply_may_be_as_long_as_it_was_allowed(run):
    """The random model never stops: every reply was cut at 60 tokens, not at a closed question's 24."""
    out, _ = run
    longest = max(len(line["reply"]) for name in ARMS for line in read_arm(out / "arms" / f"{name}.jsonl")[1])
    assert longest > 60


def test_cut_anywhere_and_started_again(clips, tokenizers, run, tmp_path, monkeypatch):
    """In the header, after it, within a line, between lines and batches: the same bytes again."""
    out = Path(shutil.copytree(run[0], tmp_path / "run"))
    monkeypatch.setattr(ablation, "finetune", lambda *_, out, **__: out / "adapter")  # it lies there
    whole = arms(out)
    for turn in range(2):
        for k, (name, content) in enumerate(whole.items()):
            ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
            places = [0, 10, ends[0], ends[1] + 7, ends[2], ends[3], ends[4] + 5, ends[5] - 1]
            (out / "arms" / name).write_bytes(content[: places[(k + 4 * turn) % 8]])
        summary = ablate(clips[1], root=clips[0], out=out, config=CONFIG, model=small_model(*tokenizers))
        assert arms(out) == whole, turn
    assert summary | {"seconds": 0} == run[1] | {"seconds": 0}


def test_every_clip_leaves_room_for_a_whole_reply(clips, tokenizers, tmp_path, monkeypatch):
    model, asked = small_model(*tokenizers), []
    monkeypatch.setattr(clip_list, "check_fits", lambda *_, n_prompt, **__: asked.append(n_prompt))
    config = replace(CONFIG, fps=(1,), finetune=False)
    ablate(clips[1][1:3], root=clips[0], out=tmp_path / "run", config=config, model=model)
    assert asked == [len(clip_list.open_prompt(model.tokenizer, "plain", ASKED)) + 60] * 2


# --- what is refused


def test_a_reply_too_short_for_the_truth_is_refused_before_anything_is_written(clips, tokenizers, tmp_path):
    """And with the number that the message names, it is not."""
    model, out = small_model(*tokenizers), tmp_path / "run"
    lengths = [len(model.tokenizer(t, add_special_tokens=False).input_ids) + 1 for t in TRUTHS]
    message = rf"max_new_tokens=9: \d of 5 true answers are longer, that of 't\d' has {max(lengths)} tokens; give"
    config = replace(CONFIG, max_new_tokens=9, finetune=False, fps=(1,))
    with pytest.raises(ValueError, match=message):
        ablate(asked_pairs(), root=clips[0], out=out, config=config, model=model)
    assert not out.exists()
    ablate(asked_pairs(), root=clips[0], out=out, config=replace(config, max_new_tokens=max(lengths)), model=model)
    long = pair("r9", "The lion is walking. " * 20, "train")
    with pytest.raises(ValueError, match="that of 'r9' has"):
        OpenQuestion(ASKED, ("lion",)).n_reply(model, [*asked_pairs(), long], 60)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"answering": ("generation", "likelihood")}, r"answering=.* is for questions with labels.*give answering="),
        ({"rule": "exact"}, "rule='exact' is for questions with labels.*give rule='normalised'"),
        ({"groups": {"cats": ("lion",)}}, "groups=.*give groups={}"),
    ],
)
def test_settings_of_closed_questions_are_refused(clips, tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        ablate(clips[1], root=clips[0], out=tmp_path / "run", config=replace(CONFIG, **wrong))
    assert not (tmp_path / "run").exists()


def test_pairs_that_are_no_question():
    good = asked_pairs()
    with pytest.raises(ValueError, match="2 different questions"):
        question_of([good[0], replace(good[1], question="Another?")])
    with pytest.raises(ValueError, match="2 different questions"):
        question_of([good[0], replace(good[1], answer="Red", choices=LABELS)])
    with pytest.raises(ValueError, match="no answer says which animal does what.*'Red'.*one closed question"):
        question_of([replace(p, answer="Red") for p in good])
    with pytest.raises(ValueError, match="pair 't1': its answer holds no word"):
        question_of([good[0], replace(good[1], answer="...")])


def test_defaults_suit_the_question():
    closed = [InstructionPair(id="a", video="a.mp4", question=QUESTION, answer="Red", choices=LABELS)]
    assert AblationConfig.for_pairs(closed) == AblationConfig()
    config = AblationConfig.for_pairs(asked_pairs(), fps=(2,))
    assert config == AblationConfig(answering=("generation",), max_new_tokens=128, fps=(2,))
    config.check(question_of(asked_pairs()))
    assert AblationConfig.for_pairs(asked_pairs(), max_new_tokens=70).max_new_tokens == 70


@pytest.mark.parametrize(("given", "n"), [([], 128), (["--max-new-tokens", "70"], 70)])
def test_the_command_takes_open_pairs(run, tmp_path, monkeypatch, capsys, given, n):
    asked = {}
    monkeypatch.setattr(ablation, "ablate", lambda pairs, **kwargs: asked.update(kwargs) or run[1])
    monkeypatch.setattr(report, "write_report", lambda out: out)
    write_jsonl([*asked_pairs(), *train_pairs()], tmp_path / "animals.jsonl")
    assert main(["ablate", "--pairs", str(tmp_path / "animals.jsonl"), "--out", "out", *given]) == 0
    config = asked["config"]
    assert (config.answering, config.max_new_tokens, config.fps) == (("generation",), n, (1, 6))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ARMS and all(" score 0.00" in line for line in lines[:4])


# --- numbers


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by_hand") / "run"
    return folder, *by_hand(folder)


def test_scores_by_hand(counted):
    _, summary, frames = counted
    expected = {ARMS[0]: [0, 0, 0, 0, 5], ARMS[1]: [3, 0, 2, 1, 5], ARMS[2]: [5, 5, 3, 5, 0], ARMS[3]: [4, 5, 5, 5, 5]}
    for arm in summary["arms"]:
        assert frames[arm["name"]]["score"].tolist() == expected[arm["name"]]
        assert arm["scores"] == [expected[arm["name"]].count(k) for k in range(6)]
    assert [arm["correct"] for arm in summary["arms"]] == [1, 2, 4, 5]
    assert [arm["unparsed"] for arm in summary["arms"]] == [1, 2, 0, 0]
    assert [arm["nothing_parsed"] for arm in summary["arms"]] == [2, 0, 0, 0]  # one empty, one babble


def micro(frame: pd.DataFrame) -> dict[str, float]:
    """Precision, recall, F1 over sets of (clip, animal, action), parsed anew."""
    said, true = (
        {(k, claim.key) for k, text in enumerate(frame[column]) for claim in parse(text, animals=["lion", "frog"])}
        for column in ("reply", "truth")
    )
    right = len(said & true)
    precision, recall = right / len(said), right / len(true)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def test_an_arms_numbers_recounted(counted):
    """Means and shares with pandas; intervals with a bootstrap of our own, a loop over resampled clips."""
    _, summary, frames = counted
    rng = np.random.default_rng(7)
    for arm in summary["arms"]:
        frame = frames[arm["name"]]
        assert arm["n"] == 5 and arm["accuracy"] == arm["correct"] / 5 == frame["correct"].mean()
        assert arm["score"] == pytest.approx(frame["score"].mean())
        for name in ("animals_f1", "actions_f1"):
            assert arm[name] == pytest.approx(frame[name].mean())
        for name, value in micro(frame).items():
            assert arm[name] == pytest.approx(value), name
        drawn = [frame.iloc[rng.integers(0, 5, 5)] for _ in range(1500)]
        many = {name: [d[name].mean() for d in drawn] for name in ("score", "animals_f1", "actions_f1")}
        many |= {name: [micro(d)[name] for d in drawn[:400]] for name in ("precision", "recall", "f1")}
        for name, values in many.items():
            expected, spread = np.quantile(values, [0.025, 0.975]), 0.6 if name == "score" else 0.12
            assert arm[f"{name}_interval95"] == pytest.approx(expected, abs=spread), (arm["name"], name)
            assert arm[f"{name}_interval95"][0] <= arm[name] <= arm[f"{name}_interval95"][1]


def test_pairs_of_arms_recounted(counted):
    """Discordant clips and score differences by hand, the permutation test by all 32 ways, Holm over both tests."""
    _, summary, frames = counted
    rows = {(row["a"], row["b"]): row for row in summary["paired"]}
    assert list(rows) == [(ARMS[0], ARMS[1]), (ARMS[0], ARMS[2]), (ARMS[1], ARMS[3]), (ARMS[2], ARMS[3])]
    for (a, b), row in rows.items():
        first, second = frames[a], frames[b]
        only_a, only_b = (int((x["correct"] & ~y["correct"]).sum()) for x, y in ((first, second), (second, first)))
        assert (row["n"], row["only_a"], row["only_b"]) == (5, only_a, only_b)
        n = only_a + only_b
        p = min(1.0, 2 * sum(math.comb(n, j) for j in range(min(only_a, only_b) + 1)) / 2**n)
        assert row["p"] == pytest.approx(p)
        gains = (second["score"] - first["score"]).to_numpy()
        assert row["score_difference"] == pytest.approx(gains.mean())
        ways = [abs(sum(g * (1 - 2 * (way >> k & 1)) for k, g in enumerate(gains))) for way in range(32)]
        assert row["score_p"] == pytest.approx(sum(w >= abs(gains.sum()) for w in ways) / 32)
        low, high = row["score_interval95"]
        assert -5 <= low <= gains.mean() <= high <= 5 and (low < high) == (len(set(gains)) > 1)
    all_p = sorted(row[name] for row in summary["paired"] for name in ("p", "score_p"))
    running, adjusted = 0.0, {}
    for rank, p in enumerate(all_p):
        running = max(running, min(1.0, (len(all_p) - rank) * p))
        adjusted.setdefault(p, running)
    for row in summary["paired"]:
        for name in ("p", "score_p"):
            assert row[f"{name}_holm"] == pytest.approx(adjusted[row[name]])


def test_paired_scores_have_a_direction(counted):
    rows = {(row["a"], row["b"]): row for row in counted[1]["paired"]}
    row = rows[ARMS[0], ARMS[1]]  # scores 0 0 0 0 5 and 3 0 2 1 5
    assert row["score_difference"] == pytest.approx(6 / 5) and row["score_p"] == pytest.approx(8 / 32)
    assert (row["only_a"], row["only_b"], row["difference"]) == (0, 1, pytest.approx(0.2))


def test_the_baseline_is_the_commonest_training_sentence(counted, tmp_path):
    """ "The frog is jumping." and "The lion roars." stand in two training answers each: the first met is taken."""
    _, summary, _ = counted
    base = summary["baseline"]
    assert (base["label"], base["from"], base["n_answers"]) == ("The frog is jumping.", "train", 2)
    assert (base["n"], base["correct"], base["score"], base["scores"]) == (5, 1, 1.0, [4, 0, 0, 0, 0, 1])
    assert base["recall"] == pytest.approx(1 / 7) and base["precision"] == pytest.approx(1 / 5)
    zero_shot = {name: REPLIES[name] for name in ARMS[:2]}
    base = by_hand(tmp_path / "b", train=False, replies=zero_shot)[0]["baseline"]
    assert (base["label"], base["from"], base["n_answers"]) == ("The lion is walking.", "test", 3)
    assert (base["correct"], base["scores"]) == (3, [2, 0, 0, 2, 0, 1])


def test_the_summary_is_written_and_the_table_beside_it(counted):
    folder, summary, _ = counted
    assert json.loads((folder / "summary.json").read_text()) == summary
    table = pd.read_csv(folder / "results.csv")
    assert table["name"].tolist() == ARMS and table["correct"].tolist() == [1, 2, 4, 5]
    assert table["score"].tolist() == pytest.approx([arm["score"] for arm in summary["arms"]])
    lows = [arm["f1_interval95"][0] for arm in summary["arms"]]
    assert table["f1_low95"].tolist() == pytest.approx(lows) and "balanced_accuracy" not in table
    assert {row["set"] for row in summary["visibility"]} == {"this set"}
    assert summary["rule"].startswith("animal-action pairs") and summary["groups"] == {}


def test_a_closed_questions_line_is_what_it_was():
    """Letter by letter: runs that were begun earlier must be able to go on."""
    asked = ClosedQuestion(QUESTION, LABELS)
    p = InstructionPair(id="t0", video="t0.mp4", question=QUESTION, answer="Green light", choices=LABELS)
    assert json.dumps(asked.line(p, Reply('"green light".', (0.0, 0.5)))) == (
        '{"clip": "t0", "truth": "Green light", "reply": "\\"green light\\".", "label": "Green light", '
        '"correct": true, "timestamps_s": [0.0, 0.5]}'
    )
    likely = Reply("Red", (0.0,), {"Red": -0.123456, "Green light": -2.0, "Blue": -3.0})
    assert json.dumps(asked.line(p, likely)) == (
        '{"clip": "t0", "truth": "Green light", "reply": "Red", "label": "Red", "correct": false, '
        '"timestamps_s": [0.0], "log_likelihood": {"Red": -0.1235, "Green light": -2.0, "Blue": -3.0}}'
    )
    assert asked.rule_of("generation") == "normalised" and asked.rule_of("likelihood") == "likeliest choice"
    assert asked.listed() == {"question": QUESTION, "labels": list(LABELS)}
