"""How many clips a comparison needs: the power of the exact McNemar test on paired arms, without simulation.

Takes shares of discordant clips (those that exactly one of two arms gets right); gives probabilities and numbers of
clips. Only discordant clips count in a paired comparison, so the two shares say all: their difference is the gain in
accuracy, their sum how often the arms disagree at all. The test itself is `statistics.mcnemar_exact`.
"""

import math
from bisect import bisect_left
from functools import partial

import numpy as np
from scipy.stats import binom

MOST_CLIPS = 1_000_000  # a search that passes this many gives up
TAIL = 1e-12  # numbers of discordant clips less likely than this are left out of the sum


def mcnemar_power(n: int, only_a: float, only_b: float, *, level: float = 0.05) -> float:
    """Probability that exact McNemar rejects at `level` on n clips, where the true shares of discordant clips are
    `only_a` and `only_b`.

    Sums over the number m of discordant clips, binomial (n, only_a + only_b), the binomial (m, only_b / sum) chance of
    the splits that the test rejects. With equal shares it is the test's true size, always at most `level`.
    Raises ValueError for shares that are negative or sum to more than 1, n below 1, or a level outside 0 to 1.
    """
    discordant = only_a + only_b
    if n < 1 or min(only_a, only_b) < 0 or discordant > 1 or not 0 < level < 1:
        raise ValueError(f"{n=}, {only_a=}, {only_b=}, {level=}: expected n >= 1 and shares of clips that sum to <= 1")
    if discordant < TAIL:  # no test rejects on so few; scipy overflows near the smallest of numbers
        return 0.0
    m = np.arange(binom.ppf(TAIL, n, discordant), binom.isf(TAIL, n, discordant) + 1)
    most = _largest_rejected(m, level)
    share = only_b / discordant
    rejected = np.where(most >= 0, binom.cdf(most, m, share) + binom.sf(m - most - 1, m, share), 0.0)
    return float(min(1.0, (binom.pmf(m, n, discordant) * rejected).sum()))


def _largest_rejected(m: np.ndarray, level: float) -> np.ndarray:
    """For m discordant clips the largest smaller side k whose two-sided p, 2 · P(X <= k), is at most `level`; or -1."""
    k = binom.ppf(level / 2, m, 0.5)
    return np.where(2 * binom.cdf(k, m, 0.5) <= level, k, k - 1)


def clips_needed(only_a: float, only_b: float, *, power: float = 0.8, level: float = 0.05) -> int:
    """Smallest number of clips n at which `mcnemar_power` reaches `power`.

    Where most clips are discordant, the power of an exact test goes up in teeth: a few clips more may have a little
    less (at shares of 0.3 and 0.7 it reaches 0.8 at 49 clips, and for good at 54).

    only_a, only_b: shares of clips that only that arm gets right; they must differ. From 4 and 12 of 242: 4 / 242 and
    12 / 242. Shares that were estimated on few clips are themselves uncertain, and so is the number.
    Raises ValueError for equal shares, a power outside 0 to 1, and where a million clips are not enough.
    """
    if not 0 < power < 1 or only_a == only_b:
        raise ValueError(f"{only_a=}, {only_b=}, {power=}: expected different shares, and a power between 0 and 1")
    power_of, high = partial(mcnemar_power, only_a=only_a, only_b=only_b, level=level), 16
    while power_of(high) < power:
        high *= 2
        if high > MOST_CLIPS:
            raise ValueError(
                f"{only_a=}, {only_b=}: {MOST_CLIPS:,} clips do not give power {power}; ask for a larger difference"
            )
    high = bisect_left(range(high), power, lo=1, key=power_of)
    if only_a + only_b < 0.9:  # the number of discordant clips varies enough that no tooth is left
        return high
    tooth = math.ceil(4 / abs(only_b - only_a))
    nearby = range(max(1, high - 2 * tooth - 10), high)
    return next((n for n in nearby if power_of(n) >= power), high)
