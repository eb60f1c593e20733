"""A function's node -> the numbers in it that learning may change, and the text with others in their place."""

from __future__ import annotations

import ast
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

from poet_hook.model import Diagnostic, Tunable, Tune

Number = ast.Constant | ast.UnaryOp


def find_tunables(
    node: ast.FunctionDef, tunes: tuple[Tune, ...], lines: list[str]
) -> tuple[tuple[Tunable, ...], list[Diagnostic]]:
    """The tunables of `node`: those that `# poet: tune` marks, or, where none is marked, those that decide.

    Unmarked, a number counts when it takes part in a comparison or is a float in arithmetic; 0, 1 and -1,
    indices, slices, exponents, `range()` and keyword arguments never do.
    """
    usable = dedented(node, lines)
    literals = [item for item in _literals(node) if item[0].lineno in usable]
    problems: list[Diagnostic] = []
    if not tunes:
        return _named(node, [(number, hint, None) for number, hint, _ in literals if _decides(number, hint)]), problems
    marked: list[tuple[Number, str, Tune | None]] = []
    for tune in tunes:
        here = [(number, hint) for number, hint, _ in literals if number.lineno == tune.line]
        deciding = [(number, hint) for number, hint in here if _decides(number, hint)] or here
        compared = [(number, hint) for number, hint in deciding if hint.endswith("_limit")] or deciding
        source_line = lines[tune.line - 1].rstrip("\r\n")
        if len(compared) != 1:
            message = (
                "no number on this line can be tuned"
                if not compared
                else f"{len(compared)} numbers on this line; put the one to tune on a line of its own"
            )
            column = source_line.rfind("#")
            problems.append(Diagnostic("PH404", message, tune.line, column, len(source_line), source_line=source_line))
            continue
        number, hint = compared[0]
        value = _value(number)
        if (tune.lower is not None and value < tune.lower) or (tune.upper is not None and value > tune.upper):
            column = source_line.rfind("#")
            message = f"the number {value:g} lies outside the range that it may be tuned in"
            problems.append(Diagnostic("PH405", message, tune.line, column, len(source_line), source_line=source_line))
            continue
        marked.append((number, tune.name or hint, tune))
    return _named(node, marked), problems


def lines_of(text: str) -> list[str]:
    """The lines of a text as Python counts them, with their ends: a form feed or U+2028 ends none."""
    return list(io.StringIO(text, newline=""))


def dedented(node: ast.FunctionDef, lines: list[str]) -> set[int]:
    """The lines of a function that begin with its indentation: not those inside a string, or left of it."""
    inside: set[int] = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Constant, ast.JoinedStr)) and part.end_lineno and part.end_lineno > part.lineno:
            inside.update(range(part.lineno + 1, part.end_lineno + 1))
    own = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return {n for n in own if n not in inside and not lines[n - 1][: node.col_offset].strip()}


def with_values(source: str, tunables: tuple[Tunable, ...], values: Mapping[str, float]) -> str:
    """The function's text with `values` (by tunable name) in place of its numbers; all else is kept."""
    rows = lines_of(source)
    for tunable in sorted(tunables, key=lambda t: (t.line, t.column), reverse=True):
        if tunable.name in values:
            row = rows[tunable.line].encode("utf-8", "surrogatepass")
            text = literal(tunable, values[tunable.name]).encode()
            if text[:1] != b"-" and row[tunable.column - 1 : tunable.column].isalpha():
                text = b" " + text  # the minus of `return-2.5` goes
            changed = row[: tunable.column] + text + row[tunable.end_column :]
            rows[tunable.line] = changed.decode("utf-8", "surrogatepass")
    return "".join(rows)


def literal(tunable: Tunable, value: float) -> str:
    """How a value is written in the source: an int stays an int."""
    return repr(int(value)) if tunable.integer else repr(float(value))


def set_values(node: ast.FunctionDef, tunables: tuple[Tunable, ...], values: Mapping[str, float]) -> None:
    """Put `values` into the tree of the function itself."""
    wanted = {(t.line, t.column): t for t in tunables if t.name in values}
    for number, _, parent in _literals(node):
        tunable = wanted.pop((number.lineno - node.lineno, _column(number, node)), None)
        if tunable is not None:
            value = values[tunable.name]
            constant = ast.copy_location(ast.Constant(int(value) if tunable.integer else float(value)), number)
            _replace(parent, number, constant)
    if wanted:
        raise LookupError(f"no number at {sorted(wanted)}")


def replace_literal(node: ast.FunctionDef, tunable: Tunable, new: ast.expr) -> None:
    """Put any expression in place of one tunable."""
    for number, _, parent in _literals(node):
        if (number.lineno - node.lineno, _column(number, node)) == (tunable.line, tunable.column):
            _replace(parent, number, ast.copy_location(new, number))
            return
    raise LookupError(f"no number at line {tunable.line}, column {tunable.column}")


def _replace(parent: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for name, value in ast.iter_fields(parent):
        if value is old:
            setattr(parent, name, new)
        elif isinstance(value, list) and any(item is old for item in value):
            value[:] = [new if item is old else item for item in value]


def _literals(node: ast.FunctionDef) -> Iterator[tuple[Number, str, ast.AST]]:
    """Each number of the body in source order, with a name for it and its parent node."""
    found: list[tuple[Number, str, ast.AST]] = []

    def visit(part: ast.AST, parent: ast.AST, hint: str) -> None:
        if isinstance(part, (ast.Subscript, ast.JoinedStr, ast.keyword, ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            if isinstance(part, ast.Subscript):
                visit(part.value, part, hint)
            return
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "range":
            return
        if _is_number(part):
            found.append((part, hint, parent))  # type: ignore[arg-type]
            return
        for child in ast.iter_child_nodes(part):
            # a sign would bind otherwise there: -2.5 ** x is -(2.5 ** x)
            signless = isinstance(part, ast.Attribute) or (isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow))
            if signless and (_is_number(child) or child is getattr(part, "right", None)):
                continue
            visit(child, part, _hint(part, child, hint))

    for statement in node.body:
        visit(statement, node, "")
    found.sort(key=lambda item: (item[0].lineno, item[0].col_offset))
    return iter(found)


def _hint(part: ast.AST, child: ast.AST, outer: str) -> str:
    if isinstance(part, (ast.Assign, ast.AnnAssign)):
        target = part.targets[0] if isinstance(part, ast.Assign) else part.target
        if isinstance(target, ast.Name) and child is part.value:
            return target.id
    if isinstance(part, ast.Compare):
        others = [other for other in (part.left, *part.comparators) if other is not child]
        name = next((other.id for other in others if isinstance(other, ast.Name)), "value")
        return f"{name}_limit"
    return outer


def _is_number(part: ast.AST) -> bool:
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub):
        part = part.operand
    return isinstance(part, ast.Constant) and type(part.value) in (int, float) and _is_finite(part.value)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond what a float holds
        return False


def _value(number: Number) -> float:
    if isinstance(number, ast.UnaryOp):
        return -float(number.operand.value)  # type: ignore[attr-defined]
    return float(number.value)  # type: ignore[arg-type]


def _decides(number: Number, hint: str) -> bool:
    inner = number.operand if isinstance(number, ast.UnaryOp) else number
    is_float = isinstance(inner, ast.Constant) and type(inner.value) is float
    if abs(_value(number)) in (0.0, 1.0):
        return is_float and hint.endswith("_limit")
    return is_float or hint.endswith("_limit")


def _column(number: Number, node: ast.FunctionDef) -> int:
    return number.col_offset - node.col_offset


def _named(node: ast.FunctionDef, chosen: list[tuple[Number, str, Tune | None]]) -> tuple[Tunable, ...]:
    out: list[Tunable] = []
    for number, hint, tune in chosen:
        base = hint or "constant"
        name, count = base, 1
        while any(t.name == name for t in out):
            count += 1
            name = f"{base}_{count}"
        inner = number.operand if isinstance(number, ast.UnaryOp) else number
        column = _column(number, node)
        out.append(
            Tunable(
                name=name,
                value=_value(number),
                line=number.lineno - node.lineno,
                column=column,
                end_column=column + (number.end_col_offset or 0) - number.col_offset,
                integer=isinstance(inner, ast.Constant) and type(inner.value) is int,
                lower=tune.lower if tune else None,
                upper=tune.upper if tune else None,
                declared=tune is not None,
            )
        )
    return tuple(out)
