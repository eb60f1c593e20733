from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from conftest import environment

import poet_hook
from poet_hook import api

Load = Callable[..., ModuleType]

MONITOR = """
    # poet: domain=ml_monitoring, optimize_for=accuracy, after=1000, key="name"
    def check(name: str, value: float) -> bool:
        return value > 3.0

    # poet: domain=ml_monitoring, optimize_for=accuracy, after=1000
    def score(value: float) -> dict:
        return {"is_anomaly": value > 3.0, "score": value}

    # poet: retries=1
    def untaught(value: float) -> bool:
        return value > 3.0
"""


def test_feedback_by_result(load: Load) -> None:
    module = load(MONITOR)
    result = poet_hook.call(module.check, "a", 5.0)
    receipt = poet_hook.feedback(result, "false alarm")
    assert receipt.execution_id == result.execution_id
    assert (receipt.signal.kind, receipt.signal.value) == ("expected", False)


def test_feedback_by_execution_id_and_its_end(load: Load) -> None:
    module = load(MONITOR)
    result = poet_hook.call(module.check, "a", 5.0)
    assert poet_hook.feedback(result.execution_id, True).execution_id == result.execution_id
    assert poet_hook.feedback(result.execution_id[-8:], True).execution_id == result.execution_id


def test_feedback_by_key_in_another_process(load: Load) -> None:
    module = load(MONITOR)
    module.check("incident-7", 5.0)
    code = "import poet_hook; print(poet_hook.feedback('incident-7', 'false alarm').signal.kind)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "expected\n"
    execution = next(poet_hook.executions("check"))
    assert execution.key == "incident-7"
    assert len(api.feedback_of(execution.id)) == 1


def test_a_key_of_several_executions_is_ambiguous(load: Load) -> None:
    module = load(MONITOR)
    module.check("twice", 5.0)
    module.check("twice", 1.0)
    with pytest.raises(poet_hook.AmbiguousResultError, match="2 executions have the key 'twice'") as error:
        poet_hook.feedback("twice", True)
    assert len(error.value.execution_ids) == 2
    assert all(f"{id} of {module.__name__}:check" in str(error.value) for id in error.value.execution_ids)


def test_feedback_by_the_returned_object(load: Load) -> None:
    module = load(MONITOR)
    first, second = module.score(5.0), module.score(1.0)
    assert poet_hook.feedback(second, "correct").signal.kind == "right"
    assert poet_hook.feedback(first, "false alarm").signal.kind == "expected"
    ids = [execution.id for execution in poet_hook.executions("score")]
    assert [len(api.feedback_of(i)) for i in ids] == [1, 1]


def test_an_equal_object_is_not_the_object(load: Load) -> None:
    module = load(MONITOR)
    module.score(5.0)
    with pytest.raises(poet_hook.UnknownExecutionError, match="nothing that a recorded call"):
        poet_hook.feedback({"is_anomaly": True, "score": 5.0}, True)


def test_true_of_several_calls_is_ambiguous_and_the_error_shows_the_ways(load: Load) -> None:
    module = load(MONITOR)
    flags = [module.check("a", 5.0), module.check("b", 6.0)]
    with pytest.raises(poet_hook.AmbiguousResultError) as error:
        poet_hook.feedback(flags[0], False)
    text = str(error.value)
    assert len(error.value.execution_ids) == 2
    assert all(i in text for i in error.value.execution_ids)
    for way in ("poet_hook.call(", "execution id", "key="):
        assert way in text


def test_true_of_the_only_call_is_not_ambiguous(load: Load) -> None:
    module = load(MONITOR)
    flag = module.check("a", 5.0)
    assert poet_hook.feedback(flag, "good catch").signal.kind == "right"


def test_true_is_ambiguous_once_calls_were_forgotten(load: Load) -> None:
    module = load(MONITOR)
    module.check("a", 5.0)
    for _ in range(300):
        module.check("b", 1.0)
    flag = module.check("c", 5.0)
    with pytest.raises(poet_hook.AmbiguousResultError):
        poet_hook.feedback(flag, True)


def test_an_unknown_id_says_where_it_looked(load: Load, project: Path) -> None:
    load(MONITOR)
    with pytest.raises(poet_hook.UnknownExecutionError, match="no execution id, no key"):
        poet_hook.feedback("01m829c94nx49wb2r004", True)


def test_a_function_without_optimize_for_leaves_nothing_to_speak_of(load: Load) -> None:
    module = load(MONITOR)
    with pytest.raises(poet_hook.NotEnhancedError, match="no optimize_for="):
        poet_hook.call(module.untaught, 5.0)
    assert poet_hook.status() == []


def test_a_plain_function_says_how_to_enhance_it(load: Load) -> None:
    with pytest.raises(poet_hook.NotEnhancedError, match="python -m poet_hook run"):
        poet_hook.call(len, "abc")


def test_unread_feedback_is_kept_and_reported(load: Load) -> None:
    module = load(MONITOR)
    result = poet_hook.call(module.check, "a", 5.0)
    receipt = poet_hook.feedback(result, "the quick brown fox")
    assert receipt.signal.kind == "unread"
    assert receipt.signal.reason
    (status,) = poet_hook.status()
    assert (status.feedback, status.unread) == (1, 1)


def test_each_item_of_a_list_is_feedback_of_its_own(load: Load) -> None:
    module = load(MONITOR)
    result = poet_hook.call(module.check, "a", 5.0)
    receipt = poet_hook.feedback(result, ["false alarm", {"rating": 1}])
    assert (receipt.signal.kind, receipt.signal.value) == ("expected", False)
    assert [item.signal.kind for item in api.feedback_of(result.execution_id)] == ["expected", "wrong"]


def test_a_preference_is_feedback_on_both_executions(load: Load) -> None:
    module = load(MONITOR)
    a, b = poet_hook.call(module.check, "a", 5.0), poet_hook.call(module.check, "b", 1.0)
    receipt = poet_hook.feedback(a, {"better_than": b})
    assert (receipt.execution_id, receipt.signal.kind, receipt.signal.confidence) == (a.execution_id, "right", 0.5)
    assert [item.signal.kind for item in api.feedback_of(b.execution_id)] == ["wrong"]


def test_an_exception_as_feedback_means_wrong(load: Load) -> None:
    module = load(MONITOR)
    result = poet_hook.call(module.check, "a", 5.0)
    assert poet_hook.feedback(result, ValueError("downstream refused it")).signal.kind == "wrong"


def test_what_can_not_be_encoded_is_kept_as_text(load: Load) -> None:
    module = load(MONITOR)
    result = poet_hook.call(module.check, "a", 5.0)
    assert poet_hook.feedback(result, {"comment": "false alarm", "by": object()}).signal.kind == "expected"


def test_call_finds_the_right_execution_of_a_recursive_function(load: Load) -> None:
    module = load("""
        # poet: optimize_for=error, after=1000
        def fib(n: int) -> int:
            return n if n < 2 else fib(n - 1) + fib(n - 2)
    """)
    result = poet_hook.call(module.fib, 5)
    assert result.value == 5
    execution = next(e for e in poet_hook.executions("fib") if e.id == result.execution_id)
    assert execution.duration >= max(e.duration for e in poet_hook.executions("fib"))
    with poet_hook.capture() as executions:
        module.fib(3)
    assert len(executions) == 5


def test_feedback_survives_a_kill(load: Load, project: Path) -> None:
    load(MONITOR)
    code = textwrap.dedent("""
        import os, signal, poet_hook
        poet_hook.activate()
        import m
        poet_hook.feedback(poet_hook.call(m.check, "k", 5.0), "false alarm")
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", code], env=environment())
    assert done.returncode == -9
    (status,) = poet_hook.status()
    assert (status.executions, status.feedback) == (1, 1)


def test_a_program_that_ends_does_not_wait_for_ever_until_it_has_learned(load: Load, project: Path) -> None:
    load(MONITOR.replace("after=1000", "after=1"))
    code = """
        import os, signal, time
        import poet_hook
        from poet_hook.isolation import worker
        from poet_hook.learning import background
        poet_hook.activate()
        import m
        background.PATIENCE = 0.1
        poet_hook.feedback(poet_hook.call(m.check, "a", 5.0), "false alarm")
        while not worker._workers:
            time.sleep(0.01)
        os.kill(next(iter(worker._workers)).process.pid, signal.SIGSTOP)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True, timeout=60)
    assert "LearnWarning: m:check: the program ended before it had learned" in done.stderr
    assert "Traceback" not in done.stderr
    learned = poet_hook.learn("m:check")
    assert learned.verdict is not None
    assert learned.verdict.evidence.labelled == 1


def test_a_fork_while_learning_is_asked_for_leaves_the_child_free_to_end(load: Load) -> None:
    code = """
        import os, threading, time
        from poet_hook import api
        background = api.background()
        threading.Thread(target=lambda: (background.lock.acquire(), time.sleep(2), background.lock.release())).start()
        while not background.lock.locked():
            time.sleep(0.01)
        child = os.fork()
        if child:
            print(os.waitpid(child, 0)[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True, timeout=60)
    assert done.stdout == "0\n"


def test_the_end_of_several_ids_is_ambiguous(load: Load) -> None:
    module = load(MONITOR)
    ids = [poet_hook.call(module.check, "a", 5.0).execution_id for _ in range(2)]
    with pytest.raises(poet_hook.AmbiguousResultError, match="give more of it") as caught:
        poet_hook.feedback(ids[0][:8], True)
    assert sorted(caught.value.execution_ids) == sorted(ids)


def test_an_interrupted_program_ends_at_once(load: Load) -> None:
    load(MONITOR.replace("after=1000", "after=1"))
    code = """
        import os, signal, time
        import poet_hook
        from poet_hook.isolation import worker
        from poet_hook.learning import background
        poet_hook.activate()
        import m
        background.PATIENCE = 1000.0
        poet_hook.feedback(poet_hook.call(m.check, "a", 5.0), "false alarm")
        while not worker._workers:
            time.sleep(0.01)
        os.kill(next(iter(worker._workers)).process.pid, signal.SIGSTOP)
        raise KeyboardInterrupt
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=60)
    assert done.returncode == -signal.SIGINT
