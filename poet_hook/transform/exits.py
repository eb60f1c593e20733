"""A function that decides -> the place for a guard, which is each of its `return`s."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poet_hook.model import Exit, Tunable
from poet_hook.transform.edits import Text
from poet_hook.transform.nodes import FunctionNode, blocks, own_scope
from poet_hook.transform.sure import computed, doubted, numbers_in

NAME = "guard"


def guard_of(node: FunctionNode, lines: list[str], usable: set[int]) -> Tunable | None:
    """The place for a guard in `node`, which decides: it stands at each `return`; None where it can stand at none."""
    text, exits, order = Text(node, lines, usable), [], {place: i for i, place in enumerate(returns_of(node))}
    numbers = numbers_in(node)
    unsure = numbers & doubted(node)
    for place, names, sure in _returns(node):
        found = _exit(place, names - (unsure - sure), text, order[place])
        if found is not None:
            exits.append(found)
    if not exits:
        return None
    start = exits[-1].start
    return Tunable(
        name=NAME,
        value="",
        line=start.line,
        column=start.column,
        end_column=start.column,
        kind="guard",
        exits=tuple(exits),
        numbers=tuple(sorted(numbers)),
    )


def _exit(place: ast.Return, names: frozenset[str], text: Text, number: int) -> Exit | None:
    value = place.value
    if value is None or not {value.lineno, value.end_lineno} <= text.usable or not names:
        return None
    assert value.end_lineno is not None
    assert value.end_col_offset is not None
    start = text.span(value.lineno, value.col_offset, value.col_offset)
    end = text.span(value.end_lineno, value.end_col_offset, value.end_col_offset)
    wraps: tuple[str, ...] = ()
    if isinstance(value, ast.Constant):
        if type(value.value) is not bool:
            return None
        whole = text.span(value.lineno, value.col_offset, value.end_col_offset)
        return Exit(number, whole, end, tuple(sorted(names)), constant=value.value)
    if isinstance(value, ast.BoolOp):
        # of equal ones too under `and`, since what joins them may change
        wraps = ("and",) if isinstance(value.op, ast.Or) else ("and", "or")
    elif isinstance(value, (ast.IfExp, ast.Lambda, ast.NamedExpr, ast.Tuple, ast.Starred)):
        wraps = ("and", "or")
    return Exit(number, start, end, tuple(sorted(names)), wraps)


def returns_of(node: FunctionNode) -> list[ast.Return]:
    """Each `return` of a function in source order."""
    found = (part for part in own_scope(node) if isinstance(part, ast.Return))
    return sorted(found, key=lambda part: (part.lineno, part.col_offset))


def _returns(node: FunctionNode) -> Iterator[tuple[ast.Return, frozenset[str], frozenset[str]]]:
    """Each `return`, with the parameters and the simple variables that are bound there for sure, and computed with."""
    gone = {n for part in own_scope(node) if isinstance(part, (ast.Global, ast.Nonlocal)) for n in part.names}
    gone |= {p.id for p in own_scope(node) if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Del)}
    gone |= {p.name for p in own_scope(node) if isinstance(p, ast.ExceptHandler) and p.name}
    args = node.args
    names = {argument.arg for argument in (*args.posonlyargs, *args.args, *args.kwonlyargs)}

    def visit(
        body: list[ast.stmt], bound: set[str], sure: set[str]
    ) -> Iterator[tuple[ast.Return, frozenset[str], frozenset[str]]]:
        bound, sure = set(bound), set(sure)
        for statement in body:
            stored = {p.id for p in ast.walk(statement) if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)}
            if isinstance(statement, ast.Return):
                yield statement, frozenset(bound - gone), frozenset(sure | computed(statement))
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                bound |= {target.id for target in targets if isinstance(target, ast.Name)}
                sure = (sure | computed(statement.value)) - stored
            elif isinstance(statement, (ast.AugAssign, ast.Expr, ast.Assert)):
                sure |= computed(statement)
            elif not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                if isinstance(statement, (ast.If, ast.While)):
                    sure |= computed(statement.test)
                sure -= stored
                for block in blocks(statement):
                    yield from visit(block, bound, sure)

    return visit(node.body, names, set())
