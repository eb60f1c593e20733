"""How often the gate is wrong, and how soon it is right: simulated streams of two Gaussian classes.

An alert is a score above the constant; the incumbent is judged after every feedback, and a stream ends with
its first promotion. Run as `python benchmarks/gate.py [--streams 500] [--seed N] [--json]`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

from poet_hook.learning.constants import Steps
from poet_hook.learning.gate import Case, Judge

LOWER, UPPER = -3.0, 7.0
BELOW = NormalDist().cdf
Comments = Callable[[bool, bool, random.Random], bool]
"""(alert, right, random) -> whether somebody says something."""


@dataclass(frozen=True)
class World:
    """Scores are N(0, 1), of the `share` that deserves an alert N(distance, 1)."""

    share: float
    distance: float

    def accuracy(self, value: float) -> float:
        return (1 - self.share) * BELOW(value) + self.share * (1 - BELOW(value - self.distance))

    @property
    def optimum(self) -> float:
        return self.distance / 2 + math.log((1 - self.share) / self.share) / self.distance

    def below_optimum(self, points: float) -> float:
        """The value under the optimum that is this many points of accuracy worse."""
        low, high = LOWER, self.optimum
        goal = self.accuracy(high) - points / 100
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.accuracy(middle) > goal else (middle, high)
        return high


@dataclass(frozen=True)
class Scenario:
    """What people comment on, up to `feedbacks` comments, each wrong with probability `wrong`."""

    name: str
    world: World
    incumbent: float
    comments: Comments
    feedbacks: int = 100
    wrong: float = 0.0


@dataclass(frozen=True)
class Row:
    """Shares of streams, the median feedbacks to a promotion (None: not half of them), points of accuracy."""

    scenario: str
    promoted: float
    worse: float
    provisional: float
    median: float | None
    gain: float


def stream(scenario: Scenario, rng: random.Random) -> tuple[int, str, float] | None:
    """One stream -> (feedbacks, level, points gained) of its first promotion."""
    world, incumbent = scenario.world, scenario.incumbent
    judge = Judge(incumbent=incumbent, lower=LOWER, upper=UPPER)
    heard = 0
    while heard < scenario.feedbacks:
        deserves = rng.random() < world.share
        score = rng.gauss(world.distance if deserves else 0.0, 1.0)
        alert = score > incumbent
        if not scenario.comments(alert, alert == deserves, rng):
            flips = Steps((score,), (float(not alert), float(alert)), (float(alert),))
            judge.hush(Case("", flips, alarm=alert))
            continue
        heard += 1
        said = deserves != (rng.random() < scenario.wrong)
        loss = Steps((score,), (float(not said), float(said)), (float(said),))
        judge.add(Case(str(heard), loss, approved=alert == said, alarm=alert))
        verdict = judge.judgement()
        if verdict.level and verdict.value is not None:
            return heard, verdict.level, 100 * (world.accuracy(verdict.value) - world.accuracy(incumbent))
    return None


def measure(scenario: Scenario, streams: int, seed: int) -> Row:
    """Many streams of one scenario -> its row."""
    ends = [stream(scenario, random.Random(f"{seed} {scenario.name} {i}")) for i in range(streams)]
    promotions = [end for end in ends if end is not None]
    waits = sorted([end[0] for end in promotions] + [math.inf] * (streams - len(promotions)))
    median = statistics.median_low(waits)
    return Row(
        scenario.name,
        len(promotions) / streams,
        sum(gain < 0 for _, _, gain in promotions) / streams,
        sum(level == "provisional" for _, level, _ in promotions) / streams,
        None if math.isinf(median) else median,
        sum(gain for _, _, gain in promotions) / streams,
    )


def scenarios() -> list[Scenario]:
    """The cases that the gate was built for."""
    good, rare = World(0.32, 2.1), World(0.05, 3.0)
    best = good.optimum

    def everything(_alert: bool, _right: bool, _rng: random.Random) -> bool:
        return True

    random_feedback = [
        Scenario(f"optimal, {100 * wrong:.0f} % wrong labels", good, best, everything, wrong=wrong)
        for wrong in (0.0, 0.1, 0.5)
    ]
    one_sided = [
        Scenario("optimal, only false alarms", good, best, lambda a, r, _: a and not r, 20),
        Scenario("optimal, only misses", good, best, lambda a, r, _: not a and not r, 20),
        Scenario("optimal, only complaints", good, best, lambda _a, r, _: not r, 20),
        Scenario(
            "optimal, complaints, 3 % of right alerts",
            good,
            best,
            lambda a, r, rng: a and (not r or rng.random() < 0.03),
            20,
        ),
    ]
    power = [Scenario(f"{points} points off", good, good.below_optimum(points), everything) for points in (8, 26, 53)]
    sensitive = Scenario(
        "90 % false alerts, a fifth commented", rare, 0.4, lambda a, _r, rng: a and rng.random() < 0.2, 40
    )
    return [*random_feedback, *one_sided, *power, sensitive]


def table(rows: Sequence[Row]) -> str:
    """The rows as text; shares in per cent."""
    lines = [f"{'scenario':42} {'promoted':>8} {'worse':>6} {'provisional':>11} {'median':>6} {'gain':>7}"]
    for row in rows:
        median = "-" if row.median is None else f"{row.median:.0f}"
        shares = f"{100 * row.promoted:7.1f}% {100 * row.worse:5.1f}% {100 * row.provisional:10.1f}%"
        lines.append(f"{row.scenario:42} {shares} {median:>6} {row.gain:+7.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(scenario, options.streams, options.seed) for scenario in scenarios()]
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else table(rows))


if __name__ == "__main__":
    main()
