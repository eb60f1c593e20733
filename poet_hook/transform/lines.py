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
from bisect import bisect_left
from collections.abc import Iterable
from types import CodeType

from poet_hook.transform.nodes import FunctionNode, own_statements
from poet_hook.transform.places import HIDDEN, SEEN

_STOPS = "RETURN_VALUE RETURN_CONST RAISE_VARARGS RERAISE JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT"
_ENDS = frozenset(dis.opmap[name] for name in _STOPS.split() if name in dis.opmap)
_JUMPS = {opcode: -1 if "JUMP_BACKWARD" in dis.opname[opcode] else 1 for opcode in dis.hasjrel}
_CACHE, _EXTENDED, _RESUME, _CATCH = (dis.opmap[n] for n in ("CACHE", "EXTENDED_ARG", "RESUME", "PUSH_EXC_INFO"))
_ENTRY, _HANDLER = 0, -1  # in place of a line: what begins the call; what an exception leads to

Position = tuple[int | None, int | None, int | None, int | None]


def own_lines(code: CodeType, functions: Iterable[tuple[str, FunctionNode]]) -> CodeType:
    """The module's code, in which these functions (qualified name, what was compiled) show their own lines only."""
    wanted: dict[str, dict[int, FunctionNode]] = {}
    for qualname, node in functions:
        wanted.setdefault(qualname, {})[node.lineno] = node
    return _within(code, wanted, {})


def _within(code: CodeType, wanted: dict[str, dict[int, FunctionNode]], tables: dict[bytes, bytes]) -> CodeType:
    constants = tuple(_within(part, wanted, tables) if isinstance(part, CodeType) else part for part in code.co_consts)
    if any(new is not old for new, old in zip(constants, code.co_consts, strict=True)):  # equal code may differ
        code = code.replace(co_consts=constants)
    for node in wanted.get(code.co_qualname, {}).values():
        table = _settled(code, node)
        code = code.replace(co_linetable=tables.setdefault(table, table))  # equal ones are one, as Python has it
    for line in wanted.get(code.co_qualname.removesuffix(".<locals>.<lambda>"), {}):
        if code.co_name == "<lambda>" and _is_added(code, line):
            code = code.replace(co_filename=f"<pragma of {code.co_filename}:{line}>")
    return code


def moved(code: CodeType, function: CodeType, up: int, path: str) -> CodeType:
    """The module's code, in which the lines of `function` are those of another file, so many further up."""
    if code is function:
        return _elsewhere(code, up, code.co_filename, path)
    constants = tuple(
        moved(part, function, up, path) if isinstance(part, CodeType) else part for part in code.co_consts
    )
    if any(new is not old for new, old in zip(constants, code.co_consts, strict=True)):
        code = code.replace(co_consts=constants)
    return code


def _elsewhere(code: CodeType, up: int, old: str, path: str) -> CodeType:
    if code.co_filename != old:  # an expression of the pragma
        return code
    constants = tuple(_elsewhere(p, up, old, path) if isinstance(p, CodeType) else p for p in code.co_consts)
    units = code.co_code[::2]
    steps = [number for number, opcode in enumerate(units) if opcode != _CACHE]
    # what runs for the decorators of the user's file has no line there
    places: list[Position] = [(_up(a, up), _up(b, up), c, d) for a, b, c, d in code.co_positions()]
    first = max(code.co_firstlineno - up, 1)
    return code.replace(
        co_consts=constants, co_filename=path, co_firstlineno=first, co_linetable=_table(steps, places, first)
    )


def _up(line: int | None, up: int) -> int | None:
    return None if line is None else max(line - up, 1)


def _is_added(code: CodeType, line: int) -> bool:
    found = [position for position in code.co_positions() if position[0] is not None]
    return bool(found) and all((p[0], p[2]) == (line, 0) for p in found)


def _settled(code: CodeType, node: FunctionNode) -> bytes:
    line = node.lineno
    units, places = code.co_code[::2], list(code.co_positions())
    steps = [number for number, opcode in enumerate(units) if opcode != _CACHE]  # an instruction each
    opcodes = [units[step] for step in steps]
    lines: list[int | None] = [_ENTRY] * len(steps)  # after each of them; None while nothing is known
    first = opcodes.index(_RESUME)
    added, carried = [], []  # what is ours; what has no line of its own, some of which Python itself puts there
    hidden, seen = (line, line, *HIDDEN), (line, line, *SEEN)
    for number in range(first + 1, len(steps)):
        place = places[steps[number]]
        lines[number] = None if place == hidden else place[0]
        if place in (hidden, seen):
            added.append(number)
        if lines[number] is None:
            carried.append(number)
    came = _came(code, steps, opcodes)
    loops = any(source > target for target, sources in came.items() for source in sources)
    for _ in range(len(carried) if loops else 1):
        if not _spread(lines, carried, opcodes, came, node):
            break
    caught = _caught(code, {step for step, opcode in zip(steps, opcodes, strict=True) if opcode == _CATCH}, len(units))
    waits = code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)  # where others look at its frame
    ours = set(added)
    begins = next((n for n in range(first + 1, len(steps)) if n not in ours and places[steps[n]][0]), None)
    body = line if begins is None else places[steps[begins]][0]
    for number in added:
        at = lines[number]
        if at in (_ENTRY, None):  # what begins the call gets the line of what comes next
            at = body
        elif at == _HANDLER:
            at = None if caught[steps[number]] and not waits else line
        places[steps[number]] = (at, at, None, None)
    return _table(steps, places, code.co_firstlineno)


def _came(code: CodeType, steps: list[int], opcodes: list[int]) -> dict[int, list[int]]:
    """Of each instruction to which others jump, which ones may come right before it."""
    came: dict[int, list[int]] = {}
    for number, opcode in enumerate(opcodes):
        way = _JUMPS.get(opcode)
        if way is not None:
            argument, before = code.co_code[2 * steps[number] + 1], number
            while opcodes[before - 1] == _EXTENDED:
                before -= 1
                argument |= code.co_code[2 * steps[before] + 1] << 8 * (number - before)
            end = steps[number + 1] if number + 1 < len(steps) else len(code.co_code) // 2
            came.setdefault(bisect_left(steps, end + way * argument), []).append(number)
    for target, before_it in came.items():
        if opcodes[target - 1] not in _ENDS:
            before_it.append(target - 1)
    return came


def _spread(
    lines: list[int | None], carried: list[int], opcodes: list[int], came: dict[int, list[int]], node: FunctionNode
) -> bool:
    """Take the lines of what has none from what comes before it; whether anything changed."""
    changed = False
    for number in carried:
        before = came.get(number)
        found: int | None
        if before is None:
            found = _HANDLER if opcodes[number - 1] in _ENDS else lines[number - 1]
        else:
            known = {lines[each] for each in before} - {None}
            if len(known) > 1:
                known.discard(_HANDLER)  # an exception that ends in the midst of an `await`
            if _ENTRY in known or len(known) < 2:
                found = _ENTRY if _ENTRY in known else known.pop() if known else None
            elif all(opcodes[each] in _JUMPS and opcodes[each] not in _ENDS for each in before):
                begun = {statement.lineno for statement in own_statements(node.body)} & known
                # the last line of one condition; of several, one inside the other, the first: the others may not run
                found = min(begun) if len(begun) > 1 else max(each or 0 for each in known)
            else:
                found = node.lineno
        if lines[number] != found and lines[number] != _ENTRY:
            lines[number], changed = found, True
    return changed


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


def _table(steps: list[int], places: list[Position], last: int) -> bytes:
    """`co_linetable`, as Objects/locations.md of CPython has it; `last` is the first line of the function."""
    out, begin = bytearray(), 0
    for step in [*steps[1:], len(places)]:
        place = places[begin]
        if step < len(places) and places[step] == place:
            continue
        start, end, column, end_column = place
        for unit in range(begin, step, 8):
            length = min(8, step - unit) - 1
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
        begin = step
    return bytes(out)


def _signed(value: int) -> int:
    return -value << 1 | 1 if value < 0 else value << 1


def _put(out: bytearray, value: int) -> None:
    while value > 63:
        out.append(0x40 | value & 63)
        value >>= 6
    out.append(value)
