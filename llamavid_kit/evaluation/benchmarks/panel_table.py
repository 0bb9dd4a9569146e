"""What several judges, or several askings of one, have in common, as lines below a benchmark's table.

Takes a `Judging`, gives lines; nothing is computed here.
"""

from typing import Any

from llamavid_kit.evaluation.benchmarks.panel import Again, Judging, Pair
from llamavid_kit.evaluation.judges.agreement import Agreement, Interval, Kappa, Repeatability
from llamavid_kit.evaluation.statistics import RESAMPLES


def who(identity: dict[str, Any], *, settings: bool = False) -> str:
    """A judge in words; settings: with those of its decoding, to tell two judges apart."""
    if identity["judge"] == "rule":
        return f"the rule {identity['rule']!r}, which knows no synonym: not comparable with a model's verdicts"
    name = identity.get("endpoint_model") or identity.get("local_model")
    more = "".join(f", {k}={v}" for k, v in identity.get("settings", {}).items() if v is not None) if settings else ""
    return f"{name}, {identity['prompt']} prompt{more}"


def judging_lines(judging: Judging | None, *, unit: str) -> list[str]:
    """Agreement of each pair, then repeatability of each judge; none where one judge was asked once."""
    if judging is None:
        return []
    lines, how = [], f"verdicts read as {judging.mode}, 95% bootstrap intervals over clips"
    if judging.pairs:
        lines.append(f"  agreement of judges, {how}; it does not say who is right")
        lines += [line for pair in judging.pairs for line in _pair(pair)]
    if judging.again:
        lines.append(f"  repeatability of judges, {how}")
        lines += [line for again in judging.again for line in _again(again, unit)]
    return lines


def _pair(pair: Pair) -> list[str]:
    names, found = f"{pair.first} and {pair.second}", pair.agreement
    silent = f"without a verdict: {pair.first} {pair.no_verdict[0]}, {pair.second} {pair.no_verdict[1]}"
    n_both = 0 if found is None else found.n_both
    about = "" if pair.task == "qa" else f", {pair.task}"
    lines = [f"    {names}{about}: both judged {n_both} of {pair.n} items; {silent}"]
    if found is None:
        return [*lines, "      nothing to compare"]
    lines += _shares(found)
    change = f"{_plain(found.score_change, 2, '+')}{_spread(found.score_change95, 2, '+')}"
    return [*lines, f"      mean score of {pair.second} less that of {pair.first}: {change} of 5"]


def _again(again: Again, unit: str) -> list[str]:
    if again.steady:
        return [f"    {again.judge} was not asked again: {again.steady}"]
    scale = "%" if unit == "%" else " of 5"
    lines = [f"    {again.judge}, asked {len(again.values)} times; score at each asking: {_row(again.values)}{scale}"]
    for task, found in again.tasks.items():
        silent = ", ".join(map(str, found.no_verdict))
        about = "" if task == "qa" else f"{task}: "
        lines.append(
            f"      {about}a verdict at every asking on {found.n_always} of {found.n} items, at some only "
            f"on {found.n_sometimes}; without one at each: {silent}"
        )
        if not found.n_always:
            lines.append("      nothing to compare")
            continue
        lines += _shares(found, always=" at every asking", mean=" (mean of pairs)" if found.n_askings > 2 else "")
        moved = f"{found.score_range:.2f}{_spread(found.score_range95, 2)}"
        lines.append(f"      mean score at each asking: {_row(found.scores)}; an item's moves by {moved} of 5")
    return lines


def _row(values: tuple[float | None, ...]) -> str:
    return ", ".join("none" if value is None else f"{value:.2f}" for value in values)


def _shares(found: Agreement | Repeatability, *, always: str = "", mean: str = "") -> list[str]:
    lines = []
    if found.same is not None:
        share = f"{found.same:.1%}{_percent(found.same95)}"
        lines += _line(f"same yes or no{always}: {share}, Cohen's kappa{mean}", found.kappa)
    share = f"{found.same_score:.1%}{_percent(found.same_score95)}"
    return [*lines, *_line(f"same score{always}: {share}, weighted kappa{mean}", found.score_kappa)]


def _line(share: str, kappa: Kappa) -> list[str]:
    """The share and the kappa, and on a line of its own how many resamples had none: together they are too wide."""
    if kappa.value is None:
        return [f"      {share} not defined (one value always)"]
    left = [f"        (kappa not defined in {kappa.n_undefined} of {RESAMPLES} resamples, left out of its interval)"]
    shown = f"      {share} {_plain(kappa.value, 2)}{_spread(kappa.interval95, 2)}"
    return [shown, *(left if kappa.n_undefined and kappa.interval95 else ())]


def _percent(interval: Interval) -> str:
    return _spread((100 * interval[0], 100 * interval[1]), 1)


def _spread(interval: Interval | None, digits: int, sign: str = "") -> str:
    """A 95% interval right behind its number; none where all items are alike, which is not certainty."""
    if interval is None or not interval[0] < interval[1]:
        return " [no interval]"
    return f" [{_plain(interval[0], digits, sign)}, {_plain(interval[1], digits, sign)}]"


def _plain(value: float, digits: int, sign: str = "") -> str:
    """Without the sign of a zero."""
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"
