"""Samples of code, changed at random -> refused; or accepted, and then it leaves everything as it is where it runs.

What is accepted runs in the locked-down child that candidates are judged in, on a few arguments.
"""

from __future__ import annotations

import ast
import copy
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import test_policy
from hypothesis import strategies as st

from fuzz import Check, Target, within
from poet_hook.isolation.level import level
from poet_hook.isolation.policy import vet
from poet_hook.isolation.slice import slice_function
from poet_hook.learning.replay import Replay
from poet_hook.model import CODE
from poet_hook.store import codec
from poet_hook.transform.plan import plan_module

_SECONDS = 2.0
Draw = Callable[[st.SearchStrategy[Any]], Any]

_BODIES = [
    *test_policy.samples("accepted.txt") * 3,
    *(sample.partition("\n")[2] for sample in test_policy.samples("refused.txt")),
]
_TREES = [ast.parse(test_policy.candidate(body)) for body in _BODIES]
_ANY = st.integers(0, len(_TREES) - 1).map(_TREES.__getitem__)
_NODES = [node for tree in _TREES for node in ast.walk(tree)]
_ATTRIBUTES = sorted({node.attr for node in _NODES if isinstance(node, ast.Attribute)})
_NAMES = sorted({node.id for node in _NODES if isinstance(node, ast.Name)})
_CONSTANTS = [0, 1, -1, 2, 0.5, 1e308, 10**6, 10**12, None, True, "", "x", "{0}", "%s", b"", ...]
_OPERATORS = [ast.Add(), ast.Sub(), ast.Mult(), ast.Div(), ast.Mod(), ast.Pow(), ast.LShift(), ast.BitOr()]
_LISTS = ("body", "orelse", "finalbody")


@st.composite
def _mutated(draw: Draw) -> str:
    tree = copy.deepcopy(draw(_ANY))
    for _ in range(draw(st.integers(1, 4))):
        draw(st.sampled_from(_CHANGES))(tree, draw)
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
    except (ValueError, TypeError, AttributeError, RecursionError):  # the tree can't be written down
        text = test_policy.candidate("return value > 1")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(len(test_policy.HEAD), len(text)))
        text = text[:place] + draw(test_policy.PIECES) + text[place + draw(st.integers(0, 3)) :]
    return text


def _picked(tree: ast.AST, kind: type | tuple[type, ...], draw: Draw) -> Any:
    body = tree.body[-1].body  # type: ignore[attr-defined] # the signature stays: without it all is refused
    found = [node for statement in body for node in ast.walk(statement) if isinstance(node, kind)]
    return found[draw(st.integers(0, len(found) - 1))] if found else None


def _other_expression(tree: ast.AST, draw: Draw) -> None:
    """An expression of another sample stands where one of this stood."""
    node = _picked(tree, ast.AST, draw)
    donor = _picked(draw(_ANY), ast.expr, draw)
    places: list[tuple[Any, Any]] = []
    for name, value in ast.iter_fields(node) if node is not None else ():
        if isinstance(value, ast.expr) and isinstance(getattr(value, "ctx", None), (ast.Load, type(None))):
            places.append((name, None))
        elif isinstance(value, list) and value and isinstance(value[0], ast.expr):
            places += [(name, i) for i in range(len(value))]
    if places and donor is not None:
        name, index = places[draw(st.integers(0, len(places) - 1))]
        if index is None:
            setattr(node, name, copy.deepcopy(donor))
        else:
            getattr(node, name)[index] = copy.deepcopy(donor)


def _other_name(tree: ast.AST, draw: Draw) -> None:
    node = _picked(tree, ast.Name, draw)
    if node is not None:
        own = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)]
        node.id = draw(st.sampled_from(own) | st.sampled_from(_NAMES))


def _other_attribute(tree: ast.AST, draw: Draw) -> None:
    node = _picked(tree, ast.Attribute, draw)
    if node is not None:
        node.attr = draw(st.sampled_from(_ATTRIBUTES))


def _other_constant(tree: ast.AST, draw: Draw) -> None:
    node = _picked(tree, ast.Constant, draw)
    if node is not None:
        node.value = draw(st.sampled_from(_CONSTANTS))


def _other_operator(tree: ast.AST, draw: Draw) -> None:
    node = _picked(tree, (ast.BinOp, ast.AugAssign), draw)
    if node is not None:
        node.op = draw(st.sampled_from(_OPERATORS))


def _one_more_statement(tree: ast.AST, draw: Draw) -> None:
    block = _block(tree, draw)
    donor = _picked(draw(_ANY), ast.stmt, draw)
    block.insert(draw(st.integers(0, len(block))), copy.deepcopy(donor))


def _one_less_statement(tree: ast.AST, draw: Draw) -> None:
    block = _block(tree, draw)
    if len(block) > 1:
        del block[draw(st.integers(0, len(block) - 1))]


def _around(tree: ast.AST, draw: Draw) -> None:
    """A loop, a branch or a `try` of another sample around a statement of this."""
    block = _block(tree, draw)
    kinds = (ast.For, ast.While, ast.If, ast.Try, ast.FunctionDef, ast.With)
    donor = copy.deepcopy(_picked(draw(_ANY), kinds, draw))
    if donor is not None:
        place = draw(st.integers(0, len(block) - 1))
        donor.body, block[place] = [block[place]], donor


def _block(tree: ast.AST, draw: Draw) -> list[ast.stmt]:
    function = tree.body[-1]  # type: ignore[attr-defined]
    found = [getattr(n, name) for n in ast.walk(function) for name in _LISTS if isinstance(getattr(n, name, 0), list)]
    found = [block for block in found if block]
    return found[draw(st.integers(0, len(found) - 1))]


_CHANGES = [
    *[_other_expression, _other_name, _other_name, _other_attribute, _other_constant, _other_operator],
    *[_one_more_statement, _one_less_statement, _around],
]

# --------------------------------------------------------------------------- what is accepted runs

_WATCH = """

import sys

seen = []
watching = []

def watch():
    if not watching:
        sys.addaudithook(lambda event, _: seen.append(event))
        watching.append(True)
    seen.clear()
"""
_RUN = """    before = repr([value, history, source, rows, raw, LIMIT, KINDS, WEIGHTS])
    watch()
    ended = ""
    try:
        judge(value, history, source, rows, raw)
    except Exception as error:
        ended = type(error).__name__
    events = [*seen]
    return [before == repr([value, history, source, rows, raw, LIMIT, KINDS, WEIGHTS]), events, ended]
"""
_LOADED = frozenset(
    "sys seen watch watching LIMIT KINDS WEIGHTS other functools heapq bisect itertools json math re statistics Counter "
    "defaultdict deque datetime timedelta mean stdev np".split()
)
_ARGUMENTS = [
    (4.0, [1.0, 3.0, 2.0, 5.0], "cpu", [{"k": 1, "n": 2}], [[1], [2]]),
    (-1.5, [], "mem-1", [], {}),
    (2.0, [2.0] * 30, "", [{"k": 1}] * 3, [[[0]], "a", {"k": [1]}]),
]
_HARMLESS = {"object.__getattr__", "array.__new__", "code.__new__"}
_ENDED = {  # by the arguments, as with any code
    "ArithmeticError", "AttributeError", "FloatingPointError", "IndexError", "KeyError", "LookupError", "NameError", "OverflowError", "RecursionError",
    "RuntimeError", "StatisticsError", "StopIteration", "TypeError", "UnboundLocalError", "UnicodeDecodeError", "UnicodeEncodeError", "ValueError",
    "ZeroDivisionError", "AssertionError", "JSONDecodeError", "InvalidOperation", "AxisError", "LinAlgError", "UFuncTypeError", "_UFuncNoLoopError",
}  # fmt: skip


@contextmanager
def _opened(_folder: Path) -> Iterator[Check]:
    source = test_policy.MODULE + _WATCH
    plan = plan_module(source, "m.py", "m").targets[0].plan
    part = slice_function(source, plan.qualname, plan.line, also=_LOADED)
    with Replay(plan, part, source, [codec.encode(arguments) for arguments in _ARGUMENTS]) as replay:

        def check(text: str) -> None:
            with within(_SECONDS):
                judged = vet(text, test_policy.ORIGINAL)
            assert (judged.function is None) is bool(judged.refusals)
            if judged.function is None:
                return
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(ast.Module([judged.function], []), "candidate", "exec")
            if level() == "closed":
                _run(replay, judged.function)

        yield check


def _run(replay: Replay, function: ast.AST) -> None:
    inner = textwrap.indent(ast.unparse(function), "    ")
    loops = any(isinstance(node, ast.While) for node in ast.walk(function))
    for kind, data in replay.run({CODE: f"{test_policy.HEAD}{inner}\n{_RUN}"}):
        if loops and data == "took too long":  # which no rule can tell of each
            continue
        assert kind == "r", data
        assert isinstance(data, bytes)
        unchanged, events, ended = codec.decode(data, plain=True)
        assert unchanged, "it changed its arguments, or a constant of the module"
        assert set(events) <= _HARMLESS, f"it did {sorted(set(events) - _HARMLESS)}"
        assert not ended or ended in _ENDED, f"it raised {ended}"


POLICY = Target("policy", _mutated(), _opened)
