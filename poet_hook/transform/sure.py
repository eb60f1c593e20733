"""A function -> what holds in it for sure, so that a change of its structure makes it raise nowhere.

A name may be compared with a number where the body has computed with it already, or where the function nowhere asks
what it is: whoever writes `if value is None` expects it, and would get a TypeError from `value > 95.0` beside it.
Likewise `and` may not become `or` where what stands before it protects what stands behind: `n > 0 and total / n > 0.5`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from poet_hook.transform.nodes import FunctionNode, own_scope

_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_WHICH = (ast.Is, ast.IsNot, ast.In, ast.NotIn)
_OF_NUMBERS = frozenset({"ZeroDivisionError", "OverflowError", "ArithmeticError", "StatisticsError"})
_NUMERIC = frozenset({"abs", "round", "min", "max"})  # to call these says nothing about what it may be
_HARMLESS = frozenset({"abs", "round", "len", "any", "all", "sum", "bool", "isinstance"})  # whatever the size


def numbers_in(node: FunctionNode) -> set[str]:
    """The names that must be numbers somewhere, by what the function does with them or what Perceive checks."""
    args = node.args
    found = {
        argument.arg
        for argument in (*args.posonlyargs, *args.args, *args.kwonlyargs)
        if isinstance(argument.annotation, ast.Name) and argument.annotation.id in ("int", "float")
    }
    for part in own_scope(node):
        sides: list[ast.expr] = []
        if isinstance(part, ast.BinOp) and not isinstance(part.op, ast.Mod):
            sides = [part.left, part.right]
        elif isinstance(part, ast.Compare) and any(isinstance(op, _ORDER) for op in part.ops):
            sides = [part.left, *part.comparators]
        elif isinstance(part, (ast.Assign, ast.AnnAssign)) and isinstance(part.value, ast.BinOp):
            sides = part.targets if isinstance(part, ast.Assign) else [part.target]
        found |= _names(sides)
    return found


def doubted(node: FunctionNode) -> set[str]:
    """The names of which the function asks what they are: None, empty, of some type, equal to a text."""
    return {name for part in own_scope(node) for name in _names(_asked(part))}


def protects(first: ast.expr, then: ast.expr) -> bool:
    """Whether `then` might raise where `first` does not let it be reached, by the names that both look at."""
    shared = _loaded(first) & _loaded(then)
    asked = {name for part in ast.walk(first) for name in _names(_asked(part))} | _names(_passed(first))
    return bool(shared & asked) or any(shared & _loaded(part) for part in ast.walk(then) if _may_raise(part))


def _loaded(value: ast.AST) -> set[str]:
    called = {part.func for part in ast.walk(value) if isinstance(part, ast.Call)}
    return _names(part for part in ast.walk(value) if part not in called)


def _may_raise(part: ast.AST) -> bool:
    if isinstance(part, ast.BinOp):
        return isinstance(part.op, (ast.Div, ast.FloorDiv, ast.Mod, ast.Pow))
    if isinstance(part, ast.Call):
        return not (isinstance(part.func, ast.Name) and part.func.id in _HARMLESS)
    return isinstance(part, (ast.Attribute, ast.Subscript))


def _asked(part: ast.AST) -> Iterator[ast.expr]:
    if isinstance(part, ast.Compare):
        sides = [part.left, *part.comparators]
        if any(_is_no_number(side) for side in sides) or any(isinstance(op, _WHICH) for op in part.ops):
            yield from sides
    elif isinstance(part, (ast.If, ast.While, ast.IfExp)):
        yield part.test
        yield from _passed(part.test)
    elif isinstance(part, ast.BoolOp):
        for value in part.values:
            yield value
            yield from _passed(value)
    elif isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not):
        yield part.operand
    elif isinstance(part, (ast.Attribute, ast.Subscript)):
        yield part.value
    elif isinstance(part, ast.Match):
        yield part.subject
    elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in ("isinstance", "type"):
        yield from part.args
    elif isinstance(part, (ast.Assign, ast.AnnAssign)) and part.value is not None and _may_be_none(part.value):
        yield from part.targets if isinstance(part, ast.Assign) else [part.target]
    elif isinstance(part, ast.Try) and any(_is_for_more(handler.type) for handler in part.handlers):
        for statement in part.body:
            yield from (name for name in ast.walk(statement) if isinstance(name, ast.Name))


def _is_for_more(caught: ast.expr | None) -> bool:
    """Whether a handler may be there for what is no number."""
    caught_all = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(getattr(each, "attr", getattr(each, "id", "")) not in _OF_NUMBERS for each in caught_all)


def _passed(test: ast.expr) -> Iterator[ast.expr]:
    """What a test hands to a function, which may ask what it is: `isna(value)`."""
    for part in ast.walk(test):
        if isinstance(part, ast.Call):
            name = part.func.id if isinstance(part.func, ast.Name) else ""
            module = part.func.value if isinstance(part.func, ast.Attribute) else None
            if name not in _NUMERIC and not (isinstance(module, ast.Name) and module.id == "math"):
                yield from part.args


def _is_no_number(value: ast.AST) -> bool:
    return isinstance(value, ast.Constant) and not isinstance(value.value, (int, float))


def _may_be_none(value: ast.expr) -> bool:
    return any(isinstance(part, ast.Constant) and part.value is None for part in ast.walk(value))


def computed(value: ast.AST) -> set[str]:
    """The names that are computed with, or put in order, whenever an expression or simple statement is carried out."""
    if isinstance(value, ast.BoolOp):
        return computed(value.values[0])
    if isinstance(value, ast.IfExp):
        return computed(value.test)
    if isinstance(value, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return set()
    inner: list[ast.AST] = list(ast.iter_child_nodes(value))
    found: set[str] = set()
    if isinstance(value, ast.Compare):  # what follows in a chain may not be reached
        inner = [value.left, value.comparators[0]]
        found = _names(inner) if isinstance(value.ops[0], _ORDER) and not any(map(_is_no_number, inner)) else set()
    elif isinstance(value, ast.BinOp) and not isinstance(value.op, ast.Mod):
        found = set() if any(map(_is_no_number, inner)) else _names([value.left, value.right])
    elif isinstance(value, ast.AugAssign) and not isinstance(value.op, ast.Mod):
        found = set() if _is_no_number(value.value) else _names([value.target, value.value])
    return found.union(*map(computed, inner))


def _names(parts: Iterable[ast.AST]) -> set[str]:
    return {part.id for part in parts if isinstance(part, ast.Name)}
