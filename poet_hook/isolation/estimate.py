"""An expression -> what can be said of its value without data: how large, and whether it is a float."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

from poet_hook.isolation.code import Code
from poet_hook.isolation.scope import Binding, named

MOST_STEPS = 1_000_000  # of one range, or of ranges inside each other times ten
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
    code.spend()
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
    code.spend()
    found, stack = 0.0, [node]
    while stack:
        part = stack.pop()
        value = number(code, part) if isinstance(part, ast.expr) else None
        if value is None:
            stack.extend(ast.iter_child_nodes(part))
        elif not math.isnan(value):
            found = max(found, abs(value))
    return found


def is_float(code: Code, node: ast.AST, seen: frozenset[str] = frozenset()) -> bool:
    """True where the value can't be a whole number that grows without end, or a container."""
    code.spend()
    node = code.value_of(node)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.UnaryOp):
        return is_float(code, node.operand, seen)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div) or is_float(code, node.left, seen) or is_float(code, node.right, seen)
    if isinstance(node, ast.IfExp):
        return is_float(code, node.body, seen) and is_float(code, node.orelse, seen)
    if isinstance(node, ast.Subscript):
        return not isinstance(node.slice, ast.Slice) and _has_floats(code, node.value, seen)
    if isinstance(node, ast.Call):
        return _gives_float(code, node, seen)
    scope = code.scopes[node].find(node.id) if isinstance(node, ast.Name) else None
    if scope is None or not isinstance(node, ast.Name) or node.id in seen:
        return scope is not None  # what else it is tells
    bound = [b for b in scope.bindings[node.id] if b.how != "added"]
    return bound != [] and all(_binds_float(code, b, seen | {node.id}) for b in bound)


def _binds_float(code: Code, binding: Binding, seen: frozenset[str]) -> bool:
    how, node, _ = binding
    if how == "parameter":
        return named(node) == "float" and not isinstance(node, ast.Subscript)
    if how == "element":
        return node is not None and _has_floats(code, node, seen)
    return how == "value" and node is not None and is_float(code, node, seen)


def _has_floats(code: Code, node: ast.AST, seen: frozenset[str]) -> bool:
    """True for a parameter such as `list[float]`, and for what is cut out of or sorted from it."""
    code.spend()
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return _has_floats(code, node.value, seen)
    if isinstance(node, ast.Call) and code.builtin(node.func) in ("list", "sorted", "reversed", "set", "tuple"):
        return all(_has_floats(code, a, seen) for a in node.args)
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return is_float(code, node.elt, seen)
    scope = code.scopes[node].find(node.id) if isinstance(node, ast.Name) else None
    if scope is None or not isinstance(node, ast.Name) or node.id in seen:
        return scope is not None
    for how, made, _ in scope.bindings[node.id]:
        if how == "parameter":
            held = made.slice if isinstance(made, ast.Subscript) else None
            floats = isinstance(held, ast.Name) and held.id == "float"
        else:
            floats = how == "value" and made is not None and _has_floats(code, made, seen | {node.id})
        if not floats:
            return False
    return True


def _gives_float(code: Code, call: ast.Call, seen: frozenset[str]) -> bool:
    builtin, path = code.builtin(call.func), code.path(call.func)
    if builtin in ("max", "min", "sum", "abs") and call.args:
        return all(is_float(code, a, seen) or _has_floats(code, a, seen) for a in call.args)
    whole = {*FACTORIALS, "math.prod", "math.floor", "math.ceil", "math.trunc", "math.gcd", "math.lcm", "math.isqrt"}
    return builtin == "float" or (path.startswith(("math.", "statistics.", "numpy.")) and path not in whole)
