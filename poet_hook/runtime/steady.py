"""A yes or no of the body -> the one that the caller gets, by the earlier ones of its stream.

With `margin=m`, the number that the body compares with is m nearer, so that it more easily says yes, as long as the
body's own last result was a yes (`alerting`). What it says then goes through three filters, each of which sees what the
one before it let through:

1. `min_run=n`: a yes counts from the n-th in a row on; before, it is a no.
2. `hold=n`: once yes, it stays yes while the body says no, up to n times in a row. A yes meanwhile need not run anew.
3. `cooldown=n`: after a yes was given to the caller, the next n calls are no, whatever the other two say. As a
   duration, it is all calls that start so soon after that one.

So a condition that lasts, or that `hold` makes last, is told again after each cool-down. A call that raises, falls
back, or returns no yes or no is none of its stream: it neither changes nor counts anything.

The same code runs in the call and in replay. What a process remembers is its own: a forked child goes on from what
was remembered when it was made. As long as a challenger is on trial, it and the champion each remember what they said
themselves, so that neither disturbs the other.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

from poet_hook.domains.base import decision, with_decision
from poet_hook.errors import PragmaWarning, warn
from poet_hook.model import Steady

MOST_STREAMS = 10_000  # of a process; the one that was longest not heard of is forgotten

Key = tuple[str, str | None]
"""A function, and the stream; None where all of its calls are one."""


State = tuple[int, int, bool, int, float]
"""What is remembered of a stream: how many a yes in a row, the position of the last one, whether it counts, and the
position and the moment of the last yes that the caller got. Positions count results from 0; -1 is none."""

NOTHING: State = (0, -1, False, -1, 0.0)


def play(spec: Steady, state: State, results: Iterable[tuple[int, bool, float]]) -> tuple[list[int], State]:
    """Results of one stream (position, what the body decided, when it began) -> where callers get a yes, and the state.

    Positions ascend. A no may be left out where more than `hold` results lie between it and the yes before it.
    """
    min_run, hold, cooldown = spec.min_run, spec.hold, spec.cooldown
    timed = type(cooldown) is float
    run, yes, raised, given, last = state
    out = []
    for position, decided, moment in results:
        if decided:
            silent = position - yes - 1
            run = run + 1 if not silent else 1
            raised = run >= min_run or (raised and silent <= hold)
            yes = position
            due = raised
        else:
            due = raised and position - yes <= hold
        if due and cooldown and given >= 0:
            # a clock that was set back makes nothing quiet for longer than that
            due = abs(moment - last) >= cooldown if timed else position - given > cooldown
        if due:
            given, last = position, moment
            out.append(position)
    return out, (run, yes, raised, given, last)


Remembered = tuple[int, State]
"""How many results there were, and the state after them."""


class Step(NamedTuple):
    """One result that was taken in, so that it can be taken back."""

    key: Key
    version: int
    before: Remembered | None
    after: Remembered


class Memory:
    """What this process remembers of its streams: outside of any version, so that a swap changes nothing of it.

    Of each stream that is what the last version that saw a result of it remembers, and, during a trial, the other one.
    A version that comes new to a stream goes on from what the last one remembers.
    """

    def __init__(self) -> None:
        self.streams: OrderedDict[Key, dict[int, Remembered]] = OrderedDict()
        self.told: set[str] = set()
        self.unlock()

    def unlock(self) -> None:
        """A lock that nobody holds: in a forked child, another thread's would never be released."""
        self.lock = threading.RLock()  # a signal's handler may call the function that it interrupted

    def clear(self) -> None:
        """Forget everything."""
        self.streams.clear()
        self.told.clear()

    def step(
        self,
        key: Key,
        version: int,
        spec: Steady,
        decided: bool,
        moment: float,
        on_trial: bool = False,
        beside: Step | None = None,
    ) -> tuple[bool, Step]:
        """Take in one result of a version; what the caller gets, and how to take it back.

        `on_trial` says that another version sees results of this stream too; `beside` is its step in the same call.
        """
        with self.lock:
            known = self.streams.setdefault(key, {})
            last = next(reversed(known.values()), None) if beside is None else beside.before
            before = known.pop(version, None) or last
            count, state = before or (0, NOTHING)
            yes, state = play(spec, state, ((count, decided, moment),))
            after = (count + 1, state)
            for other in list(known)[: -1 if on_trial else None]:
                del known[other]
            known[version] = after
            self.streams.move_to_end(key)
            if len(self.streams) > MOST_STREAMS:
                self.streams.popitem(last=False)
        return bool(yes), Step(key, version, before, after)

    def alerting(self, key: Key, version: int, taken: Step | None = None) -> bool:
        """Whether the last result that this version goes on from was a yes of the body.

        `taken` is a step of the same call, by this version or by another one, which does not count.
        """
        with self.lock:
            known = self.streams.get(key, {})
            last = next(reversed(known.values()), None) if taken is None else taken.before
            own = None if taken is not None and taken.version == version else known.get(version)
            count, state = own or last or (0, NOTHING)
        return 0 <= state[1] == count - 1

    def undo(self, step: Step) -> None:
        """Take back the last result of a stream; where others came after it, it stays."""
        with self.lock:
            known = self.streams.get(step.key, {})
            if known.get(step.version) is step.after:
                if step.before is not None:
                    known[step.version] = step.before
                else:
                    del known[step.version]
                    if not known:
                        del self.streams[step.key]

    def complain(self, function: str, what: str) -> None:
        """One warning a function."""
        if function not in self.told:
            self.told.add(function)
            words = "margin=, min_run=, hold= and cooldown= have no effect"
            warn(f"{function}: {words}: {what}", PragmaWarning, stacklevel=5)


memory = Memory()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=memory.unlock)


def settle(
    key: Key,
    version: int,
    spec: Steady,
    result: Any,
    moment: float,
    on_trial: bool,
    beside: Step | None = None,
) -> tuple[Any, Step | None]:
    """What the caller gets in place of the body's `result` (itself, where its yes or no stays), and the step taken."""
    decided = decision(result)
    if decided is None:
        memory.complain(key[0], f"{type(result).__name__} is no yes or no")
        return result, None
    settled, step = memory.step(key, version, spec, decided, moment, on_trial, beside)
    if settled == decided:
        return result, step
    try:
        return with_decision(result, settled), step
    except BaseException:
        memory.undo(step)
        raise
