"""Twenty real rows of ActivityNet-QA, clips made up: loader, what is asked, run, official rule and judge."""

import json
import shutil

import pytest
from fake_endpoint import serve
from judging import NO, YES, endpoint
from made_up_video_benchmarks import clip

from llamavid_kit.__main__ import main
from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.run import evaluate
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.model.ask import Reply

ENDINGS = ("mp4", "mkv", "webm", "MP4")


@pytest.fixture(scope="module")
def rows(real):
    """(questions, answers), as published: lists of objects."""
    return tuple(json.loads((real / "benchmarks" / f"activitynetqa_test_{x}.head20.json").read_text()) for x in "qa")


@pytest.fixture
def folder(rows, tmp_path):
    """The two files, and a clip for each video under the name that LLaMA-VID's script looks for."""
    first = clip(tmp_path / "clips", "clip.mp4")
    (tmp_path / "data" / "all_test").mkdir(parents=True)
    for k, name in enumerate(sorted({row["video_name"] for row in rows[0]})):
        shutil.copy(first, tmp_path / "data" / "all_test" / f"v_{name}.{ENDINGS[k % len(ENDINGS)]}")
    for x, content in zip("qa", rows, strict=True):
        (tmp_path / "data" / f"test_{x}.json").write_text(json.dumps(content))
    return tmp_path / "data"


@pytest.fixture
def truth(rows):
    """id → (video, question, answer), joined by id."""
    answers = {row["question_id"]: row["answer"] for row in rows[1]}
    return {r["question_id"]: (f"v_{r['video_name']}", r["question"], answers[r["question_id"]]) for r in rows[0]}


def test_every_row_is_read(folder, truth):
    items = benchmark("activitynet").load(folder)
    assert len(items) == len(truth) == 20
    assert {i.id: (i.media.stem, i.prompt, *i.answers) for i in items} == truth
    assert [i.id for i in items] == list(truth) and all(i.question == i.prompt for i in items)
    assert {i.split for i in items} == {"Yes/No"} and {i.extra["type"] for i in items} == {3}
    assert len({i.group for i in items}) == 19  # two questions about one video


def test_answers_are_joined_by_id(folder, rows):
    """The published lists stand in one order; another order changes nothing."""
    assert [row["question_id"] for row in rows[0]] == [row["question_id"] for row in rows[1]]
    items = benchmark("activitynet").load(folder)
    (folder / "test_a.json").write_text(json.dumps(rows[1][7:] + rows[1][:7]))
    assert benchmark("activitynet").load(folder) == items


class YesMan:
    """Says yes, and what a question is about."""

    def __init__(self, reply):
        self.reply = reply

    def watch(self, clip, questions, *, fps):
        return [Reply(self.reply.format(question), (0.0,)) for question in questions]


@pytest.mark.parametrize(("reply", "official", "rule"), [("yes", True, True), ("Yes, {}", False, True)])
def test_the_official_rule_and_a_judge(folder, truth, tmp_path, reply, official, rule):
    """A model that always says yes: right where the answer is yes, by the rule's characters or by its sense."""
    bench, n_yes = benchmark("activitynet"), sum(answer == "yes" for *_, answer in truth.values())
    assert 0 < n_yes < 20
    scores = evaluate(bench, YesMan(reply), data=folder, out=tmp_path / "run", name="m", judges=[RuleJudge()]).scores
    assert scores["official"].value == official * 100 * n_yes / 20 and scores["strict"].value == rule * 100 * n_yes / 20
    assert scores["official"].more["All"] == scores["official"].more["Yes/No"] == official * n_yes / 20
    assert scores["official"].more["Free, right"] == official * n_yes / 20 and scores["official"].more["Motion"] is None
    right = {name for name, (*_, answer) in truth.items() if answer == "yes"}
    assert {name for name, value in scores["strict"].outcomes.items() if value} == right


def test_what_a_judge_reads_is_what_the_published_script_writes(folder, truth, tmp_path):
    """`eval_activitynet_qa.py`: question, answer and prediction of the same row."""

    def agrees(body, number):
        words = body["messages"][1]["content"].split("\n\n")[1]
        return YES if "Correct Answer: yes\n" in words else NO

    with serve(agrees) as fake:
        result = evaluate(
            benchmark("activitynet"),
            YesMan("Yes."),
            data=folder,
            out=tmp_path / "run",
            name="m",
            judges=[ChatJudge(endpoint(fake), prompt="published")],
        )
        texts = [body["messages"][1]["content"].split("\n\n")[1] for body in fake.bodies]
    expected = [f"Question: {q}\nCorrect Answer: {a}\nPredicted Answer: Yes." for _, q, a in truth.values()]
    assert sorted(texts) == sorted(set(expected))  # what is asked in the same words is asked once
    n_yes = sum(answer == "yes" for *_, answer in truth.values())
    assert result.scores["original"].value == result.scores["strict"].value == 5 * n_yes


def test_the_shipped_model_answers_them(folder, truth, tmp_path, capsys):
    out = ("--data", str(folder), "--out", str(tmp_path / "run"), "--max-new-tokens", "2")
    assert main(["evaluate", "activitynet", "--model", "tiny", *out, "--judge-rule", "mention"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("ActivityNet-QA, 20 items, tiny at ") and "scorer: strict" in text
    replies = (tmp_path / "run" / "replies.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["id"] for line in replies] == list(truth)
