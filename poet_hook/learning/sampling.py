"""Many numbers that hang together -> better ones than the descent found, by Optuna's sampler.

A descent moves one number at a time, and stops where none of them helps alone. In a sum of eight weights many such
places are bad. Optuna's TPE (tree-structured Parzen estimator; Bergstra, Bardenet, Bengio, Kegl 2011) tries whole sets
of numbers, each on a replay of everything, and learns from their losses where to try next. It is an extra:
`pip install 'poet_hook[search]'`. What is found so is an offer like any other, and judged like any other.
`benchmarks/combinations.py` has what both find in the same time.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from poet_hook.learning.scale import place_of, range_of, value_at
from poet_hook.model import Tunable, Value

FEWEST = 6  # numbers: of fewer, the descent found better ones in the same time
MOST_TRIALS = 200  # after which it seldom found anything better
_DIGITS = 3


def installed() -> bool:
    """Whether the extra is there; it takes about half a second to import, so it is looked for only."""
    return importlib.util.find_spec("optuna") is not None


def sampled(
    tunables: list[Tunable],
    loss: Callable[[Mapping[str, Value]], float],
    tried: list[Mapping[str, Value]],
    until: float,
    progress: Callable[[str, float], None],
) -> tuple[dict[str, Value], float, int]:
    """The values with the least loss of all that were tried, that loss, and how many sets were tried.

    `tried` are the sets to begin with; `until` is a time of `time.monotonic()`. The same labels give the same trials,
    as far as the time goes.
    """
    import optuna

    started = time.monotonic()
    best, least, count = dict(tried[0]), loss(tried[0]), 0
    with _quiet(optuna):
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, multivariate=False))
        ranges = {tunable.name: _range(optuna, tunable, tried) for tunable in tunables}
        for values in tried:
            study.enqueue_trial({t.name: _place(t, values) for t in tunables})
        while count < MOST_TRIALS and (now := time.monotonic()) < until:
            progress("many numbers", min(1.0, (now - started) / (until - started)))
            trial = study.ask(ranges)
            values = {**best, **{t.name: value_at(t, trial.params[t.name]) for t in tunables}}
            found = loss(values)
            study.tell(trial, found)
            count += 1
            if found < least:
                best, least = values, found
    return best, least, count


def readable(
    tunables: list[Tunable],
    loss: Callable[[Mapping[str, Value]], float],
    values: Mapping[str, Value],
    least: float,
    until: float,
) -> dict[str, Value]:
    """The same with few digits in each number, where that loses no more."""
    out = dict(values)
    for tunable in tunables:
        value = out.get(tunable.name, tunable.value)
        if isinstance(value, str) or tunable.integer or time.monotonic() > until:
            continue
        shorter = {**out, tunable.name: float(f"{value:.{_DIGITS}g}")}
        if loss(shorter) <= least:
            out = shorter
    return out


def _place(tunable: Tunable, values: Mapping[str, Value]) -> float:
    place = place_of(tunable, values.get(tunable.name, tunable.value))
    return round(place) if _whole(tunable) else place


def _whole(tunable: Tunable) -> bool:
    return tunable.integer or bool(tunable.choices)


def _range(optuna: Any, tunable: Tunable, tried: list[Mapping[str, Value]]) -> Any:
    low, high = range_of(tunable)
    places = [_place(tunable, values) for values in tried]  # what is in use may lie outside
    low, high = min(low, *places), max(high, *places)
    kinds = optuna.distributions
    return kinds.IntDistribution(round(low), round(high)) if _whole(tunable) else kinds.FloatDistribution(low, high)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Its log belongs to whoever uses it beside us."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
