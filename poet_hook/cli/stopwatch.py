"""Texts of one function, with more and more of its pragma carried out -> ns per call of each, in a child process.

The texts have an empty body, and come from `cli.cost`: nothing of the user's is run here.
"""

from __future__ import annotations

import ast
import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from poet_hook.runtime import handed, record
from poet_hook.runtime.bind import bind, loosen
from poet_hook.store.database import Store

ROUNDS = 7
_FIRST = 100  # calls, from which the interpreter learns, and of which the first makes a slot and a store
_MOST_TRIED = 1000  # combinations of made-up arguments and results

Function = Callable[..., Any]
Run = Callable[[range], Any]

# by what a call gives: a loop over calls, each of them until its end
_LOOPS = {
    "function": "def loop(function, calls{names}):\n for _ in calls: function({passed})",
    "coroutine": "async def loop(function, calls{names}):\n for _ in calls: await function({passed})",
    "generator": "def loop(function, calls{names}):\n for _ in calls:\n  for _ in function({passed}): pass",
    "async generator": "async def loop(function, calls{names}):\n for _ in calls:\n"
    "  async for _ in function({passed}): pass",
}


def main() -> None:
    """Answer the request on stdin, one JSON document, on stdout; what was recorded meanwhile is left to be deleted."""
    request = json.load(sys.stdin)
    store = Store(Path(request["home"]))
    handed.make_store = lambda: store
    sys.stdout.write(json.dumps(_answer(request)))
    sys.stdout.flush()
    os._exit(0)  # the recorder would tidy its store


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    chosen = _fitting(request)
    if chosen is None:
        return {"problem": "no arguments and no result could be made up that its own checks let pass"}
    *arguments, result = [_made(text) for text in chosen]
    functions = [_function(request, text, result) for text in request["texts"]]
    best, noise, calls = _best(
        [_empty(request), *(_run(request, each, arguments) for each in functions)], request["seconds"]
    )
    if record.recorder.lost:
        return {"problem": "calls could not be recorded in a temporary folder"}
    return {"ns": best, "noise": noise, "calls": calls, "rounds": ROUNDS, "made_up": chosen}


def _fitting(request: dict[str, Any]) -> list[str] | None:
    """The texts of arguments and a result that `probe`, which has the checks alone, takes; None where it takes none."""
    candidates: list[list[str]] = [*request["candidates"], request["results"]]
    longest = max(map(len, candidates))
    together = ([texts[index % len(texts)] for texts in candidates] for index in range(longest))
    each: Iterator[Sequence[str]] = itertools.chain(together, itertools.product(*candidates))
    for chosen in itertools.islice(each, _MOST_TRIED):
        *arguments, result = [_made(text) for text in chosen]
        try:
            _run(request, _function(request, request["probe"], result), arguments)(range(1))
        except Exception:  # noqa: BLE001 - a check refused it, or the expression can't take it
            continue
        return list(chosen)
    return None


def _made(text: str) -> Any:
    return object() if text == "object()" else ast.literal_eval(text)


def _function(request: dict[str, Any], text: str, result: Any) -> Function:
    code = compile(text, request["name"], "exec", dont_inherit=True)
    namespace: dict[str, Any] = {"__name__": "measured", request["result"]: result}
    exec(bind(loosen(code, {request["qualname"]: request["source"]})), namespace)  # made by `cli.cost`
    function: Function = namespace[request["name"]]
    return function


def _run(request: dict[str, Any], function: Function, arguments: Sequence[Any]) -> Run:
    """So many calls of a function, in a loop of its own, so that the interpreter fits it to what it calls."""
    names = "".join(f", a{index}" for index in range(len(arguments)))
    loop = _compiled(_LOOPS[request["kind"]].format(names=names, passed=", ".join(request["passed"])))
    return _awaited(request, lambda calls: loop(function, calls, *arguments))


def _empty(request: dict[str, Any]) -> Run:
    """The same without a call."""
    return _awaited(
        request, _compiled(("async " if _waits(request) else "") + "def loop(calls):\n for _ in calls: pass")
    )


def _compiled(text: str) -> Function:
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    loop: Function = namespace["loop"]
    return loop


def _waits(request: dict[str, Any]) -> bool:
    return request["kind"] in ("coroutine", "async generator")


def _awaited(request: dict[str, Any], run: Run) -> Run:
    return (lambda calls: _runner.run(run(calls))) if _waits(request) else run


_runner = asyncio.Runner()  # one event loop for all


def _best(runs: Sequence[Run], seconds: float) -> tuple[list[float], list[float], int]:
    """The least ns per call of each but the first, less the first; how far the next was off; and all calls made."""
    counts = [_count(run, seconds * 1e9 / (ROUNDS * len(runs))) for run in runs]
    rounds: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):  # in turn, so that a slow moment of the machine meets all of them
        for run, count, figures in zip(runs, counts, rounds, strict=True):
            figures.append(_spent(run, count) / count)
    (empty, _), *firsts = (sorted(figures)[:2] for figures in rounds)
    return [least - empty for least, _ in firsts], [after - least for least, after in firsts], ROUNDS * sum(counts[1:])


def _count(run: Run, wanted: float) -> int:
    """How many calls take about `wanted` ns."""
    run(range(_FIRST))
    count = 1
    while (spent := _spent(run, count)) < wanted / 4:
        count *= 2
    return max(1, int(count * wanted / spent))


def _spent(run: Run, count: int) -> int:
    start = time.perf_counter_ns()
    run(range(count))
    return time.perf_counter_ns() - start
