"""A body -> what it returns, as far as that can be told before it runs."""

from __future__ import annotations

import ast
from collections.abc import Callable

from poet_hook.transform.nodes import FunctionNode, blocks, own_statements

_DISPLAYS: dict[type[ast.expr], str] = {
    ast.JoinedStr: "str",
    ast.List: "list",
    ast.ListComp: "list",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Set: "set",
    ast.SetComp: "set",
    ast.Tuple: "tuple",
}
_TRUTHS = (ast.Is, ast.IsNot, ast.In, ast.NotIn)  # of the others, a class makes what it likes


def sure_type(value: ast.expr) -> str:
    """The name of the built-in type that an expression has whatever its names stand for; empty where that is open."""
    kind = type(value)
    if kind in _DISPLAYS:
        return _DISPLAYS[kind]
    if isinstance(value, ast.Constant):
        return type(value.value).__name__
    if isinstance(value, ast.UnaryOp):
        if isinstance(value.op, ast.Not):
            return "bool"
        inner = sure_type(value.operand) if isinstance(value.operand, ast.Constant) else ""
        return inner if inner in ("int", "float") else ""
    if isinstance(value, ast.Compare):
        return "bool" if len(value.ops) == 1 and isinstance(value.ops[0], _TRUTHS) else ""
    if isinstance(value, (ast.BoolOp, ast.IfExp)):
        parts = value.values if isinstance(value, ast.BoolOp) else [value.body, value.orelse]
        found = {sure_type(part) for part in parts}
        return found.pop() if len(found) == 1 else ""
    return ""


def may_be_dropped(body: list[ast.stmt]) -> bool:
    """Whether what a body is about to return may still not be returned, or its check be caught by the body itself."""
    holds = (ast.Try, ast.TryStar, ast.With, ast.AsyncWith)
    return any(isinstance(part, holds) for part in own_statements(body))


def with_returns(body: list[ast.stmt], instead: Callable[[ast.Return], list[ast.stmt]]) -> list[ast.stmt]:
    """The statements, with others in place of each `return` of this function."""
    out: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.Return):
            out += instead(statement)
            continue
        if not isinstance(statement, (FunctionNode, ast.ClassDef)):
            for block in blocks(statement):
                block[:] = with_returns(block, instead)
        out.append(statement)
    return out
