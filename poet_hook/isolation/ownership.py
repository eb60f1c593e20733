"""A function's names -> what of them belongs to the call alone.

A list that the function made may be changed, one that it was given may not. This is told without running anything
and errs on the safe side: what is not known to be the function's own is the caller's.
"""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from poet_hook.isolation.allowed import READING, TYPES, VIEWS
from poet_hook.isolation.scope import PLAIN, Binding, Scope, copied_by_slice, immutable, is_mapping, plain_items

if TYPE_CHECKING:
    from poet_hook.isolation.code import Code

_ITEMS_OF_ARGUMENTS = frozenset(
    "deque dict enumerate filter frozenset islice iter list pairwise reversed set sorted tuple zip".split()
)
_NEW_ITEMS = frozenset("findall groups quantiles rsplit split splitlines tolist".split())
_READERS = _ITEMS_OF_ARGUMENTS | frozenset("abs all any bool float int isinstance len range repr round str sum".split())


class Owner:
    """Tells what of a function belongs to the call alone."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.scopes = code.scopes
        self._under_way: set[tuple[bool, Scope, str, tuple[Binding, ...]]] = set()

    def owns(self, node: ast.AST | None, line: int) -> bool:
        """True where the value of `node` at `line` is new, or can't be changed."""
        self.code.spend()
        if isinstance(node, ast.Name):
            return self._name(node, line, items=False)
        if isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.Slice):
                return self._sliced(node.value, line)
            return self.owns_items(node.value, line)
        if isinstance(node, ast.Call):
            return self._result(node, line)
        if isinstance(node, ast.Attribute):
            return node.attr in VIEWS and self.owns(node.value, line)
        if isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom, ast.Starred)):
            return False
        return node is not None and all(self.owns(part, line) for part in _either(node))

    def owns_items(self, node: ast.AST | None, line: int) -> bool:
        """True where what the container `node` holds is new, or can't be changed."""
        self.code.spend()
        if isinstance(node, ast.Name):
            return self._name(node, line, items=True)
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            return True
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return all(self._item(e, line) for e in node.elts)
        if isinstance(node, ast.Dict):
            return all(key is not None and self.owns(v, line) for key, v in zip(node.keys, node.values, strict=True))
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            return self.owns(node.elt, line)
        if isinstance(node, ast.DictComp):
            return self.owns(node.value, line)
        if isinstance(node, ast.Subscript):
            return (self.owns_items if isinstance(node.slice, ast.Slice) else self.owns_parts)(node.value, line)
        if isinstance(node, ast.BinOp):
            return all(isinstance(s, ast.Constant) or self.owns_items(s, line) for s in (node.left, node.right))
        if isinstance(node, ast.Call):
            return self._results_items(node, line)
        parts = _either(node) if node is not None else [node]
        return parts != [] and all(self.owns_items(part, line) for part in parts if part is not node)

    def _item(self, node: ast.expr, line: int) -> bool:
        return self.owns_items(node.value, line) if isinstance(node, ast.Starred) else self.owns(node, line)

    def _sliced(self, base: ast.expr, line: int) -> bool:
        if self.owns(base, line):
            return True
        scope = self.scopes[base].find(base.id) if isinstance(base, ast.Name) else None
        if scope is None or not isinstance(base, ast.Name):
            return False
        bound = scope.bindings[base.id]
        return all(
            copied_by_slice(b.node) if b.how == "parameter" else b.how == "rest" or self._is_slice_of(b.node, base.id)
            for b in bound
        )

    def _is_slice_of(self, node: ast.AST | None, name: str) -> bool:
        return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name

    def _name(self, node: ast.Name, line: int, *, items: bool) -> bool:
        scope = self.scopes[node].find(node.id)
        if scope is None:
            return self.code.original.constant(node.id)
        bound = self._bindings(scope, node, line)
        key = (items, scope, node.id, tuple(bound))
        if key in self._under_way:
            return True  # it is what the others of these bindings say
        self._under_way.add(key)
        try:
            if items and self._escapes(scope, node.id):
                return False
            stored = [b for s in self._all_scopes() for b in s.stored.get(node.id, ())] if items else []
            test = self._bound_items if items else self._bound
            return all(test(b) for b in bound) and all(self._bound(b) for b in stored)
        finally:
            self._under_way.discard(key)

    def _bindings(self, scope: Scope, node: ast.Name, line: int) -> list[Binding]:
        """The bindings that a name may have where it stands: not those before it was certainly assigned anew."""
        bound = scope.bindings[node.id]
        first, last = 0, math.inf
        if self._runs_where_it_stands(node, scope):
            first, last = self._assigned_above(node)
        if not first:
            late = scope.rebound.get(node.id)
            first = late.line if late is not None and late.line < line and self._bound(late) else 0
        return [b for b in bound if first <= b.line <= last]

    def _runs_where_it_stands(self, node: ast.Name, home: Scope) -> bool:
        """False in functions and generators inside, which see what is assigned after them."""
        scope: Scope | None = self.scopes[node]
        while scope is not None and scope is not home:
            if isinstance(scope.node, (ast.GeneratorExp, ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef)):
                return False
            scope = scope.outer
        return True

    def _assigned_above(self, node: ast.Name) -> tuple[int, float]:
        """The lines from an assignment of something own, further up in a block around, to the end of what is in it.

        Nothing gets from there to the name but through that assignment; (0, infinity) where there is none.
        """
        inside: ast.AST = node
        while inside is not self.code.function:
            block = self._block(inside)
            place = block.index(inside) if inside in block else 0
            self.code.spend(place + 1)
            for above in reversed(block[:place]):
                if isinstance(above, ast.Assign) and any(
                    isinstance(t, ast.Name) and t.id == node.id for t in above.targets
                ):
                    own = self._bound(Binding("value", above.value, above.lineno))
                    return (above.lineno, getattr(inside, "end_lineno", None) or math.inf) if own else (0, math.inf)
            inside = self.code.parent(inside)
        return 0, math.inf

    def _block(self, inside: ast.AST) -> list[ast.AST]:
        parent = self.code.parent(inside)
        blocks = (getattr(parent, field, None) for field in ("body", "orelse", "finalbody"))
        return next((b for b in blocks if isinstance(b, list) and inside in b), [])

    def _bound(self, binding: Binding) -> bool:
        how, node, line = binding
        if how == "value":
            return self.owns(node, line)
        if how == "element":
            return self.owns_items(node, line)
        if how == "part":
            return self.owns_parts(node, line)
        if how == "parameter":
            return immutable(node)
        return how in ("rest", "added", "function")

    def _bound_items(self, binding: Binding) -> bool:
        how, node, line = binding
        if how in ("value", "rest", "added"):
            return self.owns_items(node, line)
        return how == "parameter" and plain_items(node)

    def _all_scopes(self) -> set[Scope]:
        return set(self.scopes.values())

    def _escapes(self, scope: Scope, name: str) -> bool:
        """True where another name or a container may stand for what `name` stands for."""
        self.code.spend(len(self.code.parents) // 8)
        for node, parent in self.code.parents.items():
            if not (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)):
                continue
            if self.scopes[node].find(name) is scope and not _only_read(parent):
                return True
        return False

    def _result(self, call: ast.Call, line: int) -> bool:
        name, func = called(call), call.func
        builtin, path = self.code.builtin(func), self.code.path(func)
        if builtin in ("min", "max"):
            one = len(call.args) == 1
            return all(self.owns_items(a, line) if one else self._item(a, line) for a in call.args)
        if builtin:
            return builtin not in ("next", "iter") and (
                builtin != "sum" or all(self.owns(a, line) for a in call.args[1:])
            )
        if path == "functools.reduce":
            return bool(call.args) and isinstance(call.args[0], ast.Lambda) and self.owns(call.args[0].body, line)
        if path in ("heapq.heappop", "heapq.heapreplace", "heapq.heappushpop"):
            return all(self.owns_items(a, line) for a in call.args[:1]) and all(
                self.owns(a, line) for a in call.args[1:]
            )
        if path:
            known = self.code.is_allowed_path(path)
            return known and (name not in VIEWS or all(self.owns(a, line) for a in call.args))
        if isinstance(func, ast.Attribute):
            if name not in VIEWS:
                return name in READING
            default = all(self.owns(a, line) for a in call.args[1:])
            return default and (name in ("items", "values", "split") or self.owns_items(func.value, line))
        return isinstance(func, ast.Name) and self._made_by(self.scopes[call].find(name), name)

    def _made_by(self, scope: Scope | None, name: str) -> bool:
        """True where a function of the candidate itself only returns what is new."""
        if scope is None:
            return False
        for how, node, line in scope.bindings[name]:
            if isinstance(node, ast.Lambda):
                results: list[ast.AST | None] = [node.body]
            elif how == "function" and isinstance(node, ast.FunctionDef):
                results = [n.value for n in ast.walk(node) if isinstance(n, ast.Return)]
            else:
                return False
            if not all(self.owns(r, line) for r in results):
                return False
        return True

    def _results_items(self, call: ast.Call, line: int) -> bool:
        name, path = called(call), self.code.path(call.func)
        if isinstance(call.func, ast.Attribute) and not path:
            if name in ("items", "values", "keys", "copy"):
                return self.owns_items(call.func.value, line)
            if name == "fromkeys" and self.code.builtin(call.func.value) == "dict":
                return all(self.owns(a, line) for a in call.args[1:])
            return name in _NEW_ITEMS
        if not (path or self.code.builtin(call.func)):
            return False
        if path.startswith(("math.", "statistics.", "numpy.", "copy.deepcopy", "json.")):
            return self._result(call, line)
        if name == "range" or (name == "Counter" and len(call.args) < 2):
            return True
        if name == "defaultdict":
            return len(call.args) == 1 and not call.keywords and self._makes_new(call.args[0], line)
        if name == "map":
            return bool(call.args) and self.code.builtin(call.args[0]) in PLAIN | {"abs", "round", "len"}
        if name == "dict":
            named = all(k.arg is not None and self.owns(k.value, line) for k in call.keywords)
            return named and all(self._pairs(a, line) for a in call.args)
        return name in _ITEMS_OF_ARGUMENTS and all(self.owns_items(a, line) for a in call.args)

    def _makes_new(self, factory: ast.expr, line: int) -> bool:
        if isinstance(factory, ast.Lambda):
            return self.owns(factory.body, line)
        return self.code.builtin(factory) in TYPES

    def _pairs(self, node: ast.expr, line: int) -> bool:
        """True where what `dict(node)` holds is the call's own."""
        made = self.code.value_of(node)
        if isinstance(made, (ast.Dict, ast.DictComp)):
            return self.owns_items(node, line)
        scope = self.scopes[node].find(node.id) if isinstance(node, ast.Name) else None
        if scope is not None and isinstance(node, ast.Name):
            mappings = all(b.how == "parameter" and is_mapping(b.node) for b in scope.bindings[node.id])
            return mappings and self.owns_items(node, line)
        return self.owns_parts(node, line)

    def owns_parts(self, node: ast.AST | None, line: int) -> bool:
        """True where what the items of the container `node` hold is the call's own: what `for a, b in node` gives."""
        self.code.spend()
        if isinstance(node, ast.Name):
            scope, made = self.scopes[node].find(node.id), self.code.value_of(node)
            if scope is None or made is node or self._escapes(scope, node.id):
                return False
            stored = [b for s in self._all_scopes() for b in s.stored.get(node.id, ())]
            return all(b.how == "value" and self.owns_items(b.node, line) for b in stored) and self.owns_parts(
                made, line
            )
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return all(self.owns_items(e, line) for e in node.elts)
        if isinstance(node, ast.Dict):
            return all(k is not None and self.owns_items(v, line) for k, v in zip(node.keys, node.values, strict=True))
        if isinstance(node, ast.DictComp):
            return self.owns_items(node.value, line)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            return self.owns_items(node.elt, line)
        if not isinstance(node, ast.Call):
            return False
        if called(node) == "defaultdict" and len(node.args) == 1 and isinstance(node.args[0], ast.Lambda):
            return self.owns_items(node.args[0].body, line)
        if self.code.builtin(node.func) in ("zip", "enumerate"):
            return all(self.owns_items(a, line) for a in node.args)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("items", "most_common"):
            return self.owns_items(node.func.value, line)
        listed = self.code.builtin(node.func) in ("list", "sorted", "reversed", "tuple") and len(node.args) == 1
        return listed and self.owns_parts(node.args[0], line)


def called(call: ast.Call) -> str:
    """The last name of what is called; "" where it has none."""
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _either(node: ast.AST) -> list[ast.AST]:
    """What the value of `node` may be, where it is no new one."""
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return [*node.values]
    return [node.value] if isinstance(node, ast.NamedExpr) else []


def _only_read(parent: ast.AST) -> bool:
    if isinstance(parent, (ast.Attribute, ast.Subscript, ast.For, ast.comprehension, ast.Compare, ast.BinOp)):
        return True
    if isinstance(parent, (ast.Return, ast.If, ast.While, ast.UnaryOp, ast.FormattedValue)):
        return True
    if not (isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name)):
        return False
    return parent.func.id in _READERS or (parent.func.id in ("min", "max") and len(parent.args) == 1)
