"""A function and its pragma -> the options that can't hold there, or change nothing, each with what is wrong."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence

from poet_hook.model import Diagnostic, FunctionKind, Pragma, Tune
from poet_hook.pragma.options import LIVE_OBJECTIVES, STEADY
from poet_hook.pragma.scopes import without
from poet_hook.transform.nodes import FunctionNode, children, walk

Objection = tuple[str, Diagnostic]
"""The name of an option ("" for a tune), and what is wrong with it."""

KINDS = frozenset({"float", "int", "str", "bool", "bytes", "list", "dict", "tuple", "set"})  # what is checked
# live calls are compared side by side, each as it is told
_UNUSED_LIVE = ("half_life", "assume_ok_after", "group")
# these speak of one result, or of one attempt
_NOT_OF_GENERATORS = ("retries", "backoff", "timeout", "fallback", "ensure", "optimize_for", *STEADY)
# what a class says of its methods is not meant for these
_GIVE_NOTHING = frozenset({"__init__", "__post_init__", "__del__", "__init_subclass__", "__set_name__"})
_WITH_NAMES_OF_THEIR_OWN = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_A = {"generator": "a generator", "async generator": "an async generator", "coroutine": "async"}


def objections(
    node: FunctionNode,
    kind: FunctionKind,
    pragma: Pragma,
    tunes: Sequence[Tune],
    returns: str,
    bound: set[str],
    lines: list[str],
) -> Iterator[Objection]:
    """Held against the kind of function, its signature, the names around it, which `bound` are, and each other."""
    by_kind = list(_of_kind(node, kind, pragma))
    yield from by_kind
    pragma = without(pragma, [option for option, _ in by_kind])
    yield from _of_names(node, pragma, bound)
    yield from _idle(pragma, returns)
    if not pragma.trains and not by_kind and not pragma.margin:  # which a tune may help to tell what is meant
        for tune in tunes:
            row = lines[tune.line - 1].rstrip("\r\n")
            yield "", at(tune.line, row, "PH407", "tune has no effect without optimize_for above the function", "tune")


def _of_kind(node: FunctionNode, kind: FunctionKind, pragma: Pragma) -> Iterator[Objection]:
    if node.name in _GIVE_NOTHING:
        for option in ("fallback", "ensure", *STEADY):
            if option in pragma.origins and pragma.origins[option].scope != "function":
                yield option, said(pragma, option, "PH416", f"{option}= has no effect: {node.name}() returns nothing")
    if kind == "function":
        return
    why = "which gives no one result" if kind != "coroutine" else "and a trial of another version is not"
    for option in _NOT_OF_GENERATORS if kind != "coroutine" else ("canary",):
        if option in pragma.origins:
            message = f"{option}= has no effect: {node.name}() is {_A[kind]}, {why}"
            yield option, said(pragma, option, "PH416", message)
    if kind == "coroutine" and pragma.learn == "shadow" and pragma.trains:
        message = f"learn=shadow has no effect: {node.name}() is async, {why}"
        yield "learn", said(pragma, "learn", "PH416", message)


def _of_names(node: FunctionNode, pragma: Pragma, bound: set[str]) -> Iterator[Objection]:
    """Options that name a parameter or a function or take `result`."""
    args = node.args
    every = (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg)
    names = {argument.arg for argument in every if argument}
    for name in pragma.record_arguments:
        if name not in names:
            message = f"record.{name}: {node.name}() has no argument {name!r}"
            yield f"record.{name}", said(pragma, f"record.{name}", "PH401", message, name)
    if pragma.ensure and "result" in names:
        message = f"ensure=: {node.name}() has an argument named result, which hides the result"
        yield "ensure", said(pragma, "ensure", "PH402", message)
    for option in ("require", "ensure", "key", "stream", "group"):
        expression = getattr(pragma, option)
        if not isinstance(expression, str):
            continue
        hidden = _variables(node)
        for name in sorted(_read_names(expression) - names - ({"result"} if option == "ensure" else set())):
            if name in hidden:
                message = f"{option}=: {name} is no argument of {node.name}(), whose body has a variable of that name"
            elif bound & {name, "*"} or hasattr(builtins, name):
                continue
            else:
                message = f"{option}=: {name} is no argument of {node.name}(), and the module does not define it"
            yield option, said(pragma, option, "PH410", message, name)
    fallback = pragma.fallback.function if pragma.fallback else None
    if fallback is None:
        return
    if fallback in bound_names(walk(node)):
        message = f"fallback={fallback}: in {node.name}() this name means something else"
        yield "fallback", said(pragma, "fallback", "PH406", message, fallback)
    elif not (bound & {fallback, "*"} or hasattr(builtins, fallback)):
        message = f"fallback={fallback}: the module has no such function"
        yield "fallback", said(pragma, "fallback", "PH406", message, fallback)


def _read_names(expression: str) -> set[str]:
    """The names that an expression reads and does not bind itself."""
    nodes = list(walk(ast.parse(expression, mode="eval")))
    bound = {n.arg for n in nodes if isinstance(n, ast.arg)}
    bound |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return {n.id for n in nodes if isinstance(n, ast.Name)} - bound


def _variables(node: FunctionNode) -> set[str]:
    """The names that a function's own statements bind: an expression beside them reads these, set or not."""
    own: list[ast.AST] = []
    outer: set[str] = set()
    stack: list[ast.AST] = [*node.body]
    while stack:
        part = stack.pop()
        if isinstance(part, (ast.Global, ast.Nonlocal)):
            outer.update(part.names)
        elif not isinstance(part, _WITH_NAMES_OF_THEIR_OWN):
            own.append(part)
            stack += () if isinstance(part, (FunctionNode, ast.ClassDef)) else children(part)
    return bound_names(own) - outer


def _idle(pragma: Pragma, returns: str) -> Iterator[Objection]:
    """Options that change nothing where they stand."""
    if pragma.steady and returns.partition("[")[0] not in ("", "bool", "dict"):
        for word in STEADY:
            if word in pragma.origins:
                message = f"{word}= has no effect: {returns} is no yes or no"
                yield word, said(pragma, word, "PH411", message)
    if pragma.trains and pragma.cost != (1.0, 1.0) and "alert_quality" not in pragma.objectives:
        message = f"cost= has no effect with optimize_for={pragma.optimize_for}; it needs alert_quality"
        yield "cost", said(pragma, "cost", "PH408", message)
    if pragma.optimize_for in LIVE_OBJECTIVES and not pragma.canary:
        message = f"optimize_for={pragma.optimize_for} has no effect without canary=, since only live calls tell it"
        yield "optimize_for", said(pragma, "optimize_for", "PH413", message)
    if pragma.optimize_for in LIVE_OBJECTIVES:
        for word in _UNUSED_LIVE:
            if getattr(pragma, word) is not None:
                message = f"{word}= has no effect with optimize_for={pragma.optimize_for}, which live calls tell"
                yield word, said(pragma, word, "PH414", message)
    if pragma.canary and pragma.trains and pragma.learn not in ("auto", "proven"):
        message = f"canary= has no effect with learn={pragma.learn}; it needs auto or proven"
        yield "canary", said(pragma, "canary", "PH412", message)


def bound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that these nodes bind; "*" is among them where a module binds what can't be told."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.update(KINDS | {"type", "*"} if node.name == "*" else {(node.asname or node.name).split(".")[0]})
        elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)) and node.name:
            names.add(node.name)
    return names


def said(pragma: Pragma, option: str, code: str, message: str, word: str = "") -> Diagnostic:
    """A diagnostic at the option, or at a word of its value."""
    origin = pragma.origins[option]
    start = origin.source_line.find(word, origin.column) if word else origin.column
    if start < 0:
        start, word = origin.column, ""
    end = start + len(word) if word else origin.end_column
    return Diagnostic(code, message, origin.line, start, end, source_line=origin.source_line)


def at(line: int, source_line: str, code: str, message: str, word: str) -> Diagnostic:
    """A diagnostic at a word of a line; at the start of the line where it has none."""
    column = max(source_line.find(word), 0)
    return Diagnostic(code, message, line, column, column + len(word), source_line=source_line)
