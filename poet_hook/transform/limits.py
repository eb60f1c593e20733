"""A function that says yes or no -> the one number that decides it, and which way of it means more alerts.

That is what `margin=` moves. A number decides where it alone stands on one side of `<`, `<=`, `>` or `>=`, and what
comes of that reaches a `return`: as what it returns, as one of the fields that say yes or no, by a variable that is set
once, or as the test of an `if` whose branch returns True or False. `not` turns it round.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from poet_hook.model import ANOMALY_FIELDS, Limit, Span, Tunable, Tune
from poet_hook.transform.nodes import FunctionNode, children, own_scope

_UP = (ast.Gt, ast.GtE)
_DOWN = (ast.Lt, ast.LtE)


def limit_of(node: FunctionNode, tunables: Sequence[Tunable] | None, tunes: Sequence[Tune] = ()) -> Limit | str:
    """The only number that decides in `node`, or of several the one that `tunes` mark; a text says why there is none.

    Where the function learns it must be one of `tunables`, since learning moves it too.
    """
    ways = _Ways(node)
    found = sorted(_deciding(node, ways, tunables or ()), key=lambda each: (each[1], each[0].place.column))
    marked = {tune.line for tune in tunes}
    if len(found) > 1:
        found = [(limit, line) for limit, line in found if line in marked] or found
    if len(found) > 1:
        return f"{len(found)} numbers decide: {', '.join(str(limit) for limit, _ in found)}"
    if not found:
        return "it has no number, written in a comparison, of which it can be told which way means an alert"
    limit, _ = found[0]
    if tunables is not None and not limit.name:
        return f"the number that decides, {limit}, is none that is tuned; mark it with # poet: tune"
    return limit


def _deciding(node: FunctionNode, ways: _Ways, tunables: Sequence[Tunable]) -> Iterator[tuple[Limit, int]]:
    """The numbers that decide, each with its line in the file."""
    numbers = (t for t in tunables if t.kind == "number" and not t.parameter and not t.constant)
    names = {Span(t.line, t.column, t.end_column): t.name for t in numbers}
    for part in ways.parts:
        for number in (part.left, *part.comparators) if isinstance(part, ast.Compare) else ():
            towards = ways.towards(number) if _is_literal(number) else 0
            if towards:
                value = ast.literal_eval(number)
                columns = number.col_offset - node.col_offset, (number.end_col_offset or 0) - node.col_offset
                place = Span(number.lineno - node.lineno, *columns)
                yield Limit(names.get(place, ""), value, isinstance(value, int), place, towards), number.lineno


def _is_literal(number: ast.expr) -> bool:
    if isinstance(number, ast.UnaryOp) and isinstance(number.op, ast.USub):
        number = number.operand
    return isinstance(number, ast.Constant) and type(number.value) in (int, float)


def number_at(node: FunctionNode, place: Span) -> ast.expr | None:
    """The number that stands there in a function; None where there is none."""
    where = node.lineno + place.line, place.column + node.col_offset, place.end_column + node.col_offset
    numbers = [part for part in own_scope(node) if isinstance(part, (ast.Constant, ast.UnaryOp))]
    return next((part for part in numbers if (part.lineno, part.col_offset, part.end_col_offset) == where), None)


class _Ways:
    """How what a part of a function says reaches its `return`s."""

    def __init__(self, node: FunctionNode) -> None:
        self.parts = own_scope(node)
        self.above: dict[ast.AST, ast.AST] = {child: part for part in self.parts for child in children(part)}

    def towards(self, number: ast.expr | None) -> int:
        """Which way the number must go so that more is an alert: 1 or -1; 0 where that can't be told."""
        compare = self.above.get(number) if number is not None else None
        if not isinstance(compare, ast.Compare) or len(compare.ops) != 1:
            return 0
        # `x > number` and `number < x` hold for more the lower the number is
        rises = isinstance(compare.ops[0], _UP if number is compare.left else _DOWN)
        falls = isinstance(compare.ops[0], _DOWN if number is compare.left else _UP)
        return (rises - falls) * self._reaches(compare, frozenset())

    def _reaches(self, part: ast.AST, names: frozenset[str]) -> int:
        """1 where a yes of this part makes a yes of the function, -1 where a no does, 0 where neither is sure."""
        above, way = self.above.get(part), 1
        while isinstance(above, ast.expr | ast.keyword):
            way *= _through(above, part)
            part, above = above, self.above.get(above)
        if isinstance(above, ast.Return):
            return way
        if isinstance(above, ast.If) and part is above.test:
            return way * (_says(above.body) or -_says(above.orelse))
        targets = above.targets if isinstance(above, ast.Assign) else [getattr(above, "target", None)]
        if isinstance(above, ast.Assign | ast.AnnAssign) and len(targets) == 1 and isinstance(targets[0], ast.Name):
            return way * self._by_name(targets[0].id, names)
        return 0

    def _by_name(self, name: str, names: frozenset[str]) -> int:
        """The same of a variable, by where it is read."""
        here = [part for part in self.parts if isinstance(part, ast.Name) and part.id == name]
        if name in names or sum(not isinstance(part.ctx, ast.Load) for part in here) != 1:
            return 0
        ways = {self._reaches(part, names | {name}) for part in here if isinstance(part.ctx, ast.Load)} - {0}
        return ways.pop() if len(ways) == 1 else 0


def _through(above: ast.expr | ast.keyword, part: ast.AST) -> int:
    """What becomes of a yes of `part` in the expression around it, as `_Ways._reaches` says it."""
    if isinstance(above, ast.UnaryOp):
        return -1 if isinstance(above.op, ast.Not) else 0
    if isinstance(above, ast.IfExp) and part is above.test:
        return _constant(above.body) or -_constant(above.orelse)
    if isinstance(above, ast.Dict):
        return int(_field(above) is part)
    if isinstance(above, ast.keyword):
        return int(above.arg in ANOMALY_FIELDS)
    if isinstance(above, ast.Call):
        called = above.func.id if isinstance(above.func, ast.Name) else ""
        return int(isinstance(part, ast.keyword) or (called == "bool" and part in above.args))
    return int(isinstance(above, (ast.BoolOp, ast.IfExp)))


def _says(block: Sequence[ast.stmt]) -> int:
    """1 or -1 where a block ends with returning a yes or a no, else 0."""
    last = block[-1] if block else None
    return _constant(last.value) if isinstance(last, ast.Return) else 0


def _constant(value: ast.expr | None) -> int:
    if isinstance(value, ast.Dict):
        value = _field(value)
    known = isinstance(value, ast.Constant) and type(value.value) is bool
    return 0 if not known else 1 if value.value else -1  # type: ignore[union-attr]


def _is_no_answer(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and type(value.value) is not bool


def _field(made: ast.Dict) -> ast.expr | None:
    """What stands in the field of a dict that says yes or no."""
    pairs = zip(made.keys, made.values, strict=True)
    known = {key.value: value for key, value in pairs if isinstance(key, ast.Constant) and not _is_no_answer(value)}
    return next((known[name] for name in ANOMALY_FIELDS if name in known), None)
