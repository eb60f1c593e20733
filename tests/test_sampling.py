"""Many numbers that hang together: what Optuna finds beyond the descent, and that the search keeps to its time."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Mapping

import optuna
import pytest
from conftest import Load

import poet_hook
from poet_hook.learning import descent, sampling, search
from poet_hook.model import Learned, Tunable, Value

NAMES = [f"w{n}" for n in range(6)]
WRITTEN = [Tunable(name, 1.0, 1, 0, 3, False, lower=0.0, upper=4.0) for name in NAMES]
WANTED = dict(zip(NAMES, (0.4, 3.1, 1.7, 2.6, 0.9, 2.2), strict=True))


def far(values: Mapping[str, Value]) -> float:
    return sum(abs(float(values.get(name, 1.0)) - wanted) for name, wanted in WANTED.items())


def soon() -> float:
    return time.monotonic() + 60.0


def nothing(_what: str, _share: float) -> None: ...


def test_sets_of_numbers_are_tried_and_the_best_is_kept() -> None:
    found, lost, count = sampling.sampled(WRITTEN, far, [{}], soon(), nothing)
    assert count == sampling.MOST_TRIALS
    assert lost == far(found) < 0.5 * far({})
    assert all(0.0 <= float(found[name]) <= 4.0 for name in NAMES)
    assert (found, lost, count) == sampling.sampled(WRITTEN, far, [{}], soon(), nothing)


def test_whole_numbers_and_choices_stay_what_they_are() -> None:
    kinds = [
        Tunable("run", 3, 1, 0, 1, True, lower=1, upper=9),
        Tunable("test", "ks", 2, 0, 2, False, kind="choice", choices=("ks", "psi", "chi")),
        Tunable("limit", 8.0, 3, 0, 1, False, lower=0.0, upper=4.0),
    ]
    seen: list[Mapping[str, Value]] = []

    def loss(values: Mapping[str, Value]) -> float:
        seen.append(values)
        return (values.get("test", "ks") != "chi") + abs(float(values.get("run", 3)) - 7)

    found, lost, _ = sampling.sampled(kinds, loss, [{}], soon(), nothing)
    assert (found["test"], found["run"], lost) == ("chi", 7, 0.0)
    assert {values["test"] for values in seen[1:]} == {"ks", "psi", "chi"}
    assert {float(values["run"]).is_integer() for values in seen[1:]} == {True}
    assert seen[1]["limit"] == 8.0  # what is in use may lie outside of the range
    assert all(0.0 <= float(values["limit"]) <= 8.0 for values in seen[1:])


def test_what_was_tried_stays_where_nothing_is_better_or_no_time_is_left() -> None:
    assert sampling.sampled(WRITTEN, far, [WANTED, {}], soon(), nothing)[:2] == (WANTED, 0.0)
    assert sampling.sampled(WRITTEN, far, [{}], time.monotonic(), nothing) == ({}, far({}), 0)


def test_numbers_get_few_digits_where_that_loses_nothing() -> None:
    def loss(values: Mapping[str, Value]) -> float:
        return float(not float(values["w1"]) > 3.0999) + float(values.get("w0", 1.0) != 0.123456)

    given = {"w0": 0.123456, "w1": 3.10099}
    assert sampling.readable(WRITTEN[:2], loss, given, 0.0, soon()) == {"w0": 0.123456, "w1": 3.1}
    assert sampling.readable(WRITTEN[:2], loss, given, 0.0, 0.0) == given
    assert sampling.readable(WRITTEN[2:], loss, given, 0.0, soon()) == {
        "w0": 0.123456,
        "w1": 3.10099,
        "w2": 1.0,
        "w3": 1.0,
        "w4": 1.0,
        "w5": 1.0,
    }


def test_optunas_own_log_is_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    sampling.sampled(WRITTEN, far, [{}], time.monotonic() + 0.2, nothing)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


SCORED = """
    # poet: optimize_for=accuracy, after=100000, learn=propose
    def is_risky(a: float, b: float, c: float, d: float, e: float) -> bool:
        score = (
            {0} * a  # poet: tune 0..4
            + {1} * b  # poet: tune 0..4
            + {2} * c  # poet: tune 0..4
            + {3} * d  # poet: tune 0..4
            + {4} * e  # poet: tune 0..4
        )
        return score > {5}  # poet: tune 0..40
"""


def taught(load: Load, seed: int) -> Learned:
    rng = random.Random(seed)
    true = [rng.uniform(0.6, 2.4) for _ in range(5)]
    written = [min(3.9, round(weight * rng.choice((0.5, 0.7, 1.4, 1.9)), 3)) for weight in true]
    m = load(SCORED.format(*written, round(1.5 * sum(true), 3)))
    for _ in range(60):
        values = [rng.gauss(1.0, 1.0) for _ in true]
        deserved = sum(weight * value for weight, value in zip(true, values, strict=True)) > sum(true)
        poet_hook.feedback(poet_hook.call(m.is_risky, *values), {"expected": deserved})
    return poet_hook.learn(m.is_risky)


def spoken(learned: Learned) -> str:
    return " | ".join([*learned.reasons, *(learned.verdict.reasons if learned.verdict else ())])


def test_optuna_looks_further_where_a_descent_leaves_mistakes(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: dict[bool, float] = {}
    plain = descent.thorough

    def both(search: search.Search, weights: Mapping[int, float], progress: search.Progress) -> object:
        for samples in (False, True):
            search.samples = samples
            found = plain(search, weights, progress)
            outcomes = search.replay.run(found[0])
            losses[samples] = sum(weight * search.loss(number, outcomes) for number, weight in weights.items())
        return found

    monkeypatch.setattr(descent, "thorough", both)
    taught(load, seed=1)
    assert 0.0 < losses[True] < losses[False]


def test_without_it_the_search_says_that_it_could(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert not sampling.installed()
    learned = taught(load, seed=1)
    assert "so many numbers may hang together: pip install 'poet_hook[search]' looks further" in spoken(learned)


SLOW = """
    # poet: optimize_for=accuracy, after=100000, learn=propose
    def is_odd(load: float, errors: float) -> bool:
        for _ in range(100_000):
            pass
        return 0.5 * load + 0.5 * errors > 2.0
"""


def test_the_search_ends_in_time_and_says_so(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    m = load(SLOW)
    rng = random.Random(3)
    for _ in range(40):
        values = [rng.uniform(0, 10) for _ in range(2)]
        poet_hook.feedback(poet_hook.call(m.is_odd, *values), {"expected": 0.3 * values[0] + 0.6 * values[1] > 4.5})
    monkeypatch.setattr(descent, "SECONDS", 0.1)
    took: list[float] = []
    plain = descent.offers

    def timed(search: search.Search, progress: search.Progress) -> object:
        start = time.monotonic()
        made = plain(search, progress)
        took.append(time.monotonic() - start)
        return made

    monkeypatch.setattr("poet_hook.learning.structure.combined", timed)
    learned = poet_hook.learn(m.is_odd)
    assert took[0] < 3.0
    assert "the search for several numbers was ended after 0.1 s" in spoken(learned)
