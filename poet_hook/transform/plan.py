"""Source text -> which functions will be enhanced, and how; or why not."""

from __future__ import annotations

import ast
import builtins
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from poet_hook.model import Diagnostic, LeftAlone, Parameter, Plan, Pragma, Tunable, Tune
from poet_hook.pragma.options import LIVE_OBJECTIVES, STEADY
from poet_hook.pragma.scan import find
from poet_hook.transform.constants import GAP, Constant, Constants
from poet_hook.transform.nodes import children, own_scope, statements, walk
from poet_hook.transform.offered import offered
from poet_hook.transform.tunables import find_tunables
from poet_hook.transform.values import dedented, lines_of

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # what reading anybody's source may raise
_KINDS = frozenset({"float", "int", "str", "bool", "bytes", "list", "dict", "tuple", "set"})
_COMPILED = frozenset({"njit", "jit", "compile", "vectorize", "guvectorize", "cfunc", "stencil", "cuda"})
# live calls are compared side by side, each as it is told
_UNUSED_LIVE = ("half_life", "assume_ok_after", "group")
# what is wrong with them costs these options, and no more
_DROPPED: dict[str, tuple[str, ...]] = {
    "PH402": ("ensure",),
    "PH406": ("fallback",),
    "PH411": STEADY,
    "PH412": ("canary",),
    "PH414": _UNUSED_LIVE,
}


@dataclass(slots=True)
class Target:
    """A function that will be enhanced: its plan, and its node in the module's tree."""

    plan: Plan
    node: ast.FunctionDef


@dataclass(slots=True)
class Planned:
    """A module looked at: its tree, the functions to enhance, those left alone, and what is wrong."""

    tree: ast.Module
    targets: list[Target]
    left_alone: list[LeftAlone]
    diagnostics: list[Diagnostic]


def plan_module(source: str, path: str, module: str, kept_as: str = "") -> Planned:
    """Plan every function with a pragma in `source`; raises what `ast.parse` raises.

    `module` is the name under which the file is imported, `kept_as` the one in the store, where that is another.
    """
    tree = ast.parse(source, path)
    found = find(source)
    planned = Planned(tree, [], [], list(found.diagnostics))
    if not found.pragmas:
        return planned
    by_line = {pragma.target_line: pragma for pragma in found.pragmas}
    shadowed = _bound_names(tree)
    functions = {statement.name for statement in tree.body if isinstance(statement, ast.FunctionDef)}
    seen: dict[str, int] = {}
    lines = lines_of(source)
    constants = Constants(tree, found.pragmas, lines)
    for node, qualname, nested in _functions(tree):
        starts = [decorator.lineno for decorator in node.decorator_list] + [node.lineno]
        pragma = next((by_line.pop(line) for line in starts if line in by_line), None)
        if pragma is None:
            continue
        function = f"{kept_as or module}:{qualname}"
        reason = _why_not(node, nested, seen.get(qualname))
        if reason:
            planned.left_alone.append(LeftAlone(function, path, node.lineno, reason))
            continue
        assert isinstance(node, ast.FunctionDef)
        seen[qualname] = node.lineno
        tunes = tuple(t for t in found.tunes if node.lineno <= t.line <= (node.end_lineno or node.lineno))
        kind, optional = _kind(node.returns, shadowed)
        complaints = list(_check_names(node, pragma, shadowed, lines)) + list(_idle(pragma, tunes, kind, lines))
        wrong = {complaint.code for complaint in complaints}
        dropped: dict[str, Any] = {option: None for code in wrong for option in _DROPPED.get(code, ())}
        pragma = replace(pragma, **dropped)
        known = constants.of(node) if pragma.trains else []
        on_constants = tuple(
            t for t in found.tunes if not t.choices and t.line in {constant.line for constant in known}
        )
        tunes = (*tunes, *on_constants)
        known = [c for c in known if c.private or c.line in {tune.line for tune in on_constants}]
        tunables, problems = find_tunables(node, tunes, lines, functions, known) if pragma.trains else ((), [])
        pragma = replace(pragma, tunes=tunes)
        returns = "" if optional else kind
        tunables += offered(pragma, kind, node.lineno, {tunable.name for tunable in tunables})
        planned.diagnostics += complaints + problems
        behind = {tunable.constant for tunable in tunables} - {""}
        kept = [constant for constant in known if constant.name in behind]
        text = function_source(node, lines) + _behind(kept, lines)
        plan = Plan(
            function=function,
            module=module,
            qualname=qualname,
            path=path,
            line=node.lineno,
            pragma=pragma,
            parameters=tuple(_parameters(node, shadowed)),
            returns=returns,
            tunables=tunables,
            source=text,
            source_hash=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            constants=tuple(constant.line for constant in kept),
        )
        planned.targets.append(Target(plan, node))
    for pragma in by_line.values():
        planned.diagnostics.append(_unplaced(pragma, lines))
    used = {tune.line for target in planned.targets for tune in target.plan.pragma.tunes}
    for tune in found.tunes:
        if tune.line not in used and (reason := constants.why_not(tune)):
            planned.diagnostics.append(_at(tune.line, lines[tune.line - 1].rstrip("\r\n"), "PH404", reason, "tune"))
    return planned


def _behind(constants: Sequence[Constant], lines: list[str]) -> str:
    """The lines of the module's constants that belong to a function, as they stand behind its own text."""
    own = "".join(lines[constant.line - 1].rstrip("\r\n") + "\n" for constant in constants)
    return "\n" * GAP + own if own else ""


def function_source(node: ast.FunctionDef, lines: list[str]) -> str:
    """The function's own text without decorators and indentation; text inside long strings keeps its own."""
    indented = dedented(node, lines)
    out = []
    for number, line in enumerate(lines[node.lineno - 1 : node.end_lineno], node.lineno):
        text = line.rstrip("\r\n")
        out.append(text[node.col_offset :] if number in indented else text)
    return "\n".join(out).rstrip("\n") + "\n"


def _functions(tree: ast.Module) -> Iterator[tuple[FunctionNode, str, bool]]:
    """Each function with its qualified name, and whether it is defined inside another."""
    stack: list[tuple[ast.AST, str, bool]] = [(tree, "", False)]
    while stack:
        node, prefix, nested = stack.pop()
        inner: list[tuple[ast.AST, str, bool]] = []
        for child in statements(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield child, prefix + child.name, nested
                inner.append((child, f"{prefix}{child.name}.<locals>.", True))
            elif isinstance(child, ast.ClassDef):
                inner.append((child, f"{prefix}{child.name}.", nested))
            else:
                inner.append((child, prefix, nested))
        stack.extend(reversed(inner))


def _why_not(node: FunctionNode, nested: bool, earlier: int | None) -> str:
    if isinstance(node, ast.AsyncFunctionDef):
        return "it is async; only plain functions and methods are enhanced"
    if nested:
        return "it is defined inside another function; only functions of a module or a class are enhanced"
    if earlier is not None:
        return f"another function of the same name, at line {earlier}, is enhanced already"
    own = own_scope(node)
    if any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in own):
        return "it is a generator; only plain functions and methods are enhanced"
    if any(isinstance(part, (ast.Break, ast.Continue)) for part in own) and any(map(_strays, node.body)):
        return "it has a break or continue outside of a loop"  # which would end our loop, and is a SyntaxError
    for name in _names(node):
        if name.startswith("_poet_"):
            return f"it uses the name {name!r}; names that start with _poet_ are ours"
    for decorator in node.decorator_list:
        name = _last_name(decorator)
        if name == "overload":
            return "it is an @overload, which never runs"
        if name in _COMPILED:
            return f"@{name} compiles it elsewhere; the enhanced body would not be understood there"
    return ""


def _strays(node: ast.AST) -> bool:
    if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
        return any(map(_strays, node.orelse))
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.expr)):
        return False
    return isinstance(node, (ast.Break, ast.Continue)) or any(map(_strays, children(node)))


def _names(node: ast.AST) -> Iterator[str]:
    for part in walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.arg):
            yield part.arg


def _last_name(decorator: ast.expr) -> str:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _bound_names(tree: ast.Module) -> set[str]:
    """Names that the module binds anywhere: an annotation or `type` of that name may mean something else."""
    names: set[str] = set()
    for node in walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.update(_KINDS | {"type", "*"} if node.name == "*" else {(node.asname or node.name).split(".")[0]})
        elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)) and node.name:
            names.add(node.name)
    return names


def _parameters(node: ast.FunctionDef, shadowed: set[str]) -> Iterator[Parameter]:
    args = node.args
    for argument in (*args.posonlyargs, *args.args):
        yield Parameter(argument.arg, *_kind(argument.annotation, shadowed))
    if args.vararg:
        yield Parameter(args.vararg.arg)
    for argument in args.kwonlyargs:
        yield Parameter(argument.arg, *_kind(argument.annotation, shadowed))
    if args.kwarg:
        yield Parameter(args.kwarg.arg)


def _kind(annotation: ast.expr | None, shadowed: set[str]) -> tuple[str, bool]:
    """The built-in type that an annotation names, and whether None is allowed beside it."""
    if "type" in shadowed:
        return "", False
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        if isinstance(annotation.right, ast.Constant) and annotation.right.value is None:
            return _kind(annotation.left, shadowed)[0], True
        return "", False
    if isinstance(annotation, ast.Name) and annotation.id in _KINDS - shadowed:
        return annotation.id, False
    if (
        isinstance(annotation, ast.Subscript)
        and isinstance(annotation.value, ast.Name)
        and annotation.value.id in _KINDS - shadowed
    ):
        item = annotation.slice
        if isinstance(item, ast.Name) and item.id in {"float", "int"} - shadowed:
            return f"{annotation.value.id}[{item.id}]", False
        return annotation.value.id, False
    return "", False


def _check_names(node: ast.FunctionDef, pragma: Pragma, bound: set[str], lines: list[str]) -> Iterator[Diagnostic]:
    """Options that name a parameter or a function or take `result`, held against the signature and the module."""
    names = {p.name for p in _parameters(node, set())}
    source_line = lines[pragma.line - 1].rstrip("\r\n")
    for name in pragma.record_arguments:
        if name not in names:
            yield _at(
                pragma.line,
                source_line,
                "PH401",
                f"record.{name}: {node.name}() has no argument {name!r}",
                name,
            )
    if pragma.ensure and "result" in names:
        message = f"ensure=: {node.name}() has an argument named result, which hides the result"
        yield _at(pragma.line, source_line, "PH402", message, "ensure")
    for option, expression in (
        ("require", pragma.require),
        ("ensure", pragma.ensure),
        ("key", pragma.key),
        ("stream", pragma.stream),
        ("group", pragma.group if isinstance(pragma.group, str) else None),
    ):
        known = names | bound | ({"result"} if option == "ensure" else set())
        for unknown in sorted(_read_names(expression) - known) if expression and "*" not in bound else ():
            if not hasattr(builtins, unknown):
                message = f"{option}=: {unknown} is no argument of {node.name}(), and the module does not define it"
                yield _at(pragma.line, source_line, "PH410", message, unknown)
    fallback = pragma.fallback.function if pragma.fallback else None
    if fallback is None:
        return
    if fallback in _bound_names(ast.Module([node], [])):
        message = f"fallback={fallback}: in {node.name}() this name means something else"
        yield _at(pragma.line, source_line, "PH406", message, fallback)
    elif not (bound & {fallback, "*"} or hasattr(builtins, fallback)):
        yield _at(pragma.line, source_line, "PH406", f"fallback={fallback}: the module has no such function", fallback)


def _read_names(expression: str) -> set[str]:
    """The names that an expression reads and does not bind itself."""
    nodes = list(walk(ast.parse(expression, mode="eval")))
    bound = {n.arg for n in nodes if isinstance(n, ast.arg)}
    bound |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return {n.id for n in nodes if isinstance(n, ast.Name)} - bound


def _idle(pragma: Pragma, tunes: tuple[Tune, ...], returns: str, lines: list[str]) -> Iterator[Diagnostic]:
    """Options that change nothing where they stand."""
    if pragma.steady and returns.partition("[")[0] not in ("", "bool", "dict"):
        source_line = lines[pragma.line - 1].rstrip("\r\n")
        word = next(name for name in STEADY if getattr(pragma, name))
        yield _at(pragma.line, source_line, "PH411", f"{word}= has no effect: {returns} is no yes or no", word)
    if not pragma.trains:
        for tune in tunes:
            source_line = lines[tune.line - 1].rstrip("\r\n")
            yield _at(
                tune.line, source_line, "PH407", "tune has no effect without optimize_for above the function", "tune"
            )
    elif pragma.cost != (1.0, 1.0) and "alert_quality" not in pragma.objectives:
        source_line = lines[pragma.line - 1].rstrip("\r\n")
        message = f"cost= has no effect with optimize_for={pragma.optimize_for}; it needs alert_quality"
        yield _at(pragma.line, source_line, "PH408", message, "cost")
    if pragma.optimize_for in LIVE_OBJECTIVES and not pragma.canary:
        source_line = lines[pragma.line - 1].rstrip("\r\n")
        message = f"optimize_for={pragma.optimize_for} has no effect without canary=, since only live calls tell it"
        yield _at(pragma.line, source_line, "PH413", message, "optimize_for")
    if pragma.optimize_for in LIVE_OBJECTIVES:
        source_line = lines[pragma.line - 1].rstrip("\r\n")
        for word in _UNUSED_LIVE:
            if getattr(pragma, word) is not None:
                message = f"{word}= has no effect with optimize_for={pragma.optimize_for}, which live calls tell"
                yield _at(pragma.line, source_line, "PH414", message, word)
    if pragma.canary and pragma.trains and pragma.learn not in ("auto", "proven"):
        source_line = lines[pragma.line - 1].rstrip("\r\n")
        message = f"canary= has no effect with learn={pragma.learn}; it needs auto or proven"
        yield _at(pragma.line, source_line, "PH412", message, "canary")


def left_alone(item: LeftAlone, source: str) -> Diagnostic:
    """A function with a pragma that is not enhanced, as a diagnostic for people who check their code."""
    source_line = lines_of(source)[item.line - 1].rstrip("\r\n")
    name = item.function.rpartition(":")[2].rpartition(".")[2]
    return _at(item.line, source_line, "PH409", f"{name}() is left alone: {item.reason}", name)


def _unplaced(pragma: Pragma, lines: list[str]) -> Diagnostic:
    source_line = lines[pragma.line - 1].rstrip("\r\n")
    return _at(pragma.line, source_line, "PH403", "this pragma does not stand above a function", "poet:")


def _at(line: int, source_line: str, code: str, message: str, word: str) -> Diagnostic:
    column = max(source_line.find(word), 0)
    return Diagnostic(code, message, line, column, column + len(word), source_line=source_line)


__all__ = ["UNPARSABLE", "Planned", "Target", "Tunable", "Tune", "function_source", "plan_module"]
