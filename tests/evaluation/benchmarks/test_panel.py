"""Several judges of one run, and judges asked again: what is asked, kept, compared and printed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_runs import Minds, N, Parrot, many_questions
from fake_endpoint import Fault, serve
from made_up_video_benchmarks import VIDEO, read_json
from sklearn.metrics import cohen_kappa_score

from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.run import evaluate
from llamavid_kit.evaluation.benchmarks.table import table
from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import AXES


@pytest.fixture
def data(tmp_path):
    return many_questions(tmp_path / "msvd")


def judges(fake, *names) -> list[ChatJudge]:
    return [ChatJudge(Endpoint(fake.url, name, retries=0, timeout_s=5.0)) for name in names]


def columns_of(out: Path, task: str = "qa") -> pd.DataFrame:
    """Item × (judge, asking) → (correct, score) as written."""
    rows = pd.read_csv(out / "verdicts.csv", keep_default_na=False, dtype={"correct": str, "score": str})
    rows = rows[rows["task"] == task]
    assert not rows.duplicated(["item", "judge", "asking"]).any()
    return rows.pivot(index="item", columns=["judge", "asking"], values=["correct", "score"])


def evaluated(data, out, judges, *, again=0, name="msvd"):
    return evaluate(benchmark(name), Parrot(), data=data, out=out, name="parrot", judges=judges, again=again)


def test_the_first_judge_scores_and_each_other_has_a_row(data, tmp_path):
    with serve(Minds()) as fake:
        chats = judges(fake, "anna", "bert")
        result = evaluated(data, tmp_path / "all", [chats[0], RuleJudge("words"), chats[1]])
        fake.script = Minds()  # which was not asked before
        alone = [
            evaluated(data, tmp_path / name, [judge])
            for name, judge in (("a", chats[0]), ("r", RuleJudge("words")), ("b", chats[1]))
        ]
    assert [one.name for one in result.judging.judges] == ["A", "B", "C"]
    for one, lonely in zip(result.judging.judges, alone, strict=True):
        assert one.scores == lonely.scores and one.intervals == lonely.intervals
    assert result.scores == alone[0].scores
    text = table(result, image_size=224)
    rows = [line for line in text.splitlines() if line.startswith("  this run")]
    assert len(rows) == 6 and [text.index(f"judge {name}: ") for name in "ABC"] == sorted(
        text.index(f"judge {name}: ") for name in "ABC"
    )
    assert "judge A: anna, corrected prompt, temperature=0" in text and "judge B: the rule 'words'" in text
    assert text.index("judge C") < text.index("published") < text.index("agreement of judges") or "paper" in text
    single = table(alone[0], image_size=224)
    assert "agreement" not in single and "  judge: anna, corrected prompt\n" in single
    for line in single.splitlines()[2:]:
        assert line in text  # what one judge's table says is not said otherwise beside others


def test_agreement_is_that_of_scikit_learn_on_what_was_said(data, tmp_path):
    with serve(Minds()) as fake:
        result = evaluated(data, tmp_path / "run", [*judges(fake, "anna", "bert"), RuleJudge("words")])
    columns = columns_of(tmp_path / "run")
    written = read_json(tmp_path / "run" / "result.json")["judging"]
    assert [(p["first"], p["second"]) for p in written["agreement"]] == [("A", "B"), ("A", "C"), ("B", "C")]
    text = table(result, image_size=224)
    for pair in written["agreement"]:
        a, b = pair["first"], pair["second"]
        judged = columns["score"][[(a, 1), (b, 1)]].ne("")
        both = columns[judged.all(axis=1)]
        assert (~judged).sum().tolist() == pair["no_verdict"]
        assert (pair["n"], pair["agreement"]["n_both"]) == (N, len(both)) and len(both) > 6
        assert pair["agreement"]["n_groups"] == 2  # clips, of which the intervals speak
        yes = [both["correct"][j, 1].eq("True") for j in (a, b)]
        scores = [both["score"][j, 1].astype(int) for j in (a, b)]
        kappa, weighted = (
            cohen_kappa_score(*yes),
            cohen_kappa_score(*scores, labels=range(6), weights="quadratic"),
        )
        same = float((yes[0] == yes[1]).mean())
        assert pair["agreement"]["same"] == pytest.approx(same)
        assert pair["agreement"]["kappa"]["value"] == pytest.approx(kappa)
        assert pair["agreement"]["score_kappa"]["value"] == pytest.approx(weighted)
        change = scores[1].mean() - scores[0].mean()
        assert pair["agreement"]["score_change"] == pytest.approx(change)
        silent = f"without a verdict: {a} {pair['no_verdict'][0]}, {b} {pair['no_verdict'][1]}"
        block = text.split(f"{a} and {b}: ")[1]
        assert block.startswith(f"both judged {len(both)} of {N} items; {silent}\n")
        assert f"same yes or no: {same:.1%} [" in block and f"Cohen's kappa {kappa:.2f} [" in block
        assert f"weighted kappa {weighted:.2f} [" in block and f"less that of {a}: {change:+.2f} [" in block
    silent = [pair["no_verdict"] for pair in written["agreement"]]
    assert any(first != second for first, second in silent)


def test_axes_are_compared_one_by_one(tmp_path):
    folder = VIDEO["video_chatgpt"](tmp_path / "data")
    with serve(lambda body, _: json.dumps({"score": 4 if body["model"] == "anna" else 2})) as fake:
        result = evaluated(folder, tmp_path / "run", judges(fake, "anna", "bert"), again=1, name="video_chatgpt")
    assert [(p.task, p.agreement.same, p.agreement.score_change) for p in result.judging.pairs] == [
        (axis, None, -2) for axis in AXES
    ]
    assert [again.values for again in result.judging.again] == [(4, 4), (2, 2)]
    assert [list(again.tasks) for again in result.judging.again] == [list(AXES)] * 2
    text = table(result, image_size=224)
    assert "A and B, consistency: both judged 2 of 2 items" in text and "same yes or no" not in text
    assert "mean score of B less that of A: -2.00 [no interval] of 5" in text
    assert "A, asked 2 times; score at each asking: 4.00, 4.00 of 5" in text
    assert "Consistency             4.00 of 5; n = 2" in text  # all alike: no interval
    assert text.count("[low, high]: 95% interval") == 1
    assert "scorer strict: what a judge says that is not a verdict is left out and counted" in text
    assert text.count("consistency: a verdict at every asking on 2 of 2 items, at some only on 0") == 2


def test_nothing_to_compare_is_said(data, tmp_path):
    with serve(lambda body, _: "Hm." if body["model"] == "bert" else '{"pred": "yes", "score": 4}') as fake:
        result = evaluated(data, tmp_path / "run", judges(fake, "anna", "bert"), again=1)
    text = table(result, image_size=224)
    assert f"A and B: both judged 0 of {N} items; without a verdict: A 0, B {N}\n      nothing to compare" in text
    assert "B, asked 2 times; score at each asking: none, none%" in text
    assert f"always on 0 of {N}" not in text and f"at every asking on 0 of {N} items, at some only on 0" in text
    assert "kappa not defined (one value always)" in text
    written = read_json(tmp_path / "run" / "result.json")["judging"]
    assert written["agreement"][0]["agreement"] is None and written["repeatability"][1]["values"] == [None, None]


def test_the_official_rule_of_a_benchmark_stands_there_once(tmp_path):
    folder = VIDEO["activitynet"](tmp_path / "data")
    result = evaluated(folder, tmp_path / "run", [RuleJudge("words"), RuleJudge("mention")], name="activitynet")
    assert [list(one.scores) for one in result.judging.judges] == [
        ["strict", "original", "official"],
        ["strict", "original"],
    ]
    assert table(result, image_size=224).count("scorer: official") == 1


def test_one_model_at_two_addresses_is_one_judge(data, tmp_path):
    """Its verdicts would be found for both; with another prompt it is another judge."""
    one, two = (Endpoint(f"http://127.0.0.1:{port}/v1", "anna") for port in (1, 2))
    with pytest.raises(ValueError, match="a judge is named twice.*an address tells no judges apart"):
        evaluated(data, tmp_path / "run", [ChatJudge(one), ChatJudge(two)])
    assert not (tmp_path / "run").exists()
    with serve(Minds()) as fake:
        anna = judges(fake, "anna")[0]
        result = evaluated(data, tmp_path / "run", [anna, replace(anna, prompt="published")])
    assert len(fake.bodies) == 2 * N and result.judging.pairs[0].n == N


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
    judged = scores.ne("")
    always = judged.all(axis=1)
    always_scores = scores[always].astype(int)
    yes = columns["correct"]["A"][always].eq("True")
    match = anna.tasks["qa"]
    assert (match.n_always, match.n_sometimes) == (always.sum(), (judged.any(axis=1) & ~always).sum())
    assert match.n_sometimes > 0 and match.no_verdict == tuple((~judged).sum())
    assert match.same == pytest.approx((yes.nunique(axis=1) == 1).mean()) and 0 < match.same < 1
    assert match.same_score == pytest.approx((always_scores.nunique(axis=1) == 1).mean())
    assert match.score_range == pytest.approx((always_scores.max(axis=1) - always_scores.min(axis=1)).mean())
    kappas = [cohen_kappa_score(yes[a], yes[b]) for a, b in ((1, 2), (1, 3), (2, 3))]
    assert match.kappa.value == pytest.approx(np.mean(kappas))
    rows = [100 * columns["correct"]["A"][k][judged[k]].eq("True").mean() for k in (1, 2, 3)]
    assert anna.values == pytest.approx(rows) and len(set(rows)) > 1
    assert result.scores["strict"].value == anna.values[0] and first.n == N
    text = table(result, image_size=224)
    assert f"A, asked 3 times; score at each asking: {', '.join(f'{x:.2f}' for x in rows)}%" in text
    assert f"same yes or no at every asking: {match.same:.1%} [" in text
    assert "B was not asked again: a rule gives the same verdict every time" in text
    assert f"an item's moves by {match.score_range:.2f} [" in text
    assert max(map(len, text.split("\n"))) <= 120
    written = read_json(tmp_path / "run" / "result.json")["judging"]["repeatability"]
    assert written[0]["tasks"]["qa"]["same"] == match.same and written[1]["steady"] == rule.steady


def test_a_table_fits_its_page_and_keeps_two_digits_of_a_score(tmp_path):
    """Axes differ by a tenth, so that an interval of one digit says nothing; the widest lines are those of kappas."""
    folder, minds = VIDEO["video_chatgpt"](tmp_path / "data"), Minds()
    with serve(minds) as fake:
        result = evaluated(folder, tmp_path / "run", judges(fake, "anna", "gert"), again=2, name="video_chatgpt")
    text = table(result, image_size=224)
    lines = [line for line in text.split("\n") if "Table" not in line]
    assert max(map(len, lines)) <= 120
    with_interval = [line for line in lines if re.match(r"    [A-Z][a-z]+ +[0-9.]+ of 5 \[", line)]
    assert with_interval and all(
        re.fullmatch(r" +\w+ +\d\.\d\d of 5 \[\d\.\d\d, \d\.\d\d\]; n = \d", line) for line in with_interval
    )


@pytest.mark.parametrize("stop", [3, N + 4, 2 * N + 5, 3 * N + 1])
def test_a_run_cut_off_while_judging_goes_on(stop, data, tmp_path):
    """Wherever: no request is made twice, and the end is that of a run in one piece."""
    with serve(Minds()) as fake:
        whole = evaluated(data, tmp_path / "whole", judges(fake, "anna", "bert"), again=1)
        assert len(fake.bodies) == 4 * N
    minds = Minds()
    with serve(lambda body, n: Fault(status=500) if n == stop else minds(body, n)) as fake:
        with pytest.raises(ConnectionError, match=r"1 tries\); \d+ verdicts are kept: run the same again to go on"):
            evaluated(data, tmp_path / "cut", judges(fake, "anna", "bert"), again=1)
        assert len(fake.bodies) == stop + 1
        path = next((tmp_path / "cut").glob("*.verdicts.jsonl"))
        with path.open("a") as file:
            file.write('{"key": "half')
        cut = evaluated(data, tmp_path / "cut", judges(fake, "anna", "bert"), again=1)
        assert len(fake.bodies) == 4 * N + 1
    assert cut.judging.record() == whole.judging.record()
    pd.testing.assert_frame_equal(cut.judging.verdicts, whole.judging.verdicts)
    assert all(n == 2 for n in minds.times.values()) and len(minds.times) == 2 * N


def test_a_refused_item_is_refused_once_in_all_modes(data, tmp_path):
    """An endpoint that refuses now and then would else be read differently by the modes, and be paid twice."""
    minds = Minds()
    with serve(lambda body, n: Fault(status=400) if n % 3 == 0 else minds(body, n)) as fake:
        result = evaluated(data, tmp_path / "run", judges(fake, "anna"), again=1)
        assert len(fake.bodies) == 2 * N
        silent = {m: score.more["problems"].get("refused by the judge") for m, score in result.scores.items()}
        assert silent == {"strict": (N + 2) // 3, "original": (N + 2) // 3}
        evaluated(data, tmp_path / "run", judges(fake, "anna"))
        assert len(fake.bodies) > 2 * N  # a later run asks about them again


def test_more_askings_go_on_from_those_that_were(data, tmp_path):
    with serve(Minds()) as fake:
        once = evaluated(data, tmp_path / "run", judges(fake, "anna"), again=1)
        more = evaluated(data, tmp_path / "run", judges(fake, "anna"), again=3)
        assert len(fake.bodies) == 4 * N and more.judging.again[0].values[:2] == once.judging.again[0].values
        evaluated(data, tmp_path / "run", judges(fake, "bert"), again=1)
        assert len(fake.bodies) == 6 * N  # another judge finds none of them
        evaluated(data, tmp_path / "run", judges(fake, "bert", "anna"))
        assert len(fake.bodies) == 6 * N
