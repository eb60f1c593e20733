"""Simulated streams in a world that changes: the gate asked on the way, with and without `half_life=`."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.gate_streams import LOWER, UPPER, World
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps
from poet_hook.learning.gate import Judge


@dataclass(frozen=True)
class Change:
    """After so many feedbacks every score is `shift` higher; each execution is commented on, all along."""

    name: str
    world: World
    incumbent: float
    at: int
    shift: float
    feedbacks: int = 300
    every: int = 3
    """How many feedbacks lie between two looks."""

    def case(self, number: int, rng: random.Random, half_life: int | None) -> Case:
        """What is said of the next execution."""
        deserves = rng.random() < self.world.share
        score = rng.gauss(self.world.distance if deserves else 0.0, 1.0) + (self.shift if number >= self.at else 0.0)
        loss = Steps((score,), (float(not deserves), float(deserves)), (float(deserves),))
        alert = score > self.incumbent
        right = alert == deserves
        fresh, renews = (2.0 ** (number / half_life), number % half_life == 0) if half_life else (1.0, False)
        return Case(str(number), float(not right), (loss,), 1.0, right, alarm=alert, fresh=fresh, renews=renews)

    def gain(self, value: float, number: int) -> float:
        """Points of accuracy, as the world is at that time."""
        shift = self.shift if number >= self.at else 0.0
        return 100 * (self.world.accuracy(value - shift) - self.world.accuracy(self.incumbent - shift))


def followed(change: Change, rng: random.Random, half_life: int | None) -> tuple[int, str, float] | None:
    """One stream -> (feedbacks, level, points gained in the world of that moment) of its first promotion.

    Weights grow in place of fading, so that each execution can be added once.
    """
    judge = Judge([Axis(change.incumbent, LOWER, UPPER)], ages=half_life is not None)
    for number in range(change.feedbacks):
        judge.add(change.case(number, rng, half_life))
        verdict = judge.judgement() if number % change.every == 0 else None
        if verdict and verdict.level and verdict.value is not None:
            return number + 1, verdict.level, change.gain(verdict.value, number)
    return None
