"""A monitor of a few lines on the Numenta series: naive, and after an operator's feedback on the first halves.

    python benchmarks/nab.py --data DIR [--draws 10] [--wrong 0.1] [--json]

DIR is a checkout of the Numenta Anomaly Benchmark; some of its folders of series are enough. Scores are NAB's
(standard profile; 0: never alert, 100: perfect), on the whole files and on the second halves ("h2"), of which
learning sees nothing. The monitor alerts where a value is more than three standard deviations off the last hundred;
it has a second condition, on the range of the last two thousand, that holds always, until learning moves it. With
`stream=` and `group=`, the domain lets learning put in what is remembered between calls. The second condition, and that
there is no `cost=`, were chosen after several monitors had been scored on these very second halves: the scores of what
was learned are optimistic by that. The feedback is that of an operator:

- The naive monitor runs over the first halves, from the probation on, the streams side by side: real calls of the
  enhanced function, all of which are recorded. Outside of the labelled windows, alerts closer than 1 % of the file are
  one incident; inside, a window is one.
- Of the false incidents, the windows caught and the windows missed he takes N at random, and says one thing of each:
  "false alarm" of its first alert, "good catch" or "you missed this" of the strongest row of a window. Of the share
  `--wrong` he says the opposite.
- NAB weighs a false positive 0.11 and a miss 1. A false incident has eleven alerts on the average, and so costs about
  as much as a miss: no `cost=`.

Each draw learns in its own copy of that store, by `learn` after the last comment, and again (at most three times) as
long as it promotes; since that starts the evidence anew, a second promotion is not to be expected.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import operator
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import nab_scoring  # noqa: E402
from poet_hook import settings as settings_module  # noqa: E402
from poet_hook.domains.base import load as load_domain  # noqa: E402
from poet_hook.learning.loop import learn  # noqa: E402
from poet_hook.model import Plan, Steady, Value  # noqa: E402
from poet_hook.runtime.steady import NOTHING, play  # noqa: E402
from poet_hook.signals.rules import read  # noqa: E402
from poet_hook.store.database import Store  # noqa: E402
from poet_hook.transform.plan import plan_module  # noqa: E402
from poet_hook.transform.values import with_values  # noqa: E402
from poet_hook.versions.chain import Chain  # noqa: E402
from poet_hook.versions.current import plan_of  # noqa: E402

MONITOR = '''\
# poet: domain=ml_monitoring, optimize_for=alert_quality, stream=metric, group=40
def is_anomaly(metric: str, value: float, middle: float, spread: float, lowest: float, highest: float) -> bool:
    """True when a value is far from the last hundred, and as far out in the range of the last two thousand as asked."""
    if spread == 0 or highest == lowest:
        return False
    beyond = max(value - highest, lowest - value) / (highest - lowest)
    far = abs(value - middle) / spread > 3.0  # poet: tune 1..100
    out = beyond > -0.6  # poet: tune -0.6..1
    return far and out
'''
OPERATION = """\
import json

import poet_hook

poet_hook.activate()

from monitor import is_anomaly

with open("rows.json", encoding="utf-8") as file:
    results = [poet_hook.call(is_anomaly, *arguments) for arguments in json.load(file)]
with open("executions.json", "w", encoding="utf-8") as file:
    json.dump([[result.execution_id, result.value] for result in results], file)
"""
HISTORY = 100
RANGE = 2_000
NAIVE = 3.0
GAP_SHARE = 0.01
COMMENTS: dict[str, int | None] = {"10": 10, "20": 20, "40": 40, "80": 80, "all": None}
LEARNING_RUNS = 4
PROCESSES = 2
SILENT = 1e-4  # alerts per row
OPPOSITE = {"false alarm": "good catch", "good catch": "false alarm", "you missed this": "correct"}

Row = tuple[int, int]  # (number of the stream, row in it)


class Before(NamedTuple):
    """What the monitor is told beside a value: mean and deviation of the last hundred, ends of the last 2,000."""

    middle: float
    spread: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Stream:
    """One file, what came before each row, and how far each is from the hundred before it, in standard deviations."""

    series: nab_scoring.Series
    before: tuple[Before, ...]
    distances: tuple[float, ...]

    @property
    def watched(self) -> range:
        """The rows on which feedback may be given."""
        return range(max(self.series.probation, HISTORY), self.series.half)


@dataclass(frozen=True, slots=True)
class Event:
    """What an operator comments on at once, with these words about the first of its rows."""

    words: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with the monitor's module and the store of what it was called with."""

    folder: Path
    plan: Plan
    executions: Mapping[Row, tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Draw:
    """One operator's N comments: the values in use after learning, by name, and whether anything was promoted."""

    values: tuple[tuple[str, Value], ...]
    promoted: bool


# --------------------------------------------------------------------------- the series


def before(values: Sequence[float]) -> tuple[Before, ...]:
    """For each row what came before it; rows that have no hundred before them have no spread."""
    found, lows, highs = [Before(0.0, 0.0, 0.0, 0.0)] * min(HISTORY, len(values)), deque[int](), deque[int]()
    for row, value in enumerate(values):
        if row >= HISTORY:
            # Differences to one of them: hundreds of equal values have no spread, whatever rounding does.
            base = values[row - HISTORY]
            history = [each - base for each in values[row - HISTORY : row]]
            middle = math.fsum(history) / HISTORY
            spread = math.sqrt(math.fsum([(each - middle) ** 2 for each in history]) / (HISTORY - 1))
            found.append(Before(base + middle, spread, values[lows[0]], values[highs[0]]))
        for ends, beyond in ((lows, operator.ge), (highs, operator.le)):
            while ends and beyond(values[ends[-1]], value):
                ends.pop()
            ends.append(row)
            if ends[0] <= row - RANGE:
                ends.popleft()
    return tuple(found)


def distance(value: float, known: Before) -> float:
    """How far a value is from the mean of those before it, in standard deviations; 0 where they are all equal."""
    return abs(value - known.middle) / known.spread if known.spread > 0 else 0.0


def load(data: Path) -> list[Stream]:
    """A checkout of NAB -> its streams.

    Raises what `nab_scoring.load` raises, and ValueError where no window starts in a second half.
    """
    corpus = nab_scoring.load(data)
    nab_scoring.normalised(0.0, corpus, part="h2")
    return [stream_of(series) for series in corpus]


def stream_of(series: nab_scoring.Series) -> Stream:
    """A series and what the monitor is told of it."""
    known = before(series.values)
    return Stream(series, known, tuple(map(distance, series.values, known)))


def monitored() -> Plan:
    """The monitor's plan."""
    (target,) = plan_module(MONITOR, "monitor.py", "monitor").targets
    return target.plan


# --------------------------------------------------------------------------- the operator


def events(streams: Sequence[Stream], limit: float) -> list[Event]:
    """All that can be commented on when the monitor alerts at distances above `limit` in the first halves."""
    found: list[Event] = []
    for number, stream in enumerate(streams):
        watched, strength = stream.watched, stream.distances
        inside: set[int] = set()
        for first, last in stream.series.windows:
            rows = range(max(first, watched.start), min(last + 1, watched.stop))
            inside.update(rows)
            if rows:
                strongest = max(rows, key=strength.__getitem__)
                words = "good catch" if strength[strongest] > limit else "you missed this"
                found.append(Event(words, ((number, strongest),)))
        outside = [row for row in watched if strength[row] > limit and row not in inside]
        gap = int(GAP_SHARE * len(strength))
        found += [Event("false alarm", tuple((number, row) for row in rows)) for rows in _incidents(outside, gap)]
    return found


def _incidents(rows: Sequence[int], gap: int) -> Iterator[list[int]]:
    """Ascending rows, cut where the next one is more than `gap` rows away."""
    incident: list[int] = []
    for row in rows:
        if incident and row - incident[-1] > gap:
            yield incident
            incident = []
        incident.append(row)
    if incident:
        yield incident


def recorded_rows(streams: Sequence[Stream]) -> list[Row]:
    """The rows that the monitor is called with, in order of their relative time."""
    watched = [(number, row) for number, stream in enumerate(streams) for row in stream.watched]
    return sorted(watched, key=lambda place: (place[1] / len(streams[place[0]].distances), place))


# --------------------------------------------------------------------------- the learner


def record(streams: Sequence[Stream], folder: Path) -> Project:
    """Make a project in an empty folder, and run its monitor over the first halves.

    Raises subprocess.CalledProcessError where that program fails, and RuntimeError where its answers are not
    those that the distances foretell.
    """
    plan, rows = monitored(), recorded_rows(streams)
    (folder / "monitor.py").write_text(MONITOR, encoding="utf-8")
    (folder / "operation.py").write_text(OPERATION, encoding="utf-8")
    calls = [arguments(streams[number], row) for number, row in rows]
    (folder / "rows.json").write_text(json.dumps(calls), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POET_")}
    places = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    environ = {**kept, **_variables(folder, folder), "PYTHONPATH": os.pathsep.join(places)}
    subprocess.run([sys.executable, "operation.py"], cwd=folder, env=environ, check=True)
    results = json.loads((folder / "executions.json").read_text(encoding="utf-8"))
    for (number, row), (_, alert) in zip(rows, results, strict=True):
        if alert != (streams[number].distances[row] > NAIVE):
            raise RuntimeError(f"{streams[number].series.name}, row {row}: the monitor says {alert}")
    store = Store(folder / ".poet")
    store.absorb()
    store.close()
    return Project(folder, plan, {place: (name, alert) for place, (name, alert) in zip(rows, results, strict=True)})


def arguments(stream: Stream, row: int) -> list[Any]:
    """What the monitor is called with."""
    return [stream.series.name, stream.series.values[row], *stream.before[row]]


def _variables(folder: Path, user: Path) -> dict[str, str]:
    return {"POET_HOME": str(folder / ".poet"), "POET_USER_DIR": str(user / "user")}


def draw(project: Project, comments: Sequence[Event], wrong: Sequence[bool]) -> Draw:
    """Give these comments, in this order the `wrong` ones turned round, in a copy of the store, and learn from them."""
    with tempfile.TemporaryDirectory(prefix="draw_", dir=project.folder) as name:
        folder = Path(name)
        shutil.copytree(project.folder / ".poet", folder / ".poet")
        settings = settings_module.load(project.folder, _variables(folder, project.folder))
        store = Store(settings.home)
        try:
            for event, turned in zip(comments, wrong, strict=True):
                execution, alert = project.executions[event.rows[0]]
                words = OPPOSITE[event.words] if turned else event.words
                signal = read(words, outcome=alert, domain=load_domain("ml_monitoring"))
                store.add_feedback(execution, words, signal, "operator")
            return _learned(store, settings, project.plan.function)
        finally:
            store.close()


def _learned(store: Store, settings: settings_module.Settings, function: str) -> Draw:
    promoted = False
    for _ in range(LEARNING_RUNS):
        if not learn(function, store, settings).promoted:
            break
        promoted = True
    plan, _ = plan_of(function, store, settings)
    values = Chain(settings, function).champion(plan).values
    return Draw(tuple(sorted(values.items())), promoted)


def learned(project: Project, found: Sequence[Event], draws: int, wrong: float) -> dict[str, list[Draw]]:
    """For each number of comments the draws with seeds 0, 1, ...; those of one seed begin with the same ones."""
    orders, turned = [], []
    for seed in range(draws):
        rng = random.Random(seed)
        orders.append(rng.sample(found, len(found)))
        turned.append([rng.random() < wrong for _ in found])
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        return {
            name: list(
                pool.map(draw, [project] * draws, *([each[:count] for each in all_] for all_ in (orders, turned)))
            )
            for name, count in COMMENTS.items()
        }


# --------------------------------------------------------------------------- the scores


class Scorer:
    """NAB's score of the monitor with any values; it runs over the whole of each file."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams, self.plan = streams, monitored()
        self._alerts: dict[tuple[tuple[str, Value], ...], list[list[bool]]] = {}

    def alerts(self, values: tuple[tuple[str, Value], ...]) -> list[list[bool]]:
        """For each file and row whether the monitor alerts."""
        if values not in self._alerts:
            chosen = dict(values)
            namespace: dict[str, Any] = {}
            exec(with_values(self.plan.source, self.plan.tunables, chosen), namespace)
            body, spec = namespace["is_anomaly"], self.plan.with_options(chosen).pragma.steady
            self._alerts[values] = [self._of(stream, body, spec) for stream in self.streams]
        return self._alerts[values]

    @staticmethod
    def _of(stream: Stream, body: Callable[..., bool], spec: Steady) -> list[bool]:
        rows = range(len(stream.before))
        given = set(play(spec, NOTHING, ((row, body(*arguments(stream, row)), 0.0) for row in rows))[0])
        return [row in given for row in rows]

    def __call__(self, values: tuple[tuple[str, Value], ...], part: nab_scoring.Part) -> float:
        """The normalised score."""
        corpus = [stream.series for stream in self.streams]
        return nab_scoring.score(self.alerts(values), corpus, part=part)

    def is_silent(self, values: tuple[tuple[str, Value], ...]) -> bool:
        """Whether there is less than one alert in 10,000 rows."""
        scored = [
            alert
            for stream, alerts in zip(self.streams, self.alerts(values), strict=True)
            for alert in alerts[stream.series.probation :]
        ]
        return sum(scored) < SILENT * len(scored)


@dataclass(frozen=True, slots=True)
class Line:
    """What the draws of one N came to: scores, values, shares without a promotion, practically silent, and worse."""

    name: str
    h2: tuple[float, ...]
    full: tuple[float, ...]
    unchanged: float
    silent: float
    worse: float


def line(name: str, found: Sequence[Draw], scorer: Scorer) -> Line:
    """The draws of one N -> one line of the table."""
    h2 = tuple(scorer(one.values, "h2") for one in found)
    naive = scorer((), "h2")
    return Line(
        name,
        h2=h2,
        full=tuple(scorer(one.values, "full") for one in found),
        unchanged=statistics.fmean(not one.promoted for one in found),
        silent=statistics.fmean(scorer.is_silent(one.values) for one in found),
        worse=statistics.fmean(score < naive - 1e-9 for score in h2),
    )


def twentieth(values: Sequence[float]) -> float:
    """The 5 % quantile, inclusive; that of one value is the value."""
    return statistics.quantiles([*values, *values[: len(values) == 1]], n=20, method="inclusive")[0]


def measure(streams: Sequence[Stream], draws: int, wrong: float) -> tuple[list[Line], dict[str, list[Draw]]]:
    """The lines of the table, and the draws; raises what `record` raises."""
    with tempfile.TemporaryDirectory(prefix="poet_hook_nab_") as folder:
        project = record(streams, Path(folder))
        found = {"naive": [Draw((), False)], **learned(project, events(streams, NAIVE), draws, wrong)}
    scorer = Scorer(streams)
    return [line(name, one, scorer) for name, one in found.items()], found


def table(lines: Sequence[Line], draws: int, wrong: float) -> str:
    """What is printed for people."""
    title = "h2 median    mean  5 % q.    full mean  unchanged  worse  silent"
    rows = [f"NAB's standard profile, {draws} draws, {wrong:.0%} wrong comments; h2: the second halves", ""]
    rows += [f"{'':20}{title}", f"{'never alert':20}{0:9.1f}{0:8.1f}{0:8.1f}{0:13.1f}{'-':>11}{'-':>7}{'-':>8}"]
    for one in lines:
        name = one.name if one.name == "naive" else f"learned, N = {one.name}"
        rows.append(
            f"{name:20}{statistics.median(one.h2):9.1f}{statistics.fmean(one.h2):8.1f}{twentieth(one.h2):8.1f}"
            f"{statistics.fmean(one.full):13.1f}{one.unchanged:11.0%}{one.worse:7.0%}{one.silent:8.0%}"
        )
    rows += ["", "unchanged: draws without a promotion; worse: with a lower h2 than the naive monitor"]
    rows.append("silent: with under 1 alert in 10,000 rows")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table or JSON; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a checkout of NAB")
    parser.add_argument("--draws", type=int, default=10, help="operators for each number of comments (10)")
    parser.add_argument("--wrong", type=float, default=0.0, help="the share of comments that say the opposite (0)")
    parser.add_argument("--json", action="store_true", help="print the means as JSON")
    options = parser.parse_args(arguments)
    if options.draws < 1:
        parser.error("--draws must be at least 1")
    try:
        streams = load(options.data)
    except (FileNotFoundError, ValueError) as error:
        parser.error(f"--data: {error}")
    lines, found = measure(streams, options.draws, options.wrong)
    if options.json:
        scores = {one.name: {"full": statistics.fmean(one.full), "h2": statistics.fmean(one.h2)} for one in lines}
        values = {name: [dict(one.values) for one in each] for name, each in found.items()}
        print(json.dumps({"scores": scores, "values": values}))
    else:
        print(table(lines, options.draws, options.wrong))
    return 0


if __name__ == "__main__":
    sys.exit(main())
