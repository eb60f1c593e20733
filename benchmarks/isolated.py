"""What it costs to judge other code in a child that is locked down: per candidate, and per 1,000 replays."""

from __future__ import annotations

import ast
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from poet_hook.isolation.attempts import Open
from poet_hook.isolation.child import Child
from poet_hook.isolation.level import tried
from poet_hook.isolation.seal import Seal
from poet_hook.isolation.slice import slice_function
from poet_hook.isolation.worker import ONE_THREAD
from poet_hook.learning.replay import Replay
from poet_hook.model import CODE
from poet_hook.store import codec
from poet_hook.transform.plan import plan_module

os.environ.update(ONE_THREAD)  # before numpy: this process forks children, too
EXECUTIONS = 1000
SAMPLES = 15
MODULE = """
{imports}
# poet: optimize_for=accuracy
def judged(value: float, history: list[float]) -> bool:
    return {body}
"""
FUNCTIONS = {
    "value * history[0] > 2.0": ("", "value * history[0] > 2.0"),
    "mean and stdev": ("from statistics import mean, stdev", "(value - mean(history)) / stdev(history) > 2.0"),
    "the same, numpy": ("import numpy as np", "bool((value - np.mean(history)) / np.std(history) > 2.0)"),
}


def costs() -> dict[str, Any]:
    """Milliseconds, the fastest of 15: in this process, in the worker, in a child locked down; and a child alone."""
    found: dict[str, Any] = {"level": tried().level, "functions": {}}
    for name, (imports, body) in FUNCTIONS.items():
        with contextlib.suppress(ModuleNotFoundError):
            found["functions"][name] = _of(MODULE.format(imports=imports, body=body))
    found["child_ms"] = _fastest(lambda: _child(Open()))
    found["sealed_child_ms"] = _fastest(lambda: _child(Seal()))
    return found


def _of(module: str) -> dict[str, float]:
    namespace: dict[str, Any] = {}
    exec(compile(ast.parse(module), "judged.py", "exec"), namespace)
    function = namespace["judged"]
    arguments = [(float(i % 17), [float((i * j) % 13 + j) for j in range(1, 21)]) for i in range(EXECUTIONS)]
    encoded = [codec.encode(each) for each in arguments]
    plan = plan_module(module, "judged.py", "judged").targets[0].plan
    part = slice_function(module, plan.qualname, plan.line)
    code = {CODE: plan.source}
    with Replay(plan, part, module, encoded) as replay:
        assert replay.run(code) == replay.run({}), "the outcomes differ"
        return {
            "in_process": _fastest(lambda: [codec.encode(function(*codec.decode(data))) for data in encoded]),
            "worker": _fastest(lambda: replay.run({})),
            "locked": _fastest(lambda: replay.run(code)),
            "worker_one": _fastest(lambda: replay.run({}, [0])),
            "locked_one": _fastest(lambda: replay.run(code, [0])),
        }


def _child(seal: Seal) -> None:
    with Child(_nothing, 5.0, seal) as child:
        child.next(5.0)


def _nothing() -> Iterator[int]:
    yield 0


def _fastest(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(SAMPLES):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def told(found: dict[str, Any]) -> None:
    print(f"isolation              {found['level']}")
    print("ms, 1,000 replays      in this process   in the worker   locked away   (one: worker   locked away)")
    for name, row in found["functions"].items():
        columns = f"{row['in_process']:15.1f} {row['worker']:15.1f} {row['locked']:13.1f}"
        print(f"  {name:26} {columns} {row['worker_one']:14.2f} {row['locked_one']:13.2f}")
    print(f"a child, ms            {found['child_ms']:.2f}, locked down {found['sealed_child_ms']:.2f}")
