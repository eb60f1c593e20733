"""Where the scores of `benchmarks/learning.py` come from: tables bundled with scikit-learn, and two bell curves.

Every stream is scaled to 0..1 without labels, so that a user who writes 0.5 is mediocre on most and right on some.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any

LOWER, INCUMBENT, UPPER = 0.0, 0.5, 1.0
BELOW = NormalDist().cdf
FITTED, DRAWN = (
    0.2,
    0.5,
)  # of a table: rows up to here fit the linear score, up to here are drawn from, the rest is held out
FINE = 2_000
Draw = Callable[[random.Random], tuple[float, bool]]


@dataclass(frozen=True)
class Split:
    """A stream of (score, whether it deserves an alert), and its held-out data.

    `shares(t)` are true alarms, false alarms and misses there, where an alert is a score above t; `among` are values
    that include the best one.
    """

    draw: Draw
    shares: Callable[[float], tuple[float, float, float]]
    among: tuple[float, ...]

    def score(self, metric: str, t: float) -> float:
        """Accuracy or F1 on held-out data, in points."""
        hits, false, missed = self.shares(t)
        if metric == "accuracy":
            return 100.0 * (1.0 - false - missed)
        return 100.0 * 2.0 * hits / (2.0 * hits + false + missed) if hits else 0.0

    def best(self, metric: str) -> float:
        """The score of the best constant."""
        return max(self.score(metric, t) for t in self.among)


def _gaussian(share: float, distance: float) -> Split:
    """Scores N(0, 1), and N(distance, 1) for the share that deserves an alert; -3 becomes 0, distance + 3 becomes 1."""
    width = distance + 6.0

    def draw(rng: random.Random) -> tuple[float, bool]:
        deserves = rng.random() < share
        return (rng.gauss(distance * deserves, 1.0) + 3.0) / width, deserves

    def shares(t: float) -> tuple[float, float, float]:
        raw = t * width - 3.0
        missed = share * BELOW(raw - distance)
        return share - missed, (1.0 - share) * (1.0 - BELOW(raw)), missed

    return Split(draw, shares, tuple(i / FINE for i in range(FINE + 1)))


@cache
def _table(name: str) -> tuple[Any, Any]:
    from sklearn import datasets

    table = getattr(datasets, f"load_{name}")()
    return table.data, table.target


def _rows(name: str, positive: int, column: int | None, sign: int, seed: int) -> Split:
    """One column (its sign turned where less of it deserves an alert), or a linear score fitted on other rows."""
    data, target = _table(name)
    order = list(range(len(target)))
    random.Random(seed).shuffle(order)
    first, second = round(FITTED * len(order)), round(DRAWN * len(order))
    truth = target == positive
    if column is not None:
        scores = sign * data[:, column]
    else:
        from sklearn.linear_model import Ridge

        fitted = order[:first]
        scores = Ridge().fit(data[fitted], truth[fitted]).predict(data)
    pool = order[first:second] if column is None else order[:second]
    low, high = scores[pool].min(), scores[pool].max()
    scores = (scores - low) / (high - low)
    drawn = [(float(scores[i]), bool(truth[i])) for i in pool]
    held = order[second:]
    alerts = sorted(float(scores[i]) for i in held if truth[i])
    others = sorted(float(scores[i]) for i in held if not truth[i])

    def shares(t: float) -> tuple[float, float, float]:
        missed, right = bisect_right(alerts, t), bisect_right(others, t)
        n = len(held)
        return (len(alerts) - missed) / n, (len(others) - right) / n, missed / n

    return Split(lambda rng: rng.choice(drawn), shares, (-math.inf, *alerts, *others))


BELLS = {
    f"bells {distance:g} apart, {share:.0%}": (share, distance)
    for distance in (1.0, 2.0, 3.0)
    for share in (0.5, 0.2, 0.05)
}
TABLES: dict[str, tuple[str, int, int | None, int]] = {
    "breast_cancer, mean texture": ("breast_cancer", 0, 1, 1),
    "breast_cancer, mean area": ("breast_cancer", 0, 3, 1),
    "wine, alcohol": ("wine", 0, 0, 1),
    "wine, hue": ("wine", 2, 10, -1),
    "digits, 8 or not": ("digits", 8, None, 1),
    "digits, 3 or not": ("digits", 3, None, 1),
}
NAMES = (*BELLS, *TABLES)


def split(name: str, seed: int) -> Split:
    """A stream by its name; `seed` says which rows of a table are held out."""
    if name in BELLS:
        return _gaussian(*BELLS[name])
    return _rows(*TABLES[name], seed)
