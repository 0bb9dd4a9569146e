"""A benchmark's result as text: the run's row, then what was published at the same resolution.

Takes a `Result` and the model's resolution, gives lines; nothing is computed here.
"""

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
    if result.submission:
        lines.append(f"  for the server: {result.submission}")
    return "\n".join([*lines, *_published(result, image_size)])


def _run(result: Result, mode: str) -> list[str]:
    benchmark, score, intervals = result.benchmark, result.scores[mode], result.intervals[mode]
    if score.value is None:
        return [f"  {'this run':10s} scored by the server alone ({mode})"]
    lines = [f"  {'this run':10s} {_number(score.value, benchmark.unit)}  scored as {mode}{_sure(intervals.get(''))}"]
    for name, part in score.parts.items() if len(score.parts) > 1 else ():
        right = f"  {part.k}/{part.n} right" if part.k is not None else f"  n = {part.n}"
        lines.append(f"    {name:22s} {_number(part.value, benchmark.unit)}{right}{_sure(intervals.get(name))}")
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
