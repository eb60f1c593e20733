"""A tree -> its nodes, in a fraction of the time that `ast.walk` takes: an import waits for this."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
_HOLDS = (ast.stmt, ast.excepthandler, ast.match_case)
_PLAIN = frozenset({"attr", "asname", "ctx", "id", "kind", "level", "module", "op", "ops", "type_comment"})
_fields: dict[type[ast.AST], tuple[str, ...]] = {ast.Constant: ()}


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below, in the order of Python's grammar; without contexts and operators."""
    kind = node.__class__
    names = _fields.get(kind)
    if names is None:
        names = _fields[kind] = tuple(name for name in kind._fields if name not in _PLAIN)
    out: list[ast.AST] = []
    inner = node.__dict__
    for name in names:
        value = inner.get(name)
        if value.__class__ is list:
            out += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            out.append(value)
    return out


def statements(node: ast.AST) -> list[ast.AST]:
    """The statements right below a module or a statement, and what holds further ones (handlers, cases)."""
    inner = node.__dict__
    blocks = (inner[name] for name in _BLOCKS if name in inner)
    return [item for block in blocks if isinstance(block, list) for item in block if isinstance(item, _HOLDS)]


def walk(*nodes: ast.AST) -> list[ast.AST]:
    """The nodes and every node below them, each before those inside it; without contexts and operators."""
    found = [*nodes]
    for node in found:  # it grows meanwhile
        found += children(node)
    return found


def own_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a body, and those inside them; without the bodies of functions and classes inside it."""
    found: list[ast.stmt] = []
    for statement in body:
        found.append(statement)
        if not isinstance(statement, _SCOPES):
            for block in blocks(statement):
                found += own_statements(block)
    return found


def own_scope(node: FunctionNode | ast.Module) -> list[ast.AST]:
    """Every node of the function's own body, without the bodies of functions and classes inside it."""
    found: list[ast.AST] = []
    stack: list[ast.AST] = [*node.body]
    while stack:
        part = stack.pop()
        found.append(part)
        if not isinstance(part, _SCOPES):
            stack += children(part)
    return found


def last_name(decorator: ast.expr) -> str:
    """The last name of what decorates or is called: `njit` of `@numba.njit(cache=True)`; "" where it has none."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The lists of statements right below a statement, those of its handlers and cases included."""
    for part in (statement, *getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(part, name, None)
            if isinstance(block, list):
                yield block
