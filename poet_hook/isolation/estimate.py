"""An expression -> what can be said of its value without data: how large, and whether it is a float."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

from poet_hook.isolation.code import Code

FACTORIALS = frozenset({"math.factorial", "math.comb", "math.perm"})
_FOLD: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
}


def number(code: Code, node: ast.AST) -> float | None:
    """The value of an expression of constants; infinity where it is huge, None where it depends on more."""
    node = code.value_of(node)
    if isinstance(node, ast.Constant):
        value = node.value
        return value if isinstance(value, (int, float)) and abs(value) < 1 << 64 else _huge(value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd, ast.Not)):
        inner = number(code, node.operand)
        if inner is None:
            return None
        return not inner if isinstance(node.op, ast.Not) else -inner if isinstance(node.op, ast.USub) else inner
    if (
        isinstance(node, ast.Call)
        and code.builtin(node.func) in ("int", "float", "round", "abs")
        and len(node.args) == 1
    ):
        return number(code, node.args[0])
    if not isinstance(node, ast.BinOp):
        return None
    left, right = number(code, node.left), number(code, node.right)
    return None if left is None or right is None else _folded(node.op, left, right)


def _huge(value: object) -> float | None:
    return math.inf if isinstance(value, (int, float)) else None


def _folded(op: ast.operator, left: float, right: float) -> float | None:
    if math.inf in (abs(left), abs(right)):
        return math.inf
    if isinstance(op, (ast.Pow, ast.LShift)):
        if isinstance(op, ast.LShift):
            left, right = left * 2.0, right
            return math.inf if right > 64 else left * 2.0 ** (right - 1)
        try:
            result = float(left) ** float(right)
        except (OverflowError, ZeroDivisionError):
            return math.inf
        return result if isinstance(result, float) else None
    try:
        return _FOLD[type(op)](left, right) if type(op) in _FOLD else None
    except (ZeroDivisionError, OverflowError, TypeError, ValueError):
        return None


def largest(code: Code, node: ast.AST) -> float:
    """The largest constant in an expression, in absolute terms; 0 where there is none."""
    found, stack = 0.0, [node]
    while stack:
        part = stack.pop()
        value = number(code, part) if isinstance(part, ast.expr) else None
        if value is None:
            stack.extend(ast.iter_child_nodes(part))
        elif not math.isnan(value):
            found = max(found, abs(value))
    return found


def is_float(code: Code, node: ast.AST, depth: int = 0) -> bool:
    """True where the value can't be a whole number that grows without end, or a container."""
    node = code.value_of(node)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.UnaryOp):
        return is_float(code, node.operand, depth)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div) or is_float(code, node.left, depth) or is_float(code, node.right, depth)
    if isinstance(node, ast.Call):
        path = code.path(node.func)
        floats = path.startswith(("math.", "statistics.", "numpy.")) and path not in {*FACTORIALS, "math.prod"}
        return code.builtin(node.func) == "float" or (floats and path not in ("math.floor", "math.ceil", "math.trunc"))
    if isinstance(node, ast.IfExp):
        return is_float(code, node.body, depth) and is_float(code, node.orelse, depth)
    scope = code.scopes[node].find(node.id) if isinstance(node, ast.Name) else None
    if scope is None or not isinstance(node, ast.Name) or depth > 4:
        return False
    bound = scope.bindings[node.id]
    return all(
        (b.how == "parameter" and isinstance(b.node, ast.Name) and b.node.id == "float")
        or b.how == "added"
        or (b.how == "value" and b.node is not None and is_float(code, b.node, depth + 1))
        for b in bound
    ) and any(b.how != "added" for b in bound)
