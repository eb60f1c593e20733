"""The setting `assume` -> pragmas for code that can't be edited.

It names a package, a module, or a class or function of a module, and gives options as a pragma would: as if they
stood there. What names more is nearer to the function.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from ..model import Diagnostic, Pragma
from ..settings import Assumption
from .diagnose import Place
from .grammar import MAX_LENGTH, read_options


@dataclass(frozen=True, slots=True)
class Assumed:
    """What one entry says of a module, or of what `within` it; no pragma where that is `off`."""

    within: str
    pragma: Pragma | None

    def names(self, qualname: str) -> bool:
        """Whether it speaks of the function of this name."""
        return not self.within or f"{qualname}.".startswith(f"{self.within}.")


def assumed_of(assumptions: tuple[Assumption, ...], module: str, kept_as: str, path: str) -> tuple[Assumed, ...]:
    """What is assumed of the functions of a module, from the nearest to the furthest.

    `module` is the name under which it is imported, `kept_as` the one in the store; either may be named.
    """
    entries = [entry for entry in assumptions if entry.reaches(module, path) or entry.reaches(kept_as, path)]
    entries.reverse()  # of two that name the same, the later one counts, and the environment before a file
    entries.sort(key=_nearness, reverse=True)
    return tuple(Assumed(entry.within, _read(entry)[0]) for entry in entries)


def _nearness(entry: Assumption) -> tuple[int, int, bool]:
    return entry.within.count(".") + bool(entry.within), entry.module.count("."), entry.anywhere


def mistakes(assumptions: tuple[Assumption, ...]) -> Iterator[tuple[str, Diagnostic]]:
    """What is wrong in the setting, each with the place that it was said in."""
    for entry in assumptions:
        yield from ((f"{entry.said_in} ({entry.target})", item) for item in _read(entry)[1])


@functools.cache
def _read(entry: Assumption) -> tuple[Pragma | None, tuple[Diagnostic, ...]]:
    place = Place(1, entry.text, 0, len(entry.text))
    if len(entry.text) > MAX_LENGTH:
        message = f"what is assumed of {entry.target} has more than {MAX_LENGTH} characters; it is ignored"
        return Pragma(0, 0), (place.diagnostic("PH105", message),)
    fields, diagnostics = read_options([place], "assume", entry.said_in)
    off = fields.pop("off", False)
    return None if off else Pragma(0, 0, **fields), diagnostics
