"""A function's body -> the names that are its own variables, and those that functions inside it use."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from poet_hook.transform.nodes import FunctionNode, children, walk


def bound_in(body: Iterable[ast.AST]) -> set[str]:
    """The names that statements bind as variables of their own function."""
    names: set[str] = set()
    outer: set[str] = set()
    stack = list(body)
    while stack:
        part = stack.pop()
        if isinstance(part, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            names.update(walrus.target.id for walrus in walk(part) if isinstance(walrus, ast.NamedExpr))
            continue
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            names.add(part.id)
        elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(part.name)
            continue
        elif isinstance(part, ast.alias):
            names.add((part.asname or part.name).split(".")[0])
        elif isinstance(part, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)) and part.name:
            names.add(part.name)
        elif isinstance(part, ast.MatchMapping) and part.rest:
            names.add(part.rest)
        elif isinstance(part, (ast.Global, ast.Nonlocal)):
            outer.update(part.names)
        if not isinstance(part, ast.Lambda):
            stack.extend(children(part))
    return names - outer


def captured(node: FunctionNode) -> set[str]:
    """The names that functions inside a function use."""
    inside = [part for part in walk(*node.body) if isinstance(part, (FunctionNode, ast.Lambda, ast.GeneratorExp))]
    return {part.id for part in walk(*inside) if isinstance(part, ast.Name)}
