"""A challenger beside the champion on live calls: in this process, and put on trial by another one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Load, environment

import poet_hook
from poet_hook import api
from poet_hook.errors import VersionWarning
from poet_hook.model import Execution
from poet_hook.runtime.trial import Told, told
from poet_hook.store import codec
from poet_hook.versions.chain import Chain
from poet_hook.versions.current import plan_of
from poet_hook.versions.watch import refresh

HOT = """
    # poet: optimize_for=accuracy, learn=shadow, after=1000
    def f(x):
        return x > 2.5  # poet: tune 0..10
"""


def chain() -> Chain:
    return Chain(api.settings(), "m:f")


def version(value: float = 3.5, function: str = "m:f") -> int:
    """A stored version of a function with this number in it; it must have been called."""
    plan, _ = plan_of(function, api.store(), api.settings())
    (tunable,) = plan.tunables
    return Chain(api.settings(), function).add(plan, 1, {tunable.name: value}, None, "").number


def tried(value: float = 3.5, function: str = "m:f") -> int:
    """The same, on trial from the next call on."""
    number = version(value, function)
    Chain(api.settings(), function).challenge(number)
    refresh(api.settings())
    return number


def newest(count: int = 1) -> list[Execution]:
    return list(api.executions("m:f", limit=count))


def said(execution: Execution) -> Told | None:
    return None if execution.shadow is None else told(execution.shadow)


def eventually(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


# --------------------------------------------------------------------------- shadow


def test_a_shadow_is_recorded_and_never_returned(load: Load) -> None:
    m = load(HOT)
    assert m.f(3.0)
    assert newest()[0].shadow is None
    assert tried() == 2
    assert (m.f(3.0), m.f(4.0)) == (True, True)
    same, other = newest(2)
    assert (said(same), said(other)) == (Told(2, same=True), Told(2, result=codec.encode(False)))
    assert (same.version, other.version, api.champion("f")) == (1, 1, 1)
    assert api.status()[0].beside == api.beside("f")
    found = api.beside("f")
    assert found is not None
    assert (found.challenger, found.calls, found.differ, found.failed) == (2, 2, 1, 0)
    api.promote("f", 2)
    assert not m.f(3.0)
    assert newest()[0].shadow is None
    assert api.beside("f") is None


def test_a_shadow_is_there_at_the_first_call_of_a_process(load: Load) -> None:
    m = load(HOT)
    m.f(1.0)
    tried()
    m = load(HOT)
    m.f(3.0)
    assert said(newest()[0]) == Told(2, result=codec.encode(False))


def test_without_the_option_nothing_is_shadowed(load: Load) -> None:
    m = load(HOT.replace(", learn=shadow", ""))
    m.f(3.0)
    tried()
    m.f(3.0)
    assert newest()[0].shadow is None


def test_what_a_challenger_does_to_its_arguments_is_seen_by_nobody(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, learn=shadow
        def f(xs, *more, key=None, **rest):
            xs.append(len(xs) + len(more) + len(rest) > 2.5)  # poet: tune 0..10
            return xs
        """
    )
    m.f([])
    tried(0.5)
    xs = [1]
    assert m.f(xs, 2, key=3, z=4) is xs
    assert xs == [1, True]
    assert said(newest()[0]) == Told(2, same=True)
    xs = [1]
    m.f(xs)
    assert xs == [1, False]
    assert said(newest()[0]) == Told(2, result=codec.encode([1, True]))


def test_methods_defaults_and_super(load: Load) -> None:
    m = load(
        """
        class Base:
            limit = 1.0
            @classmethod
            def base(cls, x): return x

        class C(Base):
            # poet: optimize_for=accuracy, learn=shadow
            @staticmethod
            def f(x, y=1.0): return x + y > 2.5  # poet: tune 0..10
        """
    )
    m.C.f(1.0)
    tried(3.5, "m:C.f")
    m.C.f(2.0)
    (found,) = list(api.executions("C.f", limit=1))
    assert said(found) == Told(2, result=codec.encode(False))


def test_a_challenger_that_raises_is_recorded_and_swallowed(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, learn=shadow
        def f(x):
            return 1 / max(0.0, x - 0.5)  # poet: tune 0..10
        """
    )
    m.f(3.0)
    tried(5.0)
    assert m.f(3.0) == 0.4
    assert said(newest()[0]) == Told(2, error="ZeroDivisionError: float division by zero")
    found = api.beside("f")
    assert found is not None
    assert (found.calls, found.differ, found.failed) == (1, 0, 1)
    with pytest.raises(ZeroDivisionError):  # the champion's own exception: there is nothing to compare
        m.f(0.0)
    assert newest()[0].shadow is None


SLOW = """
    # poet: optimize_for=accuracy, learn=shadow
    def f(x):
        n = 0.0
        while n < x * 2.5:  # poet: tune 0..1e18
            n += 1.0
        return n > 0
"""


@pytest.mark.parametrize("threaded", [False, True])
def test_a_challenger_that_does_not_end_is_stopped_and_then_left_out(load: Load, threaded: bool) -> None:
    m = load(SLOW)
    m.f(1.0)
    tried(1e18)

    def work() -> None:
        start = time.monotonic()
        assert [m.f(1.0) for _ in range(4)] == [True] * 4
        assert time.monotonic() - start < 5

    with (
        ThreadPoolExecutor() as pool,
        pytest.warns(VersionWarning, match=r"m:f: v2 no longer runs beside it in this process: 3 times it took"),
    ):
        pool.submit(work).result() if threaded else work()
    shadows = [said(execution) for execution in newest(4)]
    assert shadows[0] is None
    assert all(one is not None and "it took longer than" in str(one.error) for one in shadows[1:])
    assert all(execution.duration < 0.04 for execution in newest(4)[1:])  # the shadow's time is not the call's


def test_the_time_limit_around_a_call_ends_its_shadow_too(load: Load) -> None:
    m = load(
        SLOW
        + """
    # poet: timeout=20ms, fallback="late"
    def outer():
        return f(1.0)
"""
    )
    m.f(1.0)
    tried(1e18)  # at least 50 ms, if it were not for that
    assert [m.outer() for _ in range(4)] == ["late"] * 4
    assert [newest()[0].outcome, newest()[0].shadow] == ["error", None]


def test_what_a_challenger_calls_was_called_by_nobody(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy
        def g(x): return x + 0.5

        # poet: optimize_for=accuracy, learn=shadow
        def f(x): return g(x) > 2.5  # poet: tune 0..10
        """
    )
    m.f(3.0)
    tried()
    m.f(2.5)
    assert said(newest()[0]) == Told(2, result=codec.encode(False))
    assert len(list(api.executions("m:g"))) == 2
    with poet_hook.capture() as results:
        m.f(1.0)
    assert [result.function for result in results] == ["m:g", "m:f"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("seen = []\ndef f(x):\n    seen.append(x)\n    return x > 2.5\n", "it changes the module's seen"),
        ("def f(x):\n    return x > 2.5 or f(x + 1.0)\n", "it calls itself"),
        ("import time\ndef f(x):\n    return x > 2.5 or time.time() > x\n", "not known to be free of effects"),
    ],
)
def test_a_function_with_effects_is_not_run_twice(load: Load, source: str, reason: str) -> None:
    m = load(source.replace("def f", "# poet: optimize_for=accuracy, learn=shadow\ndef f"))
    m.f(3.0)
    number = version()
    chain().challenge(number)
    with pytest.warns(VersionWarning, match=f"m:f: v2 can't be tried beside the version in use: .*{reason}"):
        refresh(api.settings())
    m.f(3.0)
    assert newest()[0].shadow is None


def test_a_challenger_that_was_edited_runs_nowhere(load: Load, project: Path) -> None:
    m = load(HOT)
    m.f(3.0)
    number = version()
    path = project / ".poet" / "functions" / "m.f" / f"v{number}" / "operate.py"
    path.write_text("def f(x):\n    import os\n    os._exit(3)\n")
    chain().challenge(number)
    with pytest.warns(VersionWarning, match="can't be tried.*was edited"):
        refresh(api.settings())
    assert m.f(3.0)
    assert newest()[0].shadow is None


def test_threads_and_a_fork_each_have_their_shadow(load: Load) -> None:
    m = load(HOT)
    m.f(3.0)
    tried()
    threads = [threading.Thread(target=lambda: [m.f(float(x)) for x in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()
    if child == 0:
        m.f(3.0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    found = api.beside("f")
    assert found is not None
    assert (found.calls, found.differ) == (201, 5)


def test_what_learning_finds_runs_in_the_shadow_until_it_is_promoted(load: Load) -> None:
    m = load(HOT)
    for number in range(4):
        poet_hook.feedback(poet_hook.call(m.f, 4.0 + number), "false alarm")
    learned = poet_hook.learn("f")
    assert (learned.promoted, learned.version) == (False, 2)
    assert learned.verdict is not None
    assert (learned.verdict.decision, learned.verdict.level) == ("challenge", None)
    assert m.f(5.0)
    assert said(newest()[0]) == Told(2, result=codec.encode(False))
    again = poet_hook.learn("f")
    assert (again.version, chain().numbers()) == (2, [1, 2])  # as good as before: it goes on
    for number in range(20):
        poet_hook.feedback(poet_hook.call(m.f, 4.0 + number / 8), "false alarm")
        poet_hook.feedback(poet_hook.call(m.f, 8.0 + number / 8), "correct")
    learned = poet_hook.learn("f")
    assert learned.verdict is not None
    assert (learned.promoted, learned.verdict.level) == (False, "proven")
    assert m.f(5.0)
    assert learned.version is not None
    api.promote("f", learned.version)
    assert not m.f(5.0)
    assert chain().pointer().challenger is None


PROCESS = """
import sys, time
import poet_hook
poet_hook.activate()
from m import f
while True:
    print(f(3.0), flush=True)
    time.sleep(0.02)
"""


def test_a_challenger_from_another_process_runs_here_within_a_second(load: Load) -> None:
    m = load(HOT)
    m.f(3.0)
    number = version()
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROCESS)], stdout=subprocess.PIPE, env=environment()
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"True\n"
        start = time.time()
        chain().challenge(number)
        eventually(lambda: newest()[0].shadow is not None)
        first = next(e for e in reversed(newest(500)) if e.shadow is not None)
        assert first.started - start < 1.0
        chain().withdraw(number, "enough")
        eventually(lambda: newest()[0].shadow is None)
    finally:
        running.kill()
        running.communicate()
    assert [(gone.version, gone.why) for gone in chain().pointer().withdrawn] == [(2, "enough")]
