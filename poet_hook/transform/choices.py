"""`# poet: tune a|b|c` and the line that it stands on -> the literal or name there, as a tunable."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Any

from poet_hook.model import Plan, Span, Tunable, Tune
from poet_hook.pragma.options import RefusedError, is_name
from poet_hook.transform.nodes import FunctionNode, children, walk

_NOTHING = "no text, number, bool or function name on this line can be tuned"


def chosen(
    node: FunctionNode, tune: Tune, lines: list[str], usable: set[int], functions: Collection[str] | None
) -> Tunable:
    """The one text, number, bool or function name on the line of `tune` that is among its choices.

    `functions` are the module's own that may be named (None: any). Raises `RefusedError`.
    """
    here = [
        (part, hint)
        for part, hint in _parts(node)
        if part.lineno == part.end_lineno == tune.line and tune.line in usable
    ]
    listed = [(part, hint) for part, hint in here if any(_means(part, choice) for choice in tune.choices)]
    if not listed:
        if not here:
            raise RefusedError("PH404", _NOTHING)
        message = f"none of {'|'.join(tune.choices)} stands on this line"
        raise RefusedError("PH405", message, "one of the choices must be what is written there now")
    if len(listed) > 1:
        raise RefusedError("PH404", f"{len(listed)} of the choices stand on this line; put each on a line of its own")
    part, hint = listed[0]
    span = span_of(part, node)
    source = lines[tune.line - 1].encode("utf-8", "surrogatepass")
    written = source[part.col_offset : part.end_col_offset].decode("utf-8", "surrogatepass")
    if isinstance(part, ast.Name):
        _check_functions(node, tune, functions)
    names, texts = [], []
    for choice in sorted(tune.choices, key=lambda choice: not _means(part, choice)):
        stands = _means(part, choice)
        name, text = _told(part, choice, written)
        names.append(name)
        texts.append((written if stands else text,))
    return Tunable(
        name=tune.name or hint.removesuffix("_limit"),
        value=names[0],
        line=span.line,
        column=span.column,
        end_column=span.end_column,
        integer=True,
        declared=True,
        kind="choice",
        choices=tuple(names),
        places=(span,),
        texts=tuple(texts),
    )


def _told(part: ast.expr, choice: str, written: str) -> tuple[str, str]:
    """What a choice is called, and how it is written in the place of `part`. Raises `RefusedError`."""
    if isinstance(part, ast.Constant) and type(part.value) is str:
        name = _string(choice)
        text = repr(name)
        plain = not set("\"'\\") & set(name) and name.isprintable()
        return name, f'"{name}"' if plain and written.endswith('"') else text
    fits = is_name(choice) if isinstance(part, ast.Name) else _kind(_literal(choice)) == _kind(_literal(written))
    if not fits:
        raise RefusedError("PH405", f"{choice} is not of the kind of {written}")
    return choice, choice


def _means(part: ast.expr, choice: str) -> bool:
    """Whether a choice is what stands there."""
    if isinstance(part, ast.Name):
        return part.id == choice
    value = ast.literal_eval(part)
    if type(value) is str:
        return bool(value == _string(choice))
    other = _literal(choice)
    return _kind(other) == _kind(value) and bool(other == value)


def _string(choice: str) -> str:
    return str(ast.literal_eval(choice)) if choice[:1] in "'\"" else choice


def _kind(value: Any) -> type | None:
    return {bool: bool, int: float, float: float}.get(type(value))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _check_functions(node: FunctionNode, tune: Tune, functions: Collection[str] | None) -> None:
    own = {part.id for part in walk(node) if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)}
    own |= {part.arg for part in walk(node) if isinstance(part, ast.arg)} | {node.name}
    for choice in tune.choices:
        if choice in own or (functions is not None and choice not in functions):
            raise RefusedError("PH405", f"{choice} is not the name of another function of this module")


def _parts(node: FunctionNode) -> Iterator[tuple[Any, str]]:
    """Each text, number, bool and name that the body reads, with a name for it."""
    stack: list[tuple[ast.AST, str]] = [(statement, "") for statement in node.body]
    while stack:
        part, hint = stack.pop()
        if isinstance(
            part, (ast.JoinedStr, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.pattern)
        ):
            continue
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant):
            continue  # a docstring
        negative = isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub)
        inner = part.operand if negative and isinstance(part, ast.UnaryOp) else part
        kinds = (int, float) if negative else (str, bool, int, float)
        plain = isinstance(inner, ast.Constant) and type(inner.value) in kinds
        if plain or (isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)):
            yield part, hint
        else:
            stack += [(child, hint_of(part, child, hint)) for child in children(part)]


def hint_of(part: ast.AST, child: ast.AST, outer: str) -> str:
    """A name for what stands in `child`, by its parent `part`."""
    if isinstance(part, (ast.Assign, ast.AnnAssign)):
        target = part.targets[0] if isinstance(part, ast.Assign) else part.target
        if isinstance(target, ast.Name) and child is part.value:
            return target.id
    if isinstance(part, ast.keyword) and part.arg:
        return part.arg
    if isinstance(part, ast.Compare):
        others = [other for other in (part.left, *part.comparators) if other is not child]
        name = next((other.id for other in others if isinstance(other, ast.Name)), "value")
        return f"{name}_limit"
    return outer


def names_of(plan: Plan) -> set[str]:
    """The functions of the module that a version of `plan` may use besides those of its text."""
    return {text for t in plan.tunables for texts in t.texts for text in texts if t.declared and is_name(text)}


def span_of(part: ast.expr, node: FunctionNode) -> Span:
    """Where a part of one line of `node` stands in the function's own text."""
    column = part.col_offset - node.col_offset
    return Span(part.lineno - node.lineno, column, column + (part.end_col_offset or 0) - part.col_offset)
