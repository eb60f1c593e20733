"""A body that may just end -> the same body, which returns None wherever it would end.

Python compiles an end of a function once for each place that leads there, so that each keeps its own line. A single
`return None` behind the body would have one line for them all, which coverage would take for a branch.
"""

from __future__ import annotations

import ast

from poet_hook.transform.places import place

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def closed(body: list[ast.stmt], line: int) -> list[ast.stmt]:
    """The statements, with a `return None` in each place where they would just end; `line` is that of the `def`."""
    last = body[-1] if body else None
    if isinstance(last, (ast.Return, ast.Raise)):
        return body
    if isinstance(last, ast.If):
        last.body, last.orelse = closed(last.body, line), closed(last.orelse, line)
        return body
    if isinstance(last, _LOOPS):
        last.body, last.orelse = _without_breaks(last.body), closed(last.orelse, line)
        return body
    if isinstance(last, ast.Try) and not last.finalbody:
        last.orelse = closed(last.orelse, line)
        for handler in last.handlers:
            handler.body = closed(handler.body, line)
        return body
    if isinstance(last, (ast.With, ast.AsyncWith)):  # behind it comes what it suppresses
        last.body = closed(last.body, line)
    elif isinstance(last, ast.TryStar) and not last.finalbody:  # behind it comes what it handles: no `return` may
        last.orelse = closed(last.orelse, line)
    elif isinstance(last, ast.Match):
        for case in last.cases:
            case.body = closed(case.body, line)
    end = ast.Return(ast.Constant(None))
    place(end, line)
    return [*body, end]


def _without_breaks(body: list[ast.stmt]) -> list[ast.stmt]:
    """The body of a loop behind which nothing comes: where it breaks, it returns."""
    out: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.Break):
            out.append(ast.copy_location(ast.Return(ast.copy_location(ast.Constant(None), statement)), statement))
            continue
        out.append(statement)
        if isinstance(statement, _SCOPES):
            continue
        names = ("orelse",) if isinstance(statement, _LOOPS) else ("body", "orelse", "finalbody")
        parts = (statement, *getattr(statement, "handlers", ()), *getattr(statement, "cases", ()))
        for part, name in ((part, name) for part in parts for name in names if hasattr(part, name)):
            setattr(part, name, _without_breaks(getattr(part, name)))
    return out
