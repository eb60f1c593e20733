"""A function's node -> what learning may change in it: numbers, and what `# poet: tune` gives choices for."""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from poet_hook.model import Diagnostic, Tunable, Tune
from poet_hook.pragma.options import RefusedError
from poet_hook.transform.choices import chosen, hint_of, span_of
from poet_hook.transform.constants import Constant, first_line
from poet_hook.transform.defaults import defaults_of, reads
from poet_hook.transform.edits import decides, edits_of
from poet_hook.transform.exits import guard_of
from poet_hook.transform.nodes import FunctionNode, children
from poet_hook.transform.values import dedented

Number = ast.Constant | ast.UnaryOp
Default = tuple[Number, str, list[str]]


def find_tunables(
    node: FunctionNode,
    tunes: tuple[Tune, ...],
    lines: list[str],
    functions: Collection[str] | None = None,
    constants: Sequence[Constant] = (),
) -> tuple[tuple[Tunable, ...], list[Diagnostic]]:
    """The tunables of `node`: those that `# poet: tune` marks, or, where none is marked, all that decide.

    Unmarked, a number counts when it takes part in a comparison or is a float in arithmetic; 0, 1 and -1,
    indices, slices, exponents, `range()` and keyword arguments never do. A default counts where the body does so
    with its parameter, and a constant of the module, of those given, where it does so with its name. Numbers come
    first. `functions` are those of the module that a choice may name (None: any name is believed).
    """
    usable = dedented(node, lines)
    literals = [item for item in _literals(node) if item[0].lineno in usable]
    defaults = [item for item in _defaults(node) if item[0].lineno in usable]
    problems: list[Diagnostic] = []
    of_module = [constant for constant in constants if _is_number(constant.number)]
    if not tunes:
        numbers = _deciding(node, literals, defaults, of_module)
        if not decides(node):
            return _named(numbers), problems
        guard = guard_of(node, lines, usable)
        return _named([*numbers, *edits_of(node, lines, usable, numbers), *([guard] if guard else ())]), problems
    marked: list[Tunable] = []
    by_line = {constant.line: constant for constant in of_module}
    named = [(by_line[tune.line], tune) for tune in tunes if tune.line in by_line and not tune.choices]
    for tune in tunes:
        try:
            if tune.line in by_line and not tune.choices:
                _in_range(_value(by_line[tune.line].number), tune)  # type: ignore[arg-type]
            elif tune.choices:
                marked.append(chosen(node, tune, lines, usable, functions))
            else:
                here = [item for item in literals if item[0].lineno == tune.line]
                marked.append(_marked(node, tune, here, [item for item in defaults if item[0].lineno == tune.line]))
        except RefusedError as refused:
            row = lines[tune.line - 1].rstrip("\r\n")
            place = (tune.line, row.rfind("#"), len(row))
            problems.append(Diagnostic(refused.code, refused.message, *place, refused.hint, row))
    fitting = [(constant, tune) for constant, tune in named if tune.line not in {item.line for item in problems}]
    marked = sorted(marked, key=lambda item: item.kind != "number")
    return _named(marked + _constants(node, fitting)), problems


def _deciding(
    node: FunctionNode, literals: list[tuple[Number, str]], defaults: list[Default], of_module: list[Constant]
) -> list[Tunable]:
    """All numbers that take part in what a function decides."""
    numbers = [_number(number, hint, None, node) for number, hint in literals if _decides(number, hint)]
    numbers += [_number(n, name, None, node, name) for n, name, hints in defaults if hints]
    deciding = [c for c in of_module if any(_decides(c.number, hint) for hint in reads(node, c.name))]  # type: ignore[arg-type]
    return numbers + _constants(node, [(constant, None) for constant in deciding])


def _marked(node: FunctionNode, tune: Tune, here: list[tuple[Number, str]], defaults: list[Default]) -> Tunable:
    parameters = {id(number): name for number, name, _ in defaults}
    here = here + [(number, hints[0]) for number, _, hints in defaults if hints]
    here = here or [(number, "") for number, _, _ in defaults]
    deciding = [(number, hint) for number, hint in here if _decides(number, hint)] or here
    compared = [(number, hint) for number, hint in deciding if hint.endswith("_limit")] or deciding
    if not compared:
        raise RefusedError("PH404", "no number on this line can be tuned")
    if len(compared) > 1:
        raise RefusedError("PH404", f"{len(compared)} numbers on this line; put the one to tune on a line of its own")
    number, hint = compared[0]
    _in_range(_value(number), tune)
    parameter = parameters.get(id(number), "")
    return _number(number, tune.name or parameter or hint, tune, node, parameter)


def _in_range(value: float, tune: Tune) -> None:
    if (tune.lower is not None and value < tune.lower) or (tune.upper is not None and value > tune.upper):
        message = f"the number {value:g} lies outside the range that it may be tuned in"
        raise RefusedError("PH405", message, "widen the range, or mend the number: learning starts from it")


def _constants(node: FunctionNode, chosen: Sequence[tuple[Constant, Tune | None]]) -> list[Tunable]:
    """Constants of the module as tunables, in the order in which their lines stand behind the function's text."""
    out = []
    for line, (constant, tune) in enumerate(sorted(chosen, key=lambda pair: pair[0].line), first_line(node)):
        name = (tune and tune.name) or constant.name.strip("_").lower()
        number = _number(constant.number, name, tune, node)  # type: ignore[arg-type]
        column, end = constant.number.col_offset, constant.number.end_col_offset or 0
        out.append(replace(number, line=line, column=column, end_column=end, constant=constant.name))
    return out


def _defaults(node: FunctionNode) -> list[Default]:
    """Each default that is a number, its parameter, and how that takes part in what the body decides, if it does."""
    found = []
    for name, default in defaults_of(node):
        if _is_number(default):
            hints = sorted({hint for hint in reads(node, name) if _decides(default, hint)}, reverse=True)  # type: ignore[arg-type]
            found.append((default, name, hints))
    return found  # type: ignore[return-value]


def _literals(node: FunctionNode) -> Iterator[tuple[Number, str]]:
    """Each number of the body in source order, with a name for it."""
    found: list[tuple[Number, str]] = []

    def visit(part: ast.AST, hint: str) -> None:
        if isinstance(part, (ast.Subscript, ast.JoinedStr, ast.keyword, FunctionNode, ast.Lambda, ast.ClassDef)):
            if isinstance(part, ast.Subscript):
                visit(part.value, hint)
            return
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "range":
            return
        if _is_number(part):
            found.append((part, hint))  # type: ignore[arg-type]
            return
        for child in children(part):
            # a sign would bind otherwise there: -2.5 ** x is -(2.5 ** x)
            signless = isinstance(part, ast.Attribute) or (isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow))
            if signless and (_is_number(child) or child is getattr(part, "right", None)):
                continue
            visit(child, hint_of(part, child, hint))

    for statement in node.body:
        visit(statement, "")
    found.sort(key=lambda item: (item[0].lineno, item[0].col_offset))
    return iter(found)


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


def _number(number: Number, name: str, tune: Tune | None, node: FunctionNode, parameter: str = "") -> Tunable:
    inner = number.operand if isinstance(number, ast.UnaryOp) else number
    span = span_of(number, node)
    return Tunable(
        name=name,
        value=_value(number),
        line=span.line,
        column=span.column,
        end_column=span.end_column,
        integer=isinstance(inner, ast.Constant) and type(inner.value) is int,
        lower=tune.lower if tune else None,
        upper=tune.upper if tune else None,
        declared=tune is not None,
        parameter=parameter,
    )


def _named(found: list[Tunable]) -> tuple[Tunable, ...]:
    """The same with a name each of its own."""
    out: list[Tunable] = []
    for tunable in found:
        base = tunable.name or ("constant" if tunable.kind == "number" else "choice")
        name, count = base, 1
        while any(t.name == name for t in out):
            count += 1
            name = f"{base}_{count}"
        out.append(replace(tunable, name=name))
    return tuple(out)
