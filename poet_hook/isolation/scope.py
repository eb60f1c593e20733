"""A function's syntax tree -> what each name in it may stand for, and what annotations say of that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Literal, NamedTuple

How = Literal[
    "parameter", "value", "element", "part", "rest", "declared", "function", "module", "member", "added", "unknown"
]
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_INSIDE: dict[How, How] = {"value": "element", "element": "part", "part": "unknown"}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
PLAIN = frozenset("bool bytes complex Decimal date datetime float Fraction int None str timedelta".split())
_CONTAINERS = frozenset("Collection Iterable List Sequence Set Tuple deque frozenset list set tuple".split())
_MAPPINGS = frozenset("Dict Mapping dict".split())


class Binding(NamedTuple):
    """One way in which a name gets its value; `node` is what it is made from, `line` where."""

    how: How
    node: ast.AST | None
    line: int


class Scope:
    """The names of a function, a lambda or a comprehension; `outer` is the one around it."""

    __slots__ = ("bindings", "node", "outer", "rebound", "stored")

    def __init__(self, node: ast.AST, outer: Scope | None) -> None:
        self.node = node
        self.outer = outer
        self.bindings: dict[str, list[Binding]] = {}
        self.stored: dict[str, list[Binding]] = {}  # what is put into a container of that name
        self.rebound: dict[str, Binding] = {}  # assigned by a statement that no branch skips

    def find(self, name: str) -> Scope | None:
        """The scope whose name this is; None for a name of the module or a builtin."""
        scope: Scope | None = self
        while scope is not None and name not in scope.bindings:
            scope = scope.outer
        return scope

    def function(self) -> Scope:
        """The function around: what `:=` in a comprehension binds in."""
        scope = self
        while isinstance(scope.node, COMPREHENSIONS) and scope.outer is not None:
            scope = scope.outer
        return scope

    def bind(self, target: ast.AST, how: How, node: ast.AST | None) -> None:
        """Note what an assignment to `target` makes of its names and containers."""
        if isinstance(target, ast.Name):
            self.add(target.id, Binding(how, node, target.lineno))
        elif isinstance(target, ast.Starred):
            self.bind(target.value, "rest", node)
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = node.elts if how == "value" and isinstance(node, (ast.Tuple, ast.List)) else []
            if len(parts) == len(target.elts) and not any(isinstance(e, ast.Starred) for e in (*parts, *target.elts)):
                for inner, part in zip(target.elts, parts, strict=True):
                    self.bind(inner, "value", part)
            else:
                for inner in target.elts:
                    self.bind(inner, _INSIDE.get(how, how), node)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            inside = _INSIDE.get(how, how) if isinstance(target.slice, ast.Slice) else how
            self.store(target.value.id, Binding(inside, node, target.lineno))

    def add(self, name: str, binding: Binding) -> None:
        """Note one more value that a name may have."""
        self.bindings.setdefault(name, []).append(binding)

    def store(self, name: str, binding: Binding) -> None:
        """Note what is put into the container of that name, wherever the name is bound."""
        self.stored.setdefault(name, []).append(binding)


def annotation_of(node: ast.AST | None) -> ast.AST | None:
    """An annotation, out of its quotes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
        try:
            return ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return node


def named(annotation: ast.AST | None) -> str:
    """The last name of an annotation: `list` of `list[float]`, `Sequence` of `typing.Sequence[int]`."""
    if isinstance(annotation, ast.Subscript):
        annotation = annotation.value
    if isinstance(annotation, ast.Attribute):
        return annotation.attr
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return "None"
    return annotation.id if isinstance(annotation, ast.Name) else ""


def options(annotation: ast.AST | None) -> list[ast.AST | None]:
    """The parts of `A | B`, `Optional[A]` and `Union[A, B]`."""
    annotation = annotation_of(annotation)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return [*options(annotation.left), *options(annotation.right)]
    if isinstance(annotation, ast.Subscript) and named(annotation) in ("Optional", "Union", "Final"):
        inner = annotation.slice
        return [part for e in (inner.elts if isinstance(inner, ast.Tuple) else [inner]) for part in options(e)]
    return [annotation]


def immutable(annotation: ast.AST | None) -> bool:
    """True where a value of this annotation can't be changed in place."""
    return all(named(part) in PLAIN for part in options(annotation))


def copied_by_slice(annotation: ast.AST | None) -> bool:
    """True where `x[1:]` of this annotation is a copy: of a list, not of an array."""
    return all(named(part) in _CONTAINERS | PLAIN for part in options(annotation))


def is_mapping(annotation: ast.AST | None) -> bool:
    """True for dicts and their like."""
    return all(named(part) in _MAPPINGS for part in options(annotation))


def plain_items(annotation: ast.AST | None) -> bool:
    """True where what such a container holds can't be changed in place."""
    for part in options(annotation):
        if named(part) in PLAIN:
            continue
        if not isinstance(part, ast.Subscript) or named(part) not in _CONTAINERS | _MAPPINGS:
            return False
        held = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
        if not all(immutable(e) for e in held if not (isinstance(e, ast.Constant) and e.value is Ellipsis)):
            return False
    return True


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes in a node, in the order of the text, without those that only say which operator or context it is."""
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST):
                    yield item
        elif isinstance(value, ast.AST) and value._fields:
            yield value


def walk_bodies(node: ast.AST) -> Iterator[ast.AST]:
    """Every node of a statement or function, without those of the functions inside it."""
    stack = [*children(node)]
    while stack:
        part = stack.pop()
        yield part
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            stack.extend(children(part))
