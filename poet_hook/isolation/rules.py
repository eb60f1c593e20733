"""The rules for what generated code may name, call and change, each a function of one node.

The docstring of each says what to do instead. docs/generated-code.md lists them.
"""

from __future__ import annotations

import ast
import sys

from poet_hook.isolation.allowed import (
    BUILTINS,
    CHANGES_FIRST,
    CHANGING,
    DATA,
    GUARDED,
    MODULES,
    MORE_ARRAYS,
    OF_TYPES,
    ONE_ARRAY,
    READING,
    TYPES,
)
from poet_hook.isolation.code import Code
from poet_hook.isolation.original import imports, is_builtin
from poet_hook.isolation.rule import rule
from poet_hook.isolation.scope import Binding, Scope

_PLAIN_NODES = frozenset(
    """
    Return Assign AugAssign AnnAssign For While If Raise Try Expr Pass Break Continue FunctionDef Import ImportFrom
    Match match_case MatchValue MatchSingleton MatchSequence MatchMapping MatchStar MatchAs MatchOr ExceptHandler
    BoolOp NamedExpr BinOp UnaryOp Lambda IfExp Dict Set ListComp SetComp DictComp GeneratorExp Compare Call
    FormattedValue JoinedStr Constant Attribute Subscript Starred Name List Tuple Slice comprehension arguments arg
    keyword alias
    """.split()
)
_LOOKED_AT = (ast.stmt, ast.expr, ast.pattern)
_WORDS = {
    ast.Assert: "assert, which -O takes away",
    ast.Delete: "del",
    ast.ClassDef: "a class",
    ast.With: "with",
    ast.MatchClass: "a class pattern, which reads attributes",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.AsyncFunctionDef: "async def",
    ast.Await: "await",
}
_IN_ANNOTATIONS = (
    *(ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Constant, ast.BinOp, ast.BitOr),
    ast.expr_context,
)


def _is_refused(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, _LOOKED_AT) and kind.__name__ not in _PLAIN_NODES


@rule(*(kind for kind in vars(ast).values() if _is_refused(kind)))
def construct(_code: Code, node: ast.AST) -> str | None:
    """Write it with plain statements: assignments, if, for, while, try, match, return."""
    return f"it has {_WORDS.get(type(node), type(node).__name__)}, which the original has not"


@rule(ast.Import, ast.ImportFrom)
def new_import(code: Code, node: ast.Import | ast.ImportFrom) -> str | None:
    """Use what the module of the original imports, and nothing else."""
    if isinstance(node, ast.Import):
        lacking = [a.name for a in node.names if not _imports_module(code, a.name)]
        return f"it imports {lacking[0]}, which the module does not" if lacking else None
    for name, target, _ in imports(node):
        if target.rpartition(".")[0] in code.original.modules and code.is_allowed_path(target):
            continue
        known = code.original.names.get(name)
        if known is None or known.target != target or name not in code.original.used:
            return f"it imports {target.removesuffix('.*')}, which the original does not use"
    return None


def _imports_module(code: Code, name: str) -> bool:
    modules = code.original.modules
    return name in modules or (name in MODULES and name.split(".")[0] in modules)


@rule(ast.Name, ast.arg, ast.FunctionDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping, ast.alias)
def ascii_name(_code: Code, node: ast.AST) -> str | None:
    """Use names of the letters a to z, digits and underscores, without two underscores in front."""
    for field in ("id", "arg", "name", "asname", "rest"):
        name = getattr(node, field, None)
        if isinstance(name, str) and not name.isascii():
            return f"the name {name!a} has other letters than those of ASCII"
        if isinstance(name, str) and name.startswith(("__", "_poet")):
            return f"the name {name} is Python's own or poet_hook's"
    return None


@rule(ast.Name)
def known_name(code: Code, node: ast.Name) -> str | None:
    """Use arguments, local names, what the original itself uses, and builtins that compute."""
    if not isinstance(node.ctx, ast.Load) or node.id.startswith("__") or code.scopes[node].find(node.id):
        return None
    name, original = node.id, code.original
    if name == code.function.name and name not in original.used:
        return "it calls itself, which the original does not"
    known = original.names.get(name)
    if known is not None:
        listed = known.kind == "constant" or (known.kind in ("import", "member") and code.is_allowed_path(known.target))
        if listed or (name in original.used and not _of_the_system(known.target)):
            return None
        return f"{name} of the module is not used by the original"
    if name in BUILTINS:
        if name in GUARDED and not _is_called(code, node):
            return f"{name} is used as a value"
        return None
    if is_builtin(name):
        return f"it uses {name}"
    return None if name in original.used else f"the name {name} is not defined"


def _of_the_system(target: str) -> bool:
    return target.split(".")[0] in sys.stdlib_module_names and target.split(".")[0] not in MODULES


def _is_called(code: Code, node: ast.AST) -> bool:
    parent = code.parent(node)
    return isinstance(parent, ast.Call) and parent.func is node


@rule(ast.Attribute)
def private_attribute(_code: Code, node: ast.Attribute) -> str | None:
    """Use public attributes and methods."""
    return f".{node.attr} is private" if node.attr.startswith("_") else None


@rule(ast.Attribute)
def stored_attribute(_code: Code, node: ast.Attribute) -> str | None:
    """Keep values in local names; what the function is given stays as it is."""
    return None if isinstance(node.ctx, ast.Load) else f"it changes the attribute .{node.attr}"


@rule(ast.Attribute, ast.Name)
def module_content(code: Code, node: ast.Attribute | ast.Name) -> str | None:
    """Of modules use the functions that compute: math.sqrt, statistics.median, numpy.percentile."""
    path = code.path(node)
    if not path or (isinstance(node, ast.Attribute) and node.attr.startswith("_")):
        return None
    if path in MODULES:
        used = isinstance(code.parent(node), ast.Attribute) or not isinstance(node.ctx, ast.Load)
        return None if used else f"the module {path} is used as a value"
    if isinstance(node, ast.Attribute) and not code.is_allowed_path(path) and ast.dump(node) not in code.original.paths:
        return f"{path} is not on the list of what computes"
    return None


@rule(ast.Attribute)
def known_attribute(code: Code, node: ast.Attribute) -> str | None:
    """Use the common methods of texts, numbers, containers and arrays, and the attributes that the original uses."""
    name = node.attr
    if name.startswith("_") or not isinstance(node.ctx, ast.Load) or code.path(node):
        return None
    if _foreign(code, node.value):
        own = ast.dump(node) in code.original.paths and not _of_the_system(_root(code, node.value))
        return None if own else f"{ast.unparse(node)} is not used by the original"
    if code.builtin(node.value) in TYPES:
        return None if name in OF_TYPES else f"it takes .{name} from the type {code.builtin(node.value)}"
    if name in code.original.attributes or name in DATA:
        return None
    if name not in READING and name not in CHANGING:
        return f".{name} is not on the list of methods"
    if _is_called(code, node) or (name in READING and name != "format" and _is_argument(code, node)):
        return None
    return f"the method .{name} is used as a value"


def _is_argument(code: Code, node: ast.AST) -> bool:
    parent = code.parent(node)
    if isinstance(parent, ast.keyword):
        return parent.arg == "key"
    return isinstance(parent, ast.Call) and code.builtin(parent.func) in ("map", "filter") and parent.args[0] is node


def _foreign(code: Code, node: ast.AST) -> bool:
    """True for what the module has that is neither a constant nor a module with a list."""
    while isinstance(node, ast.Attribute):
        node = node.value
    if not isinstance(node, ast.Name) or code.scopes[node].find(node.id) is not None:
        return False
    known = code.original.names.get(node.id)
    return known is not None and known.kind != "constant" and not code.is_allowed_path(known.target)


def _root(code: Code, node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    known = code.original.names.get(node.id) if isinstance(node, ast.Name) else None
    return known.target if known is not None else ""


@rule(ast.Call)
def known_call(code: Code, node: ast.Call) -> str | None:
    """Call builtins, functions of modules, methods, and functions that stand in the candidate itself."""
    func = node.func
    if isinstance(func, (ast.Attribute, ast.Lambda)):
        return None
    if not isinstance(func, ast.Name):
        return "it calls what another expression gives"
    scope = code.scopes[node].find(func.id)
    if scope is None or all(_is_function(code, b) for b in scope.bindings[func.id]):
        return None
    if (
        all(b.how == "parameter" for b in scope.bindings[func.id])
        and scope.node is code.function
        and _calls(code, func.id)
    ):
        return None
    return f"it calls {func.id}, which may be anything"


def _calls(code: Code, name: str) -> bool:
    calls = (n.func for n in ast.walk(code.original.function) if isinstance(n, ast.Call))
    return any(isinstance(f, ast.Name) and f.id == name for f in calls)


def _is_function(code: Code, binding: Binding) -> bool:
    if binding.how in ("function", "member"):
        return True
    parts = [binding.node] if binding.how == "value" else []
    while parts:
        part = parts.pop()
        if isinstance(part, ast.IfExp):
            parts += [part.body, part.orelse]
        elif (
            part is None
            or not (isinstance(part, ast.Lambda) or code.builtin(part) or code.path(part))
            or code.path(part) in MODULES
        ):
            return False
        else:
            continue
        if not parts:
            return False
    return binding.how == "value"


@rule(ast.Name)
def recursion(code: Code, node: ast.Name) -> str | None:
    """Write a loop; a function inside may only use functions that stand above it."""
    if not isinstance(node.ctx, ast.Load):
        return None
    home = code.scopes[node].find(node.id)
    if home is None:
        return None
    lines = [b.line for b in home.bindings[node.id] if b.how == "function" or isinstance(b.node, ast.Lambda)]
    scope: Scope | None = code.scopes[node]
    while lines and scope is not None and scope is not home:
        if isinstance(scope.node, (ast.FunctionDef, ast.Lambda)) and max(lines) >= scope.node.lineno:
            return f"{node.id} may call itself"
        scope = scope.outer
    return None


# --------------------------------------------------------------------------- changes


@rule(ast.Subscript)
def changed_argument(code: Code, node: ast.Subscript) -> str | None:
    """Change only what the function made itself; make a copy first, such as list(x) under another name."""
    if isinstance(node.ctx, ast.Load):
        return None
    parent = code.parent(node)
    in_place = isinstance(parent, ast.AugAssign) and not code.owner.owns_items(node.value, node.lineno)
    if in_place or not code.owner.owns(node.value, node.lineno):
        return f"{ast.unparse(node.value)} may be the caller's, and is changed"
    return None


@rule(ast.Name)
def stored_outside(code: Code, node: ast.Name) -> str | None:
    """Return what is computed; a variable of the module, or of a function around, keeps its value."""
    scope = None if isinstance(node.ctx, ast.Load) else code.scopes[node].find(node.id)
    if scope is None or all(b.how != "declared" for b in scope.bindings[node.id]):
        return None
    return f"{node.id} is not its own, and is changed"


@rule(ast.Call)
def changing_call(code: Code, node: ast.Call) -> str | None:
    """Change only what the function made itself; make a copy first, such as list(x) under another name."""
    changed: list[ast.expr] = []
    path = code.path(node.func)
    if path in CHANGES_FIRST:
        changed = node.args[:1]
    elif isinstance(node.func, ast.Attribute) and not path and _changes(code, node.func):
        changed = [node.func.value]
    changed += [k.value for k in node.keywords if k.arg == "out"]
    if path.startswith("numpy.") and code.is_allowed_path(path):
        name = path.rpartition(".")[2]
        changed += node.args[1 if name in ONE_ARRAY else 3 if name in MORE_ARRAYS else 2 :]
    for what in changed:
        if not code.owner.owns(what, node.lineno):
            return f"{ast.unparse(what)} may be the caller's, and is changed"
    return None


def _changes(code: Code, func: ast.Attribute) -> bool:
    if func.attr == "partition":  # of a text it changes nothing
        return "numpy" in code.original.modules and not isinstance(func.value, ast.Constant)
    return func.attr in CHANGING and func.attr not in _called_attributes(code, func)


def _called_attributes(code: Code, func: ast.Attribute) -> frozenset[str]:
    """A method of the user's own class, such as self.add, that the original calls on the same thing."""
    if _foreign(code, func.value) and ast.dump(func) in code.original.paths:
        return frozenset({func.attr})
    return frozenset()


@rule(ast.AugAssign)
def changed_in_place(code: Code, node: ast.AugAssign) -> str | None:
    """Write x = x + y, where x may be a list or an array that the caller has too."""
    if not isinstance(node.target, ast.Name) or code.owner.owns(node.target, node.lineno):
        return None
    return f"{node.target.id} may be the caller's, and is changed"


@rule(ast.keyword)
def changing_option(_code: Code, node: ast.keyword) -> str | None:
    """Leave inplace= away, and use the result."""
    off = isinstance(node.value, ast.Constant) and node.value.value is False
    return "inplace= changes what the caller may have" if node.arg == "inplace" and not off else None


@rule(ast.AnnAssign)
def annotation(_code: Code, node: ast.AnnAssign) -> str | None:
    """Annotate local names with plain types, or not at all."""
    plain = all(isinstance(n, _IN_ANNOTATIONS) for n in ast.walk(node.annotation))
    return None if plain else "an annotation computes something"


@rule(ast.comprehension)
def async_loop(_code: Code, node: ast.comprehension) -> str | None:
    """Write a plain comprehension."""
    return "an async comprehension" if node.is_async else None


@rule(ast.FunctionDef)
def inner_decorator(_code: Code, node: ast.FunctionDef) -> str | None:
    """Leave the decorator of an inner function away."""
    return "a function inside has a decorator" if node.decorator_list else None


@rule(ast.keyword, ast.Call)
def object_array(code: Code, node: ast.keyword | ast.Call) -> str | None:
    """Use arrays of numbers."""
    value: ast.AST | None = None
    if isinstance(node, ast.keyword):
        value = node.value if node.arg == "dtype" else None
    elif isinstance(node.func, ast.Attribute) and node.func.attr == "astype" and node.args:
        value = node.args[0]
    if value is None or code.builtin(value) in TYPES or code.path(value).startswith("numpy."):
        return None
    if (
        isinstance(value, ast.Constant)
        and isinstance(value.value, str)
        and value.value.strip("<>=|") not in ("O", "object")
    ):
        return None
    return "it makes an array of objects"
