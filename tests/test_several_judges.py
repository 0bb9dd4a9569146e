"""Guards several judges of one run, judges asked again, and scoring alone: what is asked, kept, compared and printed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_endpoint import Fault, serve
from made_up_benchmarks import gqa
from made_up_video_benchmarks import VIDEO, write_json
from sklearn.metrics import cohen_kappa_score
from test_judge import endpoint
from test_video_benchmarks import Parrot, evaluate_tiny, rows_of

from llamavid_kit.__main__ import main
from llamavid_kit.__main__ import parser as parser_of
from llamavid_kit.benchmarks import benchmark
from llamavid_kit.benchmarks.run import evaluate, rescore
from llamavid_kit.benchmarks.table import table
from llamavid_kit.judge import ChatJudge, RuleJudge
from llamavid_kit.judge_options import judges_of
from llamavid_kit.judge_prompts import AXES

N = 12


@pytest.fixture
def data(tmp_path):
    """MSVD-QA with N questions about its two clips."""
    folder = VIDEO["msvd"](tmp_path / "msvd")
    rows = [{"id": k, "video_id": 1301 + k % 2, "question": f"what is {k}?", "answer": f"{k % 3}"} for k in range(N)]
    write_json(folder / "test_qa.json", rows)
    return folder


class Minds:
    """Endpoint models whose verdict hangs on model, question and how often they were asked it; notes each."""

    def __init__(self):
        self.asked, self.said = {}, {}

    def __call__(self, body, number) -> str:
        words = body["messages"][1]["content"]
        key = (body["model"], words)
        self.asked[key] = self.asked.get(key, 0) + 1
        return self.reply(*key, self.asked[key])

    @staticmethod
    def reply(model: str, words: str, asking: int) -> str:
        """By a hash: some 1 of 8 says nothing, and 1 of 3 changes from asking to asking."""
        fixed = hashlib.sha256(f"{model}{words}".encode()).digest()
        moody = hashlib.sha256(f"{model}{words}{asking}".encode()).digest()
        score = (moody if fixed[0] % 3 == 0 else fixed)[1] % 6
        if moody[2] % 8 == 0:
            return "I cannot say."
        pred = f'"pred": "{"yes" if score >= 3 else "no"}", ' if '"pred"' in words else ""
        return f'{{{pred}"score": {score}}}'


def judges(fake, *names) -> list[ChatJudge]:
    return [ChatJudge(endpoint(fake, settings={"temperature": 0.6}, retries=0)) for _ in names] if not names else [
        ChatJudge(type(endpoint(fake))(fake.url, name, retries=0, timeout_s=5.0)) for name in names
    ]  # fmt: skip


def columns_of(out: Path, task: str = "qa") -> pd.DataFrame:
    """Item × (judge, asking) → (correct, score) as written."""
    rows = pd.read_csv(out / "verdicts.csv", keep_default_na=False)
    rows = rows[rows["task"] == task]
    assert not rows.duplicated(["item", "judge", "asking"]).any()
    return rows.pivot(index="item", columns=["judge", "asking"], values=["correct", "score"])


def evaluated(data, out, judges, *, again=0, model=None, name="msvd"):
    first, *more = judges
    return evaluate(
        benchmark(name),
        model or Parrot(),
        data=data,
        out=out,
        name="parrot",
        judge=first,
        more_judges=more,
        again=again,
    )


# --- several judges


def test_the_first_judge_scores_and_each_other_has_a_row(data, tmp_path):
    with serve(Minds()) as fake:
        chats = judges(fake, "anna", "bert")
        result = evaluated(data, tmp_path / "all", [chats[0], RuleJudge("words"), chats[1]])
        alone = [evaluated(data, tmp_path / name, [judge])
                 for name, judge in (("a", chats[0]), ("r", RuleJudge("words")), ("b", chats[1]))]  # fmt: skip
    assert [one.name for one in result.judging.judges] == ["A", "B", "C"]
    for one, lonely in zip(result.judging.judges, alone, strict=True):
        assert one.scores == lonely.scores and one.intervals == lonely.intervals
    assert result.scores == alone[0].scores
    shown = table(result, image_size=224)
    rows = [line for line in shown.splitlines() if line.startswith("  this run")]
    assert len(rows) == 6 and [shown.index(f"judge {name}: ") for name in "ABC"] == sorted(
        shown.index(f"judge {name}: ") for name in "ABC"
    )
    assert "judge A: anna, corrected prompt, temperature=0" in shown and "judge B: the rule 'words'" in shown
    assert shown.index("judge C") < shown.index("published") < shown.index("agreement of judges") or "paper" in shown
    single = table(alone[0], image_size=224)
    assert "agreement" not in single and "  judge: anna, corrected prompt\n" in single
    for line in single.splitlines()[2:]:
        assert line in shown  # what one judge's table says is not said otherwise beside others


def test_agreement_is_that_of_scikit_learn_on_what_was_said(data, tmp_path):
    with serve(Minds()) as fake:
        result = evaluated(data, tmp_path / "run", [*judges(fake, "anna", "bert"), RuleJudge("words")])
    columns = columns_of(tmp_path / "run")
    written = rows_of(tmp_path / "run" / "result.json")["judging"]
    assert [(p["first"], p["second"]) for p in written["agreement"]] == [("A", "B"), ("A", "C"), ("B", "C")]
    shown = table(result, image_size=224)
    for pair in written["agreement"]:
        a, b = pair["first"], pair["second"]
        given = columns["score"][[(a, 1), (b, 1)]].ne("")
        both = columns[given.all(axis=1)]
        assert (~given).sum().tolist() == pair["no_verdict"]
        assert (pair["n"], pair["agreement"]["n_both"]) == (N, len(both)) and len(both) > 6
        said = [both["correct"][j, 1].eq("True") for j in (a, b)]
        scores = [both["score"][j, 1].astype(int) for j in (a, b)]
        kappa, weighted = (
            cohen_kappa_score(*said),
            cohen_kappa_score(*scores, labels=range(6), weights="quadratic"),
        )
        same = float((said[0] == said[1]).mean())
        assert pair["agreement"]["same"] == pytest.approx(same)
        assert pair["agreement"]["kappa"]["value"] == pytest.approx(kappa)
        assert pair["agreement"]["score_kappa"]["value"] == pytest.approx(weighted)
        change = scores[1].mean() - scores[0].mean()
        assert pair["agreement"]["score_change"] == pytest.approx(change)
        silent = f"without a verdict: {a} {pair['no_verdict'][0]}, {b} {pair['no_verdict'][1]}"
        block = shown.split(f"{a} and {b}: ")[1]
        assert block.startswith(f"both judged {len(both)} of {N} items; {silent}\n")
        assert f"same yes or no: {same:.1%} [" in block and f"Cohen's kappa {kappa:.2f} [" in block
        assert f"weighted kappa {weighted:.2f} [" in block and f"less that of {a}: {change:+.2f} [" in block
    assert sum(pair["no_verdict"][0] for pair in written["agreement"][:2]) > 0


def test_axes_are_compared_one_by_one(tmp_path):
    folder = VIDEO["video_chatgpt"](tmp_path / "data")
    with serve(lambda body, _: '{"score": %d}' % (4 if body["model"] == "anna" else 2)) as fake:
        result = evaluated(folder, tmp_path / "run", judges(fake, "anna", "bert"), again=1, name="video_chatgpt")
    assert [(p.task, p.agreement.same, p.agreement.score_change) for p in result.judging.pairs] == [
        (axis, None, -2) for axis in AXES
    ]
    assert [again.values for again in result.judging.again] == [(4, 4), (2, 2)]
    shown = table(result, image_size=224)
    assert "A and B, consistency: both judged 2 of 2 items" in shown and "same yes or no" not in shown
    assert "mean score of B less that of A: -2.00 [no interval] of 5" in shown
    assert "A, asked 2 times; score at each asking: 4.00, 4.00 of 5" in shown


def test_nothing_to_compare_is_said(data, tmp_path):
    with serve(lambda body, _: "Hm." if body["model"] == "bert" else '{"pred": "yes", "score": 4}') as fake:
        result = evaluated(data, tmp_path / "run", judges(fake, "anna", "bert"), again=1)
    shown = table(result, image_size=224)
    assert f"A and B: both judged 0 of {N} items; without a verdict: A 0, B {N}\n      nothing to compare" in shown
    assert "B, asked 2 times; score at each asking: none, none%" in shown
    assert f"always on 0 of {N}" not in shown and f"at every asking on 0 of {N} items, at some only on 0" in shown
    assert "kappa not defined (one value always)" in shown
    written = rows_of(tmp_path / "run" / "result.json")["judging"]
    assert written["agreement"][0]["agreement"] is None and written["repeatability"][1]["values"] == [None, None]


def test_the_official_rule_of_a_benchmark_stands_there_once(tmp_path):
    folder = VIDEO["activitynet"](tmp_path / "data")
    result = evaluated(folder, tmp_path / "run", [RuleJudge("words"), RuleJudge("mention")], name="activitynet")
    assert [list(one.scores) for one in result.judging.judges] == [
        ["strict", "original", "official"], ["strict", "original"],
    ]  # fmt: skip
    assert table(result, image_size=224).count("scorer: official") == 1


# --- asked again


def test_a_judge_asked_again_by_hand(data, tmp_path):
    with serve(Minds()) as fake:
        result = evaluated(data, tmp_path / "run", [*judges(fake, "anna"), RuleJudge("words")], again=2)
        assert len(fake.bodies) == 3 * N  # the rule is not asked
        first = evaluated(data, tmp_path / "once", judges(fake, "anna"))
    anna, rule = result.judging.again
    assert rule.steady and not rule.tasks and rule.values == ()
    columns = columns_of(tmp_path / "run")
    scores = columns["score"]["A"]
    assert list(scores.columns) == [1, 2, 3] and list(columns["score"]["B"].columns) == [1]
    given = scores.ne("")
    always = given.all(axis=1)
    kept = scores[always].astype(int)
    yes = columns["correct"]["A"][always].eq("True")
    found = anna.tasks["qa"]
    assert (found.n_always, found.n_sometimes) == (always.sum(), (given.any(axis=1) & ~always).sum())
    assert found.n_sometimes > 0 and found.no_verdict == tuple((~given).sum())
    assert found.same == pytest.approx((yes.nunique(axis=1) == 1).mean()) and 0 < found.same < 1
    assert found.same_score == pytest.approx((kept.nunique(axis=1) == 1).mean())
    assert found.score_range == pytest.approx((kept.max(axis=1) - kept.min(axis=1)).mean())
    kappas = [cohen_kappa_score(yes[a], yes[b]) for a, b in ((1, 2), (1, 3), (2, 3))]
    assert found.kappa.value == pytest.approx(np.mean(kappas))
    rows = [100 * columns["correct"]["A"][k][given[k]].eq("True").mean() for k in (1, 2, 3)]
    assert anna.values == pytest.approx(rows) and len(set(rows)) > 1
    assert result.scores["strict"].value == anna.values[0] and first.n == N
    shown = table(result, image_size=224)
    assert f"A, asked 3 times; score at each asking: {', '.join(f'{x:.2f}' for x in rows)}%" in shown
    assert f"same yes or no at every asking: {found.same:.1%} [" in shown
    assert "B was not asked again: a rule gives the same verdict every time" in shown
    assert f"an item's moves by {found.score_range:.2f} [" in shown
    written = rows_of(tmp_path / "run" / "result.json")["judging"]["repeatability"]
    assert written[0]["tasks"]["qa"]["same"] == found.same and written[1]["steady"] == rule.steady


@pytest.mark.parametrize("stop", [3, N + 4, 2 * N + 5, 3 * N + 1])
def test_a_run_cut_off_while_judging_goes_on(stop, data, tmp_path):
    """Wherever: no request is made twice, and the end is that of a run in one piece."""
    with serve(Minds()) as fake:
        whole = evaluated(data, tmp_path / "whole", judges(fake, "anna", "bert"), again=1)
        assert len(fake.bodies) == 4 * N
    minds = Minds()
    with serve(lambda body, n: Fault(status=500) if n == stop else minds(body, n)) as fake:
        with pytest.raises(ConnectionError):
            evaluated(data, tmp_path / "cut", judges(fake, "anna", "bert"), again=1)
        assert len(fake.bodies) == stop + 1
        path = next((tmp_path / "cut").glob("*.verdicts.jsonl"))
        with path.open("a") as file:
            file.write('{"key": "half')
        cut = evaluated(data, tmp_path / "cut", judges(fake, "anna", "bert"), again=1)
        assert len(fake.bodies) == 4 * N + 1
    assert cut.judging.record() == whole.judging.record()
    pd.testing.assert_frame_equal(cut.judging.verdicts, whole.judging.verdicts)
    assert all(n == 2 for n in minds.asked.values()) and len(minds.asked) == 2 * N


def test_more_askings_go_on_from_those_that_were(data, tmp_path):
    with serve(Minds()) as fake:
        once = evaluated(data, tmp_path / "run", judges(fake, "anna"), again=1)
        more = evaluated(data, tmp_path / "run", judges(fake, "anna"), again=3)
        assert len(fake.bodies) == 4 * N and more.judging.again[0].values[:2] == once.judging.again[0].values
        evaluated(data, tmp_path / "run", judges(fake, "bert"), again=1)
        assert len(fake.bodies) == 6 * N  # another judge finds none of them
        evaluated(data, tmp_path / "run", judges(fake, "bert", "anna"))
        assert len(fake.bodies) == 6 * N


# --- scored alone


@pytest.fixture
def no_model(monkeypatch):
    """Whoever loads a model or opens a clip fails."""

    def never(*_, **__):
        raise AssertionError("a model or a clip was touched")

    for place in ("benchmarks.command.load", "benchmarks.run.Video", "video.Video.__init__", "checkpoints.load"):
        monkeypatch.setattr(f"llamavid_kit.{place}", never)


def test_a_finished_run_is_judged_by_others_without_its_model(data, tmp_path, capsys, request):
    out = tmp_path / "run"
    assert main(evaluate_tiny("msvd", data, out, "--judge-rule", "words")) == 0
    first, replies = capsys.readouterr().out, (out / "replies.jsonl").read_bytes()
    request.getfixturevalue("no_model")
    alone = ["evaluate", "msvd", "--data", str(data), "--out", str(out), "--score-only"]
    assert main([*alone, "--judge-rule", "words"]) == 0
    assert capsys.readouterr().out == first  # the resolution too, which stands in the run
    with serve(Minds()) as fake:
        asked = ["--judge-endpoint", fake.url, "--judge-model", "anna", "--judge-rule", "words", "--judge-again", "1"]
        given = ["--model", "tiny", "--fps", "1", "--batch", "16", "--max-new-tokens", "6"]
        assert main([*alone, *given, *asked]) == 0
        shown = capsys.readouterr().out
        assert len(fake.bodies) == 2 * N and f"judge A: {2 * N} requests" in shown
    assert "judge A: anna" in shown and "judge B: the rule 'words'" in shown and "A and B: both judged" in shown
    assert (out / "replies.jsonl").read_bytes() == replies


def test_a_benchmark_without_judge_is_scored_alone_too(tmp_path, monkeypatch, capsys, request):
    gqa(tmp_path / "data")
    argv = ["evaluate", "gqa", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    assert main([*argv, "--max-new-tokens", "4"]) == 0
    shown = capsys.readouterr().out
    request.getfixturevalue("no_model")
    assert main([*argv, "--score-only"]) == 0 and capsys.readouterr().out == shown
    assert main([*argv, "--score-only", "--judge-again", "1"]) == 2 and "takes no judge" in capsys.readouterr().err


def unfinished(data, out):
    lines = (out / "replies.jsonl").read_text().splitlines(keepends=True)
    (out / "replies.jsonl").write_text("".join(lines[:6]) + lines[6][:9])


def edited(data, out):
    rows = rows_of(data / "test_qa.json")
    rows[3]["question"] += "?"
    write_json(data / "test_qa.json", rows)


def clip_changed(data, out):
    (data / "video" / "1302.avi").write_bytes(b"another")


def shorter(data, out):
    write_json(data / "test_qa.json", rows_of(data / "test_qa.json")[:-1])


def no_head(data, out):
    (out / "replies.jsonl").write_text('{"arm": {}}\n')


SPOILED = {
    "unfinished": (unfinished, {}, "holds 5 of 12 replies: finish the run first"),
    "edited": (edited, {}, "answers 12 other items than the 12 in .*put them back"),
    "clip": (clip_changed, {}, "answers 12 other items than the 12 in"),
    "shorter": (shorter, {}, "answers 12 other items than the 11 in"),
    "head": (no_head, {}, "line 1: not the head of a run"),
    "no run": (lambda data, out: (out / "replies.jsonl").unlink(), {}, "expected the folder of a finished run"),
    "benchmark": (lambda *_: None, {"name": "msrvtt"}, "is a run of 'msvd', not of 'msrvtt'"),
    "fps": (lambda *_: None, {"given": {"fps": 3.0, "batch": 16}}, "was made with fps 2, not 3.0: leave that out"),
    "judge": (lambda *_: None, {"judges": [RuleJudge(), RuleJudge()]}, "a judge is named twice"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_cannot_be_scored_alone(case, data, tmp_path, no_model):
    spoil, options, message = SPOILED[case]
    path = tmp_path / "run"
    model = Parrot()
    model.generate = lambda clips, question, *, fps: [type("R", (), {"text": question})()]
    answered(data, path)
    spoil(data, path)
    options = {"name": "msvd", "judges": [RuleJudge()]} | options
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        rescore(benchmark(options.pop("name")), data=data, out=path, **options)


def answered(data, out):
    """A finished run's reply file, as `answer` leaves it; made without opening a clip."""
    from llamavid_kit.benchmarks.run import _items_key

    items = benchmark("msvd").load(data)
    head = {"benchmark": "msvd", "model": "parrot", "items": _items_key(items), "n": len(items), "batch": 16, "fps": 2}
    lines = [{"run": head}, *({"id": item.id, "reply": item.question} for item in items)]
    out.mkdir()
    (out / "replies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_label_that_was_corrected_is_scored_anew(data, tmp_path, no_model):
    """Replies do not depend on labels."""
    answered(data, tmp_path / "run")
    before, _ = rescore(benchmark("msvd"), data=data, out=tmp_path / "run", judges=[RuleJudge()])
    rows = rows_of(data / "test_qa.json")
    for k, row in enumerate(rows):
        row["answer"] = f"{k}"
    write_json(data / "test_qa.json", rows)
    after, head = rescore(benchmark("msvd"), data=data, out=tmp_path / "run", judges=[RuleJudge()])
    assert before.scores["strict"].value < after.scores["strict"].value == 100 and head["fps"] == after.fps == 2


# --- the command line


def named(*options):
    return judges_of(parser_of().parse_args(["evaluate", "msvd", "--data", "d", "--out", "o", *options]))


def test_an_option_belongs_to_the_model_before_it():
    one, two = ["--judge-model", "one"], ["--judge-model", "two"]
    url, other = ["--judge-endpoint", "http://127.0.0.1:1/v1"], ["--judge-endpoint", "http://127.0.0.1:2/v1"]
    found = named(
        *url, "--judge-set", "seed=1", "--judge-rule", "words", *one, "--judge-prompt", "published", "--judge-set",
        "temperature=0.6", *two, *other, "--judge-parallel", "3", "--judge-rule", "exact",
    )  # fmt: skip
    assert [j.identity.get("rule") or j.identity["endpoint_model"] for j in found] == ["words", "one", "two", "exact"]
    first, second = found[1:3]
    assert (first.prompt, second.prompt, first.workers, second.workers) == ("published", "corrected", 1, 3)
    assert (first.chat.chat.url, second.chat.chat.url) == (url[1], other[1])
    settings = [judge.chat.chat.settings for judge in (first, second)]
    assert [(s["temperature"], s["seed"]) for s in settings] == [(0.6, 1), (0, 1)]
    assert [j.prompt for j in named(*one, *url, *one, *url, "--judge-prompt", "published")] == [
        "corrected",
        "published",
    ]
    assert named() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--judge-model a --judge-model b --judge-endpoint http://127.0.0.1:1/v1", "a has no --judge-endpoint"),
        ("--judge-model a --judge-prompt published --judge-prompt corrected", "--judge-prompt is given twice for --ju"),
        ("--judge-parallel 2 --judge-parallel 3 --judge-model a", "--judge-parallel is given twice for all models"),
        ("--judge-rule words --judge-prompt published", "--judge-model is missing: --judge-prompt belongs to one"),
    ],
)
def test_options_that_say_nothing_clear(options, message):
    with pytest.raises(ValueError, match=message):
        named(*options.split())


def test_none_is_a_model_in_this_process(monkeypatch):
    made = []
    monkeypatch.setattr("llamavid_kit.local_chat.LocalModel", lambda name, **options: made.append(name))
    named("--judge-endpoint", "http://127.0.0.1:1/v1", *["--judge-model", "a", "--judge-model", "b", "--judge-endpoint", "none"])
    assert made == ["b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--judge-rule", "words", "--judge-again", "-1"], "again=-1"),
        (["--score-only", "--adapter", "a", "--judge-rule", "words"], "name both, or neither"),
        (["--score-only"], "is scored by a judge"),
        (["--score-only", "--judge-rule", "words"], "expected the folder of a finished run"),
    ],
)
def test_commands_that_cannot_be(options, message, data, tmp_path, capsys, no_model):
    assert main(["evaluate", "msvd", "--data", str(data), "--out", str(tmp_path / "run"), *options]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()
