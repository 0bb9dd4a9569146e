"""A benchmark's result as text: the run's row, then what was published at the same resolution.

Takes a `Result` and the model's resolution, gives lines; nothing is computed here.
"""

from dataclasses import replace

from llamavid_kit.evaluation.benchmarks.base import Score
from llamavid_kit.evaluation.benchmarks.panel_table import judging_lines, who
from llamavid_kit.evaluation.benchmarks.published import NO_PAPER, published
from llamavid_kit.evaluation.benchmarks.run import Result

JUDGED = {
    "strict": "what a judge says that is no verdict is left out and counted",
    "original": "a judge's words read as the original's scripts do, their faults included",
    "official": "the benchmark's own rule, the same characters, and no judge",
}
RULED = {
    "original": "as the published numbers were counted, the scorer's faults included",
    "strict": "ours: a reply that does not clearly name one answer is wrong",
}
"""What a scorer's name means, where a judge says what is right and where a rule does."""


def table(result: Result, *, image_size: int | None) -> str:
    """The lines that `evaluate` prints. image_size: pixels a side, None for a model that does not say."""
    benchmark = result.benchmark
    size = f"{image_size} px" if image_size else "resolution unknown"
    rate = "" if result.fps is None else f", {result.fps:g} fps"
    lines = [f"{benchmark.title}, {result.n} items, {result.model} at {size}{rate}"]
    judges = result.judging.judges if result.judging else ()
    lines += _rows(result, name=judges[0].name if len(judges) > 1 else "")
    for one in judges[1:]:
        lines += _rows(replace(result, scores=one.scores, intervals=one.intervals), name=one.name)
    notes = [result.note, f"for the server: {result.submission}" if result.submission else ""]
    lines += [*_published(result, image_size), *judging_lines(result.judging, unit=benchmark.unit)]
    means = JUDGED if benchmark.judged else RULED
    legend = ["[low, high]: 95% interval", *(f"scorer {mode}: {means[mode]}" for mode in benchmark.modes)]
    return "\n".join([*lines, *(f"  {note}" for note in (*notes, *legend) if note)])


def _rows(result: Result, *, name: str) -> list[str]:
    """Of one judge, or of a benchmark without. name: the judge's among several."""
    first = result.benchmark.modes[0]
    lines = _judge(result.scores[first], name)
    for mode, score in result.scores.items():
        lines += _run(result, mode, with_parts=mode == first)
        if score.no_answer:
            lines.append(f"    {len(score.no_answer)} replies hold no answer; they count as wrong")
        lines += _verdicts(score)
    return lines


def _run(result: Result, mode: str, *, with_parts: bool) -> list[str]:
    benchmark, score, intervals = result.benchmark, result.scores[mode], result.intervals[mode]
    if score.value is None:
        why = f"no verdict to count, read as {mode}" if benchmark.judged else "scored by the server alone"
        return [f"  {'this run':10s} {why}"]
    values = list(score.outcomes.values())
    right = int(sum(values)) if set(values) <= {0, 1} else None
    digits = 1 if benchmark.unit == "%" else 2
    sure = _sure(right, len(values), intervals.get(""), digits=digits) if values else ""
    value = f"{_number(score.value, benchmark.unit)}{_between(score.interval95, digits=digits)}"
    value, sure = (f"{value}{sure}", "") if right is None else (value, sure)
    lines = [f"  {'this run':10s} {value}  {benchmark.metric}, scorer: {mode}{sure}"]
    for name, part in score.parts.items() if with_parts and len(score.parts) > 1 else ():
        interval = _spread(score.more[name]["score95"]) if name in score.axes else intervals.get(name)
        value = f"{_number(part.value, benchmark.unit)}{_between(part.interval95, digits=digits)}"
        shown = f"{value}{_sure(part.k, part.n, interval, digits=digits)}"
        lines.append(f"    {name:22s} {shown}")
    return lines


def _judge(score: Score, name: str) -> list[str]:
    """Who judged."""
    if "judge" not in score.more:
        return []
    return [f"  judge{name and ' '}{name}: {who(score.more['judge'], settings=bool(name))}"]


def _verdicts(score: Score) -> list[str]:
    """The mean score beside the accuracy, and how many items have no verdict and why."""
    if "judge" not in score.more:
        return []
    lines, axes = [], {name: found for name, found in score.more.items() if name != "judge"}
    for axis, found in {"": score.more}.items() if "n_verdicts" in score.more else axes.items():
        if not axis and found["score"] is not None:
            lines.append(f"    mean score {found['score']:.2f} of 5{_between(_spread(found['score95']), digits=2)}")
        if found["no_verdict"]:
            reasons = ", ".join(f"{why} {n}" for why, n in found["problems"].items())
            between = found.get("accuracy_between")
            ends = f"; counted as no or yes: {100 * between[0]:.1f}% to {100 * between[1]:.1f}%" if between else ""
            where = f"{axis}: " if axis else ""
            lines.append(f"    {where}{found['no_verdict']} of {found['n']} without a verdict ({reasons}){ends}")
    return lines


def _sure(k: int | None, n: int, interval: tuple[float, float] | None, *, digits: int) -> str:
    """How many are right, and the interval of that share; of the value itself where items can be right in part."""
    between = _between(interval, digits=digits)
    return f"{between}; n = {n}" if k is None else f"; {k}/{n} right = {100 * k / n:.1f}%{between}"


def _between(interval: tuple[float, float] | None, *, digits: int = 1) -> str:
    """A 95% interval, to stand right behind the number that it belongs to."""
    return f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]" if interval else ""


def _spread(interval: tuple[float, float]) -> tuple[float, float] | None:
    """A bootstrap interval, or None where all scores are alike and it saw no spread, which is not certainty."""
    return interval if interval[0] < interval[1] else None


def _number(value: float, unit: str) -> str:
    return f"{value:6.2f}%" if unit == "%" else f"{value:5.2f} of 5"


def _published(result: Result, image_size: int | None) -> list[str]:
    benchmark = result.benchmark
    lines, who = [], set()
    for part, column in benchmark.columns.items():
        for row in published(column, image_size=image_size or 0):
            value = _number(row.values[column], benchmark.unit)
            lines.append(f"  {row.who:10s} {value}  {part or column}, {row.llm}, {row.image_size} px: {row.source}")
            who.add(row.who)
    if not lines:
        return ["  nothing was published at this resolution"]
    lines += [f"  {NO_PAPER}"] if "paper" not in who else []
    if result.n != benchmark.size:
        lines.append(f"  not comparable: the published numbers are of {benchmark.size} items, this run has {result.n}")
    return lines
