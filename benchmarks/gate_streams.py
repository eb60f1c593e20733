"""One simulated stream: executions, what somebody says of some of them, and the gate asked after each word."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

from poet_hook.learning.ask import Silent, drawn
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps
from poet_hook.learning.gate import Judge
from poet_hook.learning.silence import EXECUTIONS

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
        return self._away(points, LOWER)

    def above_optimum(self, points: float) -> float:
        """The value over the optimum that is this many points of accuracy worse."""
        return self._away(points, UPPER)

    def _away(self, points: float, far: float) -> float:
        near = self.optimum
        goal = self.accuracy(near) - points / 100
        for _ in range(60):
            middle = (far + near) / 2
            far, near = (far, middle) if self.accuracy(middle) > goal else (middle, near)
        return near


@dataclass(frozen=True)
class Scenario:
    """What people comment on, up to `feedbacks` comments, each wrong with probability `wrong`."""

    name: str
    world: World
    incumbent: float
    comments: Comments
    feedbacks: int = 100
    wrong: float = 0.0
    recorded: int = 0
    """Of so many executions only those are commented on that `ask` chooses, one after the other (0: none is asked)."""
    assumed: bool = False
    """Whether silence means that it was right (`assume_ok_after=`)."""

    def draw(self, rng: random.Random) -> tuple[float, bool]:
        """The score of an execution, and whether it deserves an alert."""
        deserves = rng.random() < self.world.share
        return rng.gauss(self.world.distance if deserves else 0.0, 1.0), deserves


def stream(scenario: Scenario, rng: random.Random) -> tuple[int, str, float] | None:
    """One stream -> (feedbacks, level, points gained) of its first promotion."""
    world, incumbent = scenario.world, scenario.incumbent
    reading = EXECUTIONS._replace(assumed="1d") if scenario.assumed else EXECUTIONS
    judge = Judge([Axis(incumbent, LOWER, UPPER)], reading=reading)
    chosen = asked(scenario, judge, rng) if scenario.recorded else commented(scenario, judge, rng)
    for heard, (score, deserves) in enumerate(itertools.islice(chosen, scenario.feedbacks), 1):
        alert = score > incumbent
        said = deserves != (rng.random() < scenario.wrong)
        loss = Steps((score,), (float(not said), float(said)), (float(said),))
        right, asks = alert == said, scenario.recorded > 0
        judge.add(Case(str(heard), float(not right), (loss,), approved=right, alarm=alert, asked=asks))
        verdict = judge.judgement()
        if verdict.level and verdict.value is not None:
            return heard, verdict.level, 100 * (world.accuracy(verdict.value) - world.accuracy(incumbent))
    return None


def commented(scenario: Scenario, judge: Judge, rng: random.Random) -> Iterator[tuple[float, bool]]:
    """Executions that somebody speaks of; the judge is told of the others."""
    while True:
        score, deserves = scenario.draw(rng)
        alert = score > scenario.incumbent
        if scenario.comments(alert, alert == deserves, rng):
            yield score, deserves
        else:
            judge.hush(silent(score, alert))


def asked(scenario: Scenario, judge: Judge, rng: random.Random) -> Iterator[tuple[float, bool]]:
    """Executions that are asked about, each after what was learned from the answers before."""
    left = {str(i): scenario.draw(rng) for i in range(scenario.recorded)}
    limit = scenario.incumbent
    for score, _ in left.values():
        judge.hush(silent(score, score > limit))
    for heard in range(scenario.recorded):
        best = judge.judgement().value
        other = limit if best is None else best
        quiet = [Silent(i, s > limit, (s > limit) != (s > other), abs(s - limit)) for i, (s, _) in left.items()]
        yield left.pop(drawn(quiet, heard, 1)[0].id)


def silent(score: float, alert: bool) -> Case:
    """An execution of which nobody spoke."""
    return Case("", 0.0, (Steps((score,), (float(not alert), float(alert)), (float(alert),)),), alarm=alert)
