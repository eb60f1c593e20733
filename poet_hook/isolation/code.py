"""A candidate's syntax tree -> its nodes, each with its scope and its parent: what the rules look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from poet_hook.isolation.allowed import BUILTINS, MODULES
from poet_hook.isolation.original import Function, Original, imports
from poet_hook.isolation.ownership import Owner
from poet_hook.isolation.scope import COMPREHENSIONS, Binding, How, Scope, children

MAX_NODES = 2000
MAX_DEPTH = 60
MOST_EFFORT = 20_000  # steps from a name to what it may stand for
_OPENING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, *COMPREHENSIONS, ast.comprehension, ast.AnnAssign)
_ITEMS = {"append": "value", "add": "value", "appendleft": "value", "extend": "element", "extendleft": "element"}


class Intricate(Exception):
    """What a name stands for could only be told with more work than a candidate is worth."""


class Code:
    """One function, read once; `nodes` in the order of the text as far as it matters, `deepest` the nesting."""

    def __init__(self, function: Function, original: Original) -> None:
        self.function = function
        self.original = original
        self.nodes: list[ast.AST] = []
        self.scopes: dict[ast.AST, Scope] = {}
        self.parents: dict[ast.AST, ast.AST] = {}
        self.too_large = ""
        self._effort = MOST_EFFORT
        outer = Scope(function, None)
        self._read(function, outer)
        self.owner = Owner(self)

    # ------------------------------------------------------------------- reading

    def _read(self, function: Function, scope: Scope) -> None:
        self._parameters(function.args, scope)
        stack: list[tuple[ast.AST, ast.AST, Scope, int]] = [(s, function, scope, 1) for s in reversed(function.body)]
        while stack:
            node, parent, scope, depth = stack.pop()
            self.nodes.append(node)
            self.scopes[node] = scope
            self.parents[node] = parent
            if len(self.nodes) > MAX_NODES or depth > MAX_DEPTH:
                self.too_large = (
                    f"more than {MAX_NODES} nodes" if depth <= MAX_DEPTH else f"nested over {MAX_DEPTH} deep"
                )
                return
            bind = _BINDERS.get(type(node))
            if bind is not None:
                bind(self, node, scope)
            if isinstance(node, _OPENING):
                stack.extend((child, node, inner, depth + 1) for child, inner in self._inside(node, scope))
            else:
                stack.extend([(child, node, scope, depth + 1) for child in children(node)])

    def _inside(self, node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inner = Scope(node, scope)
            self._parameters(node.args, inner)
            body = node.body if isinstance(node.body, list) else [node.body]
            for child in children(node):
                yield child, inner if child in body else scope
        elif isinstance(node, COMPREHENSIONS):
            inner = Scope(node, scope)
            for child in children(node):
                yield child, inner
            for generator in node.generators:
                inner.bind(generator.target, "element", generator.iter)
        elif isinstance(node, ast.comprehension):
            first = self.parents[node].generators[0] is node  # type: ignore[attr-defined]
            for child in children(node):
                yield child, (scope.outer or scope) if first and child is node.iter else scope
        elif isinstance(node, ast.AnnAssign):  # Python does not look at the annotation of a local name
            yield from ((part, scope) for part in (node.target, node.value) if part is not None)

    def _parameters(self, arguments: ast.arguments, scope: Scope) -> None:
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            scope.add(argument.arg, Binding("parameter", argument.annotation, argument.lineno))
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:  # a tuple or dict of the call's own, of whatever it was given
                scope.add(rest.arg, Binding("rest", None, rest.lineno))

    # ------------------------------------------------------------------- telling

    def yields(self) -> bool:
        """True for a generator."""
        found = (n for n in self.nodes if isinstance(n, (ast.Yield, ast.YieldFrom)))
        return any(self.scopes[n].function().node is self.function for n in found)

    def reads_arguments(self) -> bool:
        """True where something is made of the arguments."""
        names = {a.arg for a in ast.walk(self.function.args) if isinstance(a, ast.arg)}
        return any(isinstance(n, ast.Name) and n.id in names and isinstance(n.ctx, ast.Load) for n in self.nodes)

    def spend(self, effort: int = 1) -> None:
        """Count what following names costs: a chain of them could take for ever. Raises `Intricate`."""
        self._effort -= effort
        if self._effort < 0:
            raise Intricate

    def parent(self, node: ast.AST) -> ast.AST:
        """The node around."""
        return self.parents.get(node, self.function)

    def path(self, node: ast.AST) -> str:
        """The dotted name of a module, or of what is taken from one: `numpy.linalg.norm`; "" for anything else."""
        if isinstance(node, ast.Attribute):
            base = self.path(node.value)
            return f"{base}.{node.attr}" if base in MODULES else ""
        if not isinstance(node, ast.Name):
            return ""
        scope = self.scopes[node].find(node.id)
        if scope is not None:
            bound = scope.bindings[node.id]
            targets = {_target(b.node, node.id) for b in bound if b.how in ("module", "member")}
            return targets.pop() if len(targets) == 1 and len(bound) == 1 else ""
        known = self.original.names.get(node.id)
        return known.target if known is not None and known.kind in ("import", "member") else ""

    def is_allowed_path(self, path: str) -> bool:
        """True where a dotted name is a module with a list, or stands on one."""
        base, _, name = path.rpartition(".")
        return path in MODULES or name in MODULES.get(base, ())

    def builtin(self, node: ast.AST) -> str:
        """The name of the builtin that `node` is; "" for anything else."""
        if not isinstance(node, ast.Name) or node.id not in BUILTINS or node.id in self.original.names:
            return ""
        return node.id if self.scopes[node].find(node.id) is None else ""

    def value_of(self, node: ast.AST) -> ast.AST:
        """What a name stands for, where one assignment and nothing else says so; otherwise the node itself."""
        for _ in range(5):
            if not isinstance(node, ast.Name):
                break
            self.spend()
            scope = self.scopes[node].find(node.id) if node in self.scopes else None
            if scope is None:
                known = self.original.names.get(node.id)
                return known.node if known is not None and known.kind == "constant" else node
            bound = scope.bindings[node.id]
            if len(bound) != 1 or bound[0].how != "value" or bound[0].node is None:
                break
            node = bound[0].node
        return node


def _target(node: ast.AST | None, name: str) -> str:
    assert isinstance(node, (ast.Import, ast.ImportFrom))
    return next(target for bound, target, _ in imports(node) if bound == name)


# --------------------------------------------------------------------------- what binds a name


def _assign(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, ast.Assign)
    for target in node.targets:
        scope.bind(target, "value", node.value)
        if isinstance(target, ast.Name) and node in getattr(scope.node, "body", ()):
            scope.rebound.setdefault(target.id, Binding("value", node.value, node.lineno))


def _annotated(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, ast.AnnAssign)
    if node.value is not None:
        scope.bind(node.target, "value", node.value)
    elif isinstance(node.target, ast.Name):
        scope.bindings.setdefault(node.target.id, [])


def _augmented(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, ast.AugAssign)
    scope.bind(node.target, "added", node.value)


def _loop(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, (ast.For, ast.AsyncFor))
    scope.bind(node.target, "element", node.iter)


def _walrus(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, ast.NamedExpr)
    scope.function().bind(node.target, "value", node.value)


def _function(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    scope.add(node.name, Binding("function", node, node.lineno))


def _import(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, (ast.Import, ast.ImportFrom))
    for name, _, is_module in imports(node):
        scope.add(name, Binding("module" if is_module else "member", node, node.lineno))


def _named(_code: Code, node: ast.AST, scope: Scope) -> None:
    for name in (getattr(node, "name", None), getattr(node, "rest", None)):
        if name is not None:
            scope.add(name, Binding("unknown", None, getattr(node, "lineno", 0)))


def _with(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, (ast.With, ast.AsyncWith))
    for item in node.items:
        if item.optional_vars is not None:
            scope.bind(item.optional_vars, "unknown", None)


def _declared(_code: Code, node: ast.AST, scope: Scope) -> None:
    assert isinstance(node, (ast.Global, ast.Nonlocal))
    for name in node.names:
        scope.add(name, Binding("declared", None, node.lineno))


def _call(_code: Code, node: ast.AST, scope: Scope) -> None:
    """`x.append(y)` puts y into x."""
    assert isinstance(node, ast.Call)
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        how: How = "element" if _ITEMS.get(node.func.attr) == "element" or node.func.attr == "update" else "value"
        arguments = node.args[1:] if node.func.attr in ("insert", "setdefault") else node.args
        if node.func.attr in {*_ITEMS, "update", "insert", "setdefault"}:
            for argument in arguments:
                scope.store(node.func.value.id, Binding(how, argument, node.lineno))
            for keyword in node.keywords:
                scope.store(node.func.value.id, Binding("value", keyword.value, node.lineno))


_BINDERS = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.For: _loop,
    ast.AsyncFor: _loop,
    ast.NamedExpr: _walrus,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.Import: _import,
    ast.ImportFrom: _import,
    ast.ExceptHandler: _named,
    ast.MatchAs: _named,
    ast.MatchStar: _named,
    ast.MatchMapping: _named,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Global: _declared,
    ast.Nonlocal: _declared,
    ast.Call: _call,
}
