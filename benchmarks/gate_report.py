"""Rows of `benchmarks/gate.py` -> its table and its curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from poet_hook.learning.gate import ALPHA


@dataclass(frozen=True)
class Row:
    """Shares of streams, the median feedbacks to a promotion (None: not half of them), points of accuracy."""

    scenario: str
    promoted: float
    worse: float
    provisional: float
    median: float | None
    gain: float
    curve: tuple[float, ...] = ()
    """The share promoted after so many feedbacks: 0, 1, 2 ..."""


def table(rows: Sequence[Row]) -> str:
    """The rows as text; shares in per cent."""
    lines = [f"{'scenario':42} {'promoted':>8} {'worse':>6} {'provisional':>11} {'median':>6} {'gain':>7}"]
    for row in rows:
        median = "-" if row.median is None else f"{row.median:.0f}"
        shares = f"{100 * row.promoted:7.1f}% {100 * row.worse:5.1f}% {100 * row.provisional:10.1f}%"
        lines.append(f"{row.scenario:42} {shares} {median:>6} {row.gain:+7.2f}")
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """How many streams have promoted after how many feedbacks, where that is wrong and where it is right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (wrong, right) = pyplot.subplots(1, 2, figsize=(12, 4.5))
    for row in rows:
        axes = wrong if "optimal" in row.scenario else right
        axes.plot([100 * share for share in row.curve], label=row.scenario)
    wrong.axhline(100 * ALPHA, color="grey", linestyle=":", label="alpha")
    wrong.set(title="false promotions", xlabel="feedbacks", ylabel="% of streams", ylim=(0, 10))
    right.set(title="power", xlabel="feedbacks", ylabel="% of streams", ylim=(0, 100))
    for axes in (wrong, right):
        axes.legend(fontsize="x-small")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
