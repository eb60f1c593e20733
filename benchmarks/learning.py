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
promotion of what is proven (or also of what is provisional, and refinements), rollback by `evidence.compare`. Only
these are told of silence: the others have no use for it. "Asked" is ours where 400 executions are recorded, and at each
look those are labelled that `poet_hook.ask` asks for. Fits of scikit-learn and Optuna take long, so they have only the
first run of each stream, and random labels; beside them stands ours on those runs.

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
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.learning_loop import Heard, Loop, aims_for, asked, executions, gated, losses  # noqa: E402
from benchmarks.learning_report import FIRST, TOLERANCE, Point, counts_of, plot, refinements, summed_up, table  # noqa: E402
from benchmarks.learning_streams import INCUMBENT, LOWER, NAMES, UPPER, split  # noqa: E402
from poet_hook.learning import objective as objectives  # noqa: E402
from poet_hook.learning.constants import best  # noqa: E402

KINDS = ("random", "wrong", "complaints")
METRICS = ("accuracy", "f1")
NOTHING, SKLEARN, UNGATED = "no learning", "TunedThresholdClassifierCV", "ours, not gated"
PROVEN, AUTO, ASKED = "ours, proven", "ours, proven or provisional", "ours, asked"
OPTUNA = {"Optuna TPE, 50 trials": 50, "Optuna TPE, 200 trials": 200}
OTHERS = (SKLEARN, *OPTUNA)
SAME_RUNS = f"{AUTO} {FIRST}"


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
        if self.kind == "random":
            loop = Loop(self.metric, ("proven", "provisional"))
            for count, value, seconds in asked(source, seed, loop, self.every):
                keep(ASKED, count, value, seconds)
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
