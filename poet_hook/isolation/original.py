"""A module's source and the name of a function in it -> what a rewritten function may refer to."""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Literal, NamedTuple

from poet_hook.isolation.allowed import BUILTINS, MODULES

Function = ast.FunctionDef | ast.AsyncFunctionDef
_OPERATORS = (ast.UnaryOp, ast.BinOp, ast.Tuple, ast.Constant)


class Known(NamedTuple):
    """What a name of the module stands for; `target` is the dotted name of what an import binds."""

    kind: Literal["import", "member", "constant", "other"]
    target: str
    node: ast.AST


class Original:
    """The function as the user wrote it, and the names of its module.

    Raises what `ast.parse` raises, and LookupError where there is no such function.
    """

    def __init__(self, source: str, qualname: str) -> None:
        self.source = source
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the user's code: its own import says them
            self.tree = ast.parse(source)
        self.qualname = qualname
        self.function = _find(self.tree, qualname)

    @cached_property
    def names(self) -> dict[str, Known]:
        """The names that the top level of the module binds."""
        found: dict[str, Known] = {}
        for statement in _top_level(self.tree.body):
            for name, known in _known(statement):
                before = found.get(name)
                if before is None or before.kind not in ("import", "member"):
                    found[name] = known if before is None else known._replace(kind="other")
        return found

    @cached_property
    def used(self) -> frozenset[str]:
        """Every name that the function refers to."""
        return frozenset(n.id for n in ast.walk(self.function) if isinstance(n, ast.Name))

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The attributes that the function reads, and the fields of the classes of its module."""
        read = {n.attr for n in ast.walk(self.function) if isinstance(n, ast.Attribute)}
        for statement in self.tree.body:
            if isinstance(statement, ast.ClassDef):
                fields = [s.target for s in statement.body if isinstance(s, ast.AnnAssign)]
                read.update(f.id for f in fields if isinstance(f, ast.Name))
        return frozenset(name for name in read if not name.startswith("_"))

    @cached_property
    def paths(self) -> frozenset[str]:
        """Every attribute that the function reads of a name, as `ast.dump` has it."""
        return frozenset(ast.dump(n) for n in ast.walk(self.function) if isinstance(n, ast.Attribute))

    @cached_property
    def statements(self) -> frozenset[str]:
        """The statements of the module's top level, as `ast.dump` has them."""
        return frozenset(ast.dump(s) for s in self.tree.body if not isinstance(s, ast.Expr))

    @cached_property
    def texts(self) -> frozenset[str]:
        """The texts that the module has as constants."""
        return frozenset(
            n.value for n in ast.walk(self.tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
        )

    @cached_property
    def modules(self) -> frozenset[str]:
        """The modules of which something is imported."""
        imported: set[str] = set()
        for known in self.names.values():
            if known.kind == "import":
                imported.add(known.target)
            elif known.kind == "member":
                imported.add(known.target.rpartition(".")[0])
        return frozenset(imported)

    def constant(self, name: str) -> bool:
        """True where `name` of the module, or a builtin, is nothing that can be changed in place."""
        known = self.names.get(name)
        if known is None:
            return name in BUILTINS
        return known.kind == "constant" and not any(
            isinstance(n, (ast.List, ast.Dict, ast.Set)) for n in ast.walk(known.node)
        )


def _find(tree: ast.Module, qualname: str) -> Function:
    *around, name = [part for part in qualname.split(".") if part != "<locals>"]
    body: Iterable[ast.AST] = tree.body
    for part in around:
        inner = [n for s in body for n in _walk(s) if isinstance(n, (ast.ClassDef, Function)) and n.name == part]
        if not inner:
            raise LookupError(f"there is no {part!r} in it")
        body = inner[-1].body
    found = [n for s in body for n in _walk(s) if isinstance(n, Function) and n.name == name]
    if not found:
        raise LookupError(f"there is no function {qualname!r} in it")
    return found[-1]


def _walk(statement: ast.AST) -> Iterator[ast.AST]:
    """A statement and those in its branches, but not what stands in a function or class."""
    stack = [statement]
    while stack:
        part = stack.pop(0)
        yield part
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.expr)):
            stack.extend(ast.iter_child_nodes(part))


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    return (n for statement in body for n in _walk(statement) if isinstance(n, ast.stmt))


def imports(statement: ast.stmt) -> Iterator[tuple[str, str, bool]]:
    """What an import statement binds: the name, the dotted name of what it stands for, whether that is a module."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield (
                alias.asname or alias.name.split(".")[0],
                alias.name if alias.asname else alias.name.split(".")[0],
                True,
            )
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            target = f"{'.' * statement.level}{statement.module or ''}.{alias.name}"
            yield alias.asname or alias.name, target, target in MODULES


def _known(statement: ast.stmt) -> Iterator[tuple[str, Known]]:
    for name, target, is_module in imports(statement):
        yield name, Known("import" if is_module else "member", target, statement)
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name, Known("other", "", statement)
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
        kind: Literal["constant", "other"] = "constant" if _literal(statement.value) else "other"
        for part in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            for bound in _stored(part):
                yield bound, Known(kind if isinstance(part, ast.Name) else "other", "", statement.value)
    else:
        for bound in _stored(statement):
            yield bound, Known("other", "", statement)


def _stored(node: ast.AST) -> Iterator[str]:
    return (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def _literal(value: ast.expr) -> bool:
    return all(
        isinstance(n, (*_OPERATORS, ast.List, ast.Dict, ast.Set, ast.operator, ast.unaryop, ast.expr_context))
        for n in ast.walk(value)
    )


def is_builtin(name: str) -> bool:
    """True for every name of Python itself, allowed or not."""
    return hasattr(builtins, name)
