from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poet_hook.learning.constants import Steps, Sweep, best, trace, trace_integers

GRID = [i / 8 for i in range(-40, 41)]
coarse = st.sampled_from(GRID)


@dataclass
class Alarm:
    level: Any


def caught(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(t: Any) -> Any:
        try:
            return f(t)
        except Exception as error:
            return "raised", type(error).__name__

    return run


def counted(f: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], list[Any]]:
    calls: list[Any] = []

    def run(t: Any) -> Any:
        calls.append(t)
        return f(t)

    return run, calls


def probes(steps: Steps, lower: float, upper: float) -> list[float]:
    """Points of [lower, upper] that are not within rounding of a break."""
    points = [lower + (upper - lower) * i / 400 for i in range(401)]
    ends = [lower, *steps.breaks, upper]
    points += [(a + b) / 2 for a, b in pairwise(ends) if b - a > 1e-9]
    return [t for t in points if all(abs(t - b) > 1e-9 for b in steps.breaks)]


def agrees(f: Callable[[Any], Any], steps: Steps, lower: float, upper: float) -> bool:
    return all(steps(t) == f(t) and type(steps(t)) is type(f(t)) for t in probes(steps, lower, upper))


# --------------------------------------------------------------------------- steps


def test_steps_hold_between_and_on_their_breaks() -> None:
    steps = Steps((1.0, 2.0), ("a", "b", "c"), ("A", "B"))
    assert [steps(t) for t in (-9, 1, 1.5, 2.0, 7)] == ["a", "A", "b", "B", "c"]


def test_map_drops_a_break_only_where_nothing_changes_on_it_either() -> None:
    steps = Steps((1.0, 2.0), (1, 2, 3), (1, 9))
    assert steps.map(lambda v: v > 5) == Steps((2.0,), (False, False), (True,))
    assert steps.map(lambda _: 0) == Steps((), (0,), ())


def test_map_keeps_true_and_one_apart_and_nan_together() -> None:
    assert Steps((1.0,), (True, 1), (True,)).map(lambda v: v).breaks == (1.0,)
    assert Steps((1.0,), ([True], [1]), ([True],)).map(lambda v: v).breaks == (1.0,)
    assert Steps((1.0,), (math.nan, float("nan")), (math.nan,)).map(lambda v: v).breaks == ()


# --------------------------------------------------------------------------- tracing


@given(st.lists(coarse, min_size=3, max_size=12), coarse, coarse)
def test_trace_of_loops_and_connectives_is_what_brute_force_finds(xs: list[float], x: float, start: float) -> None:
    def f(t: Any) -> Any:
        run = longest = 0
        for value in xs:
            run = run + 1 if value > t or (abs(value - 2 * t) < 0.7 and value != x) else 0
            longest = max(longest, run)
        return longest >= 2, x < min(max(t, -1), 2.5)

    steps = trace(f, -5, 5, start=start)
    assert steps.exact
    assert steps(start) == f(start)
    assert agrees(f, steps, -5, 5)


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=20), st.floats(-100, 100))
def test_trace_of_mean_and_deviations_used_several_times(history: list[float], value: float) -> None:
    mean, deviation = statistics.fmean(history), statistics.pstdev(history)

    def f(k: Any) -> Any:
        high, low = mean + k * deviation, mean - k * deviation
        return "high" if value > high else "low" if value < low else "wide" if high - low > 20 else "ok"

    steps = trace(f, 0.5, 8, start=2.0)
    assert steps.exact
    assert steps(2.0) == f(2.0)
    assert all(steps(t) == f(t) for t in probes(steps, 0.5, 8) if abs(high_gap(mean, deviation, value, t)) > 1e-6)


def high_gap(mean: float, deviation: float, value: float, k: float) -> float:
    """How far k is from any flip, so that rounding can't decide."""
    return min(abs(abs(value - mean) - k * deviation), abs(2 * k * deviation - 20))


def test_one_threshold_takes_two_replays() -> None:
    run, calls = counted(lambda t: t < 3.25)
    assert trace(run, 0, 10, start=2.0) == Steps((3.25,), (True, False), (False,))
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda t: t < 5, Steps((5.0,), (True, False), (False,))),
        (lambda t: t <= 5, Steps((5.0,), (True, False), (True,))),
        (lambda t: t == 5, Steps((5.0,), (False, False), (True,))),
        (lambda t: t != 5, Steps((5.0,), (True, True), (False,))),
        (lambda t: bool(5 - t), Steps((5.0,), (True, True), (False,))),
        (lambda t: (2 * t - 2) / 4 + 1 > 3, Steps((5.0,), (False, True), (False,))),
        (lambda t: abs(3 - t) >= 2, Steps((1.0, 5.0), (True, False, True), (True, True))),
        (lambda t: -t + 1 <= -4, Steps((5.0,), (False, True), (True,))),
        (lambda t: math.nan > t, Steps((), (False,), ())),
        (lambda t: t + math.inf > 3, Steps((), (True,), ())),
        (lambda t: t - t, Steps((), (0.0,), ())),
    ],
)
@pytest.mark.parametrize("start", [2.0, 5.0, 7.0])
def test_ends_are_right_wherever_the_trace_starts(f: Any, expected: Steps, start: float) -> None:
    assert trace(f, 0, 10, start=start) == expected


@pytest.mark.parametrize(
    "f",
    [
        lambda t: math.sqrt(abs(t)) > 1,
        lambda t: t * t > 2,
        lambda t: t**2 > 2,
        lambda t: 1 / (t + 10) > 0.1,
        lambda t: round(t) == 2,
        lambda t: int(t),
        lambda t: f"{t:.0f}" == "2",
        lambda t: str(t)[0] == "-",
        lambda t: hash(t) == hash(2.0),
        lambda t: t.is_integer() or t > 1,
        lambda t: statistics.mean([t, 1]) > 1,
        lambda t: t // 2,
        lambda t: 7 % (t + 20) > 6,
    ],
)
def test_what_cannot_be_followed_is_sampled_and_says_so(f: Any) -> None:
    run = caught(f)
    steps = trace(run, -3, 3, start=0.7)
    assert not steps.exact
    assert steps(0.7) == run(0.7)
    assert sum(steps(t) == run(t) for t in probes(steps, -3, 3)) >= 0.99 * len(probes(steps, -3, 3))


def test_sampling_bisects_to_the_flip() -> None:
    steps = trace(lambda t: math.exp(t) > 5, 0.001, 100, start=1.0)
    assert steps.breaks == pytest.approx((math.log(5),), rel=1e-8)


@pytest.mark.parametrize(
    "f", [lambda t: t, lambda t: [1, {"a": (t,)}], lambda t: Alarm(2 * t), lambda t: ValueError(t)]
)
def test_an_outcome_that_depends_on_the_number_is_not_exact(f: Any) -> None:
    assert not trace(f, 0, 1, start=0.5).exact


def test_text_and_integer_uses_fail_as_they_do_for_a_float() -> None:
    for f in (lambda t: "a" + t, lambda t: range(t), lambda t: t < "a", lambda t: [1, 2][t], lambda t: t / 0):
        run = caught(f)
        assert trace(run, 0, 1, start=0.5)(0.5) == run(0.5)


def test_stand_in_passes_for_a_float_and_survives_copies() -> None:
    steps = trace(lambda t: isinstance(t, float) and copy.deepcopy([copy.copy(t)])[0] > 2, 0, 4, start=1.0)
    assert steps == Steps((2.0,), (False, True), (False,))


def test_a_number_kept_from_an_earlier_run_is_not_trusted() -> None:
    kept: list[Any] = []

    def f(t: Any) -> Any:
        kept.append(t)
        return t > 1 and kept[0] + t > 3

    assert not trace(f, 0, 4, start=2.0).exact


def test_numpy_scalars_are_followed_where_they_are_doubles() -> None:
    np = pytest.importorskip("numpy")
    for f in (
        lambda t: np.float64(1.5) > t,
        lambda t: t * np.float64(2) < 3,
        lambda t: np.float64(3) - 2 * t >= 0,
        lambda t: np.int64(2) > t,
    ):
        steps = trace(f, -3, 3, start=0.5)
        assert steps.exact
        assert agrees(f, steps, -3, 3)
    for f in (lambda t: np.float32(1.1) > t, lambda t: bool((np.array([1.0, 2.0]) > t).any())):
        assert not trace(f, -3, 3, start=0.5).exact


def test_too_many_intervals_are_sampled() -> None:
    run, calls = counted(lambda t: sum(t > i / 10 for i in range(100)) % 2)
    assert not trace(run, 0, 10, start=5.0, max_replays=20).exact
    assert len(calls) < 500


def test_what_run_lets_through_is_let_through() -> None:
    def f(t: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trace(f, 0, 1, start=0.5)
    with pytest.raises(ValueError, match="finite"):
        trace(lambda t: t > 1, 0, math.inf, start=1.0)


def test_integers_are_enumerated() -> None:
    steps = trace_integers(lambda n: n * n > 10, -5, 5)
    assert [steps(n) for n in range(-5, 6)] == [n * n > 10 for n in range(-5, 6)]
    assert steps.exact
    assert len(steps.breaks) == 2
    with pytest.raises(ValueError, match="2,000"):
        trace_integers(lambda n: n, 0, 2000)


# --------------------------------------------------------------------------- the best value


@st.composite
def losses(draw: st.DrawFn) -> Steps:
    breaks = sorted(draw(st.sets(coarse, max_size=4)))
    level = st.sampled_from([0.0, 0.25, 1.0])
    values = draw(st.lists(level, min_size=len(breaks) + 1, max_size=len(breaks) + 1))
    at = draw(st.lists(level, min_size=len(breaks), max_size=len(breaks)))
    return Steps(tuple(breaks), tuple(values), tuple(at))


weighted = st.lists(st.tuples(losses(), st.sampled_from([0.3, 1.0, 2.0])), min_size=1, max_size=8)


def total(cases: list[tuple[Steps, float]], t: float) -> float:
    return math.fsum(w * s(t) for s, w in cases)


@settings(max_examples=300)
@given(weighted, coarse, coarse, coarse)
def test_best_is_what_brute_force_over_all_points_and_midpoints_finds(
    cases: list[tuple[Steps, float]], a: float, b: float, incumbent: float
) -> None:
    lower, upper = min(a, b, incumbent), max(a, b, incumbent)
    inside = sorted({t for s, _ in cases for t in s.breaks if lower < t < upper} | {lower, upper})
    candidates = inside + [(x + y) / 2 for x, y in pairwise(inside)]
    least = min(total(cases, t) for t in candidates)
    fit = best(cases, incumbent, lower, upper)
    assert fit.loss == pytest.approx(least)
    assert total(cases, fit.value) == pytest.approx(least)
    assert fit.incumbent_loss == pytest.approx(total(cases, incumbent))
    assert lower <= fit.value <= upper
    if total(cases, incumbent) <= least + 1e-9:
        assert fit.value == incumbent
    for t in candidates:
        if total(cases, t) <= least + 1e-9:
            assert any(low <= t <= high for low, high in fit.intervals)
    assert fit.interval in fit.intervals
    assert fit.interval[0] <= fit.value <= fit.interval[1]


@settings(max_examples=200)
@given(weighted, st.integers(-5, 5))
def test_best_integer_is_what_brute_force_finds(cases: list[tuple[Steps, float]], incumbent: int) -> None:
    fit = best(cases, incumbent, -5, 5, integer=True)
    least = min(total(cases, n) for n in range(-5, 6))
    optimal = [n for n in range(-5, 6) if total(cases, n) <= least + 1e-9]
    assert fit.value in optimal
    assert abs(fit.value - incumbent) == min(abs(n - incumbent) for n in optimal)
    assert {n for low, high in fit.intervals for n in range(int(low), int(high) + 1)} == set(optimal)


def test_the_nearest_of_two_optima_is_taken_and_the_value_is_readable() -> None:
    low, high = Steps((1.0, 2.0), (1.0, 0.0, 1.0), (1.0, 1.0)), Steps((6.0, 7.0), (1.0, 0.0, 1.0), (1.0, 1.0))
    fit = best([(low, 1.0), (high, 1.0)], 5.0, 0.0, 10.0)
    assert fit.intervals == ((1.0, 2.0), (6.0, 7.0))
    assert fit.interval == (6.0, 7.0)
    assert fit.value in (6.1, 6.2, 6.3)


@given(st.floats(0.001, 1000), st.floats(1e-6, 1.0))
def test_the_value_keeps_away_from_the_ends_of_its_interval(edge: float, width: float) -> None:
    steps = Steps((edge, edge + width), (1.0, 0.0, 1.0), (1.0, 1.0))
    value = best([(steps, 1.0)], edge - 1, edge - 2, edge + 2).value
    assert edge + 8 * math.ulp(edge) < value < edge + width - 8 * math.ulp(edge + width)


def test_a_single_point_is_taken_only_where_nothing_wider_does_as_well() -> None:
    point = Steps((2.0, 6.0, 7.0), (1.0, 1.0, 0.0, 1.0), (0.0, 1.0, 1.0))
    assert 6.0 < best([(point, 1.0)], 1.0, 0.0, 10.0).value < 7.0
    assert best([(Steps((2.0,), (1.0, 1.0), (0.0,)), 1.0)], 1.0, 0.0, 10.0).value == 2.0


@given(st.lists(losses(), min_size=2, max_size=8))
def test_channels_with_scales_are_the_weighted_sum(cases: list[Steps]) -> None:
    sweep = Sweep(0.5, -5.0, 5.0, channels=2)
    for i, steps in enumerate(cases):
        sweep.add(steps, 0.5, i % 2)
    scaled = [(s, 0.5 * (1.0, 3.0)[i % 2]) for i, s in enumerate(cases)]
    assert sweep.fit((1.0, 3.0)).loss == pytest.approx(best(scaled, 0.5, -5.0, 5.0).loss)
