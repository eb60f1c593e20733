"""A function and what it needs of its module -> why it must not be run again, if there is a reason.

Replay runs a user's function on old arguments. That is only meaningful, and only safe, where the function
computes its result from its arguments: this is an allow-list of modules and a short list of effects.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterable

PURE_MODULES = frozenset(
    """
    __future__ abc array base64 bisect cmath collections copy dataclasses datetime decimal enum fractions functools
    hashlib heapq itertools json logging math numbers numpy operator pandas re scipy statistics string textwrap
    types typing typing_extensions unicodedata warnings zoneinfo
    """.split()
)
_EFFECTS = frozenset(
    """
    open exec eval compile __import__ input globals setattr delattr breakpoint exit quit help memoryview vars locals
    id hash
    """.split()
)
_READS_WORLD = frozenset(
    """
    now utcnow today random rand randn default_rng load save savez savez_compressed savetxt loadtxt genfromtxt
    fromfile tofile memmap read_csv read_parquet read_pickle read_sql read_excel read_json to_csv to_parquet
    to_pickle to_sql
    """.split()
)
_CHANGES = frozenset(
    """
    append extend insert add update pop popitem clear remove discard setdefault sort reverse appendleft popleft
    """.split()
)
_IMPORT_TIME_CALLS = frozenset(
    """
    int float str bool bytes complex tuple list dict set frozenset range min max sum abs round len sorted enumerate
    zip map filter reversed slice object property staticmethod classmethod compile namedtuple field dataclass
    Decimal Fraction TypeVar NewType timedelta datetime date time sqrt log log2 log10 exp radians degrees getLogger
    array asarray arange linspace zeros ones full Counter OrderedDict defaultdict deque lru_cache cache partial
    itemgetter attrgetter log1p NamedTuple Enum auto ParamSpec total_ordering wraps
    """.split()
)


def why_not_replay(function: ast.FunctionDef, needed: Iterable[ast.stmt], modules: Collection[str] = ()) -> str | None:
    """The reason why `function`, with the statements of its module that it needs, can't be replayed; or None.

    `modules` are further modules that the user declared to be free of effects.
    """
    statements = list(needed)
    state = {name for statement in statements for name in _assigned(statement)}
    imported = {name for part in (function, *statements) for name in _imported(part)}
    for statement in statements:
        reason = _import_time(statement) or _effects(statement, state, modules) or _way_out(statement, imported)
        if reason:
            return f"line {statement.lineno}: {reason}"
    reason = _effects(function, state, modules) or _way_out(function, imported)
    return reason and f"line {function.lineno}: {reason}"


def _assigned(statement: ast.stmt) -> set[str]:
    return {
        part.id
        for part in ast.walk(statement)
        if isinstance(part, ast.Name)
        and isinstance(part.ctx, ast.Store)
        and isinstance(statement, (ast.Assign, ast.AnnAssign))
    }


def _import_time(statement: ast.stmt) -> str | None:
    """Statements of the module run when it is loaded for replay: they may only make plain values."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)):
        return None
    stack: list[ast.AST] = [statement]
    while stack:
        part = stack.pop()
        if isinstance(part, ast.Call):
            name = part.func.id if isinstance(part.func, ast.Name) else getattr(part.func, "attr", "")
            if name not in _IMPORT_TIME_CALLS:
                return f"it depends on a value that {name or 'a call'}() makes when the module is imported"
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(part))
    return None


def _effects(root: ast.stmt, state: set[str], modules: Collection[str]) -> str | None:
    local = _locals(root) if isinstance(root, ast.FunctionDef) else set()
    for part in ast.walk(root):
        reason = _node(part, state - local, modules)
        if reason:
            return reason
    return None


def _node(part: ast.AST, state: set[str], modules: Collection[str]) -> str | None:
    if isinstance(part, ast.Import):
        return next((r for a in part.names if (r := _module(a.name, modules))), None)
    if isinstance(part, ast.ImportFrom):
        return _module("." * part.level + (part.module or ""), modules)
    if isinstance(part, ast.Global):
        return f"it changes the module's {', '.join(part.names)}"
    if isinstance(part, ast.Name) and part.id in _EFFECTS:
        return f"it uses {part.id}, whose effects or results replay can't repeat"
    if isinstance(part, ast.Attribute):
        if part.attr.startswith("__"):
            return f"it uses .{part.attr}"
        if isinstance(part.ctx, (ast.Store, ast.Del)):
            return f"it changes an attribute (.{part.attr})"
        if part.attr in _READS_WORLD:
            return f"it uses .{part.attr}, whose result depends on more than the arguments"
        if part.attr in _CHANGES and isinstance(part.value, ast.Name) and part.value.id in state:
            return f"it changes the module's {part.value.id}"
    if (
        isinstance(part, ast.Subscript)
        and isinstance(part.ctx, (ast.Store, ast.Del))
        and isinstance(part.value, ast.Name)
        and part.value.id in state
    ):
        return f"it changes the module's {part.value.id}"
    return None


def _imported(root: ast.AST) -> set[str]:
    aliases = [a for n in ast.walk(root) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names]
    return {(alias.asname or alias.name).split(".")[0] for alias in aliases}


def _way_out(root: ast.AST, imported: set[str]) -> str | None:
    """`logging.os` and its like: a module that stands in an allowed one is not allowed by that."""
    for part in ast.walk(root):
        if isinstance(part, ast.Attribute) and part.attr in sys.stdlib_module_names - PURE_MODULES:
            base: ast.expr = part.value
            while isinstance(base, ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in imported:
                return f"it uses {ast.unparse(part)}, a module that is not known to be free of effects"
    return None


def _module(name: str, modules: Collection[str]) -> str | None:
    root = name.split(".")[0]
    if name.startswith("numpy.random") or (root not in PURE_MODULES and not _declared(name, modules)):
        return (
            f"it uses {name or 'its own package'}, which is not known to be free of effects; if it is, say so in "
            f"pyproject.toml: [tool.poet_hook] replay_modules = [{name!r}]"
        )
    return None


def _declared(name: str, modules: Collection[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def _locals(function: ast.FunctionDef) -> set[str]:
    names = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
    names |= {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names
