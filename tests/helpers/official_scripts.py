"""What the authors' scripts print, put together from our scorers' parts: to be held against their recorded output."""

from llamavid_kit.evaluation.benchmarks import scienceqa
from llamavid_kit.evaluation.benchmarks.activitynet import FREE, TYPES, official_accuracy
from llamavid_kit.evaluation.benchmarks.vqa_answers import _leave_one_out, evalai_answer


def m4c_accuracy(answer, people) -> float:
    """LLaVA's and LLaMA-VID's `m4c_evaluator` (TextVQA): as VQA's accuracy, but `evalai_answer` of every answer."""
    return _leave_one_out(evalai_answer(answer), [evalai_answer(a) for a in people])


def activitynet_lines(right, n) -> str:
    """ActivityNet-QA's eval.py, of what `official_counts` gives; "none" where it would stop: no such question."""
    share = official_accuracy(right, n)

    def lines(names) -> str:
        return "".join(f"\t{n}: {'none' if share[n] is None else format(share[n], '.04f')}\n" for n in names)

    return (
        f"Accuracy (per question type):\n{lines((*TYPES[:3], 'Free', 'All'))}"
        f"Accuracy of the Free type questions(per answer type):\n{lines(TYPES[k] for k in FREE)}"
    )


def scienceqa_report(problems, ids, predictions) -> dict:
    """`eval_science_qa.py` for `ids`: parsed letters, ids that are right, accuracies in percent.

    predictions: id → {"text", "prompt"}. An id without a prediction is FAILED and without a picture, silently; a
    picture is what the prompt says with `<image>`.
    """
    rows = {name: predictions.get(name, {"text": "FAILED", "prompt": "Unknown"}) for name in ids}
    parsed = {name: scienceqa.original_letter(row["text"]) or "FAILED" for name, row in rows.items()}
    right = {
        name
        for name in ids
        if parsed[name] in scienceqa.LETTERS[: len(problems[name]["choices"])]
        and scienceqa.LETTERS.index(parsed[name]) == problems[name]["answer"]
    }
    pictures = [name for name, row in rows.items() if "<image>" in row["prompt"]]
    n_right = sum(name in right for name in pictures)
    return {
        "parsed": parsed,
        "correct_ids": [name for name in ids if name in right],
        "count": len(ids),
        "correct": len(right),
        "acc": 100 * len(right) / len(ids),
        "img_correct": n_right,
        "img_total": len(pictures),
        "img_acc": 100 * n_right / len(pictures) if pictures else None,
    }
