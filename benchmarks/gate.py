"""How often the gate is wrong, and how soon it is right: simulated streams of two Gaussian classes.

An alert is a score above the constant; the incumbent is judged after every feedback, and a stream ends with
its first promotion. Run as `python benchmarks/gate.py [--streams 500] [--seed N] [--json] [--out DIR]`; DIR gets the
curves, how many streams have promoted after how many feedbacks.

With `--loop` each stream runs through the library itself, in a project of its own: calls are recorded, feedback is
given, `poet_hook.learn` is called after every fifth, and versions come and go until the last feedback
(`--feedbacks 100`). Default are then 40 streams.

With `--assume` silence means that it was right (`assume_ok_after=`), beside the usual rule; with 50 feedbacks a stream.
Default are then 100 streams.

With `--change` the world changes after 200 feedbacks, or it does not, or a limit that was too low becomes the right
one; each with and without `half_life=`, judged after every third feedback. Default are then 60 streams.

With `--events` incidents are bursts of calls with nearly one score, and each of these is commented on: taken one by
one, and as incidents (`group=`). They are judged after each incident. Default are then 100 streams.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from change_streams import Change, followed
from event_streams import Bursts, promotion
from gate_report import Row, plot, table
from gate_streams import BELOW, Comments, Scenario, World, stream

import poet_hook
from poet_hook import api

LONGEST = 100  # feedbacks of a curve


def measure(scenario: Scenario, streams: int, seed: int) -> Row:
    """Many streams of one scenario -> its row."""
    return counted(
        scenario.name, [stream(scenario, random.Random(f"{seed} {scenario.name} {i}")) for i in range(streams)]
    )


def counted(name: str, ends: Sequence[tuple[int, str, float] | None]) -> Row:
    """The ends of the streams of one scenario -> its row."""
    streams, promotions = len(ends), [end for end in ends if end is not None]
    waits = sorted([end[0] for end in promotions] + [math.inf] * (streams - len(promotions)))
    median = statistics.median_low(waits)
    return Row(
        name,
        len(promotions) / streams,
        sum(gain < 0 for _, _, gain in promotions) / streams,
        sum(level == "provisional" for _, level, _ in promotions) / streams,
        None if math.isinf(median) else median,
        sum(gain for _, _, gain in promotions) / streams,
        tuple(bisect_right(waits, heard) / streams for heard in range(LONGEST + 1)),
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
    asking = [
        replace(scenario, name=f"asked: {scenario.name}", recorded=400) for scenario in [*random_feedback, *power]
    ]
    return [*random_feedback, *one_sided, *power, sensitive, *asking]


# --------------------------------------------------------------------------- through the library itself

NAMES = "xyz"
EVERY = 5
TOLERANCE = 1.0
"""A version is worse, or better, by more than this many points of accuracy."""


@dataclass(frozen=True)
class Sensors:
    """Each of several scores has a limit; all are N(0, 1), but in 3 of 10 executions one is N(2.5, 1)."""

    count: int
    faults: float = 0.3
    distance: float = 2.5

    def draw(self, rng: random.Random) -> tuple[list[float], bool]:
        """The scores of an execution, and whether it deserves an alert."""
        scores = [rng.gauss(0.0, 1.0) for _ in range(self.count)]
        faulty = rng.random() < self.faults
        if faulty:
            scores[rng.randrange(self.count)] += self.distance
        return scores, faulty

    def accuracy(self, limits: Sequence[float]) -> float:
        """The exact share of right decisions."""
        quiet = math.prod(map(BELOW, limits))
        missed = statistics.mean(quiet / BELOW(t) * BELOW(t - self.distance) for t in limits)
        return (1 - self.faults) * quiet + self.faults * (1 - missed)

    def optimum(self) -> list[float]:
        """The best limits (to 0.001), which are all the same."""
        return [max((i / 1000 for i in range(4000)), key=lambda t: self.accuracy([t] * self.count))] * self.count

    def below_optimum(self, points: float) -> list[float]:
        """The first limit so low that accuracy is this many points less, the others as good as can be."""
        first, *others = self.optimum()
        goal = self.accuracy([first, *others]) - points / 100
        while self.accuracy([first, *others]) > goal:
            first = round(first - 0.001, 3)
        return [first, *others]

    def source(self, limits: Sequence[float]) -> str:
        """A module with such a monitor."""
        names = NAMES[: self.count]
        tests = [
            f"    if {name} > {limit!r}:  # poet: tune -3..7 as {name}\n"
            for name, limit in zip(names, limits, strict=True)
        ]
        head = "# poet: optimize_for=accuracy, after=1000000\ndef alarm({}) -> bool:\n"
        body = "".join(test + "        return True\n" for test in tests)
        return head.format(", ".join(f"{name}: float" for name in names)) + body + "    return False\n"


@dataclass(frozen=True)
class Operator:
    """Speaks of this share of the executions that are wrong, and of those that are right, and at times errs."""

    name: str
    complains: float
    approves: float
    errs: float = 0.0


@dataclass(frozen=True)
class Run:
    """What a stream is made of."""

    sensors: Sensors
    points_off: float
    operator: Operator
    feedbacks: int

    @property
    def name(self) -> str:
        limits = "1 limit" if self.sensors.count == 1 else f"{self.sensors.count} limits"
        worth = f"{self.points_off:.0f} points off" if self.points_off else "optimal"
        return f"{worth}, {limits}, {self.operator.name}"


@dataclass(frozen=True)
class End:
    """What became of a stream: accuracies (points) of the versions as they came into use, the original's first."""

    in_use: tuple[float, ...]
    promoted_at: tuple[int, ...]
    promotions: tuple[tuple[float, float], ...]
    rollbacks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class LoopRow:
    """Shares of streams, but `promotions` and `rollbacks` are a mean number of each, and `median` counts feedbacks.

    `ever_worse` had a version in use that was worse than the original, `last_worse` ended so, `step_down` put a
    version in use that was worse than what it replaced, `wrongly_back` rolled back to a worse one; `median` is
    when half of the streams had a better version than the original (None: they had not).
    """

    scenario: str
    promotions: float
    ever_worse: float
    last_worse: float
    step_down: float
    rollbacks: float
    wrongly_back: float
    better: float
    median: float | None
    gain: float


def live(run: Run, seed: str) -> End:
    """One stream, in a process that has done nothing with poet_hook before."""
    rng = random.Random(seed)
    sensors, operator = run.sensors, run.operator
    limits = sensors.below_optimum(run.points_off)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(POET_HOME=f"{folder}/.poet", POET_USER_DIR=f"{folder}/user")
        Path(folder, "monitor.py").write_text(sensors.source(limits), encoding="utf-8")
        os.chdir(folder)
        sys.path.insert(0, folder)
        poet_hook.activate(roots=[folder])
        alarm = importlib.import_module("monitor").alarm
        now = 100 * sensors.accuracy(limits)
        in_use, promoted_at, promotions, rollbacks, heard = [now], [], [], [], 0
        while heard < run.feedbacks:
            scores, deserves = sensors.draw(rng)
            result = poet_hook.call(alarm, *scores)
            seems_right = (result.value == deserves) != (rng.random() < operator.errs)
            if rng.random() >= (operator.approves if seems_right else operator.complains):
                continue
            poet_hook.feedback(result, seems_right)
            heard += 1
            if heard % EVERY:
                continue
            learned = poet_hook.learn(alarm)
            back = any("rolled back" in reason for reason in learned.reasons)
            if learned.promoted or back:
                number = api.champion(alarm)
                values = next(version.values for version in poet_hook.versions_of(alarm) if version.number == number)
                then = 100 * sensors.accuracy([values.get(n, t) for n, t in zip(NAMES, limits, strict=False)])
                (rollbacks if back else promotions).append((now, then))
                promoted_at.append(heard)
                in_use.append(then)
                now = then
        poet_hook.deactivate()
        os.chdir("/")
    return End(tuple(in_use), tuple(promoted_at), tuple(promotions), tuple(rollbacks))


def summed_up(run: Run, ends: Sequence[End]) -> LoopRow:
    """The streams of a scenario -> its row."""
    waits, n = [], len(ends)
    for end in ends:
        changes = zip(end.promoted_at, end.in_use[1:], strict=True)
        waits.append(next((heard for heard, worth in changes if worth > end.in_use[0] + TOLERANCE), math.inf))
    median = statistics.median_low(waits)
    return LoopRow(
        run.name,
        sum(len(end.promotions) for end in ends) / n,
        sum(min(end.in_use) < end.in_use[0] - TOLERANCE for end in ends) / n,
        sum(end.in_use[-1] < end.in_use[0] - TOLERANCE for end in ends) / n,
        sum(any(then < now - TOLERANCE for now, then in end.promotions) for end in ends) / n,
        sum(len(end.rollbacks) for end in ends) / n,
        sum(any(then < now - TOLERANCE for now, then in end.rollbacks) for end in ends) / n,
        sum(end.in_use[-1] > end.in_use[0] + TOLERANCE for end in ends) / n,
        None if math.isinf(median) else median,
        sum(end.in_use[-1] - end.in_use[0] for end in ends) / n,
    )


def runs(feedbacks: int) -> list[Run]:
    """The scenarios of the loop."""
    operators = (
        Operator("a fifth of all", 0.2, 0.2),
        Operator("a fifth, 10 % wrong labels", 0.2, 0.2, 0.1),
        Operator("complaints, 3 % of the right", 1.0, 0.03),
        Operator("complaints, 3 %, 10 % wrong labels", 1.0, 0.03, 0.1),
    )
    return [Run(Sensors(n), off, o, feedbacks) for off in (0, 25) for n in (1, 3) for o in operators]


def measure_loop(chosen: Sequence[Run], streams: int, seed: int) -> Iterator[LoopRow]:
    """The rows of the scenarios, two streams at a time."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, fresh, max_tasks_per_child=1) as pool:
        for run in chosen:
            ends = pool.map(live, [run] * streams, [f"{seed} {run.name} {i}" for i in range(streams)])
            yield summed_up(run, list(ends))


def loop_table(rows: Sequence[LoopRow]) -> str:
    """The rows as text; shares in per cent."""
    lines = [
        f"{'':58} {'promo-':>6} {'worse than original':>19} {'step':>6} {'roll-':>5} {'wrongly':>7}",
        f"{'scenario':58} {'tions':>6} {'ever':>12} {'at end':>6} {'down':>6} {'backs':>5} {'back':>7} {'better':>7}"
        f" {'median':>6} {'gain':>7}",
    ]
    for row in rows:
        median = "-" if row.median is None else f"{row.median:.0f}"
        lines.append(
            f"{row.scenario:58} {row.promotions:6.2f} {100 * row.ever_worse:11.1f}% {100 * row.last_worse:5.1f}%"
            f" {100 * row.step_down:5.1f}% {row.rollbacks:5.2f} {100 * row.wrongly_back:6.1f}%"
            f" {100 * row.better:6.1f}% {median:>6} {row.gain:+7.2f}"
        )
    return "\n".join(lines)


def assumptions() -> list[Scenario]:
    """Who complains of what, where silence is judged by the usual rule, and where it means that it was right."""
    world = World(0.32, 2.1)
    complaints: dict[str, Comments] = {
        "all mistakes": lambda _a, right, _: not right,
        "half of the mistakes": lambda _a, right, rng: not right and rng.random() < 0.5,
        "false alarms only": lambda alert, right, _: alert and not right,
        "a fifth of everything": lambda _a, _r, rng: rng.random() < 0.2,
    }
    limits = {"optimal": world.optimum, "15 points too low": world.below_optimum(15)}
    return [
        Scenario(f"{where}, {who}{', assumed' if assumed else ''}", world, limit, comments, 50, assumed=assumed)
        for where, limit in limits.items()
        for who, comments in complaints.items()
        for assumed in (False, True)
    ]


# --------------------------------------------------------------------------- a world that changes


def measure_change(streams: int, seed: int) -> Iterator[Row]:
    """The rows of worlds that change, by half-life; the median counts feedbacks since the change."""
    world = World(0.32, 2.1)
    low = world.below_optimum(10)
    changes = [
        Change("no change", world, world.optimum, 10**9, 0.0, 400),
        Change("all scores higher by 2 after 200", world, world.optimum, 200, 2.0, 400),
        Change("10 points too low, right after 40", world, low, 40, low - world.optimum),
    ]
    for change in changes:
        for half_life in (None, 50, 100):
            ends = [followed(change, random.Random(f"{seed} {change.name} {i}"), half_life) for i in range(streams)]
            at = change.at if change.at < change.feedbacks else 0
            since = [None if end is None else (end[0] - at, *end[1:]) for end in ends]
            yield counted(f"{change.name}{f', half_life={half_life}' if half_life else ''}", since)


# --------------------------------------------------------------------------- incidents


def measure_events(streams: int, seed: int, incidents: int) -> Iterator[Row]:
    """The rows of bursts, one by one and as incidents."""
    world = World(0.32, 2.1)
    scenarios = [
        Bursts("optimal, each alert commented on", world, world.optimum),
        Bursts("optimal, 10 % wrong comments", world, world.optimum, wrong=0.1),
        Bursts("26 points off", world, world.below_optimum(26)),
        Bursts("26 points off, 10 % wrong comments", world, world.below_optimum(26), wrong=0.1),
    ]
    for bursts in scenarios:
        for grouped in (False, True):
            ends = [
                promotion(bursts, random.Random(f"{seed} {bursts.name} {i}"), incidents, grouped=grouped)
                for i in range(streams)
            ]
            yield counted(f"{bursts.name}{', group=' if grouped else ''}", ends)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", action="store_true", help="run whole streams through the library")
    parser.add_argument("--assume", action="store_true", help="silence that means that it was right")
    parser.add_argument("--change", action="store_true", help="a world that changes, with and without half_life=")
    parser.add_argument("--events", action="store_true", help="bursts of alerts that are commented on one by one")
    parser.add_argument(
        "--streams", type=int, help="of each scenario: 500; --loop: 40, --change: 60, --assume or --events: 100"
    )
    parser.add_argument(
        "--feedbacks", type=int, default=100, help="of a stream, with --loop; or incidents, with --events"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where gate.png goes, the curves of what is printed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.loop:
        rows = list(measure_loop(runs(options.feedbacks), options.streams or 40, options.seed))
        print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else loop_table(rows))
        return
    if options.events:
        simple = list(measure_events(options.streams or 100, options.seed, options.feedbacks))
    elif options.change:
        simple = list(measure_change(options.streams or 60, options.seed))
    else:
        chosen, streams = (assumptions(), 100) if options.assume else (scenarios(), 500)
        simple = [measure(scenario, options.streams or streams, options.seed) for scenario in chosen]
    if options.out:
        plot(simple, options.out / "gate.png")
    print(json.dumps([asdict(row) for row in simple], indent=2) if options.json else table(simple))


if __name__ == "__main__":
    main()
