"""A module's code as another hook compiled it + ours -> theirs, with our functions where they left the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import CodeType

Place = tuple[str, int]
"""The qualified name of a code object, and its first line."""
_NOWHERE = -1


def graft(theirs: CodeType, plain: CodeType, ours: CodeType) -> tuple[CodeType, list[str]]:
    """The module's code to run, and the names of the functions that they changed too, which stay theirs.

    `plain` is what Python itself makes of the source. What they put around a function, such as a decorator, stays.
    """
    was = dict(_inside(plain))
    own = dict(_placed(ours, was))
    wanted = {place: code for place, code in own.items() if place in was and code != was[place]}
    done: set[Place] = set()

    def grafted(code: CodeType) -> CodeType:
        constants = [*code.co_consts]
        for index, constant in enumerate(constants):
            if isinstance(constant, CodeType):
                place = constant.co_qualname, constant.co_firstlineno
                if place in wanted and constant == was[place]:
                    constants[index] = wanted[place]
                    done.update([place], (inner for inner, _ in _inside(wanted[place])))
                else:
                    constants[index] = grafted(constant)
        return code.replace(co_consts=(*constants,))

    whole = ours if theirs == plain else grafted(theirs)
    every = wanted | {place: code for place, code in own.items() if place[1] == _NOWHERE}
    left = [] if whole is ours else [p for p, code in every.items() if code.co_flags & inspect.CO_OPTIMIZED]
    return whole, [place[0] for place in left if place not in done]


def _placed(ours: CodeType, was: Mapping[Place, CodeType]) -> Iterator[tuple[Place, CodeType]]:
    """Our code by where it stands in the user's file, whose version in use may lead to a file of its own."""
    moved: list[str] = []
    for (name, line), code in _inside(ours):
        if code.co_filename == ours.co_filename or code.co_filename.startswith("<"):  # an expression of a pragma
            yield (name, line), code
        elif not any(name.startswith(f"{outer}.<locals>.") for outer in moved):
            moved.append(name)
            lines = [known[1] for known in was if known[0] == name]
            yield (name, lines[0] if len(lines) == 1 else _NOWHERE), code


def _inside(code: CodeType) -> Iterator[tuple[Place, CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield (constant.co_qualname, constant.co_firstlineno), constant
            yield from _inside(constant)
