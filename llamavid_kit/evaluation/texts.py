"""Numbers and lists of names as reports and errors write them."""

from collections.abc import Iterable


def percent(k: float, n: float) -> str:
    """k of n as "66.7%"; a dash where n is 0."""
    return f"{k / n:.1%}" if n else "–"


def percents(low: float, high: float) -> str:
    """An interval of shares as "12.0 to 34.5%"."""
    return f"{100 * low:.1f} to {100 * high:.1f}%"


def some(names: Iterable[object], *, at_most: int = 5) -> str:
    """The first few names, in their order, and how many more; "none" where there are none."""
    words = [str(name) for name in names]
    more = f" and {len(words) - at_most} more" if len(words) > at_most else ""
    return (", ".join(words[:at_most]) + more) or "none"
