from __future__ import annotations

import faulthandler
import logging
import math
import pickle
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import Load, Python

from poet_hook.errors import EnforceError, OperateTimeout, PerceiveError
from poet_hook.model import UNSET
from poet_hook.runtime import operate, slot
from poet_hook.runtime.enforce import broken_type
from poet_hook.runtime.perceive import RefusedError, number, perceive


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """No waiting between attempts; the numbers of the attempts that failed."""
    pauses: list[int] = []
    monkeypatch.setattr(slot, "pause", lambda attempt, _first: pauses.append(attempt))
    return pauses


class Refusal:
    """Stands in a table for: PerceiveError."""


class Number(float):
    pass


NAN = float("nan")
TEXT_AND_NUMBERS = [
    ("float", "65,000", 65000.0),
    ("float", "1,234,567.5", 1234567.5),
    ("float", "-1,000", -1000.0),
    ("float", "+1,000", 1000.0),
    ("float", "25%", 0.25),
    ("float", "25 %", 0.25),
    ("float", " -1.5e3 ", -1500.0),
    ("float", "3", 3.0),
    ("int", "65,000", 65000),
    ("int", " 7 ", 7),
    ("int", "-7", -7),
    ("bool", "true", True),
    ("bool", " No ", False),
    ("bool", "1", True),
    ("bool", "off", False),
]
REFUSED = [
    ("float", ""),
    ("float", "  "),
    ("float", "%"),
    ("float", "many"),
    ("float", "1,2"),
    ("float", "1,00"),
    ("float", "1234,567"),
    ("float", ",000"),
    ("float", "1,000,00"),
    ("float", "1,000.5,5"),
    ("float", "1,1e5"),
    ("float", "1,00²"),
    ("float", "1_000"),
    ("float", "inf"),
    ("float", "nan"),
    ("float", "1e999"),
    ("float", "9" * 5000),
    ("int", "1.5"),
    ("int", "25%"),
    ("int", "0x10"),
    ("int", "9" * 5000),
    ("bool", "maybe"),
    ("bool", ""),
]
AS_IT_IS = [
    ("float", 1),
    ("float", True),
    ("float", math.inf),
    ("float", None),
    ("float", Number(2)),
    ("float", [1]),
    ("float", b"1"),
    ("int", 1.5),
    ("int", True),
    ("bool", 1),
    ("bool", None),
    ("str", 3),
    ("str", None),
    ("bytes", "a"),
    ("list", (1, 2)),
    ("list[float]", "abc"),
    ("tuple", [1]),
    ("dict", [(1, 2)]),
    ("set", [1]),
    ("float", np.array([1.0])),
    ("int", np.float64(1.5)),
    ("bool", np.int64(1)),
]


@pytest.mark.parametrize(("kind", "given", "expected"), TEXT_AND_NUMBERS)
def test_lax_reads_text_that_has_one_meaning(kind: str, given: Any, expected: Any) -> None:
    out = perceive(kind, given, False, "lax")
    assert out == expected
    assert type(out) is type(expected)


@pytest.mark.parametrize(("kind", "given"), REFUSED)
def test_lax_refuses_text_that_is_no_number(kind: str, given: Any) -> None:
    with pytest.raises(RefusedError, match=f"must be {kind}"):
        perceive(kind, given, False, "lax")
    if kind != "bool":
        assert number(given, whole=kind == "int") is UNSET


@pytest.mark.parametrize(("kind", "given"), AS_IT_IS)
def test_lax_passes_on_what_the_body_may_know(kind: str, given: Any) -> None:
    assert perceive(kind, given, False, "lax") is given


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("float", np.float32(0.5), 0.5),
        ("float", np.int64(3), 3),
        ("float", np.array(2.5), 2.5),
        ("int", np.int64(3), 3),
        ("bool", np.bool_(True), True),
    ],
)
def test_lax_unwraps_numpy_scalars(kind: str, given: Any, expected: Any) -> None:
    out = perceive(kind, given, False, "lax")
    assert out == expected
    assert type(out) is type(expected)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("float", "1"),
        ("float", True),
        ("float", None),
        ("int", True),
        ("int", 1.0),
        ("bool", 1),
        ("str", b"a"),
        ("bytes", "a"),
        ("list", (1,)),
        ("list[float]", "a"),
        ("dict", []),
        ("tuple", []),
        ("set", frozenset()),
    ],
)
def test_strict_refuses_what_is_not_of_the_type(kind: str, given: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        perceive(kind, given, False, "strict")
    assert kind in refused.value.args[0]
    assert type(given).__name__ in refused.value.args[0]


@pytest.mark.parametrize(
    ("kind", "given"),
    [("float", 1), ("float", Number(1)), ("int", 1), ("bool", True), ("str", "a"), ("list", []), ("list[int]", ["a"])],
)
def test_strict_lets_the_type_through(kind: str, given: Any) -> None:
    assert perceive(kind, given, False, "strict") is given


def test_none_is_allowed_where_the_annotation_says_so() -> None:
    assert perceive("float", None, True, "strict") is None
    assert perceive("float", None, True, "lax") is None


@pytest.mark.parametrize(
    ("kind", "value", "mode", "broken"),
    [
        ("float", 1.0, "lax", False),
        ("float", 1, "lax", False),
        ("float", 1, "strict", False),
        ("float", True, "lax", False),
        ("float", True, "strict", True),
        ("int", True, "lax", False),
        ("int", True, "strict", True),
        ("int", 1.5, "lax", True),
        ("bool", 1, "lax", True),
        ("bool", np.bool_(True), "lax", False),
        ("float", np.float32(1), "lax", False),
        ("bool", np.float64(1), "lax", True),
        ("float", np.array([1.0]), "lax", True),
        ("list[float]", [], "lax", False),
        ("list[float]", (), "lax", True),
        ("str", None, "lax", True),
    ],
)
def test_results_that_break_their_annotation(kind: str, value: Any, mode: str, broken: bool) -> None:
    rule = broken_type(kind, value, mode)
    assert (rule is not None) is broken
    if rule:
        assert kind in rule
        assert type(value).__name__ in rule


# --------------------------------------------------------------------------- Perceive, in a function


def test_arguments_and_defaults_are_perceived(load: Load) -> None:
    m = load("""
        # poet:
        def f(a: float, /, b: int = "1,000", *c: float, d: bool = "no", e: float | None = None, **g: float):
            return a, b, c, d, e, g
    """)
    assert m.f("50%", c=1) == (0.5, 1000, (), False, None, {"c": 1})
    assert m.f(1, 2, "3", d=True, e="4") == (1, 2, ("3",), True, 4.0, {})


def test_refusals_name_function_argument_value_and_rule(load: Load) -> None:
    m = load("""
        # poet:
        def f(value: float):
            raise KeyError
    """)
    with pytest.raises(PerceiveError, match=r"^m:f: argument 'value' must be float, and is text .*: 'abc'$") as caught:
        m.f("abc")
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert caught.value.code == "PH-E10"
    assert caught.value.url.endswith("#ph-e10")


def test_refusals_hide_what_may_not_be_recorded_and_cut_what_is_long(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy record.token=none require="open"
        def f(token: float, size: float = 1, open=False):
            return size
    """)
    for arguments, shown in [
        (("hush",), "token.*<hidden>"),
        ((1, "x" * 999), "size.*xxx…$"),
        ((7,), "require='open' does not hold for token=<hidden>, size=1, open=False$"),
    ]:
        with pytest.raises(PerceiveError, match=shown) as caught:
            m.f(*arguments)
        assert "hush" not in str(caught.value)
        assert len(str(caught.value)) < 400


def test_a_repr_that_raises_does_not_hide_the_refusal(load: Load) -> None:
    m = load("""
        class Odd:
            def __repr__(self):
                raise RuntimeError

        # poet: require="False" ensure="result"
        def f(x):
            return x
    """)
    with pytest.raises(PerceiveError, match="x=<Odd>"):
        m.f(m.Odd())


def test_coerce_off_looks_at_nothing(load: Load) -> None:
    m = load("""
        # poet: coerce=off
        def f(x: float, y: int = 1) -> int:
            return x
    """)
    assert m.f("abc", "1") == "abc"


def test_coerce_strict(load: Load) -> None:
    m = load("""
        # poet: coerce=strict
        def f(x: float, y: str | None = None, z: list[float] = []) -> int:
            return x
    """)
    assert m.f(1) == 1
    for arguments in [("1",), (1, 1), (1, None, ()), (True,)]:
        with pytest.raises(PerceiveError, match="coerce=strict"):
            m.f(*arguments)
    with pytest.raises(EnforceError, match="must return int, and returned float"):
        m.f(1.5)


def test_perceived_values_keep_the_users_class(load: Load) -> None:
    m = load("""
        # poet:
        def f(x: float):
            return x
    """)
    value = Number(2)
    assert m.f(value) is value


def test_the_domain_sees_sequences(load: Load) -> None:
    m = load("""
        # poet: domain=ml_monitoring
        def f(history: list[float], name: str = "a"):
            return history
    """)
    assert m.f(["1.5", "2"]) == [1.5, 2.0]
    kept = [1.0, 2.0]
    assert m.f(kept) is kept


def test_require(load: Load) -> None:
    m = load("""
        LIMIT = 3

        # poet: require="0 < x < LIMIT and all(i < x for i in more)" retries=3 fallback=-1
        def f(x, *more):
            return x
    """)
    assert m.f(2, 1) == 2
    with pytest.raises(PerceiveError, match=r"m:f: require='0 < x .*' does not hold for x=2, more=\(2,\)"):
        m.f(2, 2)
    vars(m)["LIMIT"] = 10
    assert m.f(9) == 9


def test_a_rule_that_can_not_be_evaluated_does_not_hold(load: Load) -> None:
    m = load("""
        # poet: require="x > 0"
        def f(x):
            return x

        # poet: ensure="result > 0"
        def g(x):
            return x
    """)
    with pytest.raises(PerceiveError, match=r"require='x > 0' can't be evaluated for x='a': TypeError$") as refused:
        m.f("a")
    with pytest.raises(EnforceError, match=r"ensure='result > 0' can't be evaluated for 'a': TypeError$") as broken:
        m.g("a")
    assert isinstance(refused.value.__cause__, TypeError)
    assert isinstance(broken.value.__cause__, TypeError)


# --------------------------------------------------------------------------- Operate: attempts

FLAKY = """
    calls = []
    failures = {failures}

    def body(x):
        calls.append(x)
        if len(calls) <= failures:
            raise {error}(len(calls))
        return x

    # poet: {options}
    def f(x, *args, **kwargs):
        original = x
        x = [x, args, dict(kwargs)]
        kwargs.clear()
        del args
        body(original)
        return x

    def safe(x, *args, **kwargs):
        return "safe", x, args, kwargs
"""


def flaky(load: Load, options: str, failures: int, error: str = "KeyError") -> ModuleType:
    return load(FLAKY.format(options=options, failures=failures, error=error))


def test_retries_are_attempts_after_the_first(load: Load, impatient: list[int]) -> None:
    m = flaky(load, "retries=2", failures=2)
    assert m.f(7, 8, k=9) == [7, (8,), {"k": 9}]
    assert m.calls == [7, 7, 7]
    assert impatient == [1, 2]


def test_the_last_error_goes_on_unchanged(load: Load) -> None:
    m = flaky(load, "retries=2", failures=9)
    with pytest.raises(KeyError) as caught:
        m.f(7)
    assert caught.value.args == (3,)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert len(m.calls) == 3


def test_no_retries_is_one_attempt(load: Load) -> None:
    m = flaky(load, "fallback=None", failures=1)
    assert m.f(7) is None
    assert m.calls == [7]


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit", "GeneratorExit"])
def test_what_is_no_exception_is_neither_retried_nor_replaced(load: Load, error: str) -> None:
    m = flaky(load, "retries=5 fallback=1 optimize_for=accuracy", failures=9, error=error)
    with pytest.raises(BaseException) as caught:
        m.f(7)
    assert type(caught.value).__name__ == error
    assert m.calls == [7]


def test_a_fallback_function_gets_the_original_arguments(load: Load) -> None:
    m = flaky(load, "retries=1 fallback=safe", failures=9)
    assert m.f(7, 8, k=9) == ("safe", 7, (8,), {"k": 9})
    assert m.calls == [7, 7]


def test_a_fallback_function_gets_every_kind_of_argument(load: Load) -> None:
    m = load("""
        # poet: fallback=safe
        def f(a, /, b, *c, d, e=5, **g):
            raise KeyError

        def safe(*args, **kwargs):
            return args, kwargs

        class C:
            # poet: fallback=safe
            def f(self, a):
                raise KeyError
    """)
    assert m.f(1, 2, 3, d=4, a=6) == ((1, 2, 3), {"d": 4, "e": 5, "a": 6})
    c = m.C()
    assert c.f(1) == ((c, 1), {})


def test_a_fallback_literal_is_new_each_time(load: Load) -> None:
    m = flaky(load, "fallback=[]", failures=9)
    m.f(1).append(2)
    assert m.f(1) == []


def test_a_fallback_that_raises(load: Load) -> None:
    m = load("""
        # poet: fallback=safe
        def f():
            raise KeyError

        def safe():
            raise OSError
    """)
    with pytest.raises(OSError) as caught:
        m.f()
    assert type(caught.value.__context__) is KeyError


def test_the_fallback_is_not_enforced(load: Load) -> None:
    m = load("""
        # poet: fallback=None ensure="result > 0"
        def f() -> int:
            raise KeyError
    """)
    assert m.f() is None


def test_a_missing_fallback_function_does_not_hide_the_error(load: Load) -> None:
    with pytest.warns(match="PH406"):
        m = load("""
            # poet: fallback=missing
            def f():
                raise KeyError("the user's own")
        """)
    with pytest.raises(KeyError, match="the user's own"):
        m.f()


def test_an_attempt_leaves_no_variables_behind(load: Load) -> None:
    m = load("""
        seen = []

        # poet: retries=1
        def g(x, *more):
            global seen
            seen.append(sorted(locals()))
            a, (b, *c) = 1, (2, 3)
            import os.path as d, sys
            from os import path as e
            with open("/dev/null") as f: pass
            def h(): return a
            class i: pass
            for j in [1]: k: int = j; l: str
            match [1, 2, {"a": 1}]:
                case [m, *n, {**o}] as p: pass
            q = [r for r in [1] if (s := r)]
            t = lambda u: (v := u)
            try:
                raise KeyError
            except KeyError as w:
                y = (lambda: w)()
            if more:
                del a
            seen = [*seen, sorted(locals())]
            raise OSError
    """)
    with pytest.raises(OSError):
        m.g(1)
    first, bound, second, again = m.seen
    assert first == second == ["more", "x"]
    assert bound == again
    assert len(bound) > 15


def test_nested_calls_keep_their_own_attempts(load: Load) -> None:
    m = load("""
        calls = []

        # poet: retries=2 fallback="outer"
        def f(n):
            calls.append(n)
            if n:
                return [n, f(n - 1)]
            raise KeyError
    """)
    assert m.f(2) == [2, [1, "outer"]]
    assert m.calls == [2, 1, 0, 0, 0]


def test_an_exception_in_flight_is_left_alone(load: Load) -> None:
    m = flaky(load, "retries=1", failures=1)
    seen: list[object] = []
    try:
        raise OSError
    except OSError as outer:
        m.f(7)
        seen += [outer, sys.exc_info()[1]]
    assert seen[0] is seen[1]


def test_fallbacks_are_logged(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    m = flaky(load, "retries=1 fallback=1", failures=9)
    with caplog.at_level(logging.DEBUG, "poet_hook"):
        m.f(7)
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO"]
    assert "m:f: fell back after 2 attempt(s): KeyError(2)" in caplog.text


def test_pauses_grow_and_stay_random(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    state = random.getstate()
    for _ in range(50):
        operate.pause(1, 0.05)
    assert random.getstate() == state
    assert 0 <= min(slept) < max(slept) <= 0.05
    slept.clear()
    monkeypatch.setattr(operate._random, "uniform", lambda low, high: high)
    for attempt in (1, 2, 3, 10, 100):
        operate.pause(attempt, 0.05)
    assert slept == [0.05, 0.1, 0.2, 5.0, 5.0]
    slept.clear()
    for attempt in (1, 2, 10_000):
        operate.pause(attempt, 30.0)
    assert slept == [30.0, 30.0, 30.0]


def test_the_first_pause_is_an_option(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    m = flaky(load, "retries=3 backoff=2s", failures=3)
    monkeypatch.setattr(slot, "pause", operate.pause)
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(operate._random, "uniform", lambda low, high: high)
    m.f(7)
    assert slept == [2.0, 4.0, 5.0]


# --------------------------------------------------------------------------- Enforce


def test_results_are_enforced(load: Load) -> None:
    m = load("""
        # poet:
        def f(x) -> float:
            return x
    """)
    assert m.f(1) == 1
    with pytest.raises(EnforceError, match=r"^m:f: must return float, and returned str: 'a'$") as caught:
        m.f("a")
    assert isinstance(caught.value, ValueError)


def test_ensure_sees_result_and_arguments_as_they_came(load: Load) -> None:
    m = load("""
        # poet: ensure="result > x"
        def f(x: float, y=1):
            x, y = x + y, None
            return x
    """)
    assert m.f("3") == 4.0
    with pytest.raises(EnforceError, match=r"m:f: ensure='result > x' does not hold for 2\.0$"):
        m.f("3", -1)


def test_an_argument_called_result_leaves_the_promise_out(load: Load) -> None:
    with pytest.warns(match=r"PH402 ensure=: f\(\) has an argument named result"):
        m = load("""
            # poet: ensure="result" require="result"
            def f(result):
                return None

            # poet: require="x"
            def g(x):
                return x
        """)
    assert m.f(1) is None
    for function in (m.f, m.g):
        with pytest.raises(PerceiveError):
            function(0)


def test_a_failed_promise_is_retried_and_then_falls_back(load: Load) -> None:
    m = load("""
        results = [-1, -2, 3, -4]

        # poet: ensure="result > 0" retries=1 fallback="none"
        def f():
            return results.pop(0)
    """)
    assert m.f() == "none"
    assert m.f() == 3
    assert m.results == [-4]


SWALLOWS = """
    # poet: ensure="result > 0" {options}
    def f(x):
        for _ in range(2):
            try:
                try:
                    return x
                except Exception:
                    return 1
            except BaseException:
                return 2
            finally:
                pass
"""


@pytest.mark.parametrize("options", ["", "retries=1", "optimize_for=accuracy"])
def test_the_users_own_except_does_not_swallow_it(load: Load, options: str) -> None:
    m = load(SWALLOWS.format(options=options))
    assert m.f(5) == 5
    with pytest.raises(EnforceError):
        m.f(-5)


FINALLY = """
    # poet: {options}
    def f(first, last, how) -> int:
        for _ in range(1):
            try:
                if how == "raise":
                    raise KeyError
                return first
            finally:
                if how == "return":
                    return last
                if how == "break":
                    break
                if how == "error":
                    raise OSError
        return last
"""


@pytest.mark.parametrize("options", ["", "ensure='True'", "retries=1", "domain=ml_monitoring"])
def test_what_is_really_returned_counts(load: Load, options: str) -> None:
    m = load(FINALLY.format(options=options))
    assert m.f("no", 1, "return") == 1
    assert m.f("no", 1, "break") == 1
    for arguments in [(1, "no", "return"), (1, "no", "break"), (1, None, "break"), ("no", 1, "")]:
        with pytest.raises(EnforceError, match="must return int"):
            m.f(*arguments)
    with pytest.raises(OSError) as caught:
        m.f("no", 1, "error")
    assert caught.value.__context__ is None
    with pytest.raises(KeyError):
        m.f(1, 1, "raise")


def test_a_function_that_ends_without_return(load: Load) -> None:
    m = load("""
        # poet: ensure="result is None"
        def f(x):
            if x:
                return

        # poet:
        def g(x) -> int:
            if x:
                return x

        # poet: ensure="result is None"
        def h():
            "only a docstring"
    """)
    assert (m.f(0), m.f(1), m.g(1), m.h()) == (None, None, 1, None)
    assert m.h.__doc__ == "only a docstring"
    with pytest.raises(EnforceError, match="must return int, and returned NoneType"):
        m.g(0)


def test_the_domains_invariants_hold(load: Load) -> None:
    m = load("""
        # poet: domain=ml_monitoring
        def f(result):
            return result
    """)
    assert m.f(0.5) == 0.5
    assert m.f({"is_anomaly": True}) == {"is_anomaly": True}
    with pytest.raises(EnforceError, match="m:f: "):
        m.f({"p_value": 1.5})


# --------------------------------------------------------------------------- time limits


@pytest.fixture
def nothing_ticks() -> Iterator[None]:
    yield
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert operate._running == []
    for clock in threading.enumerate():
        if clock.name == "poet_hook timeout":  # cancelled, and perhaps not yet awake
            clock.join(5)
            assert not clock.is_alive()


LIMITED = """
    import threading, time

    # poet: timeout=50ms {options}
    def f(seconds):
        time.sleep(seconds)
        return "done"

    # poet: timeout=50ms {options}
    def busy():
        while True:
            pass
"""


@pytest.mark.usefixtures("nothing_ticks")
def test_a_limit_ends_the_body(load: Load) -> None:
    m = load(LIMITED.format(options=""))
    assert m.f(0) == "done"
    for late in (lambda: m.f(30), m.busy):
        with pytest.raises(OperateTimeout, match=r"m:\w+ took longer than timeout=0.05s") as caught:
            late()
        assert isinstance(caught.value, TimeoutError)


@pytest.mark.usefixtures("nothing_ticks")
def test_each_attempt_has_its_own_limit(load: Load, impatient: list[int]) -> None:
    m = load(LIMITED.format(options="retries=2 fallback='late'"))
    assert m.f(30) == "late"
    assert impatient == [1, 2]


@pytest.mark.usefixtures("nothing_ticks")
def test_a_raising_body_stops_its_clock(load: Load) -> None:
    m = load("""
        # poet: timeout=1h
        def f():
            raise KeyError
    """)
    with pytest.raises(KeyError):
        m.f()


NESTED = """
    import time

    # poet: timeout={outer}
    def outer():
        try:
            return inner()
        except TimeoutError as error:
            time.sleep({after})
            return str(error)

    # poet: timeout={inner}
    def inner():
        time.sleep(30)
"""


@pytest.mark.usefixtures("nothing_ticks")
def test_nested_limits(load: Load) -> None:
    m = load(NESTED.format(outer="1h", inner="50ms", after=0))
    assert "m:inner" in m.outer()
    m = load(NESTED.format(outer="100ms", inner="50ms", after=30))
    with pytest.raises(OperateTimeout, match="m:outer"):
        m.outer()
    m = load(NESTED.format(outer="50ms", inner="1h", after=0))
    assert "m:outer" in m.outer()


OUTLIVES = """
    calls = []

    # poet: timeout=100ms
    def outer():
        return inner()

    # poet: retries=50 fallback="late" {options}
    def inner():
        calls.append(1)
        while True:
            pass

    # poet: retries=2 fallback="given up"
    def again():
        return limited()

    # poet: timeout=20ms
    def limited():
        calls.append(1)
        while True:
            pass
"""


@pytest.mark.usefixtures("nothing_ticks")
@pytest.mark.parametrize("options", ["", "timeout=1h"])
@pytest.mark.parametrize("run", [lambda call: call(), lambda call: in_thread(call)[0]])
def test_retries_do_not_outlive_the_limit_around_them(load: Load, options: str, run: Callable[[Any], Any]) -> None:
    m = load(OUTLIVES.format(options=options))
    try:
        error = run(m.outer)
    except OperateTimeout as caught:
        error = caught
    assert str(error) == "m:outer took longer than timeout=0.1s"
    assert m.calls == [1]
    assert pickle.loads(pickle.dumps(error)).args == error.args
    m.calls.clear()
    assert run(m.again) == "given up"
    assert m.calls == [1, 1, 1]
    assert operate._running == []


def in_thread(call: Callable[[], Any]) -> list[Any]:
    out: list[Any] = []

    def run() -> None:
        try:
            out.append(call())
            for _ in range(1000):  # nothing may come late
                pass
        except BaseException as error:
            out.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return out


@pytest.mark.usefixtures("nothing_ticks")
def test_limits_in_another_thread(load: Load) -> None:
    m = load(LIMITED.format(options=""))
    (error,) = in_thread(m.busy)
    assert isinstance(error, OperateTimeout)
    assert str(error) == "m:busy took longer than timeout=0.05s"
    assert type(error).__name__ == "OperateTimeout"
    assert in_thread(lambda: m.f(0)) == ["done"]


@pytest.mark.usefixtures("nothing_ticks")
def test_nested_limits_in_another_thread(load: Load) -> None:
    m = load("""
        # poet: timeout=1h
        def outer():
            try:
                inner()
            except TimeoutError as error:
                return str(error)

        # poet: timeout=50ms
        def inner():
            while True:
                pass
    """)
    assert in_thread(m.outer) == ["m:inner took longer than timeout=0.05s"]


def test_a_handler_of_the_users_is_left_alone(load: Load) -> None:
    m = load(LIMITED.format(options=""))
    rang: list[int] = []

    def handler(signum: int, frame: FrameType | None) -> None:
        rang.append(signum)

    signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(OperateTimeout):
            m.busy()
        assert signal.getsignal(signal.SIGALRM) is handler
        assert rang == []
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_an_alarm_that_the_body_sets_stays_set(load: Load) -> None:
    m = load("""
        import signal

        rang = []

        # poet: timeout=1h
        def f():
            signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
            signal.setitimer(signal.ITIMER_REAL, 0.05)

        # poet: timeout=1h
        def g():
            f()
    """)
    for call in (m.f, m.g):
        m.rang.clear()
        try:
            call()
            deadline = time.monotonic() + 10
            while not m.rang and time.monotonic() < deadline:
                time.sleep(0.01)
            assert m.rang == [1]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert operate._alarms.limits == []


@pytest.mark.usefixtures("nothing_ticks")
def test_a_clock_that_can_not_start_does_not_stop_the_body(
    load: Load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    m = load(LIMITED.format(options=""))

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def run() -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_thread)
            return m.f(0)

    with caplog.at_level(logging.WARNING, "poet_hook"):
        assert in_thread(run) == ["done"]
    assert "m:f: timeout= has no effect: can't start new thread" in caplog.text


def test_limits_do_not_disturb_faulthandler() -> None:
    before = faulthandler.is_enabled()
    limit = operate.TimeLimit(60, "m:f")
    limit.cancel()
    limit.cancel()
    assert faulthandler.is_enabled() == before


# --------------------------------------------------------------------------- tracebacks

RAISES = """\
def middle(x):
    return 1 / x

# poet: {options}
@staticmethod
def f(x):
    '''Doc.'''
    y = x
    try:
        if y == 0:
            return middle(
                y
            )
        if y == 1:
            return [z for z in [y] if z.nothing]
    except ZeroDivisionError:
        if x is None:
            return
        raise
    finally:
        y = 3
    with open("/nowhere/at/all") as file:
        return (lambda: file)()

# poet: {options}
def g(x):
    try:
        return f(x)
    except AttributeError as error:
        raise LookupError("wrapped") from error
"""


@pytest.mark.parametrize(
    "options",
    [
        "coerce=off",
        "retries=2",
        "timeout=1h",
        "ensure='True' require='True'",
        "optimize_for=accuracy",
        "domain=ml_monitoring",
        "domain=ml_monitoring optimize_for=accuracy retries=1 timeout=1h ensure='True'",
    ],
)
def test_tracebacks_are_the_users_own(load: Load, options: str) -> None:
    source = RAISES.format(options=options)
    texts = []
    for active in (False, True):
        m = load(source, active=active)
        texts.append([told(getattr(m, name), x) for name in "fg" for x in (0, 1, 2)])
    assert "ZeroDivisionError" in texts[0][0]
    assert "LookupError: wrapped" in texts[0][4]
    assert texts[0] == texts[1]


def told(function: Callable[[Any], Any], argument: Any) -> str:
    try:
        function(argument)
    except Exception as error:
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
        return "".join(traceback.format_exception(error))
    raise AssertionError("nothing was raised")


def test_what_a_body_raises_while_the_program_ends_stays_what_it_is(project: Path, python: Python) -> None:
    """Then nothing can be imported any more, and there is nothing to check."""
    (project / "m.py").write_text(
        "# poet: coerce=lax\ndef f(x: float) -> float:\n    try:\n        return 1 / x\n    finally:\n        pass\n"
    )
    done = python("""
        import builtins, os, poet_hook
        poet_hook.activate()
        import m

        class Last:
            def __init__(self):
                self.f, self.write = m.f, os.write
            def __del__(self):
                try:
                    self.f(0.0)
                except BaseException as error:
                    self.write(1, type(error).__name__.encode())

        builtins.last = Last()
    """)
    assert done.stdout == "ZeroDivisionError"


@pytest.mark.parametrize("annotation", ["", " -> dict", " -> dict[str, float]"])
@pytest.mark.parametrize("body", ["return {'p_value': x}", "found = {'p_value': x}\n    return found"])
def test_a_domains_invariants_hold_for_results_of_the_annotated_type_too(
    load: Load, annotation: str, body: str
) -> None:
    m = load(f"# poet: domain=ml_monitoring\ndef f(x: float){annotation}:\n    {body}\n")
    assert m.f(0.5) == {"p_value": 0.5}
    with pytest.raises(EnforceError, match="p_value is 7"):
        m.f(7.0)


def test_a_domains_invariants_hold_for_a_list_that_is_written_out(load: Load) -> None:
    m = load("# poet: domain=ml_monitoring\ndef f(x: float) -> list:\n    return [{'p_value': x}]\n")
    plain = load("# poet: domain=ml_monitoring\ndef f(x: float):\n    return [{'p_value': x}]\n", "plain")
    outcomes = []
    for function in (m.f, plain.f):
        try:
            outcomes.append(repr(function(7.0)))
        except EnforceError as error:
            outcomes.append(str(error).partition(": ")[2])
    assert outcomes[0] == outcomes[1]
