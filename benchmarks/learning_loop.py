"""The streams of `benchmarks/learning.py` as executions and feedback, and ours as `poet_hook.learn` follows them."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.learning_report import counts_of
from benchmarks.learning_streams import INCUMBENT, LOWER, UPPER, Split
from poet_hook.learning.aims import Aims, aims_of
from poet_hook.learning.ask import Silent, drawn
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps, trace
from poet_hook.learning.evidence import Difference, compare, e_value
from poet_hook.learning.gate import ALPHA, Judgement, judge
from poet_hook.learning.objective import Label, Objective
from poet_hook.learning.refine import OWN

MOST_EXECUTIONS = 1_000
RECORDED = 400  # of so many `ask` chooses


@dataclass
class Heard:
    """An execution: what it scored, which version ran, what was said (None: nothing) and the steps of its result."""

    score: float
    deserves: bool
    version: float
    said: bool | None
    steps: Steps
    asked: bool = False

    @property
    def alert(self) -> bool:
        """What the version that ran returned."""
        return self.score > self.version

    def label(self, result: bool) -> Label:
        """What is known of it; silence is agreement with `result`."""
        truth = result if self.said is None else self.said
        return Label("", "decision", truth, 1.0, self.alert == truth, 0)


def executions(source: Split, kind: str, rng: random.Random, version: Callable[[], float]) -> Iterator[Heard]:
    """What runs and what is said of it; `version` tells the constant in use."""
    for _ in range(MOST_EXECUTIONS):
        score, deserves = source.draw(rng)
        said: bool | None = deserves
        if kind == "complaints" and (score > version()) == deserves:
            said = None
        elif kind == "wrong":
            said = deserves != (rng.random() < 0.1)
        steps = trace(lambda t, score=score: score > t, LOWER, UPPER, start=INCUMBENT)
        yield Heard(score, deserves, version(), said, steps)


def aims_for(metric: str, labelled: Sequence[Heard], champion: float, silent: Sequence[Heard] = ()) -> Aims:
    """The objective of each execution, as a learning run makes it from what was said before."""
    rows = [(i, item.label(item.alert), item.steps(champion)) for i, item in enumerate(labelled)]
    asked = [i for i, item in enumerate(labelled) if item.asked]
    return aims_of(metric, (1.0, 1.0), rows, asked=asked, silent=[(item.steps(champion), 1.0) for item in silent])


def losses(item: Heard, aim: Objective, champion: float) -> Steps:
    known = item.label(item.steps(champion))
    return item.steps.map(lambda result: aim.loss(known, result))


@dataclass
class Loop:
    """What `poet_hook.learn` does at each look: roll back, or judge and perhaps promote."""

    metric: str
    levels: tuple[str, ...]
    champion: float = INCUMBENT
    since: int = 0  # feedback before that helped to find the champion
    history: list[float] = field(default_factory=list)
    turns: list[tuple[int, float]] = field(default_factory=list)  # feedback before each that replaced the last of these
    began: float = 0.0  # with so much evidence
    refined: list[tuple[float, float]] = field(default_factory=list)  # from, to
    seconds: float = 0.0
    challenger: float | None = None

    def look(self, labelled: Sequence[Heard], silent: Sequence[Heard]) -> None:
        """Change the champion where there is reason to."""
        aims = aims_for(self.metric, labelled, self.champion, silent)
        if self.history and self._worse(labelled, silent, aims):
            self.champion, self.since, self.turns = self.history.pop(), len(labelled), []
            return
        cases = [self._case(item, aims.at(i), i < self.since) for i, item in enumerate(labelled)]
        # silence about what another version returned says nothing of a champion that returns something else
        rest = [self._case(item, aims.last, False) for item in silent if item.steps(self.champion) == item.alert]
        started = time.process_time()
        found: Judgement = judge(cases, rest, [Axis(self.champion, LOWER, UPPER)])
        self.seconds, self.challenger = time.process_time() - started, found.value
        if found.level in self.levels and found.value is not None:
            self.history.append(self.champion)
            self.turns, self.began = [], found.e_value
            self._put(found.value, len(labelled))
        elif found.harmless and found.e_value >= OWN and found.value is not None and self._may_refine(labelled, aims):
            self.refined.append((self.champion, found.value))
            self._put(found.value, len(labelled))

    def _put(self, value: float, heard: int) -> None:
        self.champion, self.since = value, heard
        self.turns.append((heard, value))

    def _may_refine(self, labelled: Sequence[Heard], aims: Aims) -> bool:
        """Whether the versions in use since the last of the history are proven better: as in `learning/refine.py`."""
        if not self.turns or "provisional" not in self.levels:
            return False
        gains = []
        for (first, value), (last, _) in itertools.pairwise([*self.turns, (len(labelled), 0.0)]):
            for i in range(first, last):
                loss = losses(labelled[i], aims.at(i), self.champion)
                gains.append(loss(self.history[-1]) - loss(value))
        return self.began * e_value(gains) >= 1 / ALPHA

    def _case(self, item: Heard, aim: Objective, older: bool) -> Case:
        loss, alarm = losses(item, aim, self.champion), item.steps(self.champion)
        approved = item.said is not None and item.said == item.alert
        return Case("", loss(self.champion), (loss,), approved=approved, fits_only=older, alarm=alarm, asked=item.asked)

    def _worse(self, labelled: Sequence[Heard], silent: Sequence[Heard], aims: Aims) -> bool:
        parent, said, rest = self.history[-1], [], []
        for i, item in enumerate(labelled[self.since :], self.since):
            loss = losses(item, aims.at(i), self.champion)
            now = loss(self.champion)
            approved = (item.said == item.alert) if (item.said == item.alert) == (now <= 0.0) else None
            said.append(Difference(now - loss(parent), 1.0, approved, item.steps(self.champion), asked=item.asked))
        for item in silent:
            if item.version == self.champion:
                rest.append(Difference(-losses(item, aims.last, self.champion)(parent), alarm=item.alert))
        found = compare(said, rest)
        return found.gain > 0 and found.e_value >= 1 / ALPHA


def gated(source: Split, kind: str, seed: str, loop: Loop, every: int) -> Iterator[tuple[int, float, float]]:
    """(feedbacks, constant in use, seconds of the last look) at each count (there may be fewer feedbacks)."""
    labelled: list[Heard] = []
    silent: list[Heard] = []
    wanted = list(counts_of(kind))
    for item in executions(source, kind, random.Random(seed), lambda: loop.champion):
        if item.said is None:
            silent.append(item)
            continue
        labelled.append(item)
        if len(labelled) % every == 0:
            loop.look(labelled, silent)
        if len(labelled) == wanted[0]:
            yield wanted.pop(0), loop.champion, loop.seconds
        if not wanted:
            return
    for count in wanted:
        yield count, loop.champion, loop.seconds


def asked(source: Split, seed: str, loop: Loop, every: int) -> Iterator[tuple[int, float, float]]:
    """The same, where so many recorded executions are labelled at each look as `ask` chooses."""
    recorded = itertools.islice(executions(source, "random", random.Random(seed), lambda: INCUMBENT), RECORDED)
    left = {str(number): item for number, item in enumerate(recorded)}
    labelled: list[Heard] = []
    for count in counts_of("random"):
        while len(labelled) < count:
            other = loop.champion if loop.challenger is None else loop.challenger
            quiet = [
                Silent(name, bool(item.steps(loop.champion)), item.steps(loop.champion) != item.steps(other), distance)
                for name, item in left.items()
                for distance in (abs(item.score - loop.champion),)
            ]
            for question in drawn(quiet, len(labelled), every):
                labelled.append(replace(left.pop(question.id), asked=True))
            loop.look(labelled, [replace(item, said=None) for item in left.values()])
        yield count, loop.champion, loop.seconds
