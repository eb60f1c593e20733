"""A function that decides -> small changes of its structure that nobody had to write: what else may stand there.

Each is a choice that begins with what stands there. *Strictness*: `>` or `>=`, where neither side is a number that
moves itself. *Side*: `x > 2.0` may mean `abs(x) > 2.0`, and `abs(x) > 2.0` only one of its sides. *Joined*: `and` or
`or` between comparisons and calls, unless one protects another.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence, Set
from itertools import combinations

from poet_hook.model import Span, Tunable
from poet_hook.transform.nodes import FunctionNode, own_scope, walk
from poet_hook.transform.sure import protects

MOST = 16
_OPERATORS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
}
_PRIMARY = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant)
_TIGHT = (*_PRIMARY, ast.BinOp, ast.UnaryOp)  # what binds closer than a comparison
_TRUTH = frozenset({"bool", "any", "all", "isinstance", "callable", "hasattr"})


def decides(node: FunctionNode) -> bool:
    """Whether a function says yes or no: by its annotation, or since every `return` has a yes or no."""
    returns = [part for part in own_scope(node) if isinstance(part, ast.Return)]
    if node.returns is not None:
        return bool(returns) and isinstance(node.returns, ast.Name) and node.returns.id == "bool"
    return bool(returns) and all(part.value is not None and _boolean(part.value) for part in returns)


def _boolean(value: ast.expr) -> bool:
    if isinstance(value, ast.BoolOp):
        return all(map(_boolean, value.values))
    if isinstance(value, ast.IfExp):
        return _boolean(value.body) and _boolean(value.orelse)
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _TRUTH
    negated = isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
    return negated or isinstance(value, ast.Compare) or (isinstance(value, ast.Constant) and type(value.value) is bool)


def edits_of(node: FunctionNode, lines: list[str], usable: set[int], numbers: Collection[Tunable]) -> Iterator[Tunable]:
    """The changes of the structure of `node`, at most 16, in source order; `numbers` are its other tunables."""
    text = Text(node, lines, usable)
    moving: set[object] = {number.parameter or number.constant or (number.line, number.column) for number in numbers}
    looping = {part for loop in own_scope(node) if isinstance(loop, ast.While) for part in walk(loop.test)}
    inner = {value for part in own_scope(node) if isinstance(part, ast.BoolOp) for value in part.values}
    parts = [part for part in own_scope(node) if isinstance(part, (ast.Compare, ast.BoolOp)) and part not in looping]
    for part in sorted(parts, key=lambda part: (part.lineno, part.col_offset, isinstance(part, ast.Compare)))[:MOST]:
        if isinstance(part, ast.BoolOp):
            # beside another one it would be read otherwise
            found = None if part in inner else _joined(part, text)
        else:
            found = _side(part, text) or _strictness(part, text, moving)
        if found is not None:
            yield found


class Text:
    """Where parts of a function stand in its own text."""

    def __init__(self, node: FunctionNode, lines: list[str], usable: set[int]) -> None:
        self.node, self.usable = node, usable
        self.lines = [line.encode("utf-8", "surrogatepass") for line in lines]

    def span(self, line: int, column: int, end_column: int) -> Span:
        """Columns of a line of the module -> the same of the function's text."""
        return Span(line - self.node.lineno, column - self.node.col_offset, end_column - self.node.col_offset)

    def moves(self, part: ast.expr, moving: Set[object]) -> bool:
        """Whether a part is one of the numbers that may move."""
        if isinstance(part, ast.Name):
            return part.id in moving
        return (part.lineno - self.node.lineno, part.col_offset - self.node.col_offset) in moving

    def written(self, span: Span) -> str:
        """What stands there."""
        row, shift = self.lines[span.line + self.node.lineno - 1], self.node.col_offset
        return row[span.column + shift : span.end_column + shift].decode("utf-8", "surrogatepass")

    def between(self, left: ast.expr, right: ast.expr, pattern: bytes) -> Span | None:
        """Where a word or sign stands between two parts; None where it can't be changed."""
        assert left.end_lineno is not None
        assert left.end_col_offset is not None
        for number in range(left.end_lineno, right.lineno + 1):
            start = left.end_col_offset if number == left.end_lineno else 0
            stop = right.col_offset if number == right.lineno else len(self.lines[number - 1])
            found = re.search(pattern, self.lines[number - 1][start:stop].partition(b"#")[0])
            if found:
                return self.span(number, start + found.start(), start + found.end()) if number in self.usable else None
        return None


def _strictness(part: ast.Compare, text: Text, moving: Set[object]) -> Tunable | None:
    if len(part.ops) != 1 or type(part.ops[0]) not in _OPERATORS:
        return None
    left, right = part.left, part.comparators[0]
    place = text.between(left, right, rb"[<>]=?")
    if place is None or any(text.moves(side, moving) for side in (left, right)):
        return None
    operators = _OPERATORS[type(part.ops[0])]
    return _choice(f"{_name(left, right)}_strictness", operators, (place,), tuple((each,) for each in operators))


def _joined(part: ast.BoolOp, text: Text) -> Tunable | None:
    if not all(isinstance(value, (ast.Compare, ast.Call)) for value in part.values):
        return None
    if any(protects(first, then) for first, then in combinations(part.values, 2)):
        return None
    words = ("and", "or") if isinstance(part.op, ast.And) else ("or", "and")
    pattern = rb"\b" + words[0].encode() + rb"\b"
    pairs = zip(part.values[:-1], part.values[1:], strict=True)
    places = [text.between(left, right, pattern) for left, right in pairs]
    spans = tuple(place for place in places if place is not None)
    if len(spans) < len(places):
        return None
    return _choice("joined", words, spans, tuple((word,) * len(spans) for word in words))


def _side(part: ast.Compare, text: Text) -> Tunable | None:
    operand = _beyond_a_number(part)
    if operand is None:
        return None
    ends = operand.lineno, operand.end_lineno
    if not set(ends) <= text.usable or operand.end_col_offset is None or operand.end_lineno is None:
        return None
    if isinstance(operand, ast.Call) and isinstance(operand.func, ast.Name):
        if operand.func.id == "abs" and len(operand.args) == 1 and not operand.keywords:
            return _without_abs(operand, operand.args[0], text)
        if operand.func.id == "len":
            return None
    start = text.span(operand.lineno, operand.col_offset, operand.col_offset)
    end = text.span(operand.end_lineno, operand.end_col_offset, operand.end_col_offset)
    return _choice(f"{_name(operand)}_side", ("above", "both"), (start, end), (("", ""), ("abs(", ")")))


def _without_abs(call: ast.Call, inner: ast.expr, text: Text) -> Tunable | None:
    assert inner.end_col_offset is not None
    assert call.end_col_offset is not None
    if not isinstance(inner, _TIGHT) or (call.lineno, call.end_lineno) != (inner.lineno, inner.end_lineno):
        return None
    places = (
        text.span(call.lineno, call.col_offset, inner.col_offset),
        text.span(call.end_lineno or call.lineno, inner.end_col_offset, call.end_col_offset),
    )
    opened = text.written(places[0]), text.written(places[1])
    below = ("-", "") if isinstance(inner, _PRIMARY) else ("-(", ")")
    return _choice(f"{_name(inner)}_side", ("both", "above", "below"), places, (opened, ("", ""), below))


def _beyond_a_number(part: ast.Compare) -> ast.expr | None:
    """What a comparison wants to be more than a number above 0."""
    if len(part.ops) != 1:
        return None
    left, right = part.left, part.comparators[0]
    if isinstance(part.ops[0], (ast.Gt, ast.GtE)):
        operand, number = left, right
    elif isinstance(part.ops[0], (ast.Lt, ast.LtE)):
        operand, number = right, left
    else:
        return None
    above = isinstance(number, ast.Constant) and isinstance(number.value, (int, float)) and number.value > 0
    return operand if above and isinstance(operand, _TIGHT) and not isinstance(operand, ast.Constant) else None


def _name(*operands: ast.expr) -> str:
    """The first name in these that is no function's."""
    called = {part.func for operand in operands for part in walk(operand) if isinstance(part, ast.Call)}
    names = (part for operand in operands for part in walk(operand) if isinstance(part, ast.Name))
    return next((part.id for part in names if part not in called), "value")


def _choice(name: str, choices: tuple[str, ...], places: Sequence[Span], texts: tuple[tuple[str, ...], ...]) -> Tunable:
    first = places[0]
    return Tunable(
        name=name,
        value=choices[0],
        line=first.line,
        column=first.column,
        end_column=first.end_column,
        integer=True,
        kind="choice",
        choices=choices,
        places=tuple(places),
        texts=texts,
    )
