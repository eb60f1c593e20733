"""champion.json <-> which version of a function is in use, and which one challenges it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A challenger that was taken back, when (seconds since the epoch), and why."""

    version: int
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """`champion` is in use `since`, `history` was before it; `challenger` is on trial against it since `challenged`.

    `withdrawn` are the challengers that this champion has seen off, oldest first. Times are seconds since the epoch.
    """

    champion: int
    history: tuple[int, ...]
    since: float
    challenger: int | None = None
    challenged: float = 0.0
    withdrawn: tuple[Withdrawn, ...] = ()


FIRST = Pointer(1, (), 0.0)


def decoded(data: bytes) -> Pointer:
    """The pointer in a file's bytes; raises `ValueError` for any other bytes."""
    try:
        return msgspec.json.decode(data, type=Pointer)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error


def encoded(pointer: Pointer) -> str:
    """The text of the file; of a challenger nothing is said where there never was one."""
    fields = msgspec.to_builtins(pointer)
    if not pointer.withdrawn:
        del fields["withdrawn"]
    if pointer.challenger is None:
        del fields["challenger"], fields["challenged"]
    return json.dumps(fields) + "\n"
