"""The rules for how large the values of generated code may grow, each a function of one node."""

from __future__ import annotations

import ast
import math

from poet_hook.isolation.allowed import SIZED
from poet_hook.isolation.code import Code
from poet_hook.isolation.estimate import MOST_STEPS, is_float, largest
from poet_hook.isolation.ownership import called
from poet_hook.isolation.rule import rule
from poet_hook.isolation.scope import named, walk_bodies

_UNROLLED = 6  # assignments
_CONTAINERS = frozenset("Sequence bytes list str tuple".split())


@rule(ast.For, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
def growing_loop(_code: Code, node: ast.AST) -> str | None:
    """Collect into another list than the one that is looped over."""
    over = [node.iter] if isinstance(node, ast.For) else [g.iter for g in getattr(node, "generators", ())]
    names = {n.id for n in over if isinstance(n, ast.Name)}
    for part in walk_bodies(node) if names else ():
        if not (isinstance(part, ast.Call) and called(part) in ("append", "extend", "insert", "appendleft")):
            continue
        base = part.func.value if isinstance(part.func, ast.Attribute) else None
        if isinstance(base, ast.Name) and base.id in names:
            return f"{base.id} grows while it is looped over"
    return None


@rule(ast.BinOp, ast.AugAssign)
def repeated(code: Code, node: ast.BinOp | ast.AugAssign) -> str | None:
    """Repeat a list or a text at most a million times."""
    if not isinstance(node.op, ast.Mult):
        return None
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.target, node.value]
    for one, times in (sides, sides[::-1]):
        size = _size(code, one)
        if size is not None and size * max(largest(code, times), 1) > MOST_STEPS:
            return f"something repeated to more than {MOST_STEPS:,}"
    return None


def _size(code: Code, node: ast.AST, seen: frozenset[str] = frozenset()) -> float | None:
    """How long a list or text of constants is, None where it is none."""
    code.spend()
    node = code.value_of(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        return len(node.value)
    if isinstance(node, (ast.List, ast.Tuple)):
        return max(1.0, sum(max(_size(code, e, seen) or 1, 1) for e in node.elts))
    if isinstance(node, ast.Name):
        return _size_of_name(code, node, seen)
    if isinstance(node, ast.ListComp):
        return 1
    if isinstance(node, ast.Call) and code.builtin(node.func) in ("list", "sorted", "str", "tuple"):
        return 1
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return _size(code, node.value, seen)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Add)):
        left, right = _size(code, node.left, seen), _size(code, node.right, seen)
        if isinstance(node.op, ast.Add):
            return None if left is None and right is None else (left or 0) + (right or 0)
        if left is None and right is None:
            return None
        return (left or right or 1) * max(largest(code, node.right if right is None else node.left), 1)
    return None


def _size_of_name(code: Code, node: ast.Name, seen: frozenset[str]) -> float | None:
    scope = code.scopes[node].find(node.id)
    if scope is None or node.id in seen:
        return None
    sizes: list[float | None] = []
    for how, made, _ in scope.bindings[node.id]:
        if how == "parameter":
            sizes.append(1 if named(made) in _CONTAINERS else None)
        elif how == "value" and made is not None:
            sizes.append(_size(code, made, seen | {node.id}))
    return max((size for size in sizes if size is not None), default=None)


@rule(ast.Call)
def large_value(code: Code, node: ast.Call) -> str | None:
    """Make nothing larger than a million."""
    name = code.path(node.func) or called(node)
    if name not in SIZED:
        return None
    sizes = [largest(code, a) for a in (*node.args, *(k.value for k in node.keywords))]
    for argument in node.args[:1]:
        if isinstance(argument, (ast.Tuple, ast.List)):
            sizes.append(math.prod(max(largest(code, e), 1) for e in argument.elts))
    return f"{name} of more than {MOST_STEPS:,}" if max(sizes, default=0) > MOST_STEPS else None


@rule(ast.Assign, ast.AugAssign)
def doubling(code: Code, node: ast.Assign | ast.AugAssign) -> str | None:
    """Use floats where a loop multiplies something with itself, and let nothing become twice as long in each round."""
    target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
    if not isinstance(target, ast.Name) or not (_in_loop(code, node) or _often(code, target)) or is_float(code, target):
        return None
    for part in ast.walk(node):
        if isinstance(part, (ast.BinOp, ast.AugAssign)) and _multiplies(code, part, target.id):
            return f"{target.id} is added to or multiplied with itself in a loop"
    if isinstance(node, ast.Assign) and _times_inside(code, node.value, target.id) > 1:
        return f"{target.id} holds itself twice, in a loop"
    return None


def _multiplies(code: Code, part: ast.BinOp | ast.AugAssign, name: str) -> bool:
    """True where both sides have the name, or a container is repeated, or a number raised to a power."""
    sides = [part.left, part.right] if isinstance(part, ast.BinOp) else [part.target, part.value]
    has = [any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(s)) for s in sides]
    if isinstance(part.op, (ast.Mult, ast.Add)) and all(has):
        return not any(is_float(code, s) for s in sides)
    if isinstance(part.op, ast.Pow):
        return has[0] and not is_float(code, sides[0])
    whole = [s for s in sides if isinstance(s, ast.Name) and s.id == name]
    return isinstance(part.op, ast.Mult) and bool(whole) and _size(code, whole[0]) is not None


def _times_inside(code: Code, value: ast.expr, name: str) -> int:
    """How often a text, list or tuple that is made of a name holds all of it."""
    holding = (ast.Starred, ast.FormattedValue, ast.List, ast.Tuple)
    found = [n for n in ast.walk(value) if isinstance(n, ast.Name) and n.id == name]
    return sum(isinstance(code.parent(n), holding) for n in found)


@rule(ast.Call)
def extended_by_itself(code: Code, node: ast.Call) -> str | None:
    """Extend a list by something else than itself."""
    func = node.func
    if not (isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.attr in ("extend", "update")):
        return None
    names = {n.id for a in node.args for n in ast.walk(a) if isinstance(n, ast.Name)}
    return (
        f"{func.value.id} is extended by itself in a loop" if func.value.id in names and _in_loop(code, node) else None
    )


def _often(code: Code, target: ast.Name) -> bool:
    """True for a name that is assigned so often that it makes a loop."""
    scope = code.scopes[target].find(target.id)
    return scope is not None and len(scope.bindings[target.id]) > _UNROLLED


def _in_loop(code: Code, node: ast.AST) -> bool:
    while node is not code.function:
        node = code.parent(node)
        if isinstance(node, (ast.For, ast.While, ast.comprehension)):
            return True
    return False
