"""Guards what an ablation asks: closed questions line by line, open ones with sentences for answers and any judge, and
every number of them recounted.
"""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_endpoint import serve
from judging import NO, YES
from made_up_open_runs import ARMS, OPEN_QUESTION, REPLIES, TEST, TRUTHS, by_hand, open_pairs, pair, train_pairs
from small import LABELS, QUESTION, small_model, write_clip

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.evaluation.judges.animal_judge import judge, parse
from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.experiments import ablation
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.judging import judge_open_run
from llamavid_kit.experiments.report.page import write_report
from llamavid_kit.experiments.run import Run
from llamavid_kit.experiments.tasks import ClosedQuestion, question_of
from llamavid_kit.files import read_replies
from llamavid_kit.model import answering
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
    good = [*open_pairs(), *train_pairs()]
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
        head, lines = read_replies(out / "arms" / f"{name}.jsonl")
        assert head["question"] == OPEN_QUESTION and head["rule"].startswith("animal-action pairs by rule")
        assert [(line["clip"], line["truth"]) for line in lines] == list(zip(TEST, TRUTHS, strict=True))
        assert {len(line["timestamps_s"]) for line in lines} == {2 if head["fps"] == 1 else 6}
    reasons = {row["clip"]: row["reason"] for row in summary["excluded"]}
    assert set(reasons) == {"torn", "long"} and "frames at 4 fps need" in reasons["long"]
    clip_list, animals = json.loads((out / "clips.json").read_text()), ["frog", "goby fish", "lion"]
    assert clip_list["question"] == OPEN_QUESTION and clip_list["labels"] == [] and clip_list["animals"] == animals
    assert clip_list["judge"] == {"judge": "rule", "rule": "animals", "animals": animals}
    assert json.loads((out / "config.json").read_text())["judge"] is None  # the kit's own


def test_every_line_can_be_judged_again_from_the_folder_alone(run):
    out, _ = run
    clips = json.loads((out / "clips.json").read_text())
    for name in ARMS:
        for line in read_replies(out / "arms" / f"{name}.jsonl")[1]:
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
    longest = max(len(line["reply"]) for name in ARMS for line in read_replies(out / "arms" / f"{name}.jsonl")[1])
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
    model, prompts = small_model(*tokenizers), []
    monkeypatch.setattr(answering, "check_fits", lambda *_, n_prompt, **__: prompts.append(n_prompt))
    config = replace(CONFIG, fps=(1,), finetune=False)
    ablate(clips[1][1:3], root=clips[0], out=tmp_path / "run", config=config, model=model)
    assert prompts == [len(answering.open_prompt(model.tokenizer, "plain", OPEN_QUESTION)) + 60] * 2


# --- what is refused


def test_a_reply_too_short_for_the_truth_is_refused_before_anything_is_written(clips, tokenizers, tmp_path):
    """And with the number that the message names, it is not."""
    model, out = small_model(*tokenizers), tmp_path / "run"
    lengths = [len(model.tokenizer(t, add_special_tokens=False).input_ids) + 1 for t in TRUTHS]
    message = rf"max_new_tokens=9: \d of 5 true answers are longer, that of 't\d' has {max(lengths)} tokens; give"
    config = replace(CONFIG, max_new_tokens=9, finetune=False, fps=(1,))
    with pytest.raises(ValueError, match=message):
        ablate(open_pairs(), root=clips[0], out=out, config=config, model=model)
    assert not out.exists()
    ablate(open_pairs(), root=clips[0], out=out, config=replace(config, max_new_tokens=max(lengths)), model=model)
    long = pair("r9", "The lion is walking. " * 20, "train")
    with pytest.raises(ValueError, match="that of 'r9' has"):
        ablate([*clips[1], long], root=clips[0], out=tmp_path / "long", config=CONFIG, model=model)
    assert not (tmp_path / "long").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"answering": ("generation", "likelihood")}, r"answering=.* is for questions with labels.*give answering="),
        ({"rule": "exact"}, "rule='exact' is for questions with labels.*give rule='normalised'"),
        ({"groups": {"cats": ("lion",)}}, "groups=.*give groups={}"),
        ({"prompts": ("study", "short")}, r"prompts=.*give prompts=\('study',\)"),
        ({"shuffle_choices": 1}, "shuffle_choices=1 is for questions with labels.*give shuffle_choices=None"),
    ],
)
def test_settings_of_closed_questions_are_refused(clips, tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        ablate(clips[1], root=clips[0], out=tmp_path / "run", config=replace(CONFIG, **wrong))
    assert not (tmp_path / "run").exists()


def test_pairs_that_are_no_question():
    good = open_pairs()
    with pytest.raises(ValueError, match="2 different questions"):
        question_of([good[0], replace(good[1], question="Another?")])
    with pytest.raises(ValueError, match="2 different questions"):
        question_of([good[0], replace(good[1], answer="Red", choices=LABELS)])
    with pytest.raises(
        ValueError, match="no answer says which animal does what .the first: 'Red'.*--judge-rule mention"
    ):
        question_of([replace(p, answer="Red") for p in good])
    with pytest.raises(ValueError, match="pair 't1': its answer holds no word"):
        question_of([good[0], replace(good[1], answer="...")])
    for odd in (("no label", "Red"), ("Red", "red")):
        with pytest.raises(ValueError, match="rename the label|aside from letter case"):
            question_of([replace(p, answer="Red" if "Red" in odd else odd[0], choices=odd) for p in good])
    with pytest.raises(ValueError, match="a judge for a closed question"):
        question_of([replace(p, answer="Red", choices=LABELS) for p in good], judge=RuleJudge())


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
    claims, true = (
        {(k, claim.key) for k, text in enumerate(frame[column]) for claim in parse(text, animals=["lion", "frog"])}
        for column in ("reply", "truth")
    )
    right = len(claims & true)
    precision, recall = right / len(claims), right / len(true)
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


def test_a_closed_questions_line_letter_by_letter(tmp_path):
    question = ClosedQuestion(QUESTION, LABELS)
    p = InstructionPair(id="t0", video="t0.mp4", question=QUESTION, answer="Green light", choices=LABELS)
    replies = [
        Reply('"green light".', (0.0, 0.5), n_visual=4),
        Reply("Red", (0.0,), {"Red": -0.123456, "Green light": -2.0, "Blue": -3.0}),
    ]
    lines = question.lines("an arm", [p, p], replies, tmp_path)
    assert [json.dumps(line) for line in lines] == [
        '{"clip": "t0", "truth": "Green light", "reply": "\\"green light\\".", "label": "Green light", '
        '"correct": true, "timestamps_s": [0.0, 0.5], "n_visual": 4}',
        '{"clip": "t0", "truth": "Green light", "reply": "Red", "label": "Red", "correct": false, '
        '"timestamps_s": [0.0], "n_visual": null, '
        '"log_likelihood": {"Red": -0.1235, "Green light": -2.0, "Blue": -3.0}}',
    ]
    counted = replace(replies[1], n_tokens={"Red": 2, "Green light": 3, "Blue": 2})
    assert question.lines("an arm", [p], [counted], tmp_path)[0]["n_tokens"] == {"Red": 2, "Green light": 3, "Blue": 2}
    assert question.rule_of("generation") == "normalised" and question.rule_of("likelihood") == "likeliest choice"
    assert question.record() == {"question": QUESTION, "labels": list(LABELS)} and not list(tmp_path.iterdir())


# --- an open question that is not about animals


COLOURS = ("red", "green", "blue")


class Painter:
    """A `VideoModel` that names the colour it is told for each clip, and the rate; it can choose nothing."""

    name, identity = "painter", "a steady hand"

    def __init__(self, **colours: str):
        self.colours, self.batches = colours, []

    def fits(self, clip, question, choices, view, *, max_new_tokens):
        assert choices == () and question == "What colour is it?"

    def generate(self, clips, question, view, *, max_new_tokens):
        self.batches.append([clip.path.stem for clip in clips])
        return [Reply(f"It is {self.colours[clip.path.stem]} at {view.fps:g}.", (0.0,)) for clip in clips]


OPEN = AblationConfig(model="painter", fps=(1, 4), finetune=False, answering=("generation",), batch=2)
SEEN_AS = {"t0": "red", "t1": "green", "t2": "pink", "t3": "red", "t4": "odd"}  # t2 is wrong; t4 defeats a judge


def colour_pairs() -> list[InstructionPair]:
    answers = {name: "odd" if name == "t4" else COLOURS[k % 3] for k, name in enumerate(TEST)}
    return [replace(pair(name, answer), question="What colour is it?") for name, answer in answers.items()]


def paint(clips, out, judge, painter=None, config=OPEN) -> dict:
    painter = painter or Painter(**SEEN_AS)
    return ablate(colour_pairs(), root=clips[0], out=out, config=config, model=painter, judge=judge)


def by_colour(body, number) -> str:
    """Right where the true colour stands in the prediction; of what is odd it cannot say."""
    words = body["messages"][1]["content"]
    truth, prediction = (re.search(rf'{name} Answer: "(.*)"', words)[1] for name in ("Correct", "Predicted"))
    return "I cannot say." if truth == "odd" else YES if truth in prediction else NO


def test_without_a_judge_it_is_refused_with_the_way_out(clips, tmp_path):
    with pytest.raises(ValueError, match="has no choices.*--judge-rule mention.*--judge-model.*RuleJudge"):
        paint(clips, tmp_path / "run", None)
    assert not (tmp_path / "run").exists()


def test_a_rule_judges_it(clips, tmp_path):
    out = tmp_path / "run"
    summary = paint(clips, out, RuleJudge("mention"))
    names = ["zero-shot-1fps-generation", "zero-shot-4fps-generation"]
    assert [arm["name"] for arm in summary["arms"]] == names and summary["rule"] == "rule mention"
    for arm in summary["arms"]:
        head, lines = read_replies(out / "arms" / f"{arm['name']}.jsonl")
        assert head["rule"] == "rule mention" and {line["problem"] for line in lines} == {""}
        assert [(line["correct"], line["score"]) for line in lines] == [
            (True, 5),
            (True, 5),
            (False, 0),
            (True, 5),
            (True, 5),
        ]
        assert (arm["correct"], arm["n"], arm["score"], arm["no_verdict"]) == (4, 5, 4.0, 0)
        assert arm["scores"] == [1, 0, 0, 0, 0, 4] and "f1" not in arm
    base = summary["baseline"]
    assert (base["label"], base["from"], base["n_answers"], base["correct"]) == ("red", "test", 2, 2)
    assert json.loads((out / "clips.json").read_text())["judge"] == RuleJudge("mention").identity
    with pytest.raises(ValueError, match=r"another run, they differ in judge \(there .*mention.*exact"):
        paint(clips, out, RuleJudge("exact"))


@pytest.fixture(scope="module")
def chat_run(clips, tmp_path_factory):
    """(folder, summary, judge, how often the chat model was asked), of a run whose judge is a chat model."""
    out = tmp_path_factory.mktemp("chat") / "run"
    with serve(by_colour) as fake:
        judge = ChatJudge(Endpoint(fake.url, "anna", retries=0))
        summary = paint(clips, out, judge)
        yield out, summary, judge, fake


def test_a_chat_model_judges_it_and_what_it_cannot_say_counts_as_wrong(chat_run):
    out, summary, judge, fake = chat_run
    assert summary["rule"] == "judged by anna, corrected prompt"
    for arm in summary["arms"]:
        head, lines = read_replies(out / "arms" / f"{arm['name']}.jsonl")
        assert head["rule"] == summary["rule"]
        assert [(line["correct"], line["score"]) for line in lines] == [
            (True, 5),
            (True, 5),
            (False, 0),
            (True, 5),
            (False, 0),
        ]
        assert [bool(line["problem"]) for line in lines] == [False] * 4 + [True]
        assert (arm["correct"], arm["no_verdict"], arm["scores"]) == (3, 1, [2, 0, 0, 0, 0, 3])
    base = summary["baseline"]  # "red" for all: two are, one is odd
    assert (base["label"], base["correct"], base["no_verdict"], base["scores"]) == ("red", 2, 1, [3, 0, 0, 0, 0, 2])
    assert len(fake.bodies) == 3 * 4  # two arms and the baseline; equal replies to equal truths are asked once
    assert json.loads((out / "config.json").read_text())["judge"] == judge.identity


def test_a_run_that_was_cut_goes_on_without_asking_the_chat_model_again(chat_run, clips, tmp_path):
    out, summary, judge, fake = chat_run
    own = Path(shutil.copytree(out, tmp_path / "run"))
    whole, n = arms(own), len(fake.bodies)
    for name, content in whole.items():
        (own / "arms" / name).write_bytes(content[: len(content) * 2 // 3])
    (own / "summary.json").unlink()
    painter = Painter(**SEEN_AS)
    again = paint(clips, own, judge, painter)
    assert arms(own) == whole and len(fake.bodies) == n and painter.batches
    assert again | {"seconds": 0} == summary | {"seconds": 0}


def test_such_a_run_is_judged_by_others_and_its_own_verdicts_are_read_back(chat_run, tmp_path):
    own = Path(shutil.copytree(chat_run[0], tmp_path / "run"))
    n = len(chat_run[3].bodies)
    by_arm = judge_open_run(own, [RuleJudge("mention")], again=1)
    assert list(by_arm) == ["zero-shot, 1 fps", "zero-shot, 4 fps"] and len(chat_run[3].bodies) == n
    for judging in by_arm.values():
        first, second = (one.scores["strict"].more for one in judging.judges)
        assert judging.judges[0].identity == chat_run[2].identity
        assert (first["yes"], first["n_verdicts"], first["no_verdict"]) == (3, 4, 1)
        assert (second["yes"], second["n_verdicts"], second["no_verdict"]) == (4, 5, 0)
        (both,) = judging.pairs
        assert both.agreement.same == 1  # of the four that both judged


@pytest.mark.slow  # a whole report
def test_its_report_says_who_judged_and_what_got_no_verdict(chat_run, tmp_path):
    own = Path(shutil.copytree(chat_run[0], tmp_path / "run"))
    page = write_report(own).read_text()
    assert "judged by anna, corrected prompt" in page and "The judge gave no verdict on 2 of 10 replies" in page
    assert "18.04%" not in page and "What goes wrong" not in page  # about animals alone
    assert Run(own).judge == chat_run[2].identity and not Run(own).animals


def test_a_true_answer_longer_than_any_reply_of_a_model_is_refused(clips, tmp_path):
    """Where the model can count tokens; another model's replies are as long as they are."""

    class Counting(Painter):
        def n_tokens(self, text: str) -> int:
            return len(text)

    short = replace(OPEN, max_new_tokens=4)
    with pytest.raises(ValueError, match="max_new_tokens=4: 1 of 5 true answers are longer, that of 't1' has 5 tokens"):
        paint(clips, tmp_path / "run", RuleJudge(), Counting(**SEEN_AS), short)
    assert not (tmp_path / "run").exists()
    paint(clips, tmp_path / "run", RuleJudge(), None, short)
