"""Compiled code -> the same code, in which whoever traces it meets the user's own lines only.

What is added to a function is compiled as if it stood on the `def` line. Left so, a debugger would stop there in each
call, and measured branches would lead to it. So each added instruction gets the line of its neighbour: what comes
before the body that of the body's first line, what follows a `return` that of this `return`. Then no line begins
with it. An exception that leaves the function passes the `def` line once, as it would pass a `finally`; what handles
it on its way there has no line.

What runs only because a pragma asked for it, such as a fallback, stays on the `def` line. Expressions of a pragma are
functions of their own, of a file that nobody traces.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType

from poet_hook.transform.hygiene import HIDDEN, SEEN

_STOPS = "RETURN_VALUE RETURN_CONST RAISE_VARARGS RERAISE JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT"
_ENDS = frozenset(dis.opmap[name] for name in _STOPS.split() if name in dis.opmap)
_JUMPS = {opcode: -1 if "JUMP_BACKWARD" in dis.opname[opcode] else 1 for opcode in dis.hasjrel}
_CACHE, _EXTENDED, _RESUME, _CATCH = (dis.opmap[n] for n in ("CACHE", "EXTENDED_ARG", "RESUME", "PUSH_EXC_INFO"))
_ENTRY, _HANDLER = 0, -1  # in place of a line: what begins the call; what an exception leads to

Position = tuple[int | None, int | None, int | None, int | None]


def own_lines(code: CodeType, functions: Iterable[tuple[str, int]]) -> CodeType:
    """The module's code, in which these functions (qualified name, line of `def`) show their own lines only."""
    wanted: dict[str, set[int]] = {}
    for qualname, line in functions:
        wanted.setdefault(qualname, set()).add(line)
    return _within(code, wanted)


def _within(code: CodeType, wanted: dict[str, set[int]]) -> CodeType:
    constants = tuple(_within(part, wanted) if isinstance(part, CodeType) else part for part in code.co_consts)
    if any(new is not old for new, old in zip(constants, code.co_consts, strict=True)):  # equal code may differ
        code = code.replace(co_consts=constants)
    for line in wanted.get(code.co_qualname, ()):
        code = _settled(code, line)
    for line in wanted.get(code.co_qualname.removesuffix(".<locals>.<lambda>"), ()):
        if code.co_name == "<lambda>" and _is_added(code, line):
            code = code.replace(co_filename=f"<pragma of {code.co_filename}:{line}>")
    return code


def _is_added(code: CodeType, line: int) -> bool:
    found = [position for position in code.co_positions() if position[0] is not None]
    return bool(found) and all((p[0], p[2]) == (line, 0) for p in found)


@dataclass(slots=True, eq=False)
class _Step:
    """One instruction: at which code unit it starts, where its text stands, and what may come right before it."""

    start: int
    opcode: int
    position: Position
    before: list[_Step]
    added: bool = False
    line: int | None = None  # after it ran; None while nothing is known


def _settled(code: CodeType, line: int) -> CodeType:
    steps, units = _steps(code), len(code.co_code) // 2
    marks = {(line, line, *HIDDEN), (line, line, *SEEN)}
    first = next((number for number, step in enumerate(steps) if step.opcode == _RESUME), len(steps))
    carried = []  # what has no line of its own; jumps of Python's own are among them
    for number, step in enumerate(steps):
        if number <= first:
            step.line = _ENTRY
            continue
        step.added = step.position in marks
        if step.position[0] is None or (step.added and step.position[2:] == HIDDEN):
            carried.append(step)
        else:
            step.line = step.position[0]
    for _ in carried:
        if not _spread(carried, line):
            break
    caught = _caught(code, {step.start for step in steps if step.opcode == _CATCH}, units)
    waits = code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)  # where others look at its frame
    own = line
    for step in reversed(steps):  # what begins the call gets the line of what comes next
        if step.added:
            at: int | None = own if step.line in (_ENTRY, None) else step.line
            if at == _HANDLER:
                at = None if caught[step.start] and not waits else line
            step.position = (at, at, None, None)
        elif step.position[0] is not None:
            own = step.position[0]
    return code.replace(co_linetable=_table(steps, units, code.co_firstlineno))


def _spread(carried: list[_Step], line: int) -> bool:
    """Take the lines of what has none from what comes before it; whether anything changed."""
    changed = False
    for step in carried:
        before = step.before
        found: int | None
        if len(before) == 1:
            found = before[0].line
        elif not before:
            found = _HANDLER
        else:
            lines = {each.line for each in before} - {None}
            if len(lines) > 1:
                lines.discard(_HANDLER)  # an exception that ends in the midst of an `await`
            if _ENTRY in lines or len(lines) < 2:
                found = _ENTRY if _ENTRY in lines else lines.pop() if lines else None
            elif all(each.opcode in _JUMPS and each.opcode not in _ENDS for each in before):
                found = max(each.line or 0 for each in before)  # the lines of one condition
            else:
                found = line
        if step.line != found and step.line != _ENTRY:
            step.line, changed = found, True
    return changed


def _steps(code: CodeType) -> list[_Step]:
    """The instructions, each with those that may come right before it."""
    units, steps, argument, begins = code.co_code, list[_Step](), 0, True
    jumps: list[tuple[int, int]] = []
    for index, position in enumerate(code.co_positions()):
        opcode = units[2 * index]
        if opcode == _CACHE:
            continue
        if begins:
            before = [steps[-1]] if steps and steps[-1].opcode not in _ENDS else []
            steps.append(_Step(index, opcode, position, before))
        argument = argument << 8 | units[2 * index + 1]
        steps[-1].opcode = opcode
        begins = opcode != _EXTENDED
        if begins:
            if opcode in _JUMPS:
                jumps.append((len(steps) - 1, _JUMPS[opcode] * argument))
            argument = 0
    at = {step.start: step for step in steps}
    ends = [*at, len(units) // 2][1:]
    for number, distance in jumps:
        at[ends[number] + distance].before.append(steps[number])
    return steps


def _caught(code: CodeType, catches: set[int], units: int) -> list[bool]:
    """Of each code unit, whether an exception there is looked at in the function; what only cleans up passes it on."""
    targets: list[int | None] = [None] * units
    for entry in dis._parse_exception_table(code):  # type: ignore[attr-defined]
        targets[entry.start // 2 : entry.end // 2] = [entry.target // 2] * ((entry.end - entry.start) // 2)

    def looked_at(where: int | None) -> bool:
        while where is not None and where not in catches:
            where = targets[where]
        return where is not None

    known = {target: looked_at(target) for target in {*targets}}
    return [known[target] for target in targets]


def _table(steps: list[_Step], units: int, last: int) -> bytes:
    """`co_linetable`, as Objects/locations.md of CPython has it; `last` is the first line of the function."""
    out, start_unit = bytearray(), 0
    for number, step in enumerate(steps, 1):
        end_unit = steps[number].start if number < len(steps) else units
        if number < len(steps) and steps[number].position == step.position:
            continue
        start, end, column, end_column = step.position
        for unit in range(start_unit, end_unit, 8):
            length = min(8, end_unit - unit) - 1
            if start is None or end is None:
                out.append(0x80 | 15 << 3 | length)
                continue
            delta, last = start - last, start
            if column is None or end_column is None:
                out.append(0x80 | 13 << 3 | length)
                _put(out, _signed(delta))
            elif end == start and 0 <= delta <= 2 and column < 128 and end_column < 128:
                out += bytes((0x80 | (10 + delta) << 3 | length, column, end_column))
            else:
                out.append(0x80 | 14 << 3 | length)
                for value in (_signed(delta), end - start, column + 1, end_column + 1):
                    _put(out, value)
        start_unit = end_unit
    return bytes(out)


def _signed(value: int) -> int:
    return -value << 1 | 1 if value < 0 else value << 1


def _put(out: bytearray, value: int) -> None:
    while value > 63:
        out.append(0x40 | value & 63)
        value >>= 6
    out.append(value)
