"""ns per call: plain, Perceive-Operate-Enforce, recorded; one run, ratios against the plain call.

python benchmarks/call.py [--calls N] [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOURCE = """
def plain(value: float, limit: float) -> bool:
    return value > limit

# poet:
def checked(value: float, limit: float) -> bool:
    return value > limit

# poet: retries=1
def retried(value: float, limit: float) -> bool:
    return value > limit

# poet: optimize_for=accuracy
def recorded(value: float, limit: float) -> bool:
    return value > limit

# poet: cooldown=5
def steady(value: float, limit: float) -> bool:
    return value > limit

# poet: optimize_for=accuracy, cooldown=5
def recorded_steady(value: float, limit: float) -> bool:
    return value > limit

# poet: optimize_for=accuracy, learn=shadow
def shadowed(value: float, limit: float) -> bool:
    return value > limit + 0.5

# poet: optimize_for=accuracy, canary=5%
def tried(value: float, limit: float) -> bool:
    return value > limit + 0.5

def plain_list(value: float, history: list[float]) -> bool:
    return value > history[0]

# poet: optimize_for=accuracy
def recorded_list(value: float, history: list[float]) -> bool:
    return value > history[0]
"""


def per_call(function: Callable[..., Any], arguments: tuple[Any, ...], calls: int) -> float:
    """ns per call, the loop's own cost taken away."""
    loop = range(calls)
    start = time.perf_counter_ns()
    for _ in loop:
        function(*arguments)
    spent = time.perf_counter_ns() - start
    start = time.perf_counter_ns()
    for _ in loop:
        pass
    return (spent - (time.perf_counter_ns() - start)) / calls


def put_on_trial(function: Callable[..., Any]) -> None:
    """A version of the function that challenges it, from its first call on."""
    from poet_hook import api
    from poet_hook.versions.chain import Chain
    from poet_hook.versions.current import plan_of
    from poet_hook.versions.watch import refresh

    function(0.5, 2.0)
    name = api.name_of(function)
    plan, _ = plan_of(name, api.store(), api.settings())
    chain = Chain(api.settings(), name)
    chain.challenge(chain.add(plan, 1, {plan.tunables[0].name: 0.6}, None, "").number)
    refresh(api.settings())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="poet_hook_bench_"))
    os.environ |= {"POET_HOME": str(folder / ".poet"), "POET_USER_DIR": str(folder / "user")}
    (folder / "measured.py").write_text(SOURCE, encoding="utf-8")
    sys.path.insert(0, str(folder))
    import poet_hook

    poet_hook.activate(roots=[folder])
    module = importlib.import_module("measured")
    put_on_trial(module.shadowed)
    put_on_trial(module.tried)
    scalars, listed = (0.5, 2.0), (0.5, [float(i) for i in range(20)])
    cases = {
        "plain": (module.plain, scalars),
        "checked": (module.checked, scalars),
        "retried": (module.retried, scalars),
        "recorded": (module.recorded, scalars),
        "cool-down": (module.steady, scalars),
        "recorded, cool-down": (module.recorded_steady, scalars),
        "with a shadow": (module.shadowed, scalars),
        "with a canary": (module.tried, scalars),
        "plain, 20 floats": (module.plain_list, listed),
        "recorded, 20 floats": (module.recorded_list, listed),
    }
    figures: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(options.rounds):  # in turn, so that a slow moment of the machine meets all of them
        for name, (function, arguments) in cases.items():
            figures[name].append(per_call(function, arguments, options.calls))
    medians = {name: statistics.median(values) for name, values in figures.items()}
    if options.json:
        print(json.dumps(medians))
        return
    print(f"{'':22}{'ns a call':>12}{'over plain':>12}{'ratio':>8}")
    for name, median in medians.items():
        base = medians["plain, 20 floats" if "20 floats" in name else "plain"]
        print(f"{name:22}{median:12.0f}{median - base:12.0f}{median / base:8.1f}")


if __name__ == "__main__":
    main()
