"""champion.json <-> which version of a function is in use, and which one challenges it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

_MOST_UNDONE = 50  # of which is kept why


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A challenger that was taken back, or a champion, when (seconds since the epoch), and why."""

    version: int
    at: float
    why: str
    at_once: bool = False  # by its first calls


@dataclass(frozen=True, slots=True)
class Turn:
    """A version, and when it came into use, seconds since the epoch."""

    version: int
    since: float


@dataclass(frozen=True, slots=True)
class Pointer:
    """`champion` is in use `since`, `history` was before it; `challenger` is on trial against it since `challenged`.

    `turns` are the versions by which learning replaced the last of `history`, each in the place of the one before; none
    where a person chose the champion. `withdrawn` are the challengers that this champion has seen off, oldest first.
    Where it is `held_back`, the challenger is what the champion replaced, and is served so that both go on being
    compared; `upheld` says how that ended for the champion. `undone` are versions that were in use and were rolled back
    by their own calls or feedback, the latest last. `count` is how often any of this was
    changed; `mark` tells the champion from another version that had its number. Times are seconds since the epoch.
    """

    champion: int
    history: tuple[int, ...]
    since: float
    challenger: int | None = None
    challenged: float = 0.0
    withdrawn: tuple[Withdrawn, ...] = ()
    turns: tuple[Turn, ...] = ()
    held_back: bool = False
    upheld: str = ""
    undone: tuple[Withdrawn, ...] = ()
    count: int = 0
    mark: str = ""

    def moved(self, number: int, history: Sequence[int], now: float, turns: Sequence[Turn] | None = None) -> Pointer:
        """After `number` came into use; `turns` as in `Chain.point`."""
        took = () if turns is None else (*turns, Turn(number, now))
        return Pointer(number, tuple(history), now, turns=took, undone=self.undone)

    def back(self, now: float, why: str, at_once: bool) -> Pointer:
        """After a rollback; where there is a reason, it is kept."""
        gone = (*self.undone, Withdrawn(self.champion, now, why, at_once)) if why else self.undone
        return replace(self.moved(self.history[-1], self.history[:-1], now), undone=gone[-_MOST_UNDONE:])

    def alone(self, now: float, why: str) -> Pointer:
        """After the challenger was taken back."""
        over = replace(self, challenger=None, challenged=0.0, held_back=False)
        if self.held_back or self.challenger is None:
            return replace(over, upheld=why)
        return replace(over, withdrawn=(*self.withdrawn, Withdrawn(self.challenger, now, why)))


FIRST = Pointer(1, (), 0.0)


def decoded(data: bytes) -> tuple[Pointer, str]:
    """The pointer in a file's bytes, and the signature that it claims; raises `ValueError` for any other bytes."""
    try:
        return msgspec.json.decode(data, type=Pointer), msgspec.json.decode(data, type=_Claim).signature
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error


def encoded(pointer: Pointer, signature: str) -> str:
    """The text of the file; of what there never was, nothing is said."""
    return json.dumps({**_fields(pointer), "signature": signature}) + "\n"


def signed_bytes(pointer: Pointer, function: str) -> bytes:
    """What the signature of a function's pointer is over."""
    return b"champion " + json.dumps([function, _fields(pointer)], sort_keys=True).encode()


class _Claim(msgspec.Struct):
    signature: str = ""


def _fields(pointer: Pointer) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(pointer)
    for name in ("withdrawn", "turns", "held_back", "upheld", "undone"):
        if not fields[name]:
            del fields[name]
    if pointer.challenger is None:
        del fields["challenger"], fields["challenged"]
    return fields
