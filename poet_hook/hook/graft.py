"""A module's code as another hook compiled it + ours -> theirs, with our functions where they left the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType

Place = tuple[str, int]
"""The qualified name of a code object, and its first line."""


def graft(theirs: CodeType, plain: CodeType, ours: CodeType) -> tuple[CodeType, list[str]]:
    """The module's code to run, and the names of the functions that they changed too, which stay theirs.

    `plain` is what Python itself makes of the source. What they put around a function, such as a decorator, stays.
    """
    was, own = dict(_inside(plain)), dict(_inside(ours))
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
    left = [] if whole is ours else [p for p, code in wanted.items() if code.co_flags & inspect.CO_OPTIMIZED]
    return whole, [place[0] for place in left if place not in done]


def _inside(code: CodeType) -> Iterator[tuple[Place, CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield (constant.co_qualname, constant.co_firstlineno), constant
            yield from _inside(constant)
