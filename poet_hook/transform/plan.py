"""Source text -> which functions will be enhanced, and how; or why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from poet_hook.model import Diagnostic, FunctionKind, LeftAlone, Limit, Parameter, Plan, Pragma, Tunable, Tune
from poet_hook.pragma.assume import assumed_of
from poet_hook.pragma.scan import Found, find
from poet_hook.pragma.scopes import Complaints, Scopes
from poet_hook.settings import Assumption
from poet_hook.transform.compilers import Compilers
from poet_hook.transform.constants import GAP, Constant, Constants
from poet_hook.transform.edits import decides
from poet_hook.transform.nodes import FunctionNode, children, last_name, own_scope, statements, walk
from poet_hook.transform.objections import KINDS, Objection, at, bound_names, objections, said
from poet_hook.transform.offered import offered
from poet_hook.transform.tunables import find_tunables
from poet_hook.transform.values import dedented, lines_of

UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # what reading anybody's source may raise


@dataclass(slots=True)
class Target:
    """A function that will be enhanced: its plan, and its node in the module's tree."""

    plan: Plan
    node: FunctionNode


@dataclass(slots=True)
class Planned:
    """A module looked at: its tree, the functions to enhance, those left alone, and what is wrong."""

    tree: ast.Module
    targets: list[Target]
    left_alone: list[LeftAlone]
    diagnostics: list[Diagnostic]


def plan_module(source: str, path: str, module: str, kept_as: str = "", assume: tuple[Assumption, ...] = ()) -> Planned:
    """Plan every function of `source` that has a pragma, or whose class or module has; raises what `ast.parse` raises.

    `module` is the name under which the file is imported, `kept_as` the one in the store, where that is another.
    `assume` are the settings' pragmas for code that can't be edited.
    """
    tree = ast.parse(source, path)
    found = find(source)
    assumed = assumed_of(assume, module, kept_as or module, path) if assume else ()
    scopes = Scopes(found, assumed)
    if scopes.empty:
        return Planned(tree, [], [], list(found.diagnostics))
    return _Planner(tree, path, module, kept_as or module, assume, found, scopes, lines_of(source)).planned()


class _Planner:
    """One module being planned."""

    def __init__(
        self,
        tree: ast.Module,
        path: str,
        module: str,
        kept_as: str,
        assume: tuple[Assumption, ...],
        found: Found,
        scopes: Scopes,
        lines: list[str],
    ) -> None:
        self.tree, self.path, self.module, self.kept_as, self.assume = tree, path, module, kept_as, assume
        self.found = found
        self.scopes = scopes
        self.lines = lines
        # an annotation or `type` of a name that is bound anywhere may mean something else
        nodes = walk(tree)
        self.shadowed = bound_names(nodes)
        self.globals = bound_names(own_scope(tree)).union(*(n.names for n in nodes if isinstance(n, ast.Global)))
        self.classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
        self.functions = {statement.name for statement in tree.body if isinstance(statement, ast.FunctionDef)}
        self.constants = Constants(tree, scopes.all, lines)
        text = "".join(lines)
        self.compilers = Compilers(nodes, text)
        self.names_ours = "_poet_" in text
        self.complaints = Complaints()
        self.problems: list[Diagnostic] = []
        self.learning: dict[str, int] = {}  # names of functions that train, and their lines
        self.told: set[tuple[int, int]] = set()  # places of options whose optimize_for stands elsewhere

    def planned(self) -> Planned:
        planned = Planned(self.tree, [], [], [])
        places = list(_functions(self.tree))
        said = [self.scopes.of(*_where(place)) for place in places]
        self.inside = [place for place, pragma in zip(places, said, strict=True) if pragma and place.nested]
        for place, pragma in zip(places, said, strict=True):
            if pragma is not None:
                self._take(place, *pragma, planned)
            elif reason := self.scopes.off_for(*_where(place)):
                function = f"{self.kept_as}:{place.qualname}"
                planned.left_alone.append(LeftAlone(function, self.path, place.node.lineno, reason, asked=False))
        for node in self.classes if self.found.classes else ():
            self.scopes.stands_above(_starts(node))
        planned.diagnostics = [item for item in self.found.diagnostics if not self._is_told(item)]
        planned.diagnostics += [*self.complaints.diagnostics, *self.problems, *self.complaints.remaining()]
        planned.diagnostics += [_unplaced(pragma, self.lines) for pragma in self.scopes.unused]
        used = {tune.line for target in planned.targets for tune in target.plan.pragma.tunes}
        for tune in self.found.tunes:
            if tune.line not in used and (reason := self.constants.why_not(tune)):
                row = self.lines[tune.line - 1].rstrip("\r\n")
                planned.diagnostics.append(at(tune.line, row, "PH404", reason, "tune"))
        return planned

    def _is_told(self, item: Diagnostic) -> bool:
        """Whether an option was said to be idle without `optimize_for`, and a function that it reaches has that."""
        return item.code == "PH302" and (item.line, item.column) in self.told

    def _take(self, place: _Place, pragma: Pragma, own: bool, planned: Planned) -> None:
        node = place.node
        parts = own_scope(node)
        kind = _kind_of(node, parts)
        function = f"{self.kept_as}:{place.qualname}"
        trains = pragma.trains and not kind.endswith("generator")
        # a stream also says what remembers earlier calls; a generator is told otherwise
        used = [o for name, o in pragma.origins.items() if pragma.trains or (name == "stream" and pragma.steady)]
        self.told.update((origin.line, origin.column) for origin in used)
        reason = self._why_not(node, parts, own, self.learning.get(place.qualname) if trains else None)
        reason = reason or self.compilers.reason(node, place.qualname, place.classes)
        if reason:
            planned.left_alone.append(LeftAlone(function, self.path, node.lineno, reason, own))
            return
        if trains:
            self.learning[place.qualname] = node.lineno
        planned.targets.append(Target(self._plan(place, pragma, own, kind, function), node))

    def _why_not(self, node: FunctionNode, parts: list[ast.AST], own: bool, earlier: int | None) -> str:
        if earlier is not None:
            return f"another function of the same name, at line {earlier}, learns already"
        if any(isinstance(part, (ast.Break, ast.Continue)) for part in parts) and any(map(_strays, node.body)):
            return "it has a break or continue outside of a loop"  # which would end our loop, and is a SyntaxError
        for name in _names(node) if self.names_ours else ():
            if name.startswith("_poet_"):
                return f"it uses the name {name!r}; names that start with _poet_ are ours"
        if "overload" in map(last_name, node.decorator_list):
            return "it is an @overload, which never runs"
        if not own and all(isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) for part in node.body):
            return "it has no body but a docstring or `...`"
        return ""

    def _plan(self, place: _Place, pragma: Pragma, own: bool, kind: FunctionKind, function: str) -> Plan:
        node, lines = place.node, self.lines
        inner = [p.node for p in self.inside if p.qualname.startswith(f"{place.qualname}.<locals>.")]
        tunes = tuple(t for t in self.found.tunes if _holds(node, t) and not any(_holds(each, t) for each in inner))
        shadowed = set(KINDS) if "no_type_check" in map(last_name, node.decorator_list) else self.shadowed
        returned, optional = _kind(node.returns, shadowed)
        if kind.endswith("generator"):  # what is annotated is not what is returned
            returned = ""
        parameters = tuple(_parameters(node, shadowed))
        around = self.shadowed if place.nested else self.globals
        pragma = self.complaints.take(pragma, objections(node, kind, pragma, tunes, returned, around, lines))
        known = self.constants.of(node) if pragma.trains else []
        on_constants = tuple(
            t for t in self.found.tunes if not t.choices and t.line in {constant.line for constant in known}
        )
        tunes = (*tunes, *on_constants)
        known = [c for c in known if c.private or c.line in {tune.line for tune in on_constants}]
        tunables: tuple[Tunable, ...] = ()
        if pragma.trains:
            tunables, problems = find_tunables(node, tunes, lines, self.functions, known)
            self.problems += problems
        pragma = replace(pragma, tunes=tunes)
        limit = None
        if pragma.margin is not None or (pragma.trains and pragma.stream):
            limit, idle = _second_limit(node, pragma, tunables)
            pragma = self.complaints.take(pragma, idle)
        tunables += offered(pragma, returned, node.lineno, {tunable.name for tunable in tunables}, limit)
        behind = {tunable.constant for tunable in tunables} - {""}
        kept = [constant for constant in known if constant.name in behind]
        return Plan(
            function=function,
            module=self.module,
            qualname=place.qualname,
            path=self.path,
            line=node.lineno,
            pragma=pragma,
            parameters=parameters,
            returns="" if optional else returned,
            tunables=tunables,
            source=function_source(node, lines) + _behind(kept, lines),
            constants=tuple(constant.line for constant in kept),
            assume=self.assume,
            kind=kind,
            nested=place.nested,
            own=own,
            limit=limit,
        )


def _second_limit(
    node: FunctionNode, pragma: Pragma, tunables: tuple[Tunable, ...]
) -> tuple[Limit | None, list[Objection]]:
    """The number that `margin=` moves; what is wrong with that option, where there is none, or it does not fit."""
    from poet_hook.transform.limits import limit_of  # few functions need it, and an import waits for this

    if pragma.margin is None and (pragma.tunes or not decides(node)):
        return None, []
    limit = limit_of(node, tunables if pragma.trains else None, pragma.tunes)
    why = limit if isinstance(limit, str) else ""
    if isinstance(limit, Limit) and limit.integer and (pragma.margin or 0.0) % 1:
        why = f"{limit} is a whole number, so it must be one too"
    found = limit if isinstance(limit, Limit) and not why else None
    if not why or not pragma.margin:
        return found, []
    hint = "mark the one that is meant with # poet: tune" if "numbers" in why else ""
    return None, [("margin", replace(said(pragma, "margin", "PH417", f"margin= has no effect: {why}"), hint=hint))]


def _behind(constants: Sequence[Constant], lines: list[str]) -> str:
    """The lines of the module's constants that belong to a function, as they stand behind its own text."""
    own = "".join(lines[constant.line - 1].rstrip("\r\n") + "\n" for constant in constants)
    return "\n" * GAP + own if own else ""


def function_source(node: FunctionNode, lines: list[str]) -> str:
    """The function's own text without decorators and indentation; text inside long strings keeps its own."""
    indented = dedented(node, lines) if node.col_offset else ()
    out = []
    for number, line in enumerate(lines[node.lineno - 1 : node.end_lineno], node.lineno):
        text = line.rstrip("\r\n")
        out.append(text[node.col_offset :] if number in indented else text)
    return "\n".join(out).rstrip("\n") + "\n"


@dataclass(frozen=True, slots=True)
class _Place:
    """A function of a module: its qualified name, the classes around it from the inside out; is it inside another?"""

    node: FunctionNode
    qualname: str
    classes: tuple[ast.ClassDef, ...]
    nested: bool


def _functions(tree: ast.Module) -> Iterator[_Place]:
    """Each function, before those inside it."""
    stack: list[tuple[ast.AST, str, tuple[ast.ClassDef, ...], bool]] = [(tree, "", (), False)]
    while stack:
        node, prefix, classes, nested = stack.pop()
        inner: list[tuple[ast.AST, str, tuple[ast.ClassDef, ...], bool]] = []
        for child in statements(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield _Place(child, prefix + child.name, classes, nested)
                inner.append((child, f"{prefix}{child.name}.<locals>.", classes, True))
            elif isinstance(child, ast.ClassDef):
                inner.append((child, f"{prefix}{child.name}.", (child, *classes), nested))
            else:
                inner.append((child, prefix, classes, nested))
        stack.extend(reversed(inner))


def qualnames(tree: ast.Module) -> Iterator[str]:
    """The name of each function in a module, those in classes and functions included."""
    return (place.qualname for place in _functions(tree))


def _holds(node: FunctionNode, tune: Tune) -> bool:
    return node.lineno <= tune.line <= (node.end_lineno or node.lineno)


def _starts(node: FunctionNode | ast.ClassDef) -> list[int]:
    """The lines above which a pragma may stand."""
    return [*(decorator.lineno for decorator in node.decorator_list), node.lineno]


def _where(place: _Place) -> tuple[list[int], list[list[int]], str]:
    """What `Scopes` looks for."""
    return _starts(place.node), list(map(_starts, place.classes)), place.qualname


def _kind_of(node: FunctionNode, parts: list[ast.AST]) -> FunctionKind:
    """What a call of it gives."""
    yields = any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in parts)
    if isinstance(node, ast.AsyncFunctionDef):
        return "async generator" if yields else "coroutine"
    return "generator" if yields else "function"


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


def _parameters(node: FunctionNode, shadowed: set[str]) -> Iterator[Parameter]:
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
    if isinstance(annotation, ast.Name) and annotation.id in KINDS - shadowed:
        return annotation.id, False
    if (
        isinstance(annotation, ast.Subscript)
        and isinstance(annotation.value, ast.Name)
        and annotation.value.id in KINDS - shadowed
    ):
        item = annotation.slice
        if isinstance(item, ast.Name) and item.id in {"float", "int"} - shadowed:
            return f"{annotation.value.id}[{item.id}]", False
        return annotation.value.id, False
    return "", False


def left_alone(item: LeftAlone, source: str) -> Diagnostic:
    """A function with a pragma that is not enhanced, as a diagnostic for people who check their code."""
    source_line = lines_of(source)[item.line - 1].rstrip("\r\n")
    name = item.function.rpartition(":")[2].rpartition(".")[2]
    return at(item.line, source_line, "PH409", f"{name}() is left alone: {item.reason}", name)


def _unplaced(pragma: Pragma, lines: list[str]) -> Diagnostic:
    source_line = lines[pragma.line - 1].rstrip("\r\n")
    return at(pragma.line, source_line, "PH403", "this pragma does not stand above a function or a class", "poet:")


__all__ = ["UNPARSABLE", "Planned", "Target", "Tunable", "Tune", "function_source", "plan_module", "qualnames"]
