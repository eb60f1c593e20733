"""A six-line monitor on the Numenta series: naive, and after an operator's feedback on the first halves.

    python benchmarks/nab.py --data DIR [--draws 20] [--json]

DIR is a checkout of the Numenta Anomaly Benchmark; some of its folders of series are enough. Scores are NAB's
(standard profile; 0: never alert, 100: perfect), on the whole files and on the second halves ("h2"), of which
learning sees nothing. The feedback is that of an operator, decided before any second half was scored:

- The naive monitor runs over the first halves, from the probation on, the streams side by side. Outside of the
  labelled windows, alerts closer than 1 % of the file are one incident; inside, a window is one.
- Of the false incidents, the windows caught and the windows missed he takes N at random. "false alarm" he says
  of every alert of a false incident; "good catch", or "you missed this", of the strongest row of a window.
- cost=1:9, since NAB weighs a false positive 0.11 and a miss 1.

Recorded are, in order of their relative time, the alerts of the false incidents, the strongest row of each window
(which stands for it: an operator is paged once) and some 2,000 quiet rows spread evenly: real calls of the enhanced
function. So alerts are far more frequent among what is recorded than in the series, and silence on quiet rows counts
for less than if every row were recorded. Each draw learns
in its own copy of that store, by `learn` after the last comment, and again (at most three times) as long as it
promotes; since that starts the evidence anew, a second promotion is not to be expected.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import nab_scoring  # noqa: E402
from poet_hook import settings as settings_module  # noqa: E402
from poet_hook.domains.base import load as load_domain  # noqa: E402
from poet_hook.learning.loop import learn  # noqa: E402
from poet_hook.learning.scale import range_of  # noqa: E402
from poet_hook.model import Plan, Tunable  # noqa: E402
from poet_hook.signals.rules import read  # noqa: E402
from poet_hook.store.database import Store  # noqa: E402
from poet_hook.transform.plan import plan_module  # noqa: E402
from poet_hook.versions.chain import Chain  # noqa: E402
from poet_hook.versions.current import plan_of  # noqa: E402

MONITOR = '''\
from statistics import mean, stdev


# poet: domain=ml_monitoring, optimize_for=alert_quality, cost=1:9
def is_anomaly(value: float, history: list[float]) -> bool:
    """True when a value is far from the last hundred."""
    spread = stdev(history)
    if spread == 0:
        return False
    return abs(value - mean(history)) / spread > 3.0  # poet: tune 1..100
'''
OPERATION = """\
import json

import poet_hook

poet_hook.activate()

from monitor import is_anomaly

with open("rows.json", encoding="utf-8") as file:
    results = [poet_hook.call(is_anomaly, value, history) for value, history in json.load(file)]
with open("executions.json", "w", encoding="utf-8") as file:
    json.dump([[result.execution_id, result.value] for result in results], file)
"""
HISTORY = 100
GAP_SHARE = 0.01
QUIET_ROWS = 2_000
COMMENTS: dict[str, int | None] = {"20": 20, "80": 80, "all": None}
LEARNING_RUNS = 4
PROCESSES = 2
SILENT = 1e-4  # alerts per row

Row = tuple[int, int]  # (number of the stream, row in it)


@dataclass(frozen=True, slots=True)
class Stream:
    """One file, and how far each of its rows is from the hundred before it, in their standard deviations."""

    series: nab_scoring.Series
    distances: tuple[float, ...]

    @property
    def watched(self) -> range:
        """The rows on which feedback may be given."""
        return range(max(self.series.probation, HISTORY), self.series.half)


@dataclass(frozen=True, slots=True)
class Event:
    """What an operator comments on at once: the same words for each of its rows."""

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
    """One operator's N comments: the constant in use after learning, and whether anything was promoted."""

    limit: float
    promoted: bool


# --------------------------------------------------------------------------- the series


def distances(values: Sequence[float]) -> tuple[float, ...]:
    """For each row |value - mean| / standard deviation of the hundred before it; 0 where they are all equal."""
    found = [0.0] * min(HISTORY, len(values))
    for row in range(HISTORY, len(values)):
        # Differences to one of them: hundreds of equal values have no spread, whatever rounding does.
        base = values[row - HISTORY]
        history = [value - base for value in values[row - HISTORY : row]]
        middle = math.fsum(history) / HISTORY
        spread = math.sqrt(math.fsum([(value - middle) ** 2 for value in history]) / (HISTORY - 1))
        found.append(abs(values[row] - base - middle) / spread if spread > 0 else 0.0)
    return tuple(found)


def load(data: Path) -> list[Stream]:
    """A checkout of NAB -> its streams.

    Raises what `nab_scoring.load` raises, and ValueError where no window starts in a second half.
    """
    corpus = nab_scoring.load(data)
    nab_scoring.normalised(0.0, corpus, part="h2")
    return [Stream(series, distances(series.values)) for series in corpus]


def monitored() -> tuple[Plan, Tunable]:
    """The monitor's plan, and the one number in it that is learned."""
    (target,) = plan_module(MONITOR, "monitor.py", "monitor").targets
    (tunable,) = target.plan.tunables
    return target.plan, tunable


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


def recorded_rows(streams: Sequence[Stream], limit: float) -> list[Row]:
    """The rows that are worth recording, in order of their relative time; see the top of this file."""
    watched = [(number, row) for number, stream in enumerate(streams) for row in stream.watched]
    alerts = {(number, row) for number, row in watched if streams[number].distances[row] > limit}
    chosen = {row for event in events(streams, limit) for row in event.rows}
    quiet = [row for row in watched if row not in chosen and row not in alerts]
    chosen.update(quiet[:: max(1, len(quiet) // QUIET_ROWS)])
    return sorted(chosen, key=lambda place: (place[1] / len(streams[place[0]].distances), place))


# --------------------------------------------------------------------------- the learner


def record(streams: Sequence[Stream], folder: Path) -> Project:
    """Make a project in an empty folder, and run its monitor over the rows worth recording.

    Raises subprocess.CalledProcessError where that program fails, and RuntimeError where its answers are not
    those that the distances foretell.
    """
    plan, tunable = monitored()
    rows = recorded_rows(streams, tunable.value)
    (folder / "monitor.py").write_text(MONITOR, encoding="utf-8")
    (folder / "operation.py").write_text(OPERATION, encoding="utf-8")
    values = [(streams[number].series.values, row) for number, row in rows]
    calls = [[series[row], series[row - HISTORY : row]] for series, row in values]
    (folder / "rows.json").write_text(json.dumps(calls), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POET_")}
    places = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    environ = {**kept, **_variables(folder, folder), "PYTHONPATH": os.pathsep.join(places)}
    subprocess.run([sys.executable, "operation.py"], cwd=folder, env=environ, check=True)
    results = json.loads((folder / "executions.json").read_text(encoding="utf-8"))
    for (number, row), (_, alert) in zip(rows, results, strict=True):
        if alert != (streams[number].distances[row] > tunable.value):
            raise RuntimeError(f"{streams[number].series.name}, row {row}: the monitor says {alert}")
    store = Store(folder / ".poet")
    store.absorb()
    store.close()
    return Project(folder, plan, {place: (name, alert) for place, (name, alert) in zip(rows, results, strict=True)})


def _variables(folder: Path, user: Path) -> dict[str, str]:
    return {"POET_HOME": str(folder / ".poet"), "POET_USER_DIR": str(user / "user")}


def draw(project: Project, comments: Sequence[Event]) -> Draw:
    """Give these comments, in this order, in a copy of the project's store, and learn from them."""
    with tempfile.TemporaryDirectory(prefix="draw_", dir=project.folder) as name:
        folder = Path(name)
        shutil.copytree(project.folder / ".poet", folder / ".poet")
        settings = settings_module.load(project.folder, _variables(folder, project.folder))
        store = Store(settings.home)
        try:
            for event in comments:
                for row in event.rows:
                    execution, alert = project.executions[row]
                    signal = read(event.words, outcome=alert, domain=load_domain("ml_monitoring"))
                    store.add_feedback(execution, event.words, signal, "operator")
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
    (tunable,) = plan.tunables
    values = Chain(settings, function).champion(plan).values
    return Draw(values.get(tunable.name, tunable.value), promoted)


def learned(project: Project, found: Sequence[Event], draws: int) -> dict[str, list[Draw]]:
    """For each number of comments the draws with seeds 0, 1, ...; those of one seed begin with the same ones."""
    orders = [random.Random(seed).sample(found, len(found)) for seed in range(draws)]
    jobs = {name: [order[:count] for order in orders] for name, count in COMMENTS.items()}
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        return {name: list(pool.map(draw, [project] * draws, job)) for name, job in jobs.items()}


# --------------------------------------------------------------------------- the scores


class Scorer:
    """NAB's score of the monitor with any constant; each file is scored once for each set of alerts."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams = streams
        self.known: dict[tuple[int, int, nab_scoring.Part], float] = {}

    def __call__(self, limit: float, part: nab_scoring.Part) -> float:
        """The normalised score of alerts at distances above `limit`."""
        total = sum(self._raw(number, limit, part) for number in range(len(self.streams)))
        return nab_scoring.normalised(total, [stream.series for stream in self.streams], part=part)

    def _raw(self, number: int, limit: float, part: nab_scoring.Part) -> float:
        stream = self.streams[number]
        alerts = [distance > limit for distance in stream.distances]
        place = number, sum(alerts), part  # of one file, as many alerts are the same alerts
        if place not in self.known:
            self.known[place] = nab_scoring.score_series(alerts, stream.series, part=part)
        return self.known[place]

    def is_silent(self, limit: float) -> bool:
        """Whether there is less than one alert in 10,000 rows."""
        scored = [distance for stream in self.streams for distance in stream.distances[stream.series.probation :]]
        return sum(distance > limit for distance in scored) < SILENT * len(scored)


@dataclass(frozen=True, slots=True)
class Line:
    """What the draws of one N came to: scores, constants, shares without a promotion and practically silent."""

    name: str
    h2: tuple[float, ...]
    full: tuple[float, ...]
    limits: tuple[float, ...]
    unchanged: float
    silent: float


def line(name: str, found: Sequence[Draw], scorer: Scorer) -> Line:
    """The draws of one N -> one line of the table."""
    limits = tuple(one.limit for one in found)
    return Line(
        name,
        h2=tuple(scorer(limit, "h2") for limit in limits),
        full=tuple(scorer(limit, "full") for limit in limits),
        limits=limits,
        unchanged=statistics.fmean(not one.promoted for one in found),
        silent=statistics.fmean(scorer.is_silent(limit) for limit in limits),
    )


def oracle(scorer: Scorer, tunable: Tunable) -> tuple[float, float]:
    """The best h2 score of any constant, to 3 %, within the tunable's range, and that constant."""
    lower, upper = range_of(tunable)
    count = math.ceil(math.log(upper / lower) / math.log(1.03))
    limits = [lower * (upper / lower) ** (i / count) for i in range(count + 1)]
    return max((scorer(limit, "h2"), limit) for limit in limits)


def twentieth(values: Sequence[float]) -> float:
    """The 5 % quantile, inclusive; that of one value is the value."""
    return statistics.quantiles([*values, *values[: len(values) == 1]], n=20, method="inclusive")[0]


def measure(streams: Sequence[Stream], draws: int) -> tuple[list[Line], tuple[float, float]]:
    """The lines of the table, and the oracle's score and constant; raises what `record` raises."""
    _, tunable = monitored()
    with tempfile.TemporaryDirectory(prefix="poet_hook_nab_") as folder:
        project = record(streams, Path(folder))
        found = learned(project, events(streams, tunable.value), draws)
    scorer = Scorer(streams)
    drawn = {"naive": [Draw(tunable.value, False)], **found}
    return [line(name, one, scorer) for name, one in drawn.items()], oracle(scorer, tunable)


def table(lines: Sequence[Line], best: tuple[float, float], draws: int) -> str:
    """What is printed for people."""
    title = "h2 median    mean  5 % q.    full mean  constant  unchanged  silent"
    rows = [f"NAB's standard profile, {draws} draws; h2: the second halves", "", f"{'':20}{title}"]
    rows.append(f"{'never alert':20}{0:9.1f}{0:8.1f}{0:8.1f}{0:13.1f}{'-':>10}{'-':>11}{'-':>8}")
    for one in lines:
        name = one.name if one.name == "naive" else f"learned, N = {one.name}"
        rows.append(
            f"{name:20}{statistics.median(one.h2):9.1f}{statistics.fmean(one.h2):8.1f}{twentieth(one.h2):8.1f}"
            f"{statistics.fmean(one.full):13.1f}{statistics.median(one.limits):10.1f}"
            f"{one.unchanged:11.0%}{one.silent:8.0%}"
        )
    score, limit = best
    rows.append(f"{'oracle':20}{score:9.1f}{'':29}{limit:10.1f}")
    rows += ["", "constant: median; unchanged: draws without a promotion; silent: with under 1 alert in 10,000 rows"]
    rows.append("oracle: this one constant chosen on the second halves themselves, which nobody can")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table or JSON; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a checkout of NAB")
    parser.add_argument("--draws", type=int, default=20, help="operators for each number of comments (20)")
    parser.add_argument("--json", action="store_true", help="print the means as JSON")
    options = parser.parse_args(arguments)
    if options.draws < 1:
        parser.error("--draws must be at least 1")
    try:
        streams = load(options.data)
    except (FileNotFoundError, ValueError) as error:
        parser.error(f"--data: {error}")
    lines, best = measure(streams, options.draws)
    if options.json:
        scores = {one.name: {"full": statistics.fmean(one.full), "h2": statistics.fmean(one.h2)} for one in lines}
        print(json.dumps({"scores": scores}))
    else:
        print(table(lines, best, options.draws))
    return 0


if __name__ == "__main__":
    sys.exit(main())
