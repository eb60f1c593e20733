"""How good a learned constant is after N feedbacks, and how often it is worse than what the user wrote.

    python benchmarks/learning.py [--runs 6] [--every 5] [--metrics M ...] [--kinds K ...] [--quick] [--json]
        [--out DIR]
    python benchmarks/learning.py --big [--executions 100000] [--labelled 1000]

A function raises an alert where a score is above a constant, which is 0.5. Regret is the score (accuracy or F1, in
points) of the best constant for held-out data less that of the constant in use; "worse" counts the runs in which it is
more than a point worse there than 0.5. The streams are those of `learning_streams.py`. Feedback is

- random: every execution is labelled; wrong: the same, but a label in ten is the opposite of what is true;
- complaints: the mistakes of the version in use are complained of, nothing else is said (20 at most).

The methods: no learning; TunedThresholdClassifierCV of scikit-learn around a classifier that hands the score on (the
written constant stays where it can't be fitted); Optuna's TPE on the labelled executions, 0.5 tried first; ours without
a gate (`constants.best`); ours as `poet_hook.learn` does it after every fifth feedback (--every): `gate.judge`,
promotion of what is proven (or also of what is provisional, and refinements), rollback by `evidence.compare`. Only the
last two are told of silence: the others have no use for it. Fits of scikit-learn and Optuna take long, so they have
only the first run of each stream, and random labels; beside them stands ours on those runs.

`--big` learns a function of three constants from 100,000 recorded executions, 1,000 of them labelled.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import multiprocessing
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.learning_report import FIRST, TOLERANCE, Point, counts_of, plot, refinements, summed_up, table  # noqa: E402
from benchmarks.learning_streams import INCUMBENT, LOWER, NAMES, UPPER, Split, split  # noqa: E402
from poet_hook.learning import objective as objectives  # noqa: E402
from poet_hook.learning.aims import Aims, aims_of  # noqa: E402
from poet_hook.learning.candidates import Axis, Case  # noqa: E402
from poet_hook.learning.constants import Steps, best, trace  # noqa: E402
from poet_hook.learning.evidence import Difference, compare, e_value  # noqa: E402
from poet_hook.learning.gate import ALPHA, Judgement, judge  # noqa: E402
from poet_hook.learning.objective import Label, Objective  # noqa: E402

MOST_EXECUTIONS = 1_000
KINDS = ("random", "wrong", "complaints")
METRICS = ("accuracy", "f1")
NOTHING, SKLEARN, UNGATED = "no learning", "TunedThresholdClassifierCV", "ours, not gated"
PROVEN, AUTO = "ours, proven", "ours, proven or provisional"
OPTUNA = {"Optuna TPE, 50 trials": 50, "Optuna TPE, 200 trials": 200}
OTHERS = (SKLEARN, *OPTUNA)
SAME_RUNS = f"{AUTO} {FIRST}"


@dataclass
class Heard:
    """An execution: what it scored, which version ran, what was said (None: nothing) and the steps of its result."""

    score: float
    deserves: bool
    version: float
    said: bool | None
    steps: Steps

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


def aims_for(metric: str, labelled: Sequence[Heard], champion: float) -> Aims:
    """The objective of each execution, as a learning run makes it from what was said before."""
    rows = [(i, item.label(item.alert), item.steps(champion)) for i, item in enumerate(labelled)]
    return aims_of(metric, (1.0, 1.0), rows)


def losses(item: Heard, aim: Objective, champion: float) -> Steps:
    known = item.label(item.steps(champion))
    return item.steps.map(lambda result: aim.loss(known, result))


# --------------------------------------------------------------------------- methods that fit once, at N


def nothing(_labelled: Sequence[Heard], _metric: str) -> float:
    return INCUMBENT


def ungated(labelled: Sequence[Heard], metric: str) -> float:
    """The exact optimum nearest the incumbent."""
    aim = aims_for(metric, labelled, INCUMBENT).last
    return best([(losses(item, aim, INCUMBENT), 1.0) for item in labelled], INCUMBENT, LOWER, UPPER).value


def tuned_by_sklearn(labelled: Sequence[Heard], metric: str) -> float:
    """TunedThresholdClassifierCV with its defaults: five stratified folds, 100 thresholds."""
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import TunedThresholdClassifierCV

    class Scores(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """The score is the probability of an alert."""

        def fit(self, _scores: Any, _truth: Any) -> Any:
            self.classes_ = np.array([0, 1])  # a fold may hold one of them only
            return self

        def predict_proba(self, scores: Any) -> Any:
            return np.column_stack([1 - scores[:, 0], scores[:, 0]])

    scores = np.array([[item.score] for item in labelled])
    truth = np.array([int(bool(item.said)) for item in labelled])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(TunedThresholdClassifierCV(Scores(), scoring=metric).fit(scores, truth).best_threshold_)
    except ValueError:  # a fold, or everything, is of one class
        return INCUMBENT


def by_optuna(trials: int) -> Callable[[Sequence[Heard], str], float]:
    """TPE on the labelled executions, from the incumbent."""

    def fitted(labelled: Sequence[Heard], metric: str) -> float:
        import optuna

        def value(trial: Any) -> float:
            t = trial.suggest_float("t", LOWER, UPPER)
            found = objectives.score([(item.label(item.alert), item.score > t) for item in labelled])
            return (found.accuracy if metric == "accuracy" else found.f1) or 0.0

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1))
        study.enqueue_trial({"t": INCUMBENT})
        study.optimize(value, n_trials=trials)
        return float(study.best_params["t"])

    return fitted


FITS: dict[str, Callable[[Sequence[Heard], str], float]] = {
    NOTHING: nothing,
    SKLEARN: tuned_by_sklearn,
    **{name: by_optuna(trials) for name, trials in OPTUNA.items()},
    UNGATED: ungated,
}

# --------------------------------------------------------------------------- ours, gated


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

    def look(self, labelled: Sequence[Heard], silent: Sequence[Heard]) -> None:
        """Change the champion where there is reason to."""
        aims = aims_for(self.metric, labelled, self.champion)
        if self.history and self._worse(labelled, silent, aims):
            self.champion, self.since, self.turns = self.history.pop(), len(labelled), []
            return
        cases = [self._case(item, aims.at(i), i < self.since) for i, item in enumerate(labelled)]
        # silence about what another version returned says nothing of a champion that returns something else
        rest = [self._case(item, aims.last, False) for item in silent if item.steps(self.champion) == item.alert]
        started = time.process_time()
        found: Judgement = judge(cases, rest, [Axis(self.champion, LOWER, UPPER)])
        self.seconds = time.process_time() - started
        if found.level in self.levels and found.value is not None:
            self.history.append(self.champion)
            self.turns, self.began = [], found.e_value
            self._put(found.value, len(labelled))
        elif found.value is not None and found.harmless and self._may_refine(labelled, aims):
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
        return Case("", loss(self.champion), (loss,), approved=approved, fits_only=older, alarm=alarm)

    def _worse(self, labelled: Sequence[Heard], silent: Sequence[Heard], aims: Aims) -> bool:
        parent, said, rest = self.history[-1], [], []
        for i, item in enumerate(labelled[self.since :], self.since):
            loss = losses(item, aims.at(i), self.champion)
            now = loss(self.champion)
            approved = (item.said == item.alert) if (item.said == item.alert) == (now <= 0.0) else None
            said.append(Difference(now - loss(parent), 1.0, approved, item.steps(self.champion)))
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


# --------------------------------------------------------------------------- runs


@dataclass(frozen=True)
class Task:
    """One run of one stream."""

    stream: str
    kind: str
    metric: str
    number: int
    every: int
    others: tuple[str, ...]
    """Methods of other libraries that take part."""

    def points(self) -> list[Point]:
        """What each method had in use at each count, on the same executions."""
        seed = f"{self.stream} {self.kind} {self.number}"
        source = split(self.stream, self.number)
        top, start = source.best(self.metric), source.score(self.metric, INCUMBENT)
        found = []

        def keep(method: str, count: int, value: float, seconds: float, steps: Sequence[float] = ()) -> None:
            now = source.score(self.metric, value)
            row = (method, self.metric, self.kind, self.stream, count)
            found.append(Point(*row, top - now, now - start, seconds, tuple(steps)))

        heard = executions(source, self.kind, random.Random(seed), lambda: INCUMBENT)
        labelled = list(itertools.islice((item for item in heard if item.said is not None), counts_of(self.kind)[-1]))
        for method, fit in FITS.items():
            if method in OTHERS and method not in self.others:
                continue
            for count in counts_of(self.kind):
                started = time.process_time()
                value = fit(labelled[:count], self.metric)
                keep(method, count, value, time.process_time() - started)
        for method, levels in ((PROVEN, ("proven",)), (AUTO, ("proven", "provisional"))):
            loop = Loop(self.metric, levels)
            for count, value, seconds in gated(source, self.kind, seed, loop, self.every):
                steps = [source.score(self.metric, b) - source.score(self.metric, a) for a, b in loop.refined]
                loop.refined.clear()
                keep(method, count, value, seconds, steps)
                if method == AUTO and self.others:
                    keep(SAME_RUNS, count, value, seconds)
        return found


def run(task: Task) -> list[Point]:
    """For a pool of processes."""
    return task.points()


def measured(tasks: Sequence[Task]) -> list[Point]:
    """All runs, two at a time; how far that is, on a terminal."""
    found: list[Point] = []
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, fresh) as pool:
        for done, points in enumerate(pool.map(run, tasks, chunksize=4), 1):
            found += points
            if sys.stderr.isatty():
                print(f"\r{done} of {len(tasks)} runs", end="" if done < len(tasks) else "\n", file=sys.stderr)
    return found


def tasks_of(
    runs: int, every: int, streams: Sequence[str], metrics: Sequence[str], kinds: Sequence[str], others: Sequence[str]
) -> list[Task]:
    """Every run of every stream; other libraries have the first one of each, where labels are random."""
    return [
        Task(stream, kind, metric, number, every, tuple(others) if number == 0 and kind == "random" else ())
        for metric in metrics
        for kind in kinds
        for number in range(runs)
        for stream in streams
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6, help="of each stream and kind of feedback")
    parser.add_argument("--every", type=int, default=5, help="judge after so many feedbacks each")
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=METRICS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of feedback")
    parser.add_argument("--quick", action="store_true", help="one run of every fifth stream, without Optuna")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out", help="where the picture goes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--big", action="store_true", help="learn from very many executions instead")
    parser.add_argument("--executions", type=int, default=100_000, help="with --big")
    parser.add_argument("--labelled", type=int, default=1_000, help="with --big")
    options = parser.parse_args()
    if options.big:
        from benchmarks.learning_big import show

        show(options.executions, options.labelled)
        return
    has_optuna = importlib.util.find_spec("optuna") is not None
    runs, streams = (1, NAMES[1::5]) if options.quick else (options.runs, NAMES)
    others = OTHERS if has_optuna and not options.quick else (SKLEARN,)
    started = time.perf_counter()
    tasks = tasks_of(runs, options.every, streams, options.metrics, options.kinds, others)
    points = measured(tasks)
    cells = summed_up(points)
    picture = options.out / "learning.png"
    plot(cells, picture)
    if options.json:
        print(json.dumps([asdict(cell) for cell in cells], indent=2))
        return
    print(
        f"regret x100 [% of runs over {TOLERANCE:g} point worse than {INCUMBENT}], mean over {len(streams)} streams\n"
    )
    print("\n\n".join(table(cells, metric, kind) for metric in options.metrics for kind in options.kinds))
    print()
    for metric, kind in itertools.product(options.metrics, options.kinds):
        print(refinements(points, metric, kind))
    if options.quick or not has_optuna:
        reason = "--quick leaves it out" if options.quick else "it is not installed (pip install optuna)"
        print(f"\nOptuna was skipped: {reason}")
    print(f"\n{picture}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
