"""A benchmark's result as text: the run's row, then what was published at the same resolution.

Takes a `Result` and the model's resolution, gives lines; nothing is computed here.
"""

from dataclasses import replace

from llamavid_kit.evaluation.benchmarks.base import Interval, Mode, Score
from llamavid_kit.evaluation.benchmarks.panel_table import between, judging_lines, spread, who
from llamavid_kit.evaluation.benchmarks.published import NO_PAPER, published
from llamavid_kit.evaluation.benchmarks.run import Result

JUDGED: dict[Mode, str] = {
    "strict": "what a judge says that is not a verdict is left out and counted",
    "original": "a judge's words read as the original's scripts do, their faults included",
    "official": "the benchmark's own rule, the same characters, and no judge",
}
RULED: dict[Mode, str] = {
    "original": "as the published numbers were counted, the scorer's faults included",
    "strict": "ours: a reply that does not clearly name one answer is wrong",
}
"""What a scorer's name means, where a judge says what is right and where a rule does."""


def table(result: Result, *, image_size: int | None) -> str:
    """The lines that `evaluate` prints. image_size: pixels a side, None for a model that does not say."""
    benchmark, fps = result.benchmark, result.head.get("fps")
    size = f"{image_size} px" if image_size else "resolution unknown"
    rate = "" if fps is None else f", {fps:g} fps"
    lines = [f"{benchmark.title}, {result.n} items, {result.head['model']} at {size}{rate}"]
    judges = result.judging.judges if result.judging else ()
    lines += _rows(result, name=judges[0].name if len(judges) > 1 else "")
    for one in judges[1:]:
        lines += _rows(replace(result, scores=one.scores, intervals=one.intervals), name=one.name)
    lines += [*_published(result, image_size), *judging_lines(result.judging, unit=benchmark.unit)]
    means = JUDGED if benchmark.judged else RULED
    notes = [
        result.note,
        f"for the server: {result.submission}" if result.submission else "",
        "[low, high]: 95% interval",
        *(f"scorer {mode}: {means[mode]}" for mode in benchmark.modes),
    ]
    return "\n".join([*lines, *(f"  {note}" for note in notes if note)])


def _rows(result: Result, *, name: str) -> list[str]:
    """Of one judge, or of a benchmark without. name: the judge's among several."""
    first, lines = result.benchmark.modes[0], []
    if identity := result.scores[first].more.get("judge"):
        lines.append(f"  judge{name and ' '}{name}: {who(identity, settings=bool(name))}")
    for mode, score in result.scores.items():
        lines += _run(result, mode, with_parts=mode == first)
        if score.no_answer:
            why = ", ".join(f"{cause} {n}" for cause, n in score.more.get("no answer", {}).items())
            why = f" ({why})" if why else ""
            lines.append(f"    {len(score.no_answer)} replies hold no answer{why}; they count as wrong")
        lines += _verdicts(score)
    return lines


def _run(result: Result, mode: Mode, *, with_parts: bool) -> list[str]:
    benchmark, score, intervals = result.benchmark, result.scores[mode], result.intervals[mode]
    if score.value is None:
        why = f"no verdict to count, read as {mode}" if benchmark.judged else "scored by the server alone"
        return [f"  {'this run':10s} {why}"]
    digits, values = 1 if benchmark.unit == "%" else 2, list(score.outcomes.values())
    right = int(sum(values)) if set(values) <= {0, 1} else None
    sure = _sure(right, len(values), intervals.get(""), digits) if values else ""
    value, metric = f"{_number(score.value, benchmark.unit)}{between(score.interval95, digits)}", benchmark.metric
    row = f"{value}{sure}  {metric}, scorer: {mode}" if right is None else f"{value}  {metric}, scorer: {mode}{sure}"
    lines = [f"  {'this run':10s} {row}"]
    for name, part in score.parts.items() if with_parts and len(score.parts) > 1 else ():
        interval = spread(score.more[name]["score95"]) if name in score.axes else intervals.get(name)
        value = f"{_number(part.value, benchmark.unit)}{between(part.interval95, digits)}"
        lines.append(f"    {name:22s} {value}{_sure(part.k, part.n, interval, digits)}")
    return lines


def _verdicts(score: Score) -> list[str]:
    """The mean score beside the accuracy, and how many items have no verdict and why."""
    if "judge" not in score.more:
        return []
    lines, axes = [], {name: numbers for name, numbers in score.more.items() if name != "judge"}
    for axis, numbers in {"": score.more}.items() if "n_verdicts" in score.more else axes.items():
        if not axis and numbers["score"] is not None:
            lines.append(f"    mean score {numbers['score']:.2f} of 5{between(spread(numbers['score95']), 2)}")
        if numbers["no_verdict"]:
            reasons = ", ".join(f"{why} {n}" for why, n in numbers["problems"].items())
            ends = numbers.get("accuracy_between") or ()
            ends = f"; counted as no or yes: {100 * ends[0]:.1f}% to {100 * ends[1]:.1f}%" if ends else ""
            where = f"{axis}: " if axis else ""
            lines.append(f"    {where}{numbers['no_verdict']} of {numbers['n']} without a verdict ({reasons}){ends}")
    return lines


def _sure(k: int | None, n: int, interval: Interval | None, digits: int) -> str:
    """How many are right, and the interval of that share; of the value itself where items can be right in part."""
    sure = between(interval, digits)
    return f"{sure}; n = {n}" if k is None else f"; {k}/{n} right = {100 * k / n:.1f}%{sure}"


def _number(value: float, unit: str) -> str:
    return f"{value:6.2f}%" if unit == "%" else f"{value:5.2f} of 5"


def _published(result: Result, image_size: int | None) -> list[str]:
    benchmark = result.benchmark
    rows = [
        (part or column, row, row.values[column])
        for part, column in benchmark.columns.items()
        for row in published(column, image_size=image_size or 0)
    ]
    if not rows:
        return ["  nothing was published at this resolution"]
    lines = [
        f"  {row.who:10s} {_number(value, benchmark.unit)}  {part}, {row.llm}, {row.image_size} px: {row.source}"
        for part, row, value in rows
    ]
    if all(row.who != "paper" for _, row, _ in rows):
        lines.append(f"  {NO_PAPER}")
    if result.n != benchmark.size:
        lines.append(f"  not comparable: the published numbers are of {benchmark.size} items, this run has {result.n}")
    return lines
