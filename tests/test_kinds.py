"""Every kind of function: enhanced it does what it does without, and its pragma does what it says."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio
from conftest import Load, Python
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.errors import EnforceError, OperateTimeout, PerceiveError

# --------------------------------------------------------------------------- async


def test_an_async_function_is_tried_again_without_stopping_others(load: Load) -> None:
    m = load(
        """
        import asyncio
        tries = []
        # poet: retries=2, backoff=300ms
        async def fetch(value: float) -> float:
            tries.append(value)
            value = value * 2
            await asyncio.sleep(0)
            if len(tries) < 3:
                raise ConnectionError("no")
            return value
        """
    )
    beats = []

    async def both() -> float:
        async def beat() -> None:
            while True:
                beats.append(1)
                await asyncio.sleep(0.005)

        beating = asyncio.create_task(beat())
        result: float = await m.fetch("21")
        beating.cancel()
        return result

    assert inspect.iscoroutinefunction(m.fetch)
    assert asyncio.run(both()) == 42.0
    assert m.tries == [21.0, 21.0, 21.0]  # read as a number, and as it was before each attempt
    assert len(beats) > 3


def test_an_async_function_is_stopped_where_it_waits(load: Load) -> None:
    m = load(
        """
        import asyncio
        ended = []
        # poet: timeout=50ms, retries=1, backoff=1ms
        async def slow():
            try:
                await asyncio.sleep(30)
            finally:
                ended.append(1)
        # poet: timeout=5s
        async def quick(): return 1
        # poet: timeout=5s
        async def own(): raise TimeoutError("mine")
        """
    )
    begun = time.monotonic()
    with pytest.raises(OperateTimeout, match=r"m:slow took longer than timeout=0\.05s"):
        asyncio.run(m.slow())
    assert time.monotonic() - begun < 5
    assert m.ended == [1, 1]
    assert asyncio.run(m.quick()) == 1
    with pytest.raises(TimeoutError, match=r"^mine$"):
        asyncio.run(m.own())


def test_a_cancelled_task_is_cancelled(load: Load) -> None:
    """No attempt, no fallback and no time limit stands in the way."""
    m = load(
        """
        import asyncio
        # poet: retries=3, timeout=5s, fallback=0, optimize_for=accuracy
        async def wait(x: int) -> int:
            await asyncio.sleep(30)
            return x
        """
    )

    async def cancelled() -> bool:
        task = asyncio.create_task(m.wait(1))
        await asyncio.sleep(0.01)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return task.cancelled()
        return False

    assert asyncio.run(cancelled())
    waiting = m.wait(1)
    waiting.close()
    (execution,) = api.executions("m:wait")
    assert (execution.outcome, execution.error) == ("error", "CancelledError: ")


def test_what_a_body_makes_of_its_cancellation_is_no_failure(load: Load) -> None:
    m = load(
        """
        import asyncio
        # poet: fallback=0, timeout=9s, retries=3, backoff=5s
        async def ask():
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                raise ConnectionError("cancelled") from None
        # poet: fallback=0, timeout=20ms
        async def slow():
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                raise ConnectionError("cancelled") from None
        """
    )

    async def cancelled() -> str:
        task = asyncio.create_task(m.ask())
        await asyncio.sleep(0.01)
        task.cancel()
        try:
            return repr(await task)
        except ConnectionError as error:
            return str(error)

    async def limited() -> str:
        try:
            async with asyncio.timeout(0.02):
                return repr(await m.ask())
        except ConnectionError as error:
            return str(error)

    assert asyncio.run(cancelled()) == "cancelled"
    assert asyncio.run(limited()) == "cancelled"
    assert asyncio.run(m.slow()) == 0  # its own limit is a failure


def test_a_call_that_is_cancelled_while_it_pauses_is_recorded(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, retries=3, backoff=90s
        async def f(x: int) -> int: raise ValueError(x)
        """
    )

    async def cancelled() -> None:
        async with asyncio.timeout(0.03):
            await m.f(1)

    with pytest.raises(TimeoutError):
        asyncio.run(cancelled())
    (execution,) = api.executions("m:f")
    assert (execution.outcome, execution.attempts) == ("error", 1)


def test_a_task_of_an_earlier_attempt_keeps_its_variables(load: Load) -> None:
    m = load(
        """
        import asyncio
        tasks = []
        # poet: timeout=30ms, retries=1, backoff=1ms
        async def f():
            if tasks:
                await asyncio.sleep(0.01)
                return await tasks[0]
            n = 1
            async def later():
                await asyncio.sleep(0.04)
                return n
            tasks.append(asyncio.create_task(later()))
            await asyncio.sleep(10)
        """
    )
    assert asyncio.run(m.f()) == 1


def test_the_result_of_a_call_that_gives_something_to_wait_for(load: Load) -> None:
    m = load(
        """
        import asyncio, functools
        async def g(x): return x
        # poet: optimize_for=accuracy, record=none
        def s(x): return g(x)
        def started(f):
            @functools.wraps(f)
            def start(x): return asyncio.ensure_future(f(x))
            return start
        # poet: optimize_for=accuracy
        @started
        async def t(x): return x
        """
    )
    result = poet_hook.call(m.s, 1)
    assert asyncio.run(result.value) == 1

    async def task() -> Any:
        return await poet_hook.call(m.t, 2)

    assert asyncio.run(task()).value == 2


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_async_fallback_may_be_any_function(load: Load, kind: str) -> None:
    m = load(
        f"""
        {kind} safe(x, *rest, y): return (x, rest, y)
        # poet: fallback=safe
        async def f(x, *rest, y):
            x = None
            raise ValueError(x)
        # poet: fallback=7
        async def g(): raise ValueError
        """
    )
    assert asyncio.run(m.f(1, 2, y=3)) == (1, (2,), 3)
    assert asyncio.run(m.g()) == 7


def test_an_async_result_is_checked_and_recorded(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, ensure="result < 10", key=x
        async def f(x: int) -> int:
            return x
        # poet: retries=0
        async def g() -> int:
            return "x"
        """
    )

    async def calls() -> Any:
        first, second = await asyncio.gather(poet_hook.call(m.f, 1), poet_hook.call(m.f, "2"))
        return first, second, await m.f(3)

    first, second, third = asyncio.run(calls())
    assert (first.value, second.value, third) == (1, 2, 3)
    assert first.execution_id != second.execution_id
    poet_hook.feedback(first, True)
    with pytest.raises(EnforceError):
        asyncio.run(m.f(10))
    with pytest.raises(EnforceError):
        asyncio.run(m.g())
    assert sorted(str(execution.key) for execution in api.executions("m:f")) == ["1", "10", "2", "3"]
    poet_hook.feedback("3", True)


def test_an_async_call_that_is_not_recorded(load: Load) -> None:
    m = load("# poet: retries=1\nasync def f(): return 1\n")
    with pytest.raises(poet_hook.NotEnhancedError, match="has no optimize_for="):
        asyncio.run(poet_hook.call(m.f))


DETECTOR = """
# poet: optimize_for=accuracy
async def hot(value: float) -> bool:
    return value > 2.0
"""


def teach(function: Callable[..., Any], limit: float, name: str) -> tuple[str, ...]:
    for n in range(60):
        x = limit - 1.5 + n * 37 % 60 / 20
        poet_hook.feedback(asyncio.run(poet_hook.call(function, x)), {"expected": x > limit})
    return poet_hook.learn(name).reasons


def test_an_async_function_that_waits_for_nothing_learns(load: Load) -> None:
    m = load(DETECTOR)
    teach(m.hot, 3.0, "m:hot")
    assert [asyncio.run(m.hot(x)) for x in (2.5, 3.5)] == [False, True]
    m = load(None)
    assert [asyncio.run(m.hot(x)) for x in (2.5, 3.5)] == [False, True]


def test_an_async_function_that_waits_is_recorded_only(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    m = load("import asyncio\n" + DETECTOR.replace("    return", "    await asyncio.sleep(0)\n    return"))
    assert main(["explain", "m:hot"]) == 0
    assert "nothing is learned from them: line 5: it waits for something else" in capsys.readouterr().out
    (reason,) = teach(m.hot, 3.0, "m:hot")
    assert "line 5: it waits for something else, which a replay can't" in reason
    assert len(list(api.executions("m:hot"))) == 60


def test_a_time_limit_under_another_loop_is_said_once(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    m = load("# poet: timeout=1s, retries=1, backoff=1ms\nasync def f(x): return 1 / x\n")
    for _ in range(2):
        with pytest.raises(StopIteration):
            m.f(1).send(None)
        with pytest.raises(ZeroDivisionError):
            m.f(0).send(None)
    assert [r.getMessage() for r in caplog.records if "no effect" in r.getMessage()] == [
        "m:f: timeout= has no effect: this is no task of asyncio or trio"
    ]


TRIO = """
import trio
ended, tries = [], []
# poet: timeout=50ms, retries=1, backoff=1ms
async def slow():
    try:
        await trio.sleep(30)
    finally:
        ended.append(1)
# poet: timeout=50ms, fallback=instead
async def replaced(x: float) -> float:
    await trio.sleep(30)
async def instead(x):
    await trio.sleep(0)
    return -x
# poet: timeout=5s
async def quick(): return 1
# poet: timeout=5s
async def own(): raise TimeoutError("mine")
# poet: retries=2, backoff=200ms
async def flaky(x: float):
    tries.append(x)
    await trio.sleep(0)
    return 1 / (len(tries) // 3)
# poet: retries=2, backoff=60s
async def patient(): raise ConnectionError
# poet: fallback=0, timeout=9s, retries=3, backoff=5s
async def ask():
    try:
        await trio.sleep(30)
    except trio.Cancelled:
        raise ConnectionError("cancelled") from None
# poet: fallback=0, timeout=20ms
async def late():
    try:
        await trio.sleep(30)
    except trio.Cancelled:
        raise ConnectionError("cancelled") from None
# poet: timeout=50ms
async def together():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 30)
        nursery.start_soon(trio.sleep, 30)
"""


def test_trio_has_time_limits_and_pauses(load: Load) -> None:
    m = load(TRIO)
    begun = time.monotonic()
    for function in (m.slow, m.together):
        with pytest.raises(OperateTimeout, match=rf"m:{function.__name__} took longer than timeout=0\.05s"):
            trio.run(function)
    assert m.ended == [1, 1]
    assert trio.run(m.replaced, 2.0) == -2.0
    assert trio.run(m.quick) == 1
    with pytest.raises(TimeoutError, match=r"^mine$"):
        trio.run(m.own)
    assert trio.run(m.late) == 0  # its own limit is a failure
    beats = []

    async def beside() -> float:
        async def beat() -> None:
            while True:
                await trio.sleep(0.01)
                beats.append(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(beat)
            result: float = await m.flaky(1.0)
            nursery.cancel_scope.cancel()
        return result

    assert trio.run(beside) == 1
    assert len(beats) > 1  # the pause lets other tasks run
    assert time.monotonic() - begun < 5


GEVENT = """
import gevent, time
begun = []
# poet: timeout=100ms, fallback=-1.0
def slow(x: float) -> float:
    gevent.sleep(x)
    return x
# poet: timeout=100ms, retries=1, backoff=1ms
def twice(x: float) -> float:
    begun.append(x)
    time.sleep(0 if len(begun) > 1 else x)
    return x
# poet: timeout=100ms, retries=3
def outer(x: float) -> float:
    return inner(x)
# poet: timeout=30s, retries=3
def inner(x: float) -> float:
    gevent.sleep(x)
    return x
"""


def test_greenlets_have_time_limits(project: Path, python: Python) -> None:
    """What waits for gevent is ended there, and the others go on meanwhile."""
    (project / "m.py").write_text(GEVENT)
    done = python(
        """
        from gevent import monkey; monkey.patch_all()
        import gevent, time
        import poet_hook; poet_hook.activate()
        import m
        def said(function, x):
            try:
                return function(x)
            except poet_hook.OperateTimeout as error:
                return str(error)
        began = time.monotonic()
        calls = [(m.slow, 20.0), (m.slow, 0.01), (m.twice, 20.0), (m.outer, 20.0)]
        jobs = [gevent.spawn(said, *call) for call in calls]
        gevent.joinall(jobs)
        print(*(job.value for job in jobs), said(m.slow, 20.0), time.monotonic() - began < 10)
        """
    )
    late = "m:outer took longer than timeout=0.1s"
    assert (done.stdout, done.stderr) == (f"-1.0 0.01 20.0 {late} -1.0 True\n", "")


def test_what_trio_cancels_is_cancelled(load: Load) -> None:
    m = load(TRIO)

    async def limited(call: Callable[[], Any]) -> str:
        try:
            with trio.move_on_after(0.02) as scope:
                return repr(await call())
        except ConnectionError as error:
            return str(error)
        return f"moved on: {scope.cancelled_caught}"

    assert trio.run(limited, m.ask) == "cancelled"  # what the body makes of it is no failure
    assert trio.run(limited, m.patient) == "moved on: True"  # in a pause


def test_an_alert_of_an_async_monitor_is_steady(load: Load) -> None:
    m = load("# poet: min_run=2\nasync def hot(value: float) -> bool:\n    return value > 2.0\n")
    assert [asyncio.run(m.hot(x)) for x in (3.0, 3.0, 1.0, 3.0)] == [False, True, False, False]


# --------------------------------------------------------------------------- generators


GENERATORS = """
# poet: require="n >= 0"
def count(n: int):
    try:
        got = 0
        while got is not None and n:
            try:
                got = yield n
            except KeyError:
                yield "caught"
            n -= 1
    finally:
        closed.append("count")
    return "end"

# poet: coerce=lax
async def acount(n: int):
    try:
        while n:
            try:
                got = yield n
                if got: yield got
            except KeyError:
                yield "caught"
            n -= 1
    finally:
        closed.append("acount")

# poet: coerce=lax
def both(n: int):
    return (yield from count(n))

closed = []
"""


def test_a_generator_is_one(load: Load) -> None:
    m = load(GENERATORS)
    assert inspect.isgeneratorfunction(m.count)
    assert inspect.isasyncgenfunction(m.acount)
    assert list(m.both("3")) == [3]  # `for` sends None
    waiting = m.count("x")  # nothing runs before the first value is asked for
    with pytest.raises(PerceiveError):
        next(waiting)
    with pytest.raises(PerceiveError, match="require='n >= 0'"):
        next(m.count(-1))
    running = m.both("9")
    assert (next(running), running.send(1), running.throw(KeyError)) == (9, 8, "caught")
    assert running.gi_yieldfrom.gi_frame.f_locals["n"] == 8
    running.close()
    running.close()
    assert m.closed == ["count", "count"]
    with pytest.raises(StopIteration, match="end"):
        next(m.count(0))


def test_an_async_generator_is_one(load: Load) -> None:
    m = load(GENERATORS)

    async def used() -> list[Any]:
        running = m.acount("5")
        out = [await anext(running), await running.asend("sent"), await running.athrow(KeyError)]
        await running.aclose()
        return [*out, *[item async for item in m.acount("2")]]

    assert asyncio.run(used()) == [5, "sent", "caught", 2, 1]
    assert m.closed == ["acount", "acount"]

    async def refused() -> None:
        async for _ in m.acount("x"):
            pass

    with pytest.raises(PerceiveError):
        asyncio.run(refused())


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("option", ["retries=1", "timeout=1s", "fallback=1", 'ensure="result"', "optimize_for=f1"])
def test_what_a_generator_can_not_do_is_said_and_left_out(load: Load, kind: str, option: str) -> None:
    name = option.partition("=")[0]
    with pytest.warns(poet_hook.PragmaWarning, match=f"PH416 {name}= has no effect: f\\(\\) is an? (async )?generator"):
        m = load(f"# poet: {option}, coerce=strict\n{kind} f(x: int):\n    yield x\n")
    first = m.f("1") if kind == "def" else m.f("1").asend(None)
    with pytest.raises(PerceiveError):
        first.send(None)


# --------------------------------------------------------------------------- nested


def test_a_function_inside_another(load: Load) -> None:
    m = load(
        """
        def counter(start: int):
            # poet: coerce=lax, retries=1, backoff=1ms
            def step(by: int, fail=[]) -> int:
                nonlocal start
                if fail: raise ValueError(fail.pop())
                start += by
                return start
            return step

        class C:
            def make(self):
                outer = self
                class D:
                    # poet: coerce=strict
                    def who(self, x: int): return __class__, outer, super().__repr__()[:2]
                return D()
        """
    )
    one, two = m.counter(1), m.counter(10)
    assert (one("2"), two(1), one(1)) == (3, 11, 4)
    assert one(1, fail=[1]) == 5
    assert one.__code__ is two.__code__
    c = m.C()
    d = c.make()
    assert d.who(1) == (type(d), c, "<m")
    with pytest.raises(PerceiveError):
        d.who("1")
    assert not hasattr(one, "poet")


def test_a_function_inside_another_is_recorded_and_not_learned(load: Load) -> None:
    source = """
        # poet: optimize_for=accuracy
        def outer(value: float) -> bool:
            # poet: optimize_for=accuracy
            def inner(value: float) -> bool:
                return value > 100.0
            return inner(value) or value > 2.0
        """
    m = load(source)

    def inner() -> int:
        return len(list(api.executions("m:outer.<locals>.inner")))

    for n in range(60):
        x = 1.5 + n * 37 % 60 / 20
        poet_hook.feedback(poet_hook.call(m.outer, x), {"expected": x > 3.0})
    poet_hook.feedback(next(api.executions("m:outer.<locals>.inner")).id, True)
    (reason,) = poet_hook.learn("m:outer.<locals>.inner").reasons
    assert "line 5: it is defined inside another function" in reason
    poet_hook.learn("m:outer")
    # the code of the new version of the outer one has the inner one in it, which is still enhanced
    assert [m.outer(x) for x in (2.5, 3.5)] == [False, True]
    assert inner() == 62
    m = load(None)
    assert [m.outer(x) for x in (2.5, 3.5)] == [False, True]
    assert inner() == 64


# --------------------------------------------------------------------------- all the others


KINDS = """
    # poet: module retries=1, backoff=1ms, ensure="True"
    from __future__ import annotations
    import functools, typing, dataclasses, abc, enum, collections, contextlib

    def positional(a, /, b, *, c=3): return a, b, c
    def variadic(*args, **kwargs): return args, kwargs
    def default(x=[]):
        x.append(1)
        return len(x)
    @functools.cache
    def cached(x): return object()
    @functools.singledispatch
    def single(x): return "any"
    @single.register
    def _(x: int): return "int"
    def recursive(n): return 0 if not n else 1 + recursive(n - 1)
    def raising():
        raise KeyError("x")
    def local_names(a):
        b = 2
        return sorted(locals())
    @contextlib.contextmanager
    def managed(): yield 1
    @typing.overload
    def over(x: int) -> int: ...
    @typing.overload
    def over(x: str) -> str: ...
    def over(x): return x
    @typing.no_type_check
    def unchecked(x: int) -> int: return x
    lambdas = [lambda: 1]

    class Base:
        def __new__(cls, *args):
            made = super().__new__(cls)
            made.new = args
            return made
        def __init__(self, *args): self.args = args
        def __init_subclass__(cls, **k): cls.sub = k
        def __class_getitem__(cls, item): return cls, item
        def __eq__(self, other): return type(other) is type(self)
        def __hash__(self): return 7
        def __call__(self, x): return x
        def __getattr__(self, name): raise AttributeError(name)
        def __enter__(self): return self
        def __exit__(self, *error): return True
        def __iter__(self): return iter([1])
        def who(self): return "base"

    class Child(Base, key=1):
        __secret = 5
        def who(self): return "child " + super().who()
        def __mangled(self, __x): return self.__secret + __x
        def use(self): return self.__mangled(1)
        @property
        def prop(self): return self.args
        @prop.setter
        def prop(self, value): self.args = value
        @prop.deleter
        def prop(self): self.args = None
        @classmethod
        def make(cls): return cls()
        @staticmethod
        def static(x): return x
        @functools.cached_property
        def once(self): return object()
        @functools.singledispatchmethod
        def single(self, x): return "any"
        @single.register
        def _(self, x: str): return "str"
        async def later(self): return super().who()

    @dataclasses.dataclass(order=True)
    class Data:
        x: int
        y: list = dataclasses.field(default_factory=list)
        def __post_init__(self): self.y.append(self.x)
        def total(self): return sum(self.y)

    class Shape(typing.Protocol):
        def area(self) -> int: ...
    class Abstract(abc.ABC):
        @abc.abstractmethod
        def area(self) -> int: raise NotImplementedError
    class Square(Abstract):
        def area(self): return 4
    class Colour(enum.Enum):
        RED = 1
        def describe(self): return self.name
        @classmethod
        def default(cls): return cls.RED
    class Point(collections.namedtuple("Point", "x y")):
        __slots__ = ()
        def norm(self): return abs(self.x) + abs(self.y)
    class Meta(type):
        def __call__(cls, *a): return super().__call__(*a), "meta"
        def __prepare__(name, bases): return {"given": 1}
    class Made(metaclass=Meta):
        def get(self): return self.given
"""


def used(m: ModuleType) -> list[Any]:
    """What a caller sees of each of them."""
    c, d = m.Child(1), m.Data(2)
    c.prop = 9
    seen = [c.prop, c.new]
    del c.prop
    seen += [c.prop, c.who(), c.use(), c.make().args, c.static(1), c.once is c.once, c.single(1), c.single("")]
    seen += [asyncio.run(c.later()), m.Child.sub, m.Child["k"][1], c == m.Child(), hash(c), c(4), list(c)]
    with c:
        raise KeyError
    seen += [hasattr(c, "nothing"), m.positional(1, 2), m.positional(1, b=2, c=4), m.variadic(1, k=2)]
    seen += [m.default(), m.default(), m.cached(1) is m.cached(1), m.single(1), m.single("x"), m.recursive(50)]
    seen += [m.local_names(1), m.over("x"), m.unchecked("x"), d.total(), d < m.Data(3), repr(d), m.Square().area()]
    seen += [m.Colour.RED.describe(), m.Colour.default().name, list(m.Colour.__members__), m.Point(1, -2).norm()]
    made, word = m.Made()
    seen += [made.get(), word, isinstance(m.Abstract.__abstractmethods__, frozenset), m.lambdas[0]()]
    with m.managed() as value:
        seen.append(value)
    for wrong in (lambda: m.positional(a=1), lambda: m.variadic(*[1], **{1: 2}), m.Abstract, m.raising):
        try:
            wrong()
        except Exception as error:
            seen.append((type(error), str(error), [f.name for f in traceback.extract_tb(error.__traceback__)][1:]))
    names = sorted(name for name in vars(m) if not name.startswith("__"))
    seen += [names, *(sorted(vars(getattr(m, name))) for name in names if isinstance(getattr(m, name), type))]
    for function in (m.positional, m.variadic, m.default, m.Child.who, m.Child.make, m.Data.__init__, m.Child):
        seen += [str(inspect.signature(function)), function.__qualname__, inspect.getdoc(function)]
        seen += [pickle.loads(pickle.dumps(function)) == function, inspect.getsource(m.Child)]
    return seen


def test_each_kind_is_the_same_with_and_without(load: Load) -> None:
    enhanced = used(load(KINDS))
    plain = used(load(KINDS, active=False))
    assert enhanced == plain


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are of Python 3.12")
def test_type_parameters_stay(load: Load) -> None:
    source = """
        # poet: module coerce=strict
        def first[T](items: list[T]) -> T: return items[0]
        class Box[T]:
            def put(self, x: T, n: int) -> T: return x
            def over[U](self, x: U) -> U: return x
        type Pair[A] = tuple[A, A]
    """
    m = load(source)
    assert [p.__name__ for p in m.first.__type_params__ + m.Box.__type_params__ + m.Box.over.__type_params__] == [
        *"TTU"
    ]
    assert m.first([1]) == 1
    with pytest.raises(PerceiveError):
        m.Box().put(1, "1")


OPTIONS = (
    "timeout=5s",
    'ensure="True"',
    'require="True"',
    "coerce=off",
    "optimize_for=accuracy",
    "min_run=1",
    "hold=0",
)
STATEMENTS = (
    "x = x + 1",
    "y = [x for _ in range(2)]",
    "if x > 1: return x",
    "for i in range(3):\n        if i == x: break\n    else:\n        return 'else'",
    "try:\n        x = 1 // x\n    except ZeroDivisionError:\n        x = 5\n    finally:\n        seen.append(x)",
    "with open(__file__) as file: x = x + 1",
    "raise ValueError(x)",
    "x = None",
    "return (lambda: x)()",
    "def inner():\n        nonlocal x\n        x = 7\n    inner()",
    "assert x != 2, x",
    "match x:\n        case 0: return 'zero'\n        case int(n): x = n",
    "seen.append(sorted(locals()))",
    "del x",
)
KEYWORDS = {"function": "def", "coroutine": "async def", "method": "def"}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=5),
    st.lists(st.sampled_from(OPTIONS), max_size=4, unique=True),
    st.sampled_from(["function", "coroutine", "generator", "method"]),
    st.integers(0, 3),
)
def test_generated_functions_behave_the_same(
    load: Load, statements: list[str], options: list[str], kind: str, argument: int
) -> None:
    """Results, exceptions, their lines, and what was done on the way."""
    body = "\n    ".join([*statements, *(["yield x"] if kind == "generator" else [])])
    pragma = "# poet: " + ", ".join(options) + "\n"
    keyword = KEYWORDS.get(kind, "def")
    source = f"seen = []\n{pragma}{keyword} f(x):\n    {body}\n"
    if kind == "method":
        source = "seen = []\nclass C:\n" + "".join(f"  {line}\n" for line in source.splitlines()[1:])
    outcomes = []
    for active in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # options that have no effect on a generator
            m = load(source, active=active)
        f = m.C.f if kind == "method" else m.f
        for _ in range(2):
            outcomes.append(outcome(f, argument, kind, m.seen))
            m.seen.clear()
    assert outcomes[:2] == outcomes[2:]


def outcome(f: Callable[..., Any], argument: int, kind: str, seen: list[Any]) -> Any:
    try:
        if kind == "generator":
            result: Any = list(f(argument))
        else:
            result = asyncio.run(f(argument)) if kind == "coroutine" else f(argument)
    except Exception as error:
        frames = [(frame.name, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        return type(error), str(error), [item for item in frames if item[0] in ("f", "inner")], list(seen)
    return result, list(seen)


def test_a_prefork_of_async_workers_keeps_each_record(project: Path, python: Python) -> None:
    (project / "m.py").write_text("# poet: optimize_for=accuracy\nasync def f(x: int) -> int: return x\n")
    done = python(
        """
        import asyncio, os
        import poet_hook; poet_hook.activate()
        import m
        for n in range(3):
            if not os.fork():
                asyncio.run(m.f(n))
                os._exit(0)
            os.wait()
        asyncio.run(m.f(3))
        print(len({e.id for e in poet_hook.executions("m:f")}))
        """
    )
    assert done.stdout == "4\n"
