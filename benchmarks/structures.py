"""What changes of the structure, and other code, cost and bring: false promotions, and feedbacks until a fault goes.

    python benchmarks/structures.py [STREAMS]

Each stream is a function, calls with random arguments, and what they should have returned; it is judged after every
fifth feedback. The calls are real, and so is the search; only the processes and the store are left out. Other code is
written by programs that stand in for a language model: one that writes down the answers it was shown, one that guesses,
and one that knows what is asked for.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from poet_hook.isolation.slice import slice_function
from poet_hook.learning.aims import aims_of
from poet_hook.learning.events import Event
from poet_hook.learning.gate import Judgement
from poet_hook.learning.objective import Label
from poet_hook.learning.replay import Replay
from poet_hook.learning.rerun import Rerun
from poet_hook.learning.rewriting import Rewriting
from poet_hook.learning.search import Offer, Search
from poet_hook.learning.streams import Streams
from poet_hook.learning.structure import judged
from poet_hook.learning.study import Known, Study
from poet_hook.model import CODE, Execution, Plan
from poet_hook.settings import load
from poet_hook.store import codec
from poet_hook.transform.compile import ORIGINAL
from poet_hook.transform.plan import plan_module
from poet_hook.versions.chain import Chain

_FOLDER = tempfile.TemporaryDirectory()  # of a key that signs what the programs wrote
_OWN = load(environ={"POET_USER_DIR": _FOLDER.name})
SOURCES = ("cpu", "disk", "net", "fan")
EVERY = 5
LOUD = """\
# poet: optimize_for=accuracy
def is_loud(value: float, source: str) -> bool:
    return value > {limit}
"""
Truth = Callable[[float, str], bool]


class _Here(Replay):
    """A replay in this process."""

    def __init__(self, plan: Plan, source: str, arguments: Sequence[bytes]) -> None:
        self.child = Rerun()
        self.worker = cast(Any, SimpleNamespace(end=lambda: None))
        self.plan = plan
        part = slice_function(source, plan.qualname, plan.line)
        self._ask(
            {
                "op": "load",
                "source": source,
                "path": plan.path,
                "module": plan.module,
                "kept_as": plan.module,
                "keep": list(part.keep),
                "names": sorted(part.names),
                "sys_path": [],
                "defaults": [],
                "arguments": list(arguments),
            }
        )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.child.handle(request | {"op": "run"} if request["op"] == "sealed" else request)


@dataclass(frozen=True)
class Stream:
    """Calls of `source`, and what each should have returned."""

    source: str
    rows: tuple[tuple[float, str], ...]
    right: tuple[bool, ...]


def stream(limit: float, truth: Truth, seed: int, count: int, noise: float = 0.0) -> Stream:
    """Calls of a function with that limit."""
    rng = random.Random(seed)
    rows = tuple((rng.uniform(0, 10), rng.choice(SOURCES)) for _ in range(count))
    return Stream(LOUD.format(limit=limit), rows, tuple(truth(*row) != (rng.random() < noise) for row in rows))


class _Store:
    """What a writer keeps its rounds in."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get_meta(self, key: str) -> str | None:
        return self.kept.get(key)

    def set_meta(self, key: str, value: str) -> None:
        self.kept[key] = value

    def for_execution(self, _execution_id: str) -> list[Any]:
        return []

    def suggestions(self, _function: str) -> list[Any]:
        return []


Model = Callable[[str, int], str]
"""(what it is shown, which of several replies) -> the body that it writes."""
_SHOWN = re.compile(
    r"^\(value=(\S+), source=('\w+')\) returned (True|False)(?:; it should have been (True|False))?$", re.M
)


def remembers(shown: str, _number: int) -> str:
    """Every answer that it was shown, and else what was there."""
    rows = [
        f"    if value == {value} and source == {source}:\n        return {right or was}\n"
        for value, source, was, right in _SHOWN.findall(shown)
    ]
    return "".join(rows) + "    return value > 5.0\n"


def guesses(shown: str, number: int) -> str:
    """Any rule at all."""
    rng = random.Random(f"{shown}{number}")
    low, source = sorted((rng.uniform(0, 10), rng.uniform(0, 10))), rng.choice(SOURCES)
    kind = rng.choice(
        ["{0} < value < {1}", "value > {0} or source == {2!r}", "value > {1} and source != {2!r}", "not value > {0}"]
    )
    return f"    return {kind.format(*low, source)}\n"


def knows(_shown: str, _number: int) -> str:
    """What the last stream asks for."""
    return "    return value > 5.0 if source in ('cpu', 'net') else value < 5.0\n"


def writer(model: Model | None) -> Rewriting | None:
    """A writer of other code, as a language model would be one."""

    def ask(_system: str, shown: str, number: int) -> tuple[str, str]:
        assert model is not None
        return f"```python\ndef is_loud(value: float, source: str) -> bool:\n{model(shown, number)}```", "stop"

    return None if model is None else Rewriting(cast(Any, _Store()), "a program", ask)


def judgements(
    given: Stream, *, structures: bool, model: Model | None = None
) -> Iterator[tuple[int, Judgement, list[Offer]]]:
    """What is known after every fifth feedback."""
    (target,) = plan_module(given.source, "m.py", "m").targets
    plan = target.plan
    if not structures:
        plan = replace(plan, tunables=tuple(t for t in plan.tunables if not t.structural))
    limit = float(plan.tunables[0].value)
    writes = writer(model)
    for count in range(EVERY, len(given.rows) + 1, EVERY):
        known = []
        for i, (row, right) in enumerate(zip(given.rows[:count], given.right, strict=False)):
            result = row[0] > limit
            execution = Execution(
                str(i),
                "m:is_loud",
                1,
                plan.source_hash,
                float(i),
                0.0,
                "result",
                codec.encode(list(row)),
                codec.encode(result),
            )
            known.append(Known(execution, Label(str(i), "decision", right, 1.0, right == result, i), float(i + 1)))
        chain = cast(Chain, SimpleNamespace(since=lambda: 0.0, settings=_OWN))
        study = Study(plan, given.source, chain, ORIGINAL, known, 0, {}, [])
        study.events = [Event(item.label, (i,), i, given=item.given) for i, item in enumerate(known)]
        arguments = [item.execution.arguments or b"" for item in known]
        replay = Streams(study, _Here(plan, given.source, arguments))
        labelled = [
            (i, item.label, row[0] > limit) for i, (item, row) in enumerate(zip(known, given.rows, strict=False))
        ]
        aims = aims_of("accuracy", (1.0, 1.0), cast(Any, labelled))
        search = Search(study, replay, replay.run({}), aims, lambda _what, _share: None)
        found, offers = judged(search, lambda _what, _share: None, writes)
        yield count, found, offers


def first(given: Stream, *, structures: bool, level: str = "", model: Model | None = None) -> tuple[int, str] | None:
    """After how many feedbacks something may go live, and what: a guard, a choice or a number; None where nothing."""
    for count, found, offers in judgements(given, structures=structures, model=model):
        if found.level is not None and level in ("", found.level):
            values = offers[found.offer].values if found.offer is not None else {}
            if CODE in values:
                return count, "other code"
            return count, " ".join(str(value) for value in values.values() if isinstance(value, str)) or "number"
    return None


def main() -> None:
    """The table."""
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    began = time.perf_counter()

    def told(name: str, results: Sequence[tuple[int, str] | None]) -> None:
        counts = sorted(result[0] for result in results if result)
        what = {result[1] for result in results if result}
        median = statistics.median(counts) if counts else float("nan")
        mean = statistics.fmean(counts) if counts else float("nan")
        print(
            f"{name:58} {len(counts):4} of {len(results)}  median {median:5.1f}  mean {mean:5.1f}  {sorted(what)[:4]}"
        )

    for noise in (0.2, 0.4):
        best = [stream(5.0, lambda value, _: value > 5.0, seed, 60, noise) for seed in range(streams)]
        told(f"nothing to find, {noise:.0%} wrong labels: live", [first(s, structures=True) for s in best])
    cpu = [stream(5.0, lambda value, source: value > 5.0 and source != "cpu", seed, 200) for seed in range(streams)]
    told("no alert is right where source == 'cpu': proven", [first(s, structures=True, level="proven") for s in cpu])
    for structures in (False, True):
        off = [stream(3.0, lambda value, _: value > 5.0, seed, 200, 0.1) for seed in range(streams)]
        words = "with" if structures else "without"
        told(
            f"the limit is too low, {words} structures: proven",
            [first(s, structures=structures, level="proven") for s in off],
        )
    for model in (remembers, guesses):
        told(
            f"nothing to find, 40% wrong labels, a writer that {model.__name__}: live",
            [first(s, structures=True, model=model) for s in best],
        )

    def crossed(value: float, source: str) -> bool:
        return value > 5.0 if source in ("cpu", "net") else value < 5.0

    other = [stream(5.0, crossed, seed, 120, 0.1) for seed in range(streams)]
    for model in (None, knows):
        words = "a writer that knows" if model else "no writer"
        told(
            f"another rule is right, 10% wrong labels, {words}: proven",
            [first(s, structures=True, level="proven", model=model) for s in other],
        )
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
