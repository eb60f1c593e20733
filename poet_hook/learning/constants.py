"""One number of a function -> what an execution returns for every value of it -> the best value.

`trace` runs the function with an `Affine` number in place of the constant: one run gives the outcome and the
widest interval of values with the same path, so jumping from interval to interval gives the outcome for
every value. `best` minimises the weighted sum of such step functions exactly.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from poet_hook.learning.affine import Affine, Path, depends

MAX_INTEGERS = 2_000
SAMPLES = 200
ULPS = 8
# How far into an optimal interval the value lies, from the end next to the incumbent. Mean regret x100 with
# 5 / 10 / 50 labels, Gaussian classes 12 points off at 1 : 9: edge 7.7 / 5.7 / 1.5, this 6.2 / 4.4 / 1.3,
# middle 7.3 / 5.0 / 1.2. With classes 1 : 1 it is 5.9 / 4.2 / 1.6 against 6.0 / 4.5 / 1.7 and 7.6 / 4.3 / 1.6.
INSET = 0.15


@dataclass(frozen=True, slots=True)
class Steps:
    """A piecewise constant function of one number over the real line.

    `breaks` ascend; `values[i]` holds on the open interval before `breaks[i]` (the last one after all of
    them), `at[i]` exactly on `breaks[i]`. `exact` is False where the breaks were found by sampling.
    """

    breaks: tuple[float, ...]
    values: tuple[Any, ...]
    at: tuple[Any, ...]
    exact: bool = True

    def __call__(self, t: float) -> Any:
        i = bisect_left(self.breaks, t)
        if i < len(self.breaks) and self.breaks[i] == t:
            return self.at[i]
        return self.values[i]

    def map(self, f: Callable[[Any], Any]) -> Steps:
        """The steps of f(value), without the breaks at which nothing changes."""
        values, at = [f(v) for v in self.values], [f(v) for v in self.at]
        keep = [i for i, v in enumerate(at) if not (same(values[i], v) and same(v, values[i + 1]))]
        return Steps(
            tuple(self.breaks[i] for i in keep),
            (values[0], *(values[i + 1] for i in keep)),
            tuple(at[i] for i in keep),
            self.exact,
        )


def same(x: Any, y: Any) -> bool:
    """Whether two outcomes are one: of one type throughout (True is not 1), and NaN equals NaN."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if isinstance(x, list | tuple):
        return len(x) == len(y) and all(map(same, x, y))
    if isinstance(x, dict):
        return list(x) == list(y) and all(same(v, y[k]) for k, v in x.items())
    try:
        return bool(x == y) or bool(x != x and y != y)
    except (TypeError, ValueError):  # an array has no single answer
        return repr(x) == repr(y)


# --------------------------------------------------------------------------- tracing


@dataclass(frozen=True, slots=True)
class _Piece:
    low: float
    low_closed: bool
    high: float
    high_closed: bool
    value: Any = None

    @property
    def narrow(self) -> bool:
        return self.high - self.low <= ULPS * math.ulp(max(abs(self.low), abs(self.high)))

    @property
    def empty(self) -> bool:
        return not (self.low_closed and self.high_closed) and self.low == self.high


def trace(run: Callable[[Any], Any], lower: float, upper: float, *, start: float, max_replays: int = 2000) -> Steps:
    """What `run(t)` returns for every t in [lower, upper] (widened to hold `start`), as steps.

    `run` replays one execution with the constant replaced by its argument, and returns the outcome as it is,
    not encoded (a raise too, as an outcome that it makes; what it lets through is let through). It is given
    an `Affine`; where the function does something with it that can't be followed, or there are more than
    `max_replays` intervals, plain numbers on a grid are replayed instead, with bisection between different
    outcomes, and the steps are not `exact`. Outside of the range the outermost values are continued.
    Raises ValueError for a range that is not finite.
    """
    lower, upper, start = float(min(lower, start)), float(max(upper, start)), float(start)
    if not (math.isfinite(lower) and math.isfinite(upper)):
        raise ValueError(f"a constant is traced over a finite range, not over [{lower}, {upper}]")
    pieces: list[_Piece] = []
    gaps = [_Piece(lower, True, upper, True)]
    while gaps:
        gap = gaps.pop()
        if not pieces:
            t = start
        elif not gap.narrow:
            t = gap.low + (gap.high - gap.low) / 2
        else:
            t = gap.low if gap.low_closed else gap.high
        path = Path(t)
        outcome = run(Affine(0.0, 1.0, t, path))
        if path.escaped or len(pieces) >= max_replays or depends(outcome):
            return _sample(run, lower, upper, start, max_replays)
        if gap.narrow and pieces:
            pieces.append(_Piece(t, True, t, True, outcome))
            continue
        low, low_open = max((path.low, not path.low_closed), (gap.low, not gap.low_closed))
        high, high_closed = min((path.high, path.high_closed), (gap.high, gap.high_closed))
        pieces.append(_Piece(low, not low_open, high, high_closed, outcome))
        left = _Piece(gap.low, gap.low_closed, low, low_open)
        right = _Piece(high, not high_closed, gap.high, gap.high_closed)
        gaps += [rest for rest in (left, right) if not rest.empty]
    return _join(pieces)


def _join(pieces: list[_Piece]) -> Steps:
    """Pieces that cover a range without overlap (up to a few ulps) -> steps."""
    pieces.sort(key=lambda p: (p.low, p.high))
    wide = [p for p in pieces if not p.narrow] or pieces[:1]
    breaks, values, at = [], [wide[0].value], []
    points = [p for p in pieces if p.narrow and p is not wide[0]]
    ends = [wide[0].low, *(q.low for q in wide[1:]), wide[-1].high]
    owners = [wide[0], *(p if p.high_closed else q for p, q in pairwise(wide)), wide[-1]]
    for i, (t, owner) in enumerate(zip(ends, owners, strict=True)):
        here = [p for p in points if abs(p.low - t) <= 4 * ULPS * math.ulp(t)]
        if 0 < i < len(wide) or here:
            breaks.append(here[0].low if here else t)
            at.append(here[0].value if here else owner.value)
            values.append(wide[min(i, len(wide) - 1)].value)
    return Steps(tuple(breaks), tuple(values), tuple(at)).map(lambda v: v)


def _sample(run: Callable[[Any], Any], lower: float, upper: float, start: float, budget: int) -> Steps:
    """Steps from replays of plain numbers: a grid, and bisection where neighbours differ."""
    grid = {lower + (upper - lower) * i / SAMPLES for i in range(SAMPLES)} | {upper, start}
    if lower > 0:
        grid |= {lower * (upper / lower) ** (i / SAMPLES) for i in range(SAMPLES)}
    ts = sorted(grid)
    outcomes = [run(t) for t in ts]
    changes = [i for i in range(len(ts) - 1) if not same(outcomes[i], outcomes[i + 1])]
    breaks = []
    # An outcome that changes nearly everywhere follows t: there is no break to look for.
    halvings = 0 if len(changes) > len(ts) // 4 else min(40, budget // max(1, len(changes)))
    for i in changes:
        low, high = ts[i], ts[i + 1]
        for _ in range(halvings):
            middle = low + (high - low) / 2
            if high - low <= 1e-9 * max(abs(low), abs(high)):
                break
            if same(run(middle), outcomes[i]):
                low = middle
            else:
                high = middle
        breaks.append(low + (high - low) / 2)
    values = (outcomes[0], *(outcomes[i + 1] for i in changes))
    return Steps(tuple(breaks), values, values[1:], exact=False)


def trace_integers(run: Callable[[Any], Any], lower: int, upper: int) -> Steps:
    """What `run(n)` returns for every integer in [lower, upper]: steps that break halfway between integers.

    Raises ValueError for more than 2,000 integers.
    """
    if not 0 <= upper - lower < MAX_INTEGERS:
        raise ValueError(f"{lower}..{upper} are not 1 to {MAX_INTEGERS:,} integers to try")
    values = tuple(run(n) for n in range(lower, upper + 1))
    return Steps(tuple(n + 0.5 for n in range(lower, upper)), values, values[:-1]).map(lambda v: v)


def of_choices(outcomes: Sequence[Any]) -> Steps:
    """The outcome of each choice, by its number from 0 on -> steps that break halfway between numbers."""
    values = tuple(outcomes)
    return Steps(tuple(n + 0.5 for n in range(len(values) - 1)), values, values[:-1]).map(lambda v: v)


def on_integers(steps: Steps, lower: int, upper: int) -> Steps:
    """Steps over the reals -> the same at each integer in [lower, upper], with breaks halfway between integers."""
    pieces: list[tuple[Any, int]] = []  # value, last integer
    first = lower
    for t, value, here in zip(steps.breaks, steps.values[:-1], steps.at, strict=True):
        last = min(math.ceil(t) - 1, upper)
        if last >= first:
            pieces.append((value, last))
            first = last + 1
        if t == math.floor(t) and first <= t <= upper:
            pieces.append((here, int(t)))
            first = int(t) + 1
    if first <= upper or not pieces:
        pieces.append((steps.values[-1], upper))
    values = tuple(value for value, _ in pieces)
    return Steps(tuple(last + 0.5 for _, last in pieces[:-1]), values, values[:-1], steps.exact).map(lambda v: v)


# --------------------------------------------------------------------------- the best value


@dataclass(frozen=True, slots=True)
class Fit:
    """The value with the least loss: in `interval`, one of the `intervals` of values that do as well."""

    value: float
    interval: tuple[float, float]
    intervals: tuple[tuple[float, float], ...]
    loss: float
    incumbent_loss: float


class Sweep:
    """A weighted sum of steps over [lower, upper], to which steps are added one by one.

    A sum of several `channels`, each with its own scale at the time of `fit`, so that weights may change
    without adding everything again. Pieces are numbered along the line: interval, break, interval, ...
    """

    def __init__(
        self, incumbent: float, lower: float, upper: float, *, integer: bool = False, channels: int = 1
    ) -> None:
        self.incumbent, self.integer = incumbent, integer
        self.lower, self.upper = min(lower, incumbent), max(upper, incumbent)
        self.breaks: list[float] = []
        self._base = [0.0] * channels
        self._jumps: list[list[float]] = [[] for _ in range(channels)]
        self._weight = [0.0] * channels

    def add(self, steps: Steps, weight: float = 1.0, channel: int = 0) -> None:
        """Add `weight` times these steps."""
        first, last = bisect_left(steps.breaks, self.lower), bisect_right(steps.breaks, self.upper)
        self._base[channel] += weight * steps.values[first]
        self._weight[channel] += abs(weight)
        jumps = self._jumps[channel]
        for t, before, at, after in zip(
            steps.breaks[first:last],
            steps.values[first:],
            steps.at[first:last],
            steps.values[first + 1 :],
            strict=False,
        ):
            i = bisect_left(self.breaks, t)
            if i == len(self.breaks) or self.breaks[i] != t:
                self.breaks.insert(i, t)
                for other in self._jumps:
                    other[2 * i : 2 * i] = (0.0, 0.0)
            jumps[2 * i] += weight * (at - before)
            jumps[2 * i + 1] += weight * (after - at)

    def piece(self, t: float) -> int:
        """The number of the piece that holds t."""
        i = bisect_left(self.breaks, t)
        return 2 * i + (i < len(self.breaks) and self.breaks[i] == t)

    def levels(self, scales: Sequence[float]) -> list[float]:
        """The sum of the channels, each times its scale, on every piece."""
        total: list[float] = [0.0] * (2 * len(self.breaks))
        for jumps, scale in zip(self._jumps, scales, strict=True):
            if scale:
                total = [x + scale * y for x, y in zip(total, jumps, strict=True)]
        base = sum(scale * b for scale, b in zip(scales, self._base, strict=True))
        return list(accumulate(total, initial=base))

    def fit(self, scales: Sequence[float] = (1.0,)) -> Fit:
        """The value with the least sum: the incumbent if none does better, else the nearest that do.

        In the interval of such values nearest to the incumbent it is a number of few digits, a little
        inside of it and never within a few ulps of its ends.
        """
        levels = self.levels(scales)
        slack = 1e-9 * sum(abs(s) * w for s, w in zip(scales, self._weight, strict=True))
        inside = range(1, len(levels) - 1)  # of a real number all of these are
        ends = (i for i in {0, len(levels) - 1} if self._usable(i))
        usable = [i for i in range(len(levels)) if self._usable(i)] if self.integer else sorted((*ends, *inside))
        least = min(levels[i] for i in usable) + slack
        runs: list[list[int]] = []
        joined = False
        for i in usable:
            good = levels[i] <= least
            if good and joined:
                runs[-1][1] = i
            elif good:
                runs.append([i, i])
            joined = good
        intervals = tuple((self._ends(i)[0], self._ends(j)[1]) for i, j in runs)
        incumbent_loss = levels[self.piece(self.incumbent)]
        if incumbent_loss <= least:
            interval = next(x for x in intervals if x[0] <= self.incumbent <= x[1])
            return Fit(self.incumbent, interval, intervals, incumbent_loss, incumbent_loss)
        interval = min(intervals, key=self._distance)
        value = self.inside(*interval)
        return Fit(value, interval, intervals, levels[self.piece(value)], incumbent_loss)

    def _ends(self, piece: int) -> tuple[float, float]:
        """Where a piece starts and stops; of integers the first and the last one in it."""
        k, point = divmod(piece, 2)
        if point:
            start = stop = self.breaks[k]
        else:
            start = self.breaks[k - 1] if k else self.lower
            stop = self.breaks[k] if k < len(self.breaks) else self.upper
        if not self.integer:
            return start, stop
        # The ends of an interval do not belong to it, unless they are those of the range.
        opens, closes = not point and k > 0, not point and k < len(self.breaks)
        return (
            math.floor(start) + 1 if opens else math.ceil(start),
            math.ceil(stop) - 1 if closes else math.floor(stop),
        )

    def _usable(self, piece: int) -> bool:
        if not self.integer and 0 < piece < 2 * len(self.breaks):
            return True
        start, stop = self._ends(piece)
        return start <= stop if self.integer or piece % 2 or not self.breaks else start < stop

    def _distance(self, interval: tuple[float, float]) -> tuple[bool, float]:
        low, high = interval
        lonely = not self.integer and _Piece(low, True, high, True).narrow
        return lonely, max(low - self.incumbent, self.incumbent - high)

    def inside(self, low: float, high: float) -> float:
        """A readable number in an interval, seen from the incumbent; of integers the nearest."""
        near, far = (low, high) if self.incumbent < low else (high, low)
        if self.integer or low == high:
            return near
        first, target, last = (near + share * (far - near) for share in (INSET / 2, INSET, 2 * INSET))
        for digits in range(17):
            value = float(f"{target:.{digits}e}")
            if min(first, last) <= value <= max(first, last):
                return value
        return target


def best(
    cases: Sequence[tuple[Steps, float]],
    incumbent: float,
    lower: float,
    upper: float,
    *,
    integer: bool = False,
) -> Fit:
    """The value in [lower, upper] with the least weighted sum of losses: (steps of the loss, weight) each."""
    sweep = Sweep(incumbent, lower, upper, integer=integer)
    for steps, weight in cases:
        sweep.add(steps, weight)
    return sweep.fit()
