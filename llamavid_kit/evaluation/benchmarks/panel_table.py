"""What several judges, or several askings of one, have in common, as lines below a benchmark's table.

Takes a `Judging`, gives lines; nothing is computed here.
"""

from collections.abc import Sequence
from typing import Any

from llamavid_kit.evaluation.benchmarks.base import Interval, Score
from llamavid_kit.evaluation.benchmarks.panel import Again, Judging, Pair
from llamavid_kit.evaluation.judges.agreement import Agreement, Repeatability
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


def open_lines(by_arm: dict[str, Judging]) -> str:
    """The text that the command prints: who judges, then arm by arm every judge's row and what they share."""
    first = next(iter(by_arm.values()))
    lines = [f"judge {one.name}: {who(one.identity, settings=True)}" for one in first.judges]
    for arm, judging in by_arm.items():
        lines.append(arm)
        for one in judging.judges:
            lines.append(f"  by {one.name}: {_score(one.scores['strict'], one.intervals['strict'][''])}")
        lines += judging_lines(judging, unit="%")
    lines.append("[low, high] of a share of right: 95% interval (Wilson), as if every clip were another video")
    return "\n".join(lines)


def _score(score: Score, interval: tuple[float, float] | None) -> str:
    more = score.more
    silent = ", ".join(f"{why} {n}" for why, n in more["problems"].items())
    without = f"; {more['no_verdict']} of {more['n']} without a verdict{silent and f' ({silent})'}"
    if score.value is None or interval is None:
        return f"no verdict to count{without}"
    right = f"{more['yes']}/{more['n_verdicts']} right = {score.value:.1f}% [{interval[0]:.1f}, {interval[1]:.1f}]"
    return f"{right}, mean score {more['score']:.2f} of 5{without}"


def _pair(pair: Pair) -> list[str]:
    match, about = pair.agreement, "" if pair.task == "qa" else f", {pair.task}"
    silent = f"without a verdict: {pair.first} {pair.no_verdict[0]}, {pair.second} {pair.no_verdict[1]}"
    n_both = 0 if match is None else match.n_both
    head = f"    {pair.first} and {pair.second}{about}: both judged {n_both} of {pair.n} items; {silent}"
    if match is None:
        return [head, "      nothing to compare"]
    change = f"{_plain(match.score_change, 2, '+')}{_spread(match.score_change95, 2, '+')}"
    means = f"      mean score of {pair.second} less that of {pair.first}: {change} of 5"
    return [head, *_shares(match), means]


def _again(again: Again, unit: str) -> list[str]:
    if again.steady:
        return [f"    {again.judge} was not asked again: {again.steady}"]
    scale = "%" if unit == "%" else " of 5"
    lines = [f"    {again.judge}, asked {len(again.values)} times; score at each asking: {_row(again.values)}{scale}"]
    for task, match in again.tasks.items():
        about = "" if task == "qa" else f"{task}: "
        lines.append(
            f"      {about}a verdict at every asking on {match.n_always} of {match.n} items, at some only "
            f"on {match.n_sometimes}; without one at each: {', '.join(map(str, match.no_verdict))}"
        )
        if match.score_range is None:
            lines.append("      nothing to compare")
            continue
        lines += _shares(match, always=" at every asking", mean=" (mean of pairs)" if match.n_askings > 2 else "")
        change = f"{match.score_range:.2f}{_spread(match.score_range95, 2)}"
        lines.append(f"      mean score at each asking: {_row(match.scores)}; an item's moves by {change} of 5")
    return lines


def _row(values: Sequence[float | None]) -> str:
    return ", ".join("none" if value is None else f"{value:.2f}" for value in values)


def _shares(match: Agreement | Repeatability, *, always: str = "", mean: str = "") -> list[str]:
    """Each share and its kappa, and on a line of its own how many resamples had none: together they are too wide."""
    lines = []
    for words, share, interval, kappa in (
        (f"yes or no{always}: {{}}, Cohen's kappa{mean}", match.same, match.same95, match.kappa),
        (f"score{always}: {{}}, weighted kappa{mean}", match.same_score, match.same_score95, match.score_kappa),
    ):
        if share is None or interval is None or kappa is None:
            continue
        text = f"{share:.1%}{_spread((100 * interval[0], 100 * interval[1]), 1)}"
        line = f"      same {words.format(text)}"
        if kappa.value is None:
            lines.append(f"{line} not defined (one value always)")
            continue
        lines.append(f"{line} {_plain(kappa.value, 2)}{_spread(kappa.interval95, 2)}")
        if kappa.n_undefined and kappa.interval95:
            lines.append(
                f"        (kappa not defined in {kappa.n_undefined} of {RESAMPLES} resamples, left out of its interval)"
            )
    return lines


def _spread(interval: Interval | None, digits: int, sign: str = "") -> str:
    return between(spread(interval), digits, sign) or " [no interval]"


def spread(interval: Interval | None) -> Interval | None:
    """A bootstrap interval, or None where all items are alike and it saw no spread, which is not certainty."""
    return interval if interval and interval[0] < interval[1] else None


def between(interval: Interval | None, digits: int, sign: str = "") -> str:
    """A 95% interval, to stand right behind the number that it belongs to."""
    return f" [{_plain(interval[0], digits, sign)}, {_plain(interval[1], digits, sign)}]" if interval else ""


def _plain(value: float, digits: int, sign: str = "") -> str:
    """Without the sign of a zero."""
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"
