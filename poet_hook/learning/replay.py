"""A function, its recorded executions and other values -> what it would have returned, in a process of its own.

What people said about the executions never enters that process: the parent compares.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from poet_hook.errors import ReplayError
from poet_hook.isolation.slice import Slice
from poet_hook.isolation.worker import Worker
from poet_hook.learning.constants import Steps, of_choices
from poet_hook.learning.rerun import VARIABLE
from poet_hook.model import CODE, Plan, Tunable, Value
from poet_hook.transform.values import with_values

_WHOLE = 300.0  # seconds for one request, enforced from outside
_ALL = 120.0  # seconds for all executions of one

MOST_DEATHS = 3  # of a learning run: a candidate that ends the process has failed, and others are tried

# an outcome on the wire: ("r", encoded result), ("e", "Type: text"), or ("x", why it can't be compared)
Outcome = tuple[str, bytes | str]
_ENDED: Outcome = ("x", "it ended the process")


class LateError(Exception):
    """What was asked for is not known in time."""


class Replay:
    """A function loaded in a process of its own, with executions to run; use as a context manager."""

    def __init__(self, plan: Plan, part: Slice, source: str, arguments: Sequence[bytes]) -> None:
        self.plan = plan
        self.deaths = 0
        self._loading = {
            "op": "load",
            "source": source,
            "path": plan.path,
            "module": plan.module,
            "kept_as": plan.function.partition(":")[0],
            "keep": list(part.keep),
            "names": sorted(part.names),
            "sys_path": [*sys.path, *_import_folder(plan)],
            "defaults": [[t.parameter, t.value, t.integer] for t in plan.tunables if t.parameter],
            "arguments": list(arguments),
        }
        self._load()

    def _load(self) -> None:
        self.worker = Worker("poet_hook.learning.rerun")
        self._ask(self._loading)

    def __enter__(self) -> Replay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.worker.end()

    def run(
        self, values: Mapping[str, Value], chosen: Sequence[int] | None = None, seconds: float = _ALL
    ) -> list[Outcome]:
        """The outcome of each execution, or of those chosen (by index), with `values` in place of the original's.

        Other code among them (`CODE`) runs in a child that is locked down. What is not done in `seconds`, or ends its
        process, has failed.
        """
        reply = self._tried(
            {
                "op": "sealed" if CODE in values else "run",
                "text": with_values(self.plan.source, self.plan.tunables, values),
                "chosen": None if chosen is None else list(chosen),
                "seconds": seconds,
            }
        )
        if reply is None:
            return [_ENDED] * (len(self._loading["arguments"]) if chosen is None else len(chosen))
        return [(kind, data) for kind, data in reply["outcomes"]]

    def names(
        self, values: Mapping[str, Value], tunable: Tunable, chosen: Sequence[int]
    ) -> tuple[list[Outcome], list[dict[str, Any] | None]]:
        """Of the chosen executions what they return, and what the names that a guard may look at were there.

        Only plain values are told: texts, bools and numbers. None where another kind of `return` was taken.
        """
        exits = {place.number: list(place.names) for place in tunable.exits}
        reply = self._tried({"op": "names", "text": self._own(values), "exits": exits, "chosen": list(chosen)})
        if reply is None:
            return [_ENDED] * len(chosen), [None] * len(chosen)
        return [(kind, data) for kind, data in reply["outcomes"]], reply["names"]

    def trace(
        self,
        tunable: Tunable,
        values: Mapping[str, Value],
        lower: float,
        upper: float,
        chosen: Sequence[int],
        until: float | None = None,
    ) -> list[Steps]:
        """For each chosen execution (by index) the outcomes over `lower`..`upper` of one tunable.

        Those of a choice are over the numbers of its choices, from 0 on, all of which are run. Raises `LateError` where
        `until`, a time of `time.monotonic()`, comes before that.
        """
        if tunable.choices:
            runs = []
            for choice in tunable.choices:
                _seconds_until(until)
                runs.append(self.run({**values, tunable.name: choice}, chosen))
            return [of_choices(outcomes) for outcomes in zip(*runs, strict=True)]
        reply = self._tried(
            {
                "op": "trace",
                "text": self._own(values, (tunable.name, VARIABLE)),
                "start": values.get(tunable.name, tunable.value),
                "integer": tunable.integer,
                "lower": lower,
                "upper": upper,
                "chosen": list(chosen),
                "seconds": _seconds_until(until),
            }
        )
        if reply is not None and reply.get("late"):
            raise LateError
        if reply is None:
            return [Steps((), (_ENDED,), (), exact=False)] * len(chosen)
        outcomes = [(kind, data) for kind, data in reply["outcomes"]]
        return [
            Steps(tuple(breaks), tuple(outcomes[i] for i in inside), tuple(outcomes[i] for i in at), exact)
            for breaks, inside, at, exact in reply["steps"]
        ]

    def _own(self, values: Mapping[str, Value], variable: tuple[str, str] | None = None) -> str:
        """The user's own code with `values`; only that may run in the process that all candidates share."""
        if CODE in values:
            raise ReplayError(f"{self.plan.function}: other code has none of its numbers and exits")
        return with_values(self.plan.source, self.plan.tunables, values, variable)

    def _tried(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The reply; None where that ended the process, as endless recursion can: then a new one takes its place."""
        try:
            return self._ask(request)
        except ReplayError:
            self.deaths += 1
            if self.deaths > MOST_DEATHS:
                raise
            self._load()
            return None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        reply = self.worker.ask(request, _WHOLE)
        if not isinstance(reply, dict) or reply.get("error"):
            why = reply.get("error") if isinstance(reply, dict) else "no proper reply"
            self.worker.end()
            raise ReplayError(f"{self.plan.function} can't be replayed: {why}")
        return reply


def _seconds_until(until: float | None) -> float | None:
    if until is None:
        return None
    seconds = until - time.monotonic()
    if seconds <= 0.0:
        raise LateError
    return seconds


def _import_folder(plan: Plan) -> list[str]:
    """Where the program found the module, so that its relative imports work: here another script is the main one."""
    place = Path(plan.path).with_suffix("").parts
    name = tuple(plan.module.split("."))
    return [str(Path(*place[: -len(name)]))] if place[-len(name) :] == name else []
