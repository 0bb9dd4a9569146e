"""A benchmark's result as text: the run's row, then what was published at the same resolution.

Takes a `Result` and the model's resolution, gives lines; nothing is computed here.
"""

from llamavid_kit.benchmarks.base import Score
from llamavid_kit.benchmarks.run import Result
from llamavid_kit.published import published


def table(result: Result, *, image_size: int | None) -> str:
    """The lines that `evaluate` prints. image_size: pixels a side, None for a model that does not say."""
    benchmark = result.benchmark
    size = f"{image_size} px" if image_size else "resolution unknown"
    lines = [f"{benchmark.title}, {result.n} items, {result.model} at {size}"]
    for mode, score in result.scores.items():
        lines += _run(result, mode)
        if score.no_answer:
            lines.append(f"    {len(score.no_answer)} replies hold no answer ({mode}); they count as wrong")
        lines += _judged(score)
    if result.submission:
        lines.append(f"  for the server: {result.submission}")
    return "\n".join([*lines, *_published(result, image_size)])


def _run(result: Result, mode: str) -> list[str]:
    benchmark, score, intervals = result.benchmark, result.scores[mode], result.intervals[mode]
    if score.value is None:
        why = "no verdict to count" if benchmark.judged else "scored by the server alone"
        return [f"  {'this run':10s} {why} ({mode})"]
    lines = [f"  {'this run':10s} {_number(score.value, benchmark.unit)}  scored as {mode}{_sure(intervals.get(''))}"]
    for name, part in score.parts.items() if len(score.parts) > 1 else ():
        right = f"  {part.k}/{part.n} right" if part.k is not None else f"  n = {part.n}"
        lines.append(f"    {name:22s} {_number(part.value, benchmark.unit)}{right}{_sure(intervals.get(name))}")
    return lines


def _judged(score: Score) -> list[str]:
    """Who judged, the mean score beside the accuracy, and how many items have no verdict and why."""
    if "judge" not in score.more:
        return []
    who = score.more["judge"]
    lines = [f"    judge: {who.get('rule') or who.get('endpoint_model') or who.get('local_model')}"]
    lines[0] += f", {who['prompt']} prompt" if "prompt" in who else " (a rule: not comparable with a model's verdicts)"
    by_axis = {"": score.more} if "n_verdicts" in score.more else score.more
    for axis, found in by_axis.items():
        if axis == "judge":
            continue
        if not axis and found["score"] is not None:
            low, high = found["score95"]
            lines.append(f"    mean score {found['score']:.2f} of 5, 95%: [{low:.2f}, {high:.2f}]")
        if found["no_verdict"]:
            reasons = ", ".join(f"{why} {n}" for why, n in found["problems"].items())
            between = found.get("accuracy_between")
            ends = f"; counted as no or yes: {100 * between[0]:.1f}% to {100 * between[1]:.1f}%" if between else ""
            where = f"{axis}: " if axis else ""
            lines.append(f"    {where}{found['no_verdict']} of {found['n']} without a verdict ({reasons}){ends}")
    return lines


def _sure(interval: tuple[float, float] | None) -> str:
    return f"  items right, 95%: [{interval[0]:.1f}, {interval[1]:.1f}]" if interval else ""


def _number(value: float, unit: str) -> str:
    return f"{value:6.2f}%" if unit == "%" else f"{value:5.2f} of 5"


def _published(result: Result, image_size: int | None) -> list[str]:
    benchmark = result.benchmark
    lines = []
    for part, column in benchmark.columns.items():
        for row in published(column, image_size=image_size or 0):
            value = _number(row.values[column], benchmark.unit)
            lines.append(f"  {row.who:10s} {value}  {part or column}, {row.llm}, {row.image_size} px: {row.source}")
    if not lines:
        lines.append("  nothing was published at this resolution")
    elif result.n != benchmark.size:
        lines.append(f"  not comparable: the published numbers are of {benchmark.size} items, this run has {result.n}")
    return lines
