"""Points of `benchmarks/learning.py` -> its table and its picture."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COUNTS = (5, 10, 20, 50, 100)
MOST_COMPLAINTS = 20
TOLERANCE = 1.0  # points
FIRST = "(first run)"


def counts_of(kind: str) -> tuple[int, ...]:
    return tuple(n for n in COUNTS if kind != "complaints" or n <= MOST_COMPLAINTS)


@dataclass(frozen=True)
class Point:
    """What one method had in use after N feedbacks: regret and gain over 0.5 in points, CPU seconds of a fit."""

    method: str
    metric: str
    kind: str
    stream: str
    feedbacks: int
    regret: float
    gain: float
    seconds: float
    refined: tuple[float, ...] = ()
    """What each refinement since the count before gained, in points."""


@dataclass(frozen=True)
class Cell:
    """All runs of a method at one count: mean regret, the share worse than 0.5 and the median CPU seconds of a fit."""

    method: str
    metric: str
    kind: str
    feedbacks: int
    runs: int
    regret: float
    worse: float
    seconds: float


def summed_up(points: Sequence[Point]) -> list[Cell]:
    """Points -> cells, in the order of the tables."""
    groups: dict[tuple[str, str, str, int], list[Point]] = {}
    for point in points:
        groups.setdefault((point.metric, point.kind, point.method, point.feedbacks), []).append(point)
    return [
        Cell(
            method,
            metric,
            kind,
            count,
            len(group),
            statistics.fmean(p.regret for p in group),
            sum(p.gain < -TOLERANCE for p in group) / len(group),
            statistics.median(p.seconds for p in group),
        )
        for (metric, kind, method, count), group in groups.items()
    ]


def table(cells: Sequence[Cell], metric: str, kind: str) -> str:
    """Mean regret x100 [per cent of runs worse than 0.5] by method and count."""
    counts = counts_of(kind)
    lines = [
        f"{metric}, {kind}",
        f"{'feedbacks':40}{'runs':>5}" + "".join(f"{n:>13}" for n in counts) + f"{'a fit':>11}",
    ]
    for method in dict.fromkeys(c.method for c in cells):
        row = [
            c for n in counts for c in cells if (c.metric, c.kind, c.method, c.feedbacks) == (metric, kind, method, n)
        ]
        if row:
            shown = "".join(f"{c.regret:7.2f} {f'[{100 * c.worse:.0f}]':>5}" for c in row)
            lines.append(f"{method:40}{row[0].runs:5}{shown}{1000 * row[-1].seconds:8.2f} ms")
    return "\n".join(lines)


def refinements(points: Sequence[Point], metric: str, kind: str) -> str:
    """How many refinements a run had, and how often they were worse than what they took the place of."""
    chosen = [p for p in points if (p.metric, p.kind) == (metric, kind) and not p.method.endswith(FIRST)]
    gains = [gain for p in chosen for gain in p.refined]
    runs = sum(p.feedbacks == min(COUNTS) and p.method == chosen[0].method for p in chosen)
    if not gains:
        return f"{metric}, {kind}: no refinement in {runs} runs"
    worse, much = (sum(gain < -least for gain in gains) / len(gains) for least in (0.0, TOLERANCE))
    return (
        f"{metric}, {kind}: {len(gains)} refinements in {runs} runs, {statistics.fmean(gains):+.2f} points each; "
        f"{100 * worse:.0f} % worse than what they refined, {100 * much:.0f} % by over {TOLERANCE:g} point"
    )


def plot(cells: Sequence[Cell], path: Path) -> None:
    """Regret against feedbacks: a row for each metric, a column for each kind of feedback."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds, metrics = (list(dict.fromkeys(getattr(c, name) for c in cells)) for name in ("kind", "metric"))
    figure, grid = pyplot.subplots(len(metrics), len(kinds), figsize=(5 * len(kinds), 4 * len(metrics)), squeeze=False)
    methods = [m for m in dict.fromkeys(c.method for c in cells) if not m.endswith(FIRST)]
    for axes, (metric, kind) in zip(grid.flat, itertools.product(metrics, kinds), strict=True):
        for number, method in enumerate(methods):
            line = [c for c in cells if (c.metric, c.kind, c.method) == (metric, kind, method)]
            axes.plot([c.feedbacks for c in line], [c.regret for c in line], f"C{number}.-", label=method)
        axes.set(title=f"{metric}, {kind}", xlabel="feedbacks", ylabel="regret x100", xscale="log", ylim=(0, None))
    grid.flat[0].legend(fontsize="x-small")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
