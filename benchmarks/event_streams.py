"""Simulated streams with bursts of alerts that people comment on one by one, judged by execution or by incident."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.gate_streams import LOWER, UPPER, World
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps
from poet_hook.learning.events import Call, Event, agreed_on, combined, incidents
from poet_hook.learning.gate import Judge
from poet_hook.learning.objective import PLAIN, Label

GAP = 3


@dataclass(frozen=True)
class Bursts:
    """Each incident is some calls with nearly one score, which deserve an alert or not, all together.

    Everybody comments on each call of it; a comment is wrong with probability `wrong`.
    """

    name: str
    world: World
    incumbent: float
    calls: int = 15
    spread: float = 0.1
    wrong: float = 0.0

    def burst(self, rng: random.Random) -> tuple[list[float], bool]:
        """The scores of an incident, and whether it deserves an alert."""
        deserves = rng.random() < self.world.share
        middle = rng.gauss(self.world.distance if deserves else 0.0, 1.0)
        return [rng.gauss(middle, self.spread) for _ in range(rng.randint(1, 2 * self.calls - 1))], deserves


def promotion(bursts: Bursts, rng: random.Random, count: int, *, grouped: bool) -> tuple[int, str, float] | None:
    """Judged after each incident: (its number, level, points of accuracy gained) at the first promotion."""
    judge = Judge([Axis(bursts.incumbent, LOWER, UPPER)])
    for number in range(1, count + 1):
        scores, deserves = bursts.burst(rng)
        said = [deserves != (rng.random() < bursts.wrong) for _ in scores]
        for case in (by_incident if grouped else one_by_one)(scores, said, bursts.incumbent):
            judge.add(case)
        verdict = judge.judgement()
        if verdict.level and verdict.value is not None:
            world = bursts.world
            return number, verdict.level, 100 * (world.accuracy(verdict.value) - world.accuracy(bursts.incumbent))
    return None


def one_by_one(scores: Sequence[float], said: Sequence[bool], incumbent: float) -> Iterator[Case]:
    """Each comment as a label of its own."""
    for score, deserves in zip(scores, said, strict=True):
        alert = score > incumbent
        loss = Steps((score,), (float(not deserves), float(deserves)), (float(deserves),))
        yield Case("", float(alert != deserves), (loss,), approved=alert == deserves, alarm=alert)


def by_incident(scores: Sequence[float], said: Sequence[bool], incumbent: float) -> Iterator[Case]:
    """The comments on one burst, as `group=` takes them."""
    calls = [Call(str(n), float(n), None, None, score > incumbent) for n, score in enumerate(scores)]
    told = dict(zip([call.id for call in calls], said, strict=True))
    for incident in incidents(calls, GAP, told, told):
        labels = [Label(name, "decision", told[name], 1.0, False, int(name)) for name in incident.spoken]
        label = agreed_on(labels)
        if not incident.spoken or label is None:
            continue
        names = (incident.window if label.value else incident.alerts) or incident.spoken
        event = Event(label, tuple(map(int, names)), int(names[0]))
        steps = [Steps((scores[n],), (True, False), (False,)).map(partial(PLAIN.loss, label)) for n in event.members]
        loss = combined(steps, event.together(label))
        now = loss(incumbent)
        approved = label.value == bool(incident.alerts)
        yield Case("", now, (loss,), label.weight, approved=approved, alarm=bool(incident.alerts))
