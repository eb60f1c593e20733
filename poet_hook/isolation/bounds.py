"""The rules for how long generated code may run, each a function of one node.

No rule can tell that for every program: what these let through, the limits of the process that replays it end. They
refuse what needs no data to be endless.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from poet_hook.isolation.allowed import CHANGES_FIRST, CHANGING
from poet_hook.isolation.code import Code
from poet_hook.isolation.estimate import FACTORIALS, MOST_STEPS, is_float, largest, number
from poet_hook.isolation.rule import rule
from poet_hook.isolation.scope import COMPREHENSIONS, walk_bodies

_DIGITS = 1000
_PRODUCTS = frozenset(
    f"itertools.{name}" for name in "combinations combinations_with_replacement permutations product".split()
)


def _steps(code: Code, node: ast.AST) -> float:
    """How many steps a loop over constants takes; 1 where that depends on data."""
    if not (isinstance(node, ast.Call) and code.builtin(node.func) == "range" and node.args):
        return 1
    values = [number(code, a) for a in node.args]
    if any(v is None for v in values):
        return 1
    known = [v for v in values if v is not None]
    start, end, step = (0, known[0], 1) if len(known) == 1 else (known[0], known[1], known[2] if len(known) > 2 else 1)
    return max(1.0, abs(end - start) / (abs(step) or 1))


# --------------------------------------------------------------------------- loops


@rule(ast.While)
def endless_loop(code: Code, node: ast.While) -> str | None:
    """Give the loop an end: a condition that its body changes, a break or a return; or use for."""
    if _leaves(code, node):
        return None
    truth = _truth(code, node.test)
    if truth is not None:
        return "this loop has no end" if truth else None
    wanted = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
    if not wanted & (set(_changed(code, node)) | {n.id for n in _walruses(code, node.test)}):
        return "nothing in this loop changes its condition"
    if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1 and isinstance(node.test.left, ast.Name):
        if _stays(code, node, node.test, node.test.left.id):
            return f"{node.test.left.id} always gets a value for which this loop goes on"
        return _counted(code, node, node.test, node.test.left.id)
    return None


def _counted(code: Code, loop: ast.While, test: ast.Compare, name: str) -> str | None:
    """What is wrong with a loop that counts by constant steps: the direction, or how far."""
    steps = [_step(code, s, name) for s in (n for b in loop.body for n in (b, *walk_bodies(b)))]
    known = [s for s in steps if s]
    other = {n.id for n in ast.walk(test.comparators[0]) if isinstance(n, ast.Name)} & set(_changed(code, loop))
    if not known or None in steps or other:
        return None
    up, down = isinstance(test.ops[0], (ast.Lt, ast.LtE)), isinstance(test.ops[0], (ast.Gt, ast.GtE))
    if (up and max(known) < 0) or (down and min(known) > 0):
        return f"{name} moves away from where this loop ends"
    far = max(largest(code, test.comparators[0]), _start(code, loop, test.left))
    if far / max(map(abs, known)) > 10 * MOST_STEPS:
        return f"this loop counts more than {10 * MOST_STEPS:,} steps"
    return None


def _start(code: Code, loop: ast.While, node: ast.AST) -> float:
    """How far from zero a name is before a loop, where constants alone say so; else 0."""
    assert isinstance(node, ast.Name)
    scope, inside = code.scopes[node].find(node.id), range(loop.lineno, (loop.end_lineno or loop.lineno) + 1)
    bound = [b for b in scope.bindings[node.id] if b.line not in inside] if scope is not None else []
    found = [None if b.how != "value" or b.node is None else number(code, b.node) for b in bound]
    return max((abs(each) for each in found if each is not None), default=0.0) if None not in found else 0.0


def _stays(code: Code, loop: ast.While, test: ast.Compare, name: str) -> bool:
    """True where the body gives a name nothing but constants for which the condition holds."""
    parts = [n for b in loop.body for n in (b, *walk_bodies(b))]
    made = [n.value for n in parts if isinstance(n, ast.Assign) and name in (t for x in n.targets for t in _targets(x))]
    other = [n for n in parts if isinstance(n, (ast.AugAssign, ast.NamedExpr, ast.For)) and name in _targets(n.target)]
    right = test.comparators[0]
    if other or not made or isinstance(right, ast.Name) or not all(isinstance(m, ast.Constant) for m in made):
        return False
    return all(_compared(code, ast.Compare(m, test.ops, [right])) is True for m in made)


def _step(code: Code, node: ast.AST, name: str) -> float | None:
    """By how much a statement changes a name: 0 where not at all, None where that depends on data."""
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
        step = number(code, node.value)
        signs = {ast.Add: 1, ast.Sub: -1}
        return None if step is None or type(node.op) not in signs else step * signs[type(node.op)]
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
        value = node.value  # x = x + 1
        own = isinstance(value, ast.BinOp) and isinstance(value.left, ast.Name) and value.left.id == name
        step = number(code, value.right) if isinstance(value, ast.BinOp) and own else None
        sign = {ast.Add: 1, ast.Sub: -1}.get(type(value.op)) if isinstance(value, ast.BinOp) else None
        return None if step is None or sign is None else step * sign
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.For)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return None if any(name in _targets(t) for t in targets) else 0
    return 0


def _leaves(code: Code, loop: ast.While) -> bool:
    """True where something in the body ends the loop."""
    stack: list[tuple[ast.AST, bool]] = [(s, True) for s in loop.body]
    while stack:
        part, own = stack.pop()
        if isinstance(part, (ast.Return, ast.Raise)) or (own and isinstance(part, ast.Break)):
            return True
        if isinstance(part, (ast.FunctionDef, ast.expr)):
            continue
        if isinstance(part, ast.If):
            truth = _truth(code, part.test)
            stack += [(s, own) for s in (part.body if truth is not False else [])]
            stack += [(s, own) for s in (part.orelse if not truth else [])]
        else:
            inner = own and not isinstance(part, (ast.For, ast.While))
            stack += [(child, inner) for child in ast.iter_child_nodes(part)]
    return False


def _truth(code: Code, node: ast.expr) -> bool | None:
    """Whether a condition is always true or always false; None where it depends."""
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return bool(node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _truth(code, node.operand)
        return None if inner is None else not inner
    if isinstance(node, ast.BoolOp):
        deciding = isinstance(node.op, ast.Or)
        parts = [_truth(code, value) for value in node.values]
        return deciding if deciding in parts else None if None in parts else not deciding
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        same = ast.dump(node.left) == ast.dump(node.comparators[0])
        if same:
            return isinstance(node.ops[0], (ast.Eq, ast.Is, ast.LtE, ast.GtE, ast.In))
        return _compared(code, node)
    if isinstance(node, ast.NamedExpr):
        return _truth(code, node.value)
    if isinstance(node, ast.Name):
        return None
    value = number(code, node)
    return None if value is None else bool(value)


def _compared(code: Code, node: ast.Compare) -> bool | None:
    if not (isinstance(node.left, (ast.Constant, ast.BinOp))):
        return None
    left, right = number(code, node.left), number(code, node.comparators[0])
    if left is None or right is None or isinstance(node.comparators[0], ast.Name):
        return None
    tests: dict[type[ast.cmpop], bool] = {
        ast.Lt: left < right, ast.LtE: left <= right, ast.Gt: left > right, ast.GtE: left >= right,
        ast.Eq: left == right, ast.NotEq: left != right,
    }  # fmt: skip
    return tests.get(type(node.ops[0]))


def _changed(code: Code, loop: ast.While) -> Iterator[str]:
    """The names that the body of a loop makes something else of."""
    for part in (n for s in loop.body for n in (s, *walk_bodies(s))):
        if isinstance(part, ast.Assign):
            yield from (n for t in part.targets for n in _targets(t) if not _same(code, n, part.value))
        elif isinstance(part, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)) and part.value is not None:
            idle = isinstance(part, ast.AugAssign) and _idle(code, part.op, part.value)
            yield from (n for n in _targets(part.target) if not idle and not _same(code, n, part.value))
        elif isinstance(part, ast.For):
            yield from _targets(part.target)
        elif _consumes(code, part):
            yield from _targets(part)


def _targets(target: ast.AST) -> Iterator[str]:
    return (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


def _walruses(code: Code, test: ast.expr) -> Iterator[ast.Name]:
    for node in ast.walk(test):
        if isinstance(node, ast.NamedExpr):
            yield node.target
        elif _consumes(code, node):
            yield from (n for n in ast.walk(node) if isinstance(n, ast.Name))


def _same(code: Code, name: str, value: ast.expr) -> bool:
    """True for `x = x`, `x = x + 0` and `x = x * 1`."""
    if isinstance(value, ast.Name):
        return value.id == name
    return (
        isinstance(value, ast.BinOp)
        and isinstance(value.left, ast.Name)
        and value.left.id == name
        and _idle(code, value.op, value.right)
    )


def _idle(code: Code, op: ast.operator, value: ast.expr) -> bool:
    constant = number(code, value) if isinstance(value, ast.Constant) else None
    return constant == (0 if isinstance(op, (ast.Add, ast.Sub, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)) else 1)


def _consumes(code: Code, node: ast.AST) -> bool:
    """True for a call that changes a container or takes the next of an iterator."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
        return True
    return code.path(node.func) in CHANGES_FIRST or code.builtin(node.func) == "next"


@rule(ast.Call)
def long_range(code: Code, node: ast.Call) -> str | None:
    """Loop over the data, or over a range of at most a million."""
    if code.builtin(node.func) != "range":
        return None
    if any(isinstance(a, ast.Starred) for a in node.args):
        return "what this range is of can't be seen"
    powers = (n.left for a in node.args for n in ast.walk(a) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow))
    if any(number(code, base) is None for base in powers):
        return "a range to a power of what is not known"
    return f"a range to more than {MOST_STEPS:,}" if any(largest(code, a) > MOST_STEPS for a in node.args) else None


@rule(ast.For, ast.comprehension)
def nested_loops(code: Code, node: ast.For | ast.comprehension) -> str | None:
    """Use smaller ranges, or one loop over the data."""
    steps, around = _steps(code, node.iter), code.parent(node)
    while around is not code.function:
        if isinstance(around, ast.For):
            steps *= _steps(code, around.iter)
        elif isinstance(around, COMPREHENSIONS):
            steps *= math.prod(_steps(code, g.iter) for g in around.generators if g is not node)
        around = code.parent(around)
    return f"these loops take more than {10 * MOST_STEPS:,} steps" if steps > 10 * MOST_STEPS else None


@rule(ast.Call)
def endless_iterator(code: Code, node: ast.Call) -> str | None:
    """Loop over data; iter takes one argument, itertools.repeat a number."""
    if code.builtin(node.func) == "iter" and (len(node.args) != 1 or isinstance(node.args[0], ast.Starred)):
        return "iter of a function may never end"
    if code.path(node.func) == "itertools.repeat" and len(node.args) + len(node.keywords) < 2:
        return "itertools.repeat never ends"
    return None


@rule(ast.Call)
def combinations(code: Code, node: ast.Call) -> str | None:
    """Take at most two at a time: itertools.combinations(x, 2)."""
    path = code.path(node.func)
    if path not in _PRODUCTS:
        return None
    given = [k.value for k in node.keywords if k.arg in ("r", "repeat")]
    if path == "itertools.product":
        groups = len(node.args) * (number(code, given[0]) or math.inf) if given else len(node.args)
    else:
        count = number(code, (node.args[1:] or given)[0]) if node.args[1:] or given else None
        groups = math.inf if count is None else count
    return f"{path} of that many is too much" if groups > 3 else None


# --------------------------------------------------------------------------- sizes


@rule(ast.BinOp, ast.AugAssign)
def power(code: Code, node: ast.BinOp | ast.AugAssign) -> str | None:
    """Use a small constant as the exponent, or floats: 2.0 ** x, math.exp(x)."""
    base, exponent = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
    if isinstance(node.op, ast.LShift):
        shift = number(code, exponent)
        return "a shift that may be large" if shift is None or shift > 64 else None
    return _power(code, base, exponent) if isinstance(node.op, ast.Pow) else None


def _power(code: Code, base: ast.expr, exponent: ast.expr) -> str | None:
    if is_float(code, base) or is_float(code, exponent):
        return None
    value = number(code, exponent)
    if value is None or abs(value) > 64:
        return "a power that may be huge"
    below = number(code, base)
    return "a power that is huge" if below is not None and math.log10(abs(below) + 1) * abs(value) > 300 else None


@rule(ast.Call)
def huge_number(code: Code, node: ast.Call) -> str | None:
    """Use math.lgamma, floats, or small constants."""
    if code.builtin(node.func) == "pow" and len(node.args) != 3:
        return _power(code, node.args[0], node.args[1]) if len(node.args) == 2 else "what pow is given can't be seen"
    if code.builtin(node.func) == "round" and any(largest(code, a) > _DIGITS for a in node.args[1:]):
        return "round to that many digits"
    if code.path(node.func) == "math.prod" and any(largest(code, a) > _DIGITS for a in node.args):
        return "a product of that many numbers"
    if code.path(node.func) in FACTORIALS:
        values = [number(code, a) for a in node.args]
        if any(v is None or v > 500 for v in values):
            return f"{code.path(node.func)} of what may be large"
    return None
