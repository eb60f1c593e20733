"""How well this system can lock away the code that is judged: found out by trying, once in a process.

    closed   no file, no network, no process, no signal; limits for time and memory
    limits   limits only: what needs no descriptor and little memory, such as deleting a file, is open
    none     no child can be forked, or its limits do not hold

Below `closed`, what somebody else wrote is proposed, and does not go live by itself.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from poet_hook.errors import ReplayError
from poet_hook.isolation.worker import Worker
from poet_hook.model import Isolation

_SECONDS = 60.0
_MAY_FAIL = frozenset({"take another process", "raise its limits"})  # plainly, too: it takes privileges


@dataclass(frozen=True, slots=True)
class Tried:
    """What was found: the level, how it is `told` in a sentence, and the attempts that worked all the same.

    `landlock` is the version of its interface, 0 where there is none; `seccomp` the kind of machine, "" likewise.
    """

    level: Isolation
    told: str
    open: tuple[str, ...] = ()
    landlock: int = 0
    seccomp: str = ""


def level() -> Isolation:
    """How well other code is locked away while it is judged."""
    return tried().level


@cache
def tried() -> Tried:
    """The level, with what it was told from; the first time in a process that takes half a second."""
    if not hasattr(os, "fork"):
        return Tried("none", "this system can't fork a process")
    try:
        with tempfile.TemporaryDirectory(prefix="poet_hook-") as folder:
            paths = {name: Path(folder, name) for name in ("sealed", "plain")}
            for path in paths.values():
                path.write_text("x", encoding="ascii")
            with Worker("poet_hook.isolation.attempts") as worker:
                reply = worker.ask({name: str(path) for name, path in paths.items()}, _SECONDS)
    except (OSError, ReplayError) as error:
        return Tried("none", f"it could not be tried: {error}")
    return judged(**reply)


def judged(attempts: dict[str, list[bool]], computes: bool = True, landlock: int = 0, seccomp: str = "") -> Tried:
    """What follows from the reply of `attempts`: which of them work behind the seal, and which plainly."""
    if not computes:
        return Tried("none", "what is locked down can't compute", (), landlock, seccomp)
    works = tuple(name for name, (sealed, _) in attempts.items() if sealed)
    untold = [name for name, (sealed, plain) in attempts.items() if not (sealed or plain or name in _MAY_FAIL)]
    if not works and not untold:
        return Tried("closed", "it can't " + _listed(list(attempts)), works, landlock, seccomp)
    told = "it can " + _listed(list(works)) if works else "it can't be tried here to " + _listed(untold)
    if not any(plain and not sealed for sealed, plain in attempts.values()):
        return Tried("none", told, works, landlock, seccomp)
    return Tried("limits", told, works, landlock, seccomp)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
