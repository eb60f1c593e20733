"""The rules for how generated code ends: what it returns, raises and catches, each a function of one node."""

from __future__ import annotations

import ast

from poet_hook.isolation.allowed import ERRORS
from poet_hook.isolation.code import Code
from poet_hook.isolation.rule import rule
from poet_hook.isolation.scope import walk_bodies

_RESULTS: dict[str, tuple[type, ...]] = {"bool": (bool,), "float": (float, int), "int": (int, bool), "str": (str,)}


@rule(ast.ExceptHandler)
def caught(code: Code, node: ast.ExceptHandler) -> str | None:
    """Catch errors by their names: ValueError, ZeroDivisionError, statistics.StatisticsError."""
    if node.type is None:
        return "a bare except also catches the end of the program and time limits"
    for kind in node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]:
        if not _is_error(code, kind):
            return f"it catches {ast.unparse(kind)}"
    return None


def _is_error(code: Code, node: ast.AST) -> bool:
    if code.builtin(node) in ERRORS:
        return True
    path = code.path(node)
    if path:
        return path.endswith(("Error", "DivisionByZero", "InvalidOperation")) and code.is_allowed_path(path)
    return isinstance(node, ast.Name) and node.id in code.original.used and code.scopes[node].find(node.id) is None


@rule(ast.Raise)
def raised(code: Code, node: ast.Raise) -> str | None:
    """Raise ValueError, TypeError or another error of a calculation."""
    kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if kind is None or _is_error(code, kind):
        return None
    if isinstance(kind, ast.Name):
        scope = code.scopes[kind].find(kind.id)
        if scope is not None and all(b.how == "unknown" for b in scope.bindings[kind.id]):
            return None
    return f"it raises {ast.unparse(kind)}"


@rule(ast.Try)
def left_finally(_code: Code, node: ast.Try) -> str | None:
    """Return after the finally block: leaving it throws every exception away."""
    leaving = (ast.Return, ast.Break, ast.Continue)
    found = [n for s in node.finalbody for n in (s, *walk_bodies(s)) if isinstance(n, leaving)]
    return "it leaves a finally block, which throws every exception away" if found else None


@rule(ast.Return)
def result(code: Code, node: ast.Return) -> str | None:
    """Return what the annotation says: True or False for bool, a text for str."""
    returns = code.function.returns
    own = code.scopes[node].function().node is code.function
    wanted = _RESULTS.get(returns.id) if own and isinstance(returns, ast.Name) else None
    parts = [node.value] if wanted else []
    while parts and wanted:
        part = parts.pop()
        if isinstance(part, ast.IfExp):
            parts += [part.body, part.orelse]
        elif isinstance(part, ast.Constant) and type(part.value) not in wanted:
            return f"it returns {part.value!r:.40}, which is no {ast.unparse(returns) if returns else ''}"
    return None
