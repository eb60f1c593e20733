"""What is added to a function -> where it stands, so that whoever traces the function meets the user's own lines only.

What is added before the body belongs to the line of the body's first statement, and what looks at a result to the line
of its `return`. Where these are sure to be single lines, it is put there at once. Elsewhere it stands on the `def`
line, under columns that tell it from all else, until `transform.lines` finds its neighbours in the compiled code.
"""

from __future__ import annotations

import ast

from poet_hook.transform.nodes import children, own_statements

HIDDEN = (0, 0)
"""The columns of what is added, by which `transform.lines` knows it: no text of a file is that narrow."""
SEEN = (0, 1)
"""The columns of what is added, and stays on the `def` line."""
NOWHERE = (-1, -1)
"""The columns of what has none, but its line already."""
_SIMPLE = (ast.Assign, ast.AugAssign, ast.Return, ast.Raise, ast.Delete, ast.Import, ast.ImportFrom, ast.Expr)
_ASKS = (ast.Name, ast.Compare, ast.Call, ast.Attribute, ast.Subscript)


def place(added: ast.AST, line: int, columns: tuple[int, int] = HIDDEN) -> None:
    """Give every node that has no place yet this one."""
    stack = [added]
    while stack:
        part = stack.pop()
        if "lineno" in part._attributes:
            if getattr(part, "lineno", None) is not None:  # it came from the source, and so did all inside it
                continue
            part.lineno = part.end_lineno = line  # type: ignore[attr-defined]
            part.col_offset, part.end_col_offset = columns  # type: ignore[attr-defined]
        stack += children(part)


def first_line(body: list[ast.stmt]) -> int:
    """The line with which a body begins to run, where that is sure to be its first statement's only one; else 0."""
    first: ast.stmt = body[0]
    runs: ast.AST = first
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return 0  # it is not compiled
    if isinstance(first, (ast.If, ast.While)):
        runs = first.test
        asked = runs.values[0] if isinstance(runs, ast.BoolOp) else runs
        asked = asked.operand if isinstance(asked, ast.UnaryOp) else asked
        if not isinstance(asked, _ASKS) or (isinstance(asked, ast.Name) and asked.id == "__debug__"):
            return 0  # it may be known before it runs
    elif isinstance(first, ast.For):
        runs = first.iter
    elif not isinstance(first, _SIMPLE):
        return 0
    return first.lineno if first.lineno == runs.lineno == runs.end_lineno else 0  # type: ignore[attr-defined]


def are_on_a_line(body: list[ast.stmt]) -> bool:
    """Whether each `return` of a body is the user's own, and on one line."""
    stops = [part for part in own_statements(body) if isinstance(part, ast.Return)]
    return all(stop.lineno == stop.end_lineno and (stop.col_offset, stop.end_col_offset) != HIDDEN for stop in stops)
