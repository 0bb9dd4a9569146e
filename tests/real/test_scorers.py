"""Every record of the official scorers' inputs and outputs, edge cases and complete runs: each value of each file.

`CHECKS` names the function for each file. A file that no check knows fails, and so does a check that compares fewer
values than the file holds.
"""

import gzip
import json
import re
from pathlib import Path

import pytest
from judge_readings import STRICT_READINGS
from official_scripts import activitynet_lines, m4c_accuracy, scienceqa_report

from llamavid_kit.evaluation.benchmarks import activitynet, gqa, mmbench, pope, scienceqa, vqa_answers
from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.choice_letters import strict_letter
from llamavid_kit.evaluation.benchmarks.vqa_answers import evalai_answer, score, vqa_accuracy
from llamavid_kit.evaluation.judges import verdict_parser as verdicts
from llamavid_kit.evaluation.judges.verdict_parser import ASKED_AGAIN, read_original, read_verdict


def read(path):
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


def same(ours, theirs, where: str) -> int:
    """Our value is theirs, to the last digits; 1 record compared."""
    assert ours == (pytest.approx(theirs, rel=1e-12) if isinstance(theirs, float) else theirs), where
    return 1


def evalai(record) -> int:
    """Both processor files: (reply, submitted answer) pairs."""
    n = sum(same(evalai_answer(reply), answer, repr(reply)) for reply, answer in record["pairs"])
    if "distinct" in record:
        assert n == record["distinct"] and record["mismatches_with_llamavid_m4c_evaluator"] == 0
    return n


def gqa_convert(record) -> int:
    pairs = [*record["edge_cases"], *[row[1:] for row in record["real_first_50"]]]
    assert record["n_real"] == gqa.BENCHMARK.size
    return sum(same(gqa.prediction(reply), prediction, repr(reply)) for reply, prediction in pairs)


def mmbench_infer(record) -> int:
    n = 0
    for case in record["cases"]:
        reply, choices = case["answer"], case["choices"]
        for key, read in (
            ("option", mmbench.infer_option),
            ("text", mmbench.infer_text),
            ("can_infer", mmbench.infer),
        ):
            n += same(read(reply, choices) or False, case[key], f"{key} of {reply!r} in {choices}")
    return n


def pope_edge_cases(record) -> int:
    labels = {row["question_id"]: row["label"] for row in record["labels"]}
    answers = {row["question_id"]: pope.answer_of(row["text"], mode="original") for row in record["answers"]}
    ids = [row["question_id"] for row in record["answers"]]
    n = sum(same(answers[i], parsed, f"id {i}") for i, parsed in zip(ids, record["parsed"], strict=True))
    printed = pope.counts([(answers[i], labels[i]) for i in ids])
    assert printed.keys() == record["official_output"].keys()
    n += sum(same(printed[name], value, name) for name, value in record["official_output"].items())
    items = [
        Item(name := str(row["question_id"]), Path(name), "", "", (labels[row["question_id"]],), row["category"])
        for row in record["questions"]
    ]
    replies = {str(row["question_id"]): row["text"] for row in record["answers"]}
    whole = pope.score(items, replies, mode="original")
    return n + same(whole.value, 100 * record["official_output"]["F1 score"], "the benchmark's number")


def scienceqa_edge_cases(record) -> int:
    """999 stands in the splits alone: whatever its problem is, no prediction is FAILED."""
    problems = record["problems"] | {"999": {"choices": ["c", "c"], "answer": 0}}
    ids, official = record["pid_splits"]["test"], record["official"]
    ours = scienceqa_report(problems, ids, {row["question_id"]: row for row in record["predictions"]})
    assert ours["parsed"].keys() == official["parsed"].keys()
    n = sum(same(ours["parsed"][i], letter, f"id {i}") for i, letter in official["parsed"].items())
    n += same(sorted(ours["correct_ids"]), sorted(official["correct_ids"]), "correct_ids")
    n += sum(same(ours[name], value, name) for name, value in official["result"].items())
    return n + same(_printed(ours), official["stdout"], "stdout")


def scienceqa_full(record) -> int:
    """LLaVA-1.5-13B's complete run; `pred` is what the script logs."""
    rows = [dict(zip(record["columns"], row, strict=True)) for row in record["rows"]]
    problems = {
        r["question_id"]: {"choices": [""] * 5, "answer": scienceqa.LETTERS.index(r["ground_truth"])} for r in rows
    }
    predictions = {
        r["question_id"]: {"text": r["pred"], "prompt": "<image>" if r["is_multimodal"] else ""} for r in rows
    }
    ours = scienceqa_report(problems, list(problems), predictions)
    n = sum(same(ours["parsed"][r["question_id"]], r["parsed_ans"], r["question_id"]) for r in rows)
    counts = record["original_output_counts"]
    expected = {
        "correct": counts["correct"],
        "img_correct": counts["img_correct"],
        "img_total": counts["img_total"],
        "count": counts["correct"] + counts["incorrect"],
    }
    assert counts["img_total"] == scienceqa.BENCHMARK.size
    for numbers in (expected, record["official_rerun"]["result"]):
        n += sum(same(ours[name], value, name) for name, value in numbers.items())
    return n + same(_printed(ours), record["official_rerun"]["stdout"], "stdout")


def _printed(report) -> str:
    return (
        f"Total: {report['count']}, Correct: {report['correct']}, Accuracy: {report['acc']:.2f}%, "
        f"IMG-Accuracy: {report['img_acc']:.2f}%"
    )


def vqa(record) -> int:
    """VQAEval, and LLaVA's own evaluator, which differs in item 2."""
    official = record["official_GT_Vision_Lab_VQAEval"]
    rows = {str(row["question_id"]): row for row in record["items"]}
    ours = {name: vqa_accuracy(row["pred"], row["answers"]) for name, row in rows.items()}
    assert ours.keys() == official["per_question"].keys()
    n = sum(same(100 * ours[name], value, name) for name, value in official["per_question"].items())
    n += same(100 * sum(ours.values()) / len(ours), official["overall"], "overall")
    for key, column in (("perAnswerType", "answer_type"), ("perQuestionType", "question_type")):
        assert {row[column] for row in rows.values()} == official[key].keys()
        for kind, value in official[key].items():
            of_kind = [ours[name] for name, row in rows.items() if row[column] == kind]
            n += same(100 * sum(of_kind) / len(of_kind), value, f"{key} {kind}")
    per_item = record["m4c_TextVQAAccuracyEvaluator_per_item"]
    for row, value in zip(record["items"], per_item, strict=True):
        n += same(m4c_accuracy(row["pred"], row["answers"]), value, f"m4c, id {row['question_id']}")
    items = [
        Item(k, None, "", "", tuple(r["answers"]), r["answer_type"], extra={"question_type": r["question_type"]})
        for k, r in rows.items()
    ]
    whole = score(items, {k: r["pred"] for k, r in rows.items()}, mode="original")
    submitted = {k: vqa_accuracy(evalai_answer(r["pred"]), r["answers"]) for k, r in rows.items()}
    assert whole.outcomes == submitted and set(whole.more["perQuestionType"]) == set(official["perQuestionType"])
    assert {name for name in ours if ours[name] != submitted[name]} == {"2"}  # submission files are normalised
    return n


def activitynetqa(record) -> int:
    """The authors' eval.py: counts of 400 questions, and what it prints about its whole example."""
    part, whole = record["subset_400"], record["full"]
    replies = {row["question_id"]: row["answer"] for row in part["predictions"]}
    truths = [(row["question_id"], row["answer"], row["type"]) for row in part["answers"]]
    right, of_type = activitynet.official_counts(replies, truths)
    n = sum(same(right[int(kind)], k, f"type {kind}") for kind, k in part["correct_by_type"].items())
    n += sum(same(of_type[int(kind)], k, f"type {kind}") for kind, k in part["count_by_type"].items())
    assert list(of_type) == [int(kind) for kind in part["count_by_type"]]  # the order decides what "Free" says
    items = [
        Item(i, None, "", "", (answer,), activitynet.TYPES[kind], extra={"type": kind}) for i, answer, kind in truths
    ]
    ours = activitynet.score(items, replies, mode="official")
    n += same(ours.value, 100 * sum(part["correct_by_type"].values()) / len(items), "the benchmark's number")
    counts = [{int(kind): k for kind, k in whole[name].items()} for name in ("correct_by_type", "count_by_type")]
    printed = activitynet_lines(*counts).splitlines()
    n += sum(same(*lines, "stdout") for lines in zip(printed, whole["stdout"].splitlines(), strict=True))
    return n + same(sum(counts[1].values()), whole["n"], "n")


def judge_replies(record) -> int:
    """`ast.literal_eval` and the sums of eval_*_qa.py; each reply has a strict reading in `judge_readings` too.

    Compared: value, score, verdict, the error's text (addresses aside), where it was raised and what it led to.
    """
    n = 0
    for case in record["cases"]:
        reply = case["reply"]
        reading, expected = read_original(reply), {k: v for k, v in case.items() if k != "reply"}
        ours = {} if reading.effect == ASKED_AGAIN else {"literal_eval": repr(reading.value)}
        ours |= {} if reading.int_score is None else {"int_score": reading.int_score}
        ours |= {} if reading.verdict is None else {"verdict": reading.verdict}
        if reading.error:
            stage = "error_while_judging" if reading.effect == ASKED_AGAIN else "error_while_aggregating"
            ours |= {stage: reading.error, "effect": reading.effect}
        assert ours.keys() == expected.keys(), reply
        for key, value in expected.items():
            text = re.sub(r" at 0x[0-9a-f]+", "", value) if "error" in key else value
            n += same(ours[key], text, f"{key}: {reply}")
        verdict = read_verdict("i", reply, mode="original")
        if reading.error:
            assert verdict.problem
        else:
            assert (verdict.score, verdict.correct) == (case["int_score"], case["verdict"] == "yes")
    assert sorted(case["reply"] for case in record["cases"]) == sorted(reply for reply, *_ in STRICT_READINGS)
    return n + len(STRICT_READINGS)


CHECKS = {
    "activitynetqa_official.json": (
        activitynetqa,
        lambda r: (
            len(r["subset_400"]["correct_by_type"])
            + 1
            + 1
            + len(r["subset_400"]["count_by_type"])
            + r["full"]["stdout"].count("\n")
        ),
    ),
    "judge_reply_parsing.json": (judge_replies, lambda r: sum(len(case) for case in r["cases"])),
    "evalai_processor_edge_cases.json": (evalai, lambda r: len(r["pairs"])),
    "evalai_processor_vizwiz_real_pairs.json.gz": (evalai, lambda r: len(r["pairs"])),
    "gqa_convert.json": (gqa_convert, lambda r: len(r["edge_cases"]) + len(r["real_first_50"])),
    "mmbench_infer.json": (mmbench_infer, lambda r: 3 * len(r["cases"])),
    "pope_edge_cases.json": (pope_edge_cases, lambda r: len(r["parsed"]) + len(r["official_output"]) + 1),
    "scienceqa_edge_cases.json": (
        scienceqa_edge_cases,
        lambda r: len(r["official"]["parsed"]) + 1 + len(r["official"]["result"]) + 1,
    ),
    "scienceqa_llava15_13b_full.json.gz": (
        scienceqa_full,
        lambda r: len(r["rows"]) + len(r["original_output_counts"]) + 3 + 1,
    ),
    "vqa_accuracy.json": (
        vqa,
        lambda r: (
            2 * len(r["items"])
            + 1
            + sum(len(r["official_GT_Vision_Lab_VQAEval"][f"per{kind}Type"]) for kind in ("Answer", "Question"))
        ),
    ),
}
"""File → its check, which returns how many values it compared, and how many the file holds."""


def test_every_file_has_a_check(real):
    there = {path.name for path in (real / "scorers").iterdir()}
    assert there == CHECKS.keys()


@pytest.mark.parametrize("name", CHECKS)
def test_every_record_of(real, name):
    check, held = CHECKS[name]
    record = read(real / "scorers" / name)
    n = check(record)
    print(f"\n{name}: {n} of {held(record)} values agree")
    assert n == held(record) > 0


FAULTS = {
    "free from the second on": ("activitynetqa_official.json", activitynet, "FREE", range(2, 9)),
    "the whole word": (
        "judge_reply_parsing.json",
        verdicts,
        "_original_verdict",
        lambda saved: "yes" if saved["pred"].lower() == "yes" else "no",
    ),
    "no score beyond five": ("judge_reply_parsing.json", verdicts, "MAX_SCORE", 5),
    "articles stay": ("evalai_processor_edge_cases.json", vqa_answers, "ARTICLES", ()),
    "numbers stay words": ("evalai_processor_edge_cases.json", vqa_answers, "NUMBERS", {}),
    "a hyphen stays": ("evalai_processor_edge_cases.json", vqa_answers, "PUNCTUATION", ';/[]"{}()=+\\_><@`,?!'),
    "contractions stay": ("evalai_processor_edge_cases.json", vqa_answers, "CONTRACTIONS", {}),
    "brackets stay": ("evalai_processor_vizwiz_real_pairs.json.gz", vqa_answers, "PUNCTUATION", ";/-"),
    "one period goes": ("gqa_convert.json", gqa, "prediction", lambda reply: reply.removesuffix(".").lower()),
    "blanks go": ("gqa_convert.json", gqa, "prediction", lambda reply: reply.strip().rstrip(".").lower()),
    "refusals are no Z": ("mmbench_infer.json", mmbench, "infer_option", strict_letter),
    "text before letter": ("mmbench_infer.json", mmbench, "infer", mmbench.infer_text),
    "strict yes and no": ("pope_edge_cases.json", pope, "answer_of", lambda reply, mode: STRICT(reply, mode="strict")),
    "the whole reply": (
        "pope_edge_cases.json",
        pope,
        "answer_of",
        lambda reply, mode: "no" if "no" in reply else "yes",
    ),
    "the first letter": (
        "scienceqa_edge_cases.json",
        scienceqa,
        "original_letter",
        lambda reply: reply[:1] or None,
    ),
    "one letter fewer": ("scienceqa_llava15_13b_full.json.gz", scienceqa, "LETTERS", "ABCD"),
    "nobody left out": (
        "vqa_accuracy.json",
        vqa_answers,
        "_leave_one_out",
        lambda answer, people: min(1, people.count(answer) / 3),
    ),
}
STRICT = pope.answer_of


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(real, monkeypatch, fault):
    name, module, attribute, faulty = FAULTS[fault]
    monkeypatch.setattr(module, attribute, faulty)
    with pytest.raises((AssertionError, ValueError)):
        CHECKS[name][0](read(real / "scorers" / name))


def test_every_file_catches_a_fault():
    assert {name for name, *_ in FAULTS.values()} == CHECKS.keys()
