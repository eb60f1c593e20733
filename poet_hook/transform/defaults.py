"""A default argument that learning may change -> the statement that stands for it in a version.

A version keeps the signature, since code and defaults can't be swapped in one step. So its body begins with the
replacement of what was left at the default; who passes exactly the default means it, too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from poet_hook.model import Tunable, Value
from poet_hook.transform.nodes import FunctionNode, children

_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def defaults_of(node: FunctionNode) -> Iterator[tuple[str, ast.expr]]:
    """Each parameter that has a default, and the default, in source order."""
    args = node.args
    positional = [*args.posonlyargs, *args.args]
    with_default = positional[len(positional) - len(args.defaults) :]
    pairs = [*zip(with_default, args.defaults, strict=True), *zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    for argument, default in pairs:
        if default is not None:
            yield argument.arg, default


def reads(node: FunctionNode, name: str) -> Iterator[str]:
    """How the body reads a name: "x_limit" where it is compared, "" where it is computed with; nothing for the rest.

    What holds for numbers in the body holds here: no index, exponent, keyword or nested function counts. And what is
    only equal or not counts something, or names a mode: `depth == 0`.
    """
    stack: list[tuple[ast.AST, str | None]] = [(statement, None) for statement in node.body]
    while stack:
        part, hint = stack.pop()
        if isinstance(part, (ast.JoinedStr, ast.keyword, ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load) and hint is not None:
            yield hint
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "range":
            continue
        inner = children(part)
        if isinstance(part, ast.Subscript):
            inner = [part.value]
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow):
            inner = [part.left]
        if isinstance(part, ast.Compare):
            hint = "value_limit" if any(isinstance(op, _ORDER) for op in part.ops) else None
        elif isinstance(part, (ast.BinOp, ast.AugAssign)) and hint is None:
            hint = ""
        elif isinstance(part, ast.Call):
            hint = None  # what the function that is called does with it is not known
        stack += [(child, hint) for child in inner]


def on_entry(tunables: tuple[Tunable, ...], values: Mapping[str, Value]) -> list[ast.stmt]:
    """The statements with which a body with these values begins; they have no place yet."""
    return [
        replacement(tunable, ast.Constant(number_of(tunable, values[tunable.name])))
        for tunable in tunables
        if tunable.parameter and tunable.name in values
    ]


def replacement(tunable: Tunable, new: ast.expr) -> ast.stmt:
    """`if <limit is the default>: limit = <new>`."""
    name = ast.Name(tunable.parameter, ast.Load())
    assign = ast.Assign([ast.Name(tunable.parameter, ast.Store())], new)
    return ast.If(is_number(name, number_of(tunable, tunable.value)), [assign], [])


def is_number(name: ast.Name, number: int | float) -> ast.expr:
    """`(3.0).__class__.__class__(limit) is (3.0).__class__ and limit == 3.0`: equal, and of the same type.

    No name is used that a module might hide, and no code of an object that is anything else.
    """
    kind = ast.Attribute(ast.Constant(number), "__class__", ast.Load())
    kind_of = ast.Call(ast.Attribute(kind, "__class__", ast.Load()), [name], [])
    same = ast.Compare(name, [ast.Eq()], [ast.Constant(number)])
    return ast.BoolOp(ast.And(), [ast.Compare(kind_of, [ast.Is()], [kind]), same])


def number_of(tunable: Tunable, value: Value) -> int | float:
    """A value as the kind of number that the user wrote."""
    assert not isinstance(value, str)
    return int(value) if tunable.integer else float(value)
