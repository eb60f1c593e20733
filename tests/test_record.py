from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import textwrap
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import Load, Python, reset

import poet_hook
from poet_hook import api
from poet_hook.errors import EnforceError, NotEnhancedError, StoreWarning
from poet_hook.model import Execution, Phase
from poet_hook.runtime import record
from poet_hook.store import codec
from poet_hook.store.codec import Summary
from poet_hook.store.database import FunctionRecord, Store


def recorded(function: str = "m:f") -> list[Execution]:
    return list(api.store().executions(function))


def arguments(execution: Execution) -> Any:
    assert execution.arguments is not None
    return codec.decode(execution.arguments)


def result(execution: Execution) -> Any:
    assert execution.result is not None
    return codec.decode(execution.result)


SIMPLE = """
    # poet: optimize_for=accuracy {options}
    def f(x, y=2, *more, flag=True, **rest):
        return x
"""


# --------------------------------------------------------------------------- what is recorded


def test_every_call_is_an_execution(load: Load) -> None:
    m = load(SIMPLE.format(options=""))
    before = time.time()
    assert m.f(1) == 1
    assert m.f([1.5], "b", None, flag=False, k={"a": (1, {2})}) == [1.5]
    first, second = recorded()
    assert arguments(first) == (1, 2, (), True, {})
    assert arguments(second) == ([1.5], "b", (None,), False, {"k": {"a": (1, {2})}})
    assert (result(first), result(second)) == (1, [1.5])
    assert first.id < second.id
    assert len(first.id) == 20
    for execution in (first, second):
        assert execution.function == "m:f"
        assert execution.version == 1
        assert execution.outcome == "result"
        assert (execution.error, execution.key, execution.replayable, execution.attempts) == (None, None, "", 1)
        assert before - 1 < execution.started < time.time() + 1
        assert 0 < execution.duration < 60


def test_the_function_is_introduced_once(load: Load, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[str] = []
    original = Store.save_function

    def save(self: Store, function: FunctionRecord) -> None:
        saved.append(function.function)
        original(self, function)

    monkeypatch.setattr(Store, "save_function", save)
    m = load("# poet: domain=ml_monitoring optimize_for=f1\ndef f(x):\n    return x\n")
    m.f(1)
    m.f(2)
    assert saved == ["m:f"]
    known = api.store().function("m:f")
    assert known is not None
    assert (known.module, known.qualname, known.path, known.line) == ("m", "f", str(project / "m.py"), 2)
    assert (known.source, known.optimize_for, known.domain) == ("def f(x):\n    return x\n", "f1", "ml_monitoring")
    assert recorded()[0].source_hash == known.source_hash
    assert api.store().source_of("m:f", known.source_hash) == known.source


def test_arguments_are_kept_as_they_were_at_the_call(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy retries=1
        def f(items, options, **rest):
            items.append(3)
            options.clear()
            rest.pop("k")
            if len(items) < 4:
                raise KeyError
            items = options = None
            return "done"
    """)
    items, options = [1, 2], {"a": 1}
    m.f(items, options, k=5)
    (execution,) = recorded()
    assert arguments(execution) == ([1, 2], {"a": 1}, {"k": 5})
    assert (items, options, execution.attempts) == ([1, 2, 3, 3], {}, 2)


def test_the_result_is_kept_as_it_was_returned(load: Load) -> None:
    m = load(SIMPLE.format(options=""))
    value = m.f([1])
    value.append(2)
    assert result(recorded()[0]) == [1]


def test_perceived_arguments_are_what_is_kept(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy
        def f(x: float):
            return x
    """)
    m.f("25%")
    assert arguments(recorded()[0]) == (0.25,)


def test_refused_calls_are_no_executions(load: Load, project: Path) -> None:
    m = load(SIMPLE.format(options="require='x'"))
    with pytest.raises(poet_hook.PerceiveError):
        m.f(0)
    assert recorded() == []


def test_without_an_objective_nothing_is_stored(load: Load, project: Path) -> None:
    m = load("""
        # poet: retries=1 ensure="True" timeout=1h domain=ml_monitoring
        def f(x):
            return x
    """)
    assert m.f("secret") == "secret"
    assert not (project / ".poet").exists()
    assert recorded() == []


def test_methods_record_what_can_be_kept_of_self(load: Load) -> None:
    m = load("""
        class C:
            # poet: optimize_for=accuracy
            def f(self, x):
                return x

            # poet: optimize_for=accuracy
            @staticmethod
            def s(x):
                return x
    """)
    m.C().f(1)
    m.C.s(2)
    assert [e.function for e in recorded("m:C.f") + recorded("m:C.s")] == ["m:C.f", "m:C.s"]
    assert arguments(recorded("m:C.s")[0]) == (2,)


# --------------------------------------------------------------------------- record=


@pytest.mark.parametrize(
    ("options", "kept", "returned", "reason"),
    [
        ("record=full", ("ab", 2), "ab", ""),
        (
            "record=hash",
            (Summary("hash", codec.digest("ab")), Summary("hash", codec.digest(2))),
            Summary("hash", codec.digest("ab")),
            "argument 'x' is recorded as hash",
        ),
        (
            "record=shape",
            (Summary("shape", "str of 2"), Summary("shape", "int")),
            Summary("shape", "str of 2"),
            "argument 'x' is recorded as shape",
        ),
        ("record=none", None, None, "record=none"),
        ("record.x=none", (Summary("none", ""), 2), "ab", "argument 'x' is recorded as none"),
        ("record.y=hash", ("ab", Summary("hash", codec.digest(2))), "ab", "argument 'y' is recorded as hash"),
        ("record=none record.y=full", (Summary("none", ""), 2), None, "argument 'x' is recorded as none"),
    ],
)
def test_what_record_keeps(load: Load, project: Path, options: str, kept: Any, returned: Any, reason: str) -> None:
    m = load(f"""
        # poet: optimize_for=accuracy {options}
        def f(x, y=2):
            return x
    """)
    assert m.f("ab") == "ab"
    (execution,) = recorded()
    assert (None if execution.arguments is None else arguments(execution)) == kept
    assert (None if execution.result is None else result(execution)) == returned
    assert execution.replayable == reason


@pytest.mark.parametrize("options", ["record=hash", "record=shape", "record=none", "record.password=none"])
def test_what_is_hidden_is_nowhere_in_the_store(load: Load, project: Path, options: str) -> None:
    m = load(f"""
        # poet: optimize_for=accuracy {options}
        def f(password):
            if password.startswith("hush"):
                raise KeyError("no such password: " + password)
            return len(password)
    """)
    with pytest.raises(KeyError):
        m.f("hush-hush")
    m.f("silence")
    assert [e.error for e in recorded()] == ["KeyError", None]
    api.store().close()
    for path in (project / ".poet").rglob("*"):
        if path.is_file():
            assert b"hush-hush" not in path.read_bytes()
            assert b"silence" not in path.read_bytes()


# --------------------------------------------------------------------------- what can't be kept


def cyclic() -> list[Any]:
    out: list[Any] = []
    out.append(out)
    return out


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __iter__(self) -> Any:
        raise RuntimeError


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: open(os.devnull), "argument 'x': "),  # noqa: SIM115
        (lambda: (i for i in "ab"), "argument 'x': "),
        (cyclic, "argument 'x': nested deeper"),
        (lambda: "x" * 300_000, "argument 'x': larger than"),
        (lambda: [object()], "argument 'x': "),
        (lambda: lambda: 1, "argument 'x': "),
        (Hostile, "argument 'x': "),
    ],
)
def test_what_can_not_be_encoded_is_a_reason_and_no_error(load: Load, make: Callable[[], Any], reason: str) -> None:
    m = load("""
        # poet: optimize_for=accuracy
        def f(x, y=2):
            return x
    """)
    value = make()
    assert m.f(value) is value
    (execution,) = recorded()
    assert execution.replayable.startswith(reason)
    assert execution.result is None
    kept = arguments(execution)
    assert kept[1] == 2
    assert isinstance(kept[0], Summary)
    if hasattr(type(value), "close"):
        value.close()


def test_a_result_that_can_not_be_encoded(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy
        def f(x):
            return lambda: x
    """)
    assert m.f(1)() == 1
    (execution,) = recorded()
    assert execution.replayable.startswith("result: ")
    assert arguments(execution) == (1,)


def test_arguments_that_fit_alone_but_not_together(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy
        def f(x, y):
            return 1
    """)
    m.f("x" * 200_000, "y" * 200_000)
    (execution,) = recorded()
    assert execution.arguments is None
    assert "larger" in execution.replayable


def test_an_encoder_that_breaks_does_not_break_the_call(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    m = load(SIMPLE.format(options=""))

    def broken(*_: object) -> bytes:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(codec, "encode", broken)
    with pytest.warns(StoreWarning, match="a bug of ours") as caught:
        assert [m.f(1), m.f(2)] == [1, 2]
    assert len(caught) == 1


# --------------------------------------------------------------------------- outcomes

FAILS = """
    import sys

    # poet: optimize_for=accuracy {options}
    def f(x):
        if x == "exit":
            sys.exit(3)
        if x == "stop":
            raise KeyboardInterrupt
        return 1 / x

    def safe(x):
        return [x]

    def broken(x):
        raise OSError("the fallback too")
"""


def test_errors_are_recorded_and_go_on(load: Load) -> None:
    m = load(FAILS.format(options="retries=2"))
    with pytest.raises(ZeroDivisionError):
        m.f(0)
    (execution,) = recorded()
    assert (execution.outcome, execution.error) == ("error", "ZeroDivisionError: division by zero")
    assert (execution.attempts, execution.result) == (3, None)
    assert arguments(execution) == (0,)


@pytest.mark.parametrize(("x", "error"), [("exit", SystemExit), ("stop", KeyboardInterrupt)])
def test_exits_are_recorded_too(load: Load, x: str, error: type[BaseException]) -> None:
    m = load(FAILS.format(options="retries=2 fallback=safe"))
    with pytest.raises(error):
        m.f(x)
    (execution,) = recorded()
    assert (execution.outcome, execution.attempts) == ("error", 1)
    assert execution.error is not None
    assert execution.error.startswith(error.__name__)


def test_fallbacks_are_recorded_as_such(load: Load) -> None:
    m = load(FAILS.format(options="retries=1 fallback=safe"))
    assert m.f(0) == [0]
    assert m.f(2) == 0.5
    first, second = recorded()
    assert (first.outcome, first.error, first.attempts) == ("fallback", "ZeroDivisionError: division by zero", 2)
    assert result(first) == [0]
    assert (second.outcome, second.error) == ("result", None)


def test_a_fallback_that_fails_is_recorded(load: Load) -> None:
    m = load(FAILS.format(options="fallback=broken"))
    with pytest.raises(OSError, match="the fallback too"):
        m.f(0)
    (execution,) = recorded()
    assert (execution.outcome, execution.error) == ("error", "OSError: the fallback too")


def test_broken_promises_are_recorded(load: Load) -> None:
    m = load(FAILS.format(options="ensure='result < 1'"))
    with pytest.raises(EnforceError):
        m.f(0.5)
    (execution,) = recorded()
    assert execution.outcome == "error"
    assert execution.error is not None
    assert execution.error.startswith("EnforceError: m:f: ensure=")


def test_an_exception_without_a_readable_text(load: Load) -> None:
    m = load("""
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        # poet: optimize_for=accuracy
        def f():
            raise Odd
    """)
    with pytest.raises(m.Odd):
        m.f()
    assert [e.error for e in recorded()] == ["Odd"]


def test_long_errors_are_cut(load: Load) -> None:
    m = load(SIMPLE.format(options="").replace("return x", "raise KeyError('x' * 10**6)"))
    with pytest.raises(KeyError):
        m.f(1)
    assert len(recorded()[0].error or "") == 2000


# --------------------------------------------------------------------------- keys


def test_keys(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy key="order['id']"
        def f(order):
            order.clear()
            return 1

        # poet: optimize_for=accuracy key=number
        def g(number, other=None):
            number = 3
            return number
    """)
    m.f({"id": "A-1"})
    m.g(7)
    m.g(None)
    assert [e.key for e in recorded("m:f") + recorded("m:g")] == ["A-1", "7", None]


def test_a_key_that_can_not_be_evaluated(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy key="order['id']"
        def f(order):
            return 1
    """)
    with pytest.warns(StoreWarning, match=r"m:f: executions have no key: KeyError: 'id'") as caught:
        assert [m.f({}), m.f({})] == [1, 1]
    assert len(caught) == 1
    assert [(e.key, arguments(e)) for e in recorded()] == [(None, ({},))] * 2


# --------------------------------------------------------------------------- call and capture


def test_call_gives_the_value_and_its_execution(load: Load) -> None:
    m = load(SIMPLE.format(options=""))
    got = poet_hook.call(m.f, 1, flag=False)
    (execution,) = recorded()
    assert (got.value, got.execution_id, got.function, got.version) == (1, execution.id, "m:f", 1)
    assert got.duration == execution.duration
    assert got.phases == (
        Phase("perceive", "ok"),
        Phase("operate", "ok"),
        Phase("enforce", "ok"),
        Phase("train", "recorded"),
    )


def test_phases_say_how_it_went(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy retries=1 fallback=0 record=hash
        def f(log):
            log.append(1)
            return 1 / (len(log) - 1)
    """)
    outcomes = [[p.outcome for p in poet_hook.call(m.f, log).phases] for log in ([], [1])]
    assert outcomes[0] == ["ok", "retried", "ok", "argument 'log' is recorded as hash"]
    assert outcomes[1][1] == "ok"
    m = load(FAILS.format(options="fallback=safe"))
    got = poet_hook.call(m.f, 0)
    assert got.value == [0]
    assert [p.outcome for p in got.phases] == ["ok", "fallback", "skipped", "recorded"]


def test_call_of_a_recursive_function_is_the_outer_one(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy
        def f(n):
            return None if n == 0 else f(n - 1)
    """)
    got = poet_hook.call(m.f, 2)
    (execution,) = [e for e in recorded() if e.id == got.execution_id]
    assert arguments(execution) == (2,)


def test_call_of_a_method(load: Load) -> None:
    m = load("""
        class C:
            # poet: optimize_for=accuracy
            def f(self, x):
                return x

            # poet: optimize_for=accuracy
            @classmethod
            def g(cls, x):
                return x
    """)
    assert poet_hook.call(m.C().f, 1).function == "m:C.f"
    assert poet_hook.call(m.C.g, 1).function == "m:C.g"


def test_call_passes_errors_on(load: Load) -> None:
    m = load(FAILS.format(options=""))
    with pytest.raises(ZeroDivisionError):
        poet_hook.call(m.f, 0)


def test_call_of_what_does_not_learn(load: Load) -> None:
    m = load("# poet: retries=1\ndef f(): return 1\ndef g(): return 2\n")
    with pytest.raises(NotEnhancedError, match=r"f left no execution: its pragma \(.*m.py:2\) has no optimize_for="):
        poet_hook.call(m.f)
    with pytest.raises(NotEnhancedError, match=r"g left no execution: it is not enhanced\. Put `# poet: optimize_for"):
        poet_hook.call(m.g)
    with pytest.raises(NotEnhancedError, match="not enhanced"):
        poet_hook.call(len, "ab")
    with pytest.raises(NotEnhancedError, match=r"json_encode left no execution: it is compiled, .*_core\..*so"):
        poet_hook.call(msgspec.json.encode, 1)


def test_capture_collects_in_the_order_of_the_ends(load: Load) -> None:
    m = load("""
        # poet: optimize_for=accuracy
        def f(x):
            return x

        # poet: optimize_for=accuracy
        def g(x):
            return f(x) + f(x + 1)
    """)
    m.f(0)
    with poet_hook.capture() as outer:
        m.g(1)
        with poet_hook.capture() as inner:
            poet_hook.call(m.f, 9)
        assert [r.value for r in inner] == [9]
    m.f(0)
    assert [(r.function, r.value) for r in outer] == [("m:f", 1), ("m:f", 2), ("m:g", 3), ("m:f", 9)]
    assert len({r.execution_id for r in outer}) == 4


def test_errors_are_captured_too(load: Load) -> None:
    m = load(FAILS.format(options=""))
    with poet_hook.capture() as results, pytest.raises(ZeroDivisionError):
        m.f(0)
    assert [r.execution_id for r in results] == [e.id for e in recorded()]


def test_recent_results_are_found_by_identity(load: Load) -> None:
    m = load(SIMPLE.format(options=""))
    value = m.f([1])
    assert record.recent.of([1]) == []
    assert record.recent.of(value) == [(recorded()[0].id, "m:f")]
    for _ in range(300):
        m.f([1])
    assert record.recent.of(value) == []
    assert record.recent.dropped


@pytest.mark.parametrize("options", ["", "record=shape"])
def test_large_results_are_not_kept_alive(load: Load, options: str) -> None:
    m = load(f"""
        # poet: optimize_for=accuracy {options}
        def f(size):
            return set(range(size)) if size else None
    """)
    large = m.f(100_000)
    gone = weakref.ref(large)
    assert record.recent.of(large) == [(recorded()[0].id, "m:f")]
    assert record.recent.of(None) == []
    del large
    assert gone() is None
    assert record.recent.of(None) == []  # what has gone is not None
    m.f(0)
    assert record.recent.of(None) == [(recorded()[1].id, "m:f")]


# --------------------------------------------------------------------------- a store that fails


def call_often(f: Callable[[int], int]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [f(i) for i in range(5)] == list(range(5))
    return caught


def test_an_unwritable_home_is_one_warning(load: Load, project: Path) -> None:
    (project / ".poet").write_text("a file is in the way")
    m = load(SIMPLE.format(options=""))
    (warning,) = call_often(m.f)
    assert warning.category is StoreWarning
    assert str(project / ".poet") in str(warning.message)
    assert record.recorder.lost > 1


def test_where_warnings_are_errors_the_call_still_goes_on(load: Load, project: Path) -> None:
    (project / ".poet").write_text("a file is in the way")
    m = load(FAILS.format(options=""))
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("error")
        assert m.f(2) == 0.5
        with pytest.raises(ZeroDivisionError) as caught:
            m.f(0)
    assert caught.value.__context__ is None
    assert ["executions are not recorded" in str(item.message) for item in shown] == [True]


def test_a_full_disk_is_one_warning_and_what_fits_later_is_kept(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    m = load(SIMPLE.format(options=""))
    m.f(0)
    write = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    (warning,) = call_often(m.f)
    assert "No space left on device" in str(warning.message)
    monkeypatch.setattr(os, "write", write)
    m.f(9)
    assert [arguments(e)[0] for e in recorded()] == [0, 9]


def test_a_damaged_database_costs_a_warning_and_no_execution(load: Load, project: Path) -> None:
    (project / ".poet").mkdir()
    (project / ".poet" / "poet.db").write_bytes(b"no database at all" * 100)
    m = load(SIMPLE.format(options=""))
    (warning,) = call_often(m.f)
    assert "move it away" in str(warning.message)
    (project / ".poet" / "poet.db").unlink()
    assert len(recorded()) == 5


def test_a_store_that_goes_away_comes_back(load: Load, project: Path) -> None:
    m = load(SIMPLE.format(options=""))
    m.f(1)
    assert len(recorded()) == 1
    shutil.rmtree(project / ".poet")
    m.f(2)
    assert [arguments(e)[0] for e in recorded()] == [2]
    m.f(3)
    assert [item.function for item in api.status()] == ["m:f"]


def test_a_store_that_went_away_at_the_end_knows_its_functions(project: Path, python: Python) -> None:
    (project / "m.py").write_text(textwrap.dedent(SIMPLE.format(options="")))
    python("""
        import shutil
        import poet_hook.auto
        import m
        m.f(1)
        shutil.rmtree(".poet")
        m.f(2)
    """)
    (item,) = api.status()
    assert item.function == "m:f"
    assert 2 in [arguments(e)[0] for e in recorded()]


def test_a_call_that_could_not_be_recorded_says_so(load: Load, project: Path) -> None:
    m = load(SIMPLE.format(options=""))
    assert api.call(m.f, 1).phases[-1] == Phase("train", "recorded")
    api.store().close()
    shutil.rmtree(project / ".poet")
    (project / ".poet").write_text("a file is in the way")
    with pytest.warns(StoreWarning):
        result = api.call(m.f, 2)
    assert result.phases[-1].outcome.startswith("not recorded: ")


def test_the_end_of_a_process_does_not_wait_for_the_database(project: Path, python: Python) -> None:
    (project / "m.py").write_text(textwrap.dedent(SIMPLE.format(options="")))
    python("""
        import poet_hook.auto, m
        from poet_hook.runtime import record
        record._SETTLE = 0.0
        for x in range(20):
            m.f(x)
    """)
    assert list((project / ".poet" / "journal").glob("*.log"))
    assert len(recorded()) == 20
    assert not list((project / ".poet" / "journal").glob("*.log"))


def test_the_folder_is_kept_out_of_version_control(load: Load, project: Path) -> None:
    load(SIMPLE.format(options="")).f(1)
    assert (project / ".poet" / ".gitignore").read_text() == "*\n"
    assert (project / ".poet").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [None, ""])
def test_a_folder_that_lost_its_gitignore_gets_it_back(load: Load, project: Path, content: str | None) -> None:
    m = load(SIMPLE.format(options=""))
    m.f(1)
    ignore = project / ".poet" / ".gitignore"
    ignore.unlink() if content is None else ignore.write_text(content)
    reset()
    load(None).f(2)
    assert ignore.read_text() == "*\n"
    assert [path.name for path in (project / ".poet").glob(".gitignore*")] == [".gitignore"]


def test_functions_that_could_not_be_saved_are_saved_later(load: Load, project: Path) -> None:
    m = load(SIMPLE.format(options=""))
    (project / ".poet").mkdir()
    (project / ".poet" / "poet.db").mkdir()  # the journal can be written, the database not
    with pytest.warns(StoreWarning):
        m.f(1)
    (project / ".poet" / "poet.db").rmdir()
    record.recorder.settle()
    assert [item.function for item in api.status()] == ["m:f"]
    assert len(recorded()) == 1


def test_deactivation_does_not_stop_what_is_enhanced(load: Load) -> None:
    api.activate()
    m = load(SIMPLE.format(options=""))
    api.deactivate()
    m.f(1)
    assert len(recorded()) == 1


# --------------------------------------------------------------------------- threads and processes


def test_threads(load: Load) -> None:
    m = load(SIMPLE.format(options="retries=1"))

    def run(base: int) -> None:
        for i in range(100):
            assert m.f(base + i) == base + i

    threads = [threading.Thread(target=run, args=(1000 * n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    executions = recorded()
    assert len({e.id for e in executions}) == len(executions) == 600
    assert sorted(arguments(e)[0] for e in executions) == sorted(1000 * n + i for n in range(6) for i in range(100))
    assert all(arguments(e)[0] == result(e) for e in executions)


def in_child(work: Callable[[], None]) -> None:
    """Run in a fork; fail where that fails or hangs."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


def test_a_forked_child_records_its_own(load: Load) -> None:
    m = load(SIMPLE.format(options=""))
    m.f(0)

    def work() -> None:
        for i in range(1, 20):
            m.f(i)

    in_child(work)
    m.f(20)
    executions = recorded()
    assert sorted(arguments(e)[0] for e in executions) == list(range(21))
    assert len({e.id for e in executions}) == 21


def test_a_fork_while_another_thread_records(load: Load) -> None:
    m = load(SIMPLE.format(options=""))
    m.f(0)
    with record._ids.lock:  # as another thread would hold it
        in_child(lambda: m.f(1))
    assert sorted(arguments(e)[0] for e in recorded()) == [0, 1]


FORKS = """
import os, sys, threading, warnings
import poet_hook
poet_hook.activate()
import m
m.f(1)
names = lambda: [t.name for t in threading.enumerate()]
before = names()
warnings.simplefilter("always")
child = os.fork()
print(names() == before, flush=True)
if child:
    os.waitpid(child, 0)
    print(before)
"""


def test_forking_is_not_beside_a_thread_of_ours(project: Path, python: Python) -> None:
    (project / "m.py").write_text("# poet: optimize_for=f1\ndef f(x):\n    return x > 2\n")
    done = python(FORKS)
    assert done.stdout.splitlines() == ["True", "True", "['MainThread', 'poet_hook watch']"]
    if sys.version_info < (
        3,
        13,
    ):  # from 3.12 on Python warns of threads beside a fork, from 3.13 on also of later ones
        assert done.stderr == ""


KILLED = """
import os, signal
import poet_hook
poet_hook.activate()
import m
for i in range(200):
    m.f(i)
if {end!r} == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if {end!r} == "_exit":
    os._exit(0)
if {end!r} == "term":
    os.kill(os.getpid(), signal.SIGTERM)
if {end!r} == "atexit":
    import atexit
    atexit.register(m.f, 200)
"""


@pytest.mark.parametrize("end", ["kill", "_exit", "term", "atexit"])
def test_executions_outlive_their_process(project: Path, python: Python, end: str) -> None:
    (project / "m.py").write_text("# poet: optimize_for=f1\ndef f(x):\n    return x > 2\n")
    done = python(KILLED.format(end=end), check=False)
    assert done.returncode == {"kill": -signal.SIGKILL, "term": -signal.SIGTERM}.get(end, 0)
    assert done.stderr == ""
    expected = list(range(201 if end == "atexit" else 200))
    assert [arguments(e)[0] for e in recorded()] == expected
    assert api.store().function("m:f") is not None


def test_processes_at_once(project: Path, python: Python) -> None:
    (project / "m.py").write_text("# poet: optimize_for=f1\ndef f(x):\n    return x > 2\n")
    threads = [threading.Thread(target=python, args=(KILLED.format(end="_exit"),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({e.id for e in recorded()}) == 600


def test_ids_sort_by_time() -> None:
    ids = record.Ids()
    made = [ids.make(seconds) for seconds in (0.0, 1.0, 1.001, 1.9e9, 2.5e9)]
    assert made == sorted(made)
    assert {len(i) for i in made} == {20}
    same = [ids.make(1.9e9) for _ in range(1000)]
    assert len(set(same)) == 1000
    assert same == sorted(same)


def test_the_stream_of_a_call_is_recorded(load: Load) -> None:
    m = load(
        """
        # poet: optimize_for=accuracy, stream="pump.lower()"
        def is_hot(pump: str, celsius: float) -> bool:
            return celsius > 45.0
        """
    )
    m.is_hot("A", 50.0)
    m.is_hot("b", 1.0)
    assert [(e.stream, e.key) for e in api.store().executions("m:is_hot")] == [("a", None), ("b", None)]


def test_threads_that_are_the_first_to_record_share_one_store(project: Path, python: Python) -> None:
    (project / "m.py").write_text("# poet: optimize_for=accuracy\ndef f(x): return x > 1\n")
    code = """
        import sys, threading, time
        import poet_hook
        from poet_hook.store import database
        made = []
        plain = database.Store.__init__
        def slow(self, *given):
            made.append(self)
            time.sleep(0.2)
            plain(self, *given)
        database.Store.__init__ = slow
        poet_hook.activate()
        import m
        threads = [threading.Thread(target=m.f, args=(n,)) for n in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(made), len(list(poet_hook.executions(m.f))))
    """
    assert python(code).stdout == "1 8\n"
