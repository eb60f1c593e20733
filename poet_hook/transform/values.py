"""A function's text and values for its tunables -> the text with them in place, and the same in its tree.

The text is changed, and the tree is read from it: so what is shown, judged and run is one thing. No line of the
function is ever added or taken away, and each node keeps the place that it has in the user's file. Other code (`CODE`)
takes the place of the whole text, and `transform.lines` sends those who trace it to the version's own file.
"""

from __future__ import annotations

import ast
import io
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from poet_hook.model import CODE, MARGIN, Plan, Span, Tunable, Value
from poet_hook.transform import places
from poet_hook.transform.constants import replace_reads
from poet_hook.transform.defaults import number_of, on_entry
from poet_hook.transform.guards import written
from poet_hook.transform.nodes import FunctionNode, walk

_Move = tuple[int, int, int, int]  # columns of a part in the new line, and of what stood there in the old one


def lines_of(text: str) -> list[str]:
    """The lines of a text as Python counts them, with their ends: a form feed or U+2028 ends none."""
    return list(io.StringIO(text, newline=""))


def dedented(node: FunctionNode, lines: list[str]) -> set[int]:
    """The lines of a function that begin with its indentation: not those inside a string, or left of it."""
    inside: set[int] = set()
    for part in walk(node):
        if isinstance(part, (ast.Constant, ast.JoinedStr)) and part.end_lineno and part.end_lineno > part.lineno:
            inside.update(range(part.lineno + 1, part.end_lineno + 1))
    own = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return {n for n in own if n not in inside and not lines[n - 1][: node.col_offset].strip()}


def with_values(
    source: str, tunables: tuple[Tunable, ...], values: Mapping[str, Value], variable: tuple[str, str] | None = None
) -> str:
    """The function's text with `values` (by tunable name) in place of its own; all else is kept.

    Options stand before it, on a line of their own. `variable` names one number, and the identifier that is read in
    its place.
    """
    text = str(values[CODE]) if CODE in values else _rewritten(source, tunables, values, variable)[0]
    return option_line(tunables, values) + text


def option_line(tunables: tuple[Tunable, ...], values: Mapping[str, Value]) -> str:
    """The options among `values` as a line of pragma, with what they replace; "" where there are none."""
    options = [tunable for tunable in tunables if tunable.kind == "option" and tunable.name in values]
    new = ", ".join(option_text(tunable.name, values[tunable.name], tunable.integer) for tunable in options)
    old = ", ".join(option_text(tunable.name, tunable.value, tunable.integer) for tunable in options)
    return f"# poet: {new}  # in place of {old}\n" if options else ""


def option_text(name: str, value: Value, whole: bool) -> str:
    """An option as it stands in a pragma: a whole number, or seconds, or (of `margin=`) a number."""
    return f"{name}={int(value)}" if whole else f"{name}={float(value)!r}{'' if name == MARGIN else 's'}"


def as_text(value: Value) -> str:
    """A value for people."""
    if isinstance(value, str) and "\n" in value:  # nothing else has lines
        return "other code"
    return value or "-" if isinstance(value, str) else f"{value:g}"


def as_changes(values: Mapping[str, Value], joint: str = " = ") -> str:
    """Values by their names for people; of other code, that it is some."""
    told = (as_text(value) if name == CODE else f"{name}{joint}{as_text(value)}" for name, value in values.items())
    return ", ".join(told)


def set_values(node: FunctionNode, plan: Plan, values: Mapping[str, Value]) -> None:
    """Put `values` into the tree of the function of `plan`."""
    if not values:
        return
    if CODE in values:
        _set_code(node, str(values[CODE]))
        return
    text, moves = _rewritten(plan.source, plan.tunables, values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's code: its own import says them
        new, *_ = ast.parse(text).body  # and the module's constants, which are read in their own place
    assert isinstance(new, FunctionNode)
    indented = dedented(new, lines_of(text))
    for statement in new.body:
        for part in walk(statement):
            if hasattr(part, "lineno"):
                _put_back(part, node, moves, indented)
    entry = on_entry(plan.tunables, values)
    for statement in entry:
        places.place(statement, node.lineno)
    start = 1 if ast.get_docstring(new, clean=False) is not None else 0
    node.body = [*new.body[:start], *entry, *new.body[start:]]
    replace_reads(node, plan.tunables, values)


def _set_code(node: FunctionNode, text: str) -> None:
    """Put another body into the tree: its first line is that of the `def`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new, *_ = ast.parse(text).body
    assert isinstance(new, FunctionNode)
    down = node.lineno - new.lineno
    for part in walk(*new.body):
        if hasattr(part, "lineno"):
            part.lineno += down
            part.end_lineno = (part.end_lineno or part.lineno) + down  # type: ignore[attr-defined]
    node.body = new.body


def _put_back(part: Any, node: FunctionNode, moves: dict[int, list[_Move]], indented: set[int]) -> None:
    """Give a node of the changed text its place in the user's file."""
    ends = part.end_lineno or part.lineno, part.end_col_offset or part.col_offset
    columns = [
        _old(column, moves.get(line - 1, [])) + (node.col_offset if line in indented else 0)
        for line, column in ((part.lineno, part.col_offset), ends)
    ]
    part.lineno, part.end_lineno = part.lineno + node.lineno - 1, ends[0] + node.lineno - 1
    part.col_offset, part.end_col_offset = columns


def _old(column: int, moves: list[_Move]) -> int:
    shift = 0
    for start, end, old_start, old_end in moves:
        if column < start:
            break
        if column < end:
            return old_start
        shift = old_end - end
    return column + shift


def _rewritten(
    source: str, tunables: tuple[Tunable, ...], values: Mapping[str, Value], variable: tuple[str, str] | None = None
) -> tuple[str, dict[int, list[_Move]]]:
    """The new text, and by line (from 0) which parts of it are new."""
    found: dict[int, list[tuple[tuple[int, int, int], Span, bytes]]] = {}
    for order, tunable in enumerate(tunables):
        if variable is not None and tunable.name == variable[0]:
            texts: Iterator[tuple[Span, str, bool]] = iter([(_span(tunable), variable[1], True)])
        elif tunable.name in values and tunable.kind != "option":
            texts = _texts(tunable, values[tunable.name])
        else:
            continue
        for place, text, opens in texts:
            found.setdefault(place.line, []).append((_rank(place, opens, order), place, text.encode()))
    rows, moves = lines_of(source), {}
    for line, parts in found.items():
        rows[line], moves[line] = _row(rows[line], [(place, text) for _, place, text in sorted(parts)])
    return "".join(rows), moves


def _texts(tunable: Tunable, value: Value) -> Iterator[tuple[Span, str, bool]]:
    """What a value writes, where, and whether that opens what another text closes. Raises LookupError."""
    if tunable.kind == "guard":
        yield from written(tunable, str(value))
    elif tunable.choices:
        if value not in tunable.choices:
            raise LookupError(f"{tunable.name} can't be {value!r}")
        texts = tunable.texts[tunable.choices.index(str(value))]
        for place, text in zip(tunable.places, texts, strict=True):
            yield place, text, place == tunable.places[0]
    else:
        yield _span(tunable), repr(number_of(tunable, value)), True


def _span(tunable: Tunable) -> Span:
    return Span(tunable.line, tunable.column, tunable.end_column)


def _rank(place: Span, opens: bool, order: int) -> tuple[int, int, int]:
    """What comes first in a line; of what is put in at one point, what closes before what opens, the outer around.

    Tunables further back in their order lie around those before.
    """
    if place.column < place.end_column:
        return place.column, 2, 0
    return (place.column, 1, -order) if opens else (place.column, 0, order)


def _row(line: str, parts: list[tuple[Span, bytes]]) -> tuple[str, list[_Move]]:
    old, new, at, moves = line.encode("utf-8", "surrogatepass"), b"", 0, []
    for place, text in parts:
        new += old[at : place.column]
        if _glued(new, text):
            text = b" " + text  # the minus of `return-2.5` goes
        moves.append((len(new), len(new) + len(text), place.column, place.end_column))
        new, at = new + text, place.end_column
    return (new + old[at:]).decode("utf-8", "surrogatepass"), moves


def _glued(before: bytes, after: bytes) -> bool:
    first = after[:1]
    return before[-1:].isalpha() and (first.isalnum() or first == b"_" or first >= b"\x80")
