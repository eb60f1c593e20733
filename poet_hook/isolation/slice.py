"""A module's source -> one function and the statements of the module that it needs, nothing else.

Replay must not run a program's top level again: it may start servers or loop for ever. So only the imports,
definitions and values that the function refers to, directly or through others, are loaded.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from poet_hook.isolation.effects import why_not_replay

_Named = (ast.FunctionDef, ast.AsyncFunctionDef)
_NamedFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Slice:
    """A function to replay: `tree` the module, `function` its node, `keep` indices into `tree.body`, `names` used."""

    tree: ast.Module
    function: ast.FunctionDef
    keep: tuple[int, ...]
    names: frozenset[str]
    reason: str | None


def slice_function(
    source: str,
    qualname: str,
    line: int,
    modules: Collection[str] = (),
    also: Collection[str] = (),
    perhaps: Collection[str] = (),
) -> Slice:
    """The slice for the function at `line`; `reason` says why it can't be replayed, None where it can.

    `also` are names that other versions of it use, `perhaps` those that one might: of these, what can't be loaded is
    left out.

    Raises what `ast.parse` raises, and LookupError where there is no such function.
    """
    tree = ast.parse(source)
    name = qualname.rpartition(".")[2]
    found = next((n for n in ast.walk(tree) if isinstance(n, _Named) and n.name == name and n.lineno == line), None)
    if found is None:
        raise LookupError(f"no function {qualname} at line {line}")
    reason = _why_not_alone(found, qualname)
    function = plain(found)
    if function is not found and found in tree.body:
        tree.body[tree.body.index(found)] = function
    classes = _classes(function, qualname, tree)
    bare(function)
    function.decorator_list = []
    function.args.defaults = [ast.copy_location(ast.Constant(None), d) for d in function.args.defaults]
    function.args.kw_defaults = [d and ast.copy_location(ast.Constant(None), d) for d in function.args.kw_defaults]
    binders = _binders(tree)
    wanted = [*_free_names(function), *classes, *also]
    seen: set[str] = {name} if "." in qualname else set()
    keep = _needed(wanted, tree, function, binders, seen)
    reason = reason or why_not_replay(function, _narrowed(tree, keep, seen), modules)
    for item in () if reason else sorted(perhaps):
        names = {*seen}
        more = _needed([item], tree, function, binders, names)
        if why_not_replay(function, _narrowed(tree, more, names), modules) is None:
            keep, seen = keep | more, names
    narrow([tree.body[index] for index in keep], seen)
    missing = sorted(n for n in _free_names(function) if n not in binders and not hasattr(builtins, n))
    if reason is None and missing:
        reason = f"line {function.lineno}: it uses {missing[0]}, which the module does not define"
    return Slice(tree, function, tuple(sorted(keep)), frozenset(seen), reason)


def _needed(
    wanted: Iterable[str],
    tree: ast.Module,
    function: ast.FunctionDef,
    binders: Mapping[str, Sequence[int]],
    seen: set[str],
) -> set[int]:
    """Which statements bind these names and all that they need; what is looked at on the way is `seen` then."""
    stack, keep = [*wanted], set[int]()
    while stack:
        item = stack.pop()
        if item in seen:
            continue
        seen.add(item)
        for index in binders.get(item, ()):
            statement = tree.body[index]
            if statement is function or index in keep:
                continue
            keep.add(index)
            stack += _free_names(statement)
    return keep


def _narrowed(tree: ast.Module, keep: Iterable[int], names: Collection[str]) -> list[ast.stmt]:
    """These statements, of each import only what is used; the tree stays as it is."""
    kept = [tree.body[index] for index in sorted(keep)]
    made = [copy.deepcopy(item) if isinstance(item, (ast.Import, ast.ImportFrom)) else item for item in kept]
    narrow(made, names)
    return made


def plain(function: _NamedFunction) -> ast.FunctionDef:
    """The function itself, or the plain one that does what an async one does between two waits."""
    if isinstance(function, ast.FunctionDef):
        return function
    parts: dict[str, Any] = {name: getattr(function, name) for name in function._fields}
    return ast.copy_location(ast.FunctionDef(**parts), function)


def _why_not_alone(function: _NamedFunction, qualname: str) -> str | None:
    if "<locals>" in qualname:
        return f"line {function.lineno}: it is defined inside another function, on whose variables it may depend"
    stack: list[ast.AST] = [*function.body] if isinstance(function, ast.AsyncFunctionDef) else []
    while stack:
        part = stack.pop()
        if isinstance(part, (ast.Await, ast.AsyncFor, ast.AsyncWith)) or getattr(part, "is_async", False):
            return f"line {getattr(part, 'lineno', function.lineno)}: it waits for something else, which a replay can't"
        if not isinstance(part, _Function):
            stack.extend(ast.iter_child_nodes(part))
    return None


def used_parameters(function: _NamedFunction) -> set[str]:
    """The names of the parameters that the body reads."""
    read = {n.id for statement in function.body for n in ast.walk(statement) if isinstance(n, ast.Name)}
    return {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)} & read


def _binders(tree: ast.Module) -> dict[str, list[int]]:
    """Which top-level statements bind each name."""
    out: dict[str, list[int]] = {}
    for index, statement in enumerate(tree.body):
        for name in _bound(statement):
            out.setdefault(name, []).append(index)
    return out


def _bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    names: set[str] = set()
    for part in ast.walk(statement):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.alias):
            names.add((part.asname or part.name).split(".")[0])
        elif isinstance(part, (*_Named, ast.ClassDef)):
            names.add(part.name)
    return names


def narrow(statements: Iterable[ast.stmt], names: Collection[str]) -> None:
    """Of each import keep only what is used: `import numpy, server` must not load a server."""
    for statement in statements:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            used = [a for a in statement.names if (a.asname or a.name).split(".")[0] in names or a.name == "*"]
            statement.names = used or statement.names


def bare(root: ast.AST) -> None:
    """Take the annotations of every function away: what they name need not be loaded."""
    for node in ast.walk(root):
        if isinstance(node, _Named):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None


def _classes(function: ast.FunctionDef, qualname: str, tree: ast.Module) -> list[str]:
    """Classes of the module that recorded arguments may be instances of: annotations, and a dataclass around."""
    annotated = {n.id for n in ast.walk(function.args) if isinstance(n, ast.Name)}
    around = qualname.partition(".")[0]
    return [
        statement.name
        for statement in tree.body
        if isinstance(statement, ast.ClassDef)
        and (statement.name in annotated or (statement.name == around and "dataclass" in _decorators(statement)))
    ]


def _decorators(statement: ast.ClassDef) -> set[str]:
    return {n.id for d in statement.decorator_list for n in ast.walk(d) if isinstance(n, ast.Name)}


_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def _free_names(statement: ast.AST) -> list[str]:
    """Names that a statement reads and does not bind; a function's annotations are taken away before it is loaded."""
    local: set[str] = set()
    stack: list[ast.AST] = [statement]
    if isinstance(statement, _Function):
        args = statement.args
        local = {a.arg for a in ast.walk(args) if isinstance(a, ast.arg)} | _bound_by(statement)
        stack = [*_body(statement), *args.defaults, *(default for default in args.kw_defaults if default)]
        stack += [] if isinstance(statement, ast.Lambda) else statement.decorator_list
    found: list[str] = []
    while stack:
        part = stack.pop()
        if isinstance(part, _Function) and part is not statement:
            found += [name for name in _free_names(part) if name not in local]
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            found += [] if part.id in local else [part.id]
        else:
            stack.extend(ast.iter_child_nodes(part))
    return found


def _body(function: _Function) -> list[ast.AST]:
    return [function.body] if isinstance(function, ast.Lambda) else [*function.body]


def _bound_by(function: _Function) -> set[str]:
    """The names that the body of a function binds, without those of the functions inside it."""
    names: set[str] = set()
    stack = _body(function)
    while stack:
        part = stack.pop()
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.alias):
            names.add((part.asname or part.name).split(".")[0])
        else:  # a handler, a capture of `match`, a function or class
            names.update(name for field in ("name", "rest") if isinstance(name := getattr(part, field, None), str))
        if not isinstance(part, _Function):
            stack.extend(ast.iter_child_nodes(part))
    return names
