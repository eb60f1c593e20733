"""The monitor of monitor.py learns from an operator's comments on real, labelled readings.

    python examples/03_real_world/run.py [--seed N]

Rows 0-999 give the baseline (no labels). On rows 1,000-5,999 an operator closes each alert with a word ("false alarm",
"good catch") and notices one miss in four ("you missed this"): what they say comes from the labels.
Rows 6,000-15,999 give no feedback: every
version is scored on them. Rows 16,000-49,096 played no part in choosing this monitor, and are the second check.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
FEEDBACK, HELD_OUT, SECOND = range(1_000, 6_000), range(6_000, 16_000), range(16_000, 49_097)
COST_FALSE_ALARM, COST_MISS = 1, 3
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()
os.environ |= {"POET_HOME": str(OUT / ".poet"), "POET_USER_DIR": str(OUT / "user")}

import shuttle  # noqa: E402

import poet_hook  # noqa: E402

poet_hook.activate(roots=[HERE])

import monitor  # noqa: E402  (after activate(): this is the module that learns)


@dataclass(frozen=True)
class Score:
    """Counts of decisions on labelled rows."""

    rows: int
    alerts: int
    false_alarms: int
    misses: int

    @property
    def f1(self) -> float:
        true_alarms = self.alerts - self.false_alarms
        return 2 * true_alarms / (2 * true_alarms + self.false_alarms + self.misses)

    @property
    def cost(self) -> float:
        """Per 1,000 rows."""
        return 1_000 * (COST_FALSE_ALARM * self.false_alarms + COST_MISS * self.misses) / self.rows


def score(source: str, rows: range, readings, anomalies, usual, spread) -> Score:
    """A version's own text, run on rows that gave no feedback."""
    namespace: dict = {}
    exec(source, namespace)  # the text of a version of this very example
    alerts = [namespace["is_anomaly"](readings[row], usual, spread) for row in rows]
    pairs = list(zip(alerts, (anomalies[row] for row in rows), strict=True))
    return Score(
        len(pairs),
        sum(alert for alert, _ in pairs),
        sum(alert and not real for alert, real in pairs),
        sum(real and not alert for alert, real in pairs),
    )


def comment(alert: bool, anomaly: bool, chance: random.Random) -> str | None:
    """What the operator says of one reading, if anything."""
    if alert:
        return "good catch" if anomaly else "false alarm"
    if anomaly and chance.random() < 0.25:
        return "you missed this"
    return None


def operate(readings, anomalies, usual, spread, seed: int) -> dict[int, int]:
    """Run the monitor, comment on it, and let it learn; returns after how many comments each version came."""
    chance = random.Random(seed)
    comments, came = 0, {1: 0}
    for row in FEEDBACK:
        result = poet_hook.call(monitor.is_anomaly, readings[row], usual, spread)
        said = comment(result.value, anomalies[row], chance)
        if said is None:
            continue
        comments += 1
        poet_hook.feedback(result, said)
        poet_hook.wait_for_learning()  # only so that each run of this example prints the same
        newest = poet_hook.status()[0].champion
        if newest not in came:
            came[newest] = comments
            print(f"  after {comments:3} comments: version {newest} is in use")
    print(f"  {comments} comments in all, on {len(FEEDBACK):,} readings")
    return came


def draw(rows: list[tuple[str, int, Score]], path: Path) -> None:
    """False alarms and misses on held-out readings, against the comments that it took."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [f"{name}\n{comments} comments" for name, comments, _ in rows]
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for axis, (title, values, color) in zip(
        axes,
        (
            ("false alarms", [s.false_alarms for _, _, s in rows], "#c44e52"),
            ("misses", [s.misses for _, _, s in rows], "#dd8452"),
            ("F1", [s.f1 for _, _, s in rows], "#4c72b0"),
        ),
        strict=True,
    ):
        bars = axis.bar(names, values, color=color, width=0.6)
        axis.bar_label(bars, [f"{v:.2f}" if title == "F1" else f"{v:,}" for v in values])
        axis.set_title(title)
        axis.margins(y=0.15)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="x", labelsize=8)
    figure.suptitle(f"Shuttle: {len(HELD_OUT):,} readings that gave no feedback")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def table(title: str, rows: list[tuple[str, int, Score]]) -> None:
    """Print one line per version."""
    print(f"\n{title}")
    print(f"  {'version':24}{'comments':>9}{'alerts':>9}{'false':>9}{'missed':>8}{'F1':>7}{'cost/1,000':>12}")
    for name, comments, found in rows:
        print(
            f"  {name:24}{comments:9}{found.alerts:9,}{found.false_alarms:9,}{found.misses:8,}"
            f"{found.f1:7.3f}{found.cost:12.0f}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    readings, anomalies = shuttle.load(SECOND.stop)
    usual, spread = shuttle.baseline(readings[: FEEDBACK.start])
    print("Statlog (Shuttle), nine sensors, real readings labelled by others; from the package river.\n")
    came = operate(readings, anomalies, usual, spread, options.seed)
    versions = {v.number: v for v in poet_hook.versions_of(monitor.is_anomaly)}
    in_use = poet_hook.status()[0].champion

    rows = []
    for number, comments in came.items():
        version = versions[number]
        threshold = next(iter(version.values.values()), 3.5)
        name = f"v{number}  > {threshold:g}  {version.level or 'original'}"
        rows.append((name, comments, number))
    for title, part in (("Held-out readings (6,000-15,999)", HELD_OUT), ("Second check (16,000-49,096)", SECOND)):
        scored = [
            (name, comments, score(versions[number].source, part, readings, anomalies, usual, spread))
            for name, comments, number in rows
        ]
        table(title, scored)
        if part is HELD_OUT:
            draw(scored, OUT / "learning.png")

    live = [monitor.is_anomaly(readings[row], usual, spread) for row in HELD_OUT]
    learned = score(versions[in_use].source, HELD_OUT, readings, anomalies, usual, spread)
    print(f"\nThe running function is version {in_use}: {sum(live):,} alerts on the held-out readings.")
    print(f"\nWhat learning changed:\n{versions[in_use].source}")
    print(f"Picture: {OUT / 'learning.png'}")
    return 0 if sum(live) == learned.alerts else 1


if __name__ == "__main__":
    sys.exit(main())
