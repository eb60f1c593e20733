"""A module's tree -> the numbers at its top that one function alone reads, which learning may change for it.

Only the reads of that function are replaced, and only as long as the constant is what the user wrote: who sets it
from elsewhere gets what was set. That a constant is read from elsewhere can't be known, so it must be private
(`_LIMIT`), or be marked with `# poet: tune`. Behind the text of its function stands the line of each of these
constants, so that a version belongs to their values too.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from poet_hook.model import Pragma, Tunable, Tune, Value
from poet_hook.transform.defaults import is_number, number_of
from poet_hook.transform.nodes import FunctionNode, walk

GAP = 2  # blank lines between a function's text and its constants


@dataclass(frozen=True, slots=True)
class Constant:
    """`name = number`, alone on a line (1-based) of the module, or of a function's text."""

    name: str
    line: int
    number: ast.expr

    @property
    def private(self) -> bool:
        """Whether its name says that no other module reads it."""
        return self.name.startswith("_") and not self.name.startswith("__")


def constant_in(statement: ast.stmt, lines: Sequence[str]) -> Constant | None:
    """The constant that a statement is, if it is nothing else; whether its value is a number is not looked at."""
    target: ast.expr | None = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    if not isinstance(target, ast.Name) or value is None or statement.lineno != statement.end_lineno:
        return None
    row = lines[statement.lineno - 1].encode("utf-8", "surrogatepass")
    after = row[statement.end_col_offset :].strip()
    alone = statement.col_offset == 0 and (not after or after.startswith(b"#"))
    return Constant(target.id, statement.lineno, value) if alone else None


class Constants:
    """Those of one module."""

    def __init__(self, tree: ast.Module, pragmas: Iterable[Pragma], lines: Sequence[str]) -> None:
        found = (constant_in(statement, lines) for statement in tree.body)
        self.all = [c for c in found if c is not None and isinstance(c.number, (ast.Constant, ast.UnaryOp))]
        self.found = {constant.name: constant for constant in self.all}
        self.loads: Counter[str] = Counter()
        self.bound: Counter[str] = Counter()
        if self.found:
            self._look(tree)
        said = " ".join(filter(None, map(_expressions, pragmas)))
        self.bound.update(name for name in self.found if re.search(rf"\b{re.escape(name)}\b", said))

    def _look(self, tree: ast.Module) -> None:
        for part in walk(tree):
            if isinstance(part, ast.Name):
                (self.loads if isinstance(part.ctx, ast.Load) else self.bound)[part.id] += 1
            elif isinstance(part, ast.arg):
                self.bound[part.arg] += 1
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.bound[part.value] += 1  # __all__, globals()["_LIMIT"]
            elif isinstance(part, (ast.Global, ast.Nonlocal)):
                self.bound.update(part.names)
            elif isinstance(part, ast.alias):
                names = list(self.found) if part.name == "*" else [part.asname or part.name]
                self.bound.update(names)
            else:
                bound = (getattr(part, field, None) for field in ("name", "rest"))
                self.bound.update(name for name in bound if isinstance(name, str))

    def of(self, node: FunctionNode) -> list[Constant]:
        """Those that the body of this function reads, that nothing else reads, and that are assigned once."""
        if not self.found:
            return []
        inside = Counter(part.id for statement in node.body for part in walk(statement) if isinstance(part, ast.Name))
        return [c for c in self.found.values() if 0 < inside[c.name] == self.loads[c.name] and self.bound[c.name] == 1]

    def why_not(self, tune: Tune) -> str:
        """Why what `tune` marks is tuned for no function, where that is a constant; else ""."""
        constant = next((c for c in self.all if c.line == tune.line), None)
        if constant is None:
            return ""
        if tune.choices:
            return "at the top of a module, only a number can be tuned"
        if self.bound[constant.name] != 1:
            return f"{constant.name} is assigned or named elsewhere in the module too"
        return f"{constant.name} is not read by one function that learns, and by nothing else"


def _expressions(pragma: Pragma) -> str:
    group = pragma.group if isinstance(pragma.group, str) else None
    return " ".join(filter(None, (pragma.require, pragma.ensure, pragma.key, pragma.stream, group)))


def in_text(body: Sequence[ast.stmt], lines: Sequence[str]) -> list[Constant] | None:
    """The constants behind a function in the text of it; None where something else stands there."""
    found = [constant_in(statement, lines) for statement in body[1:]]
    known = [item for item in found if item is not None]
    return known if len(known) == len(found) else None


def first_line(node: FunctionNode) -> int:
    """The number, counted from the `def` line (0), of the first constant in the text of a function."""
    return (node.end_lineno or node.lineno) - node.lineno + 1 + GAP


def replace_reads(
    node: FunctionNode, tunables: Iterable[Tunable], values: Mapping[str, Value], new: Mapping[str, ast.expr] = {}
) -> None:
    """Let the body read `values` in place of constants that are as they were written, or what `new` has by name."""
    wanted = {t.constant: t for t in tunables if t.constant and t.name in values}
    made = _Reads({name: (t, number_of(t, values[t.name])) for name, t in wanted.items()}, new)
    node.body = [made.visit(statement) for statement in node.body]


class _Reads(ast.NodeTransformer):
    def __init__(self, known: Mapping[str, tuple[Tunable, int | float]], new: Mapping[str, ast.expr]) -> None:
        self.known = known
        self.new = new

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.new:
            return ast.copy_location(self.new[node.id], node)
        if node.id not in self.known:
            return node
        tunable, value = self.known[node.id]
        own = number_of(tunable, tunable.value)
        made = ast.IfExp(is_number(node, own), ast.Constant(value), node)
        for part in _unplaced(made):
            ast.copy_location(part, node)
        return made


def _unplaced(root: ast.AST) -> Iterator[ast.AST]:
    return (part for part in walk(root) if "lineno" in part._attributes and getattr(part, "lineno", None) is None)
