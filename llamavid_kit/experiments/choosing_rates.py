"""How many frames a second a clip needs for a question: a chooser that is fitted on clips with known replies.

Input: `choosing.Candidates` of a clip at the fastest rate. Output: the slowest rate that will probably do, and how
probably. All it reads is known before the language model runs. What it is worth is measured in
`notebooks/lab/5_choosing_frames.ipynb`.

Shapes: R rates, rising; n clips; 5 features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from llamavid_kit.experiments.choosing import Candidates

FOLDS = 5
TINY = 1e-6


def rate_features(candidates: Candidates, rates: Sequence[float]) -> np.ndarray:
    """(R - 1, 5), for each rate but the last, at which the candidates were taken.

    How much of the highest peak among the candidates the slower rate's frames still have, 0 to 1: of how far frames
    stand out for the question, of motion. How sharp the two peaks are (log of peak over median). The share of
    candidates that stand out at least half as far as the peak: how long it lasts.
    """
    signals = (candidates.standing_out, candidates.motion)
    sharp = [np.log((x.max() + TINY) / (np.median(x) + TINY)) for x in signals]
    lasts = float((signals[0] >= signals[0].max() / 2).mean())
    rows = []
    for fps in rates[:-1]:
        at = np.isin(candidates.sample.indices, candidates.video.sample(fps).indices)
        rows.append([*((x[at].max() + TINY) / (x.max() + TINY) for x in signals), *sharp, lasts])
    return np.array(rows)


def _fit(x: np.ndarray, enough: np.ndarray) -> Pipeline:
    """A logistic regression; two made-up average clips, one of either kind, keep it from certainty."""
    mean = x.mean(0, keepdims=True)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(
        np.concatenate([x, mean, mean]), [*enough, True, False]
    )


def _choose(probability: np.ndarray, bar: float) -> np.ndarray:
    """(R - 1, n) → (n,) place of the slowest rate whose probability is above the bar; the last rate's for none."""
    return np.vstack([probability > bar, np.ones(probability.shape[1], bool)]).argmax(0)


@dataclass(frozen=True)
class RateChooser:
    """forecasts: for each rate but the last, how probably a reply is as right as at the last. bar: what must be
    exceeded.
    """

    forecasts: tuple[Pipeline, ...]
    bar: float

    @classmethod
    def fit(cls, features: np.ndarray, right: np.ndarray, tokens: np.ndarray) -> "RateChooser":
        """Of the bars that lose no right reply on these clips, the one that takes the fewest tokens.

        features: (R - 1, n, 5). right: (R, n) bool, whether the reply at each rate was right. tokens: (R, n) that the
        frames took. Each fifth of the clips (every fifth clip) is judged by forecasts fitted on the others. Raises
        ValueError for shapes that do not agree and fewer than five clips.
        """
        right = np.asarray(right, bool)
        if right.shape != np.shape(tokens) or np.shape(features)[:2] != (len(right) - 1, right.shape[1]):
            raise ValueError(
                f"features {np.shape(features)}, right {right.shape}, tokens {np.shape(tokens)}: expected "
                "(rates - 1, clips, features), (rates, clips), (rates, clips)"
            )
        if (n := right.shape[1]) < FOLDS:
            raise ValueError(f"{n} clips: expected at least {FOLDS}")
        enough, clips = right[:-1] >= right[-1], np.arange(n)
        probability = np.zeros(enough.shape)
        for fold in range(FOLDS):
            held = clips % FOLDS == fold
            for x, of_rate, p in zip(features, enough, probability, strict=True):
                p[held] = _fit(x[~held], of_rate[~held]).predict_proba(x[held])[:, 1]
        bars = []
        for bar in np.unique(probability):
            at = _choose(probability, bar)
            if right[at, clips].sum() >= right[-1].sum():  # so it is at the highest bar, where all take the last rate
                bars.append((int(tokens[at, clips].sum()), float(bar)))
        forecasts = tuple(_fit(x, of_rate) for x, of_rate in zip(features, enough, strict=True))
        return cls(forecasts, min(bars)[1])

    def probability(self, features: np.ndarray) -> np.ndarray:
        """(R, n) that the reply is as right as at the last rate, whose own row is 1. features: (R - 1, n, 5)."""
        slower = [one.predict_proba(x)[:, 1] for one, x in zip(self.forecasts, features, strict=True)]
        return np.vstack([*slower, np.ones(np.shape(features)[1])])

    def choose(self, features: np.ndarray) -> np.ndarray:
        """(n,) place of each clip's rate among the R."""
        return _choose(self.probability(features)[:-1], self.bar)
