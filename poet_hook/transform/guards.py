"""A guard: a small rule beside what a function decides; its closed grammar, and what it writes.

`and source != 'cpu'` drops alerts, `or value > 95.0` adds some; two conditions are the most:

    guard      "and" condition | "and (" condition "or" condition ")"
             | "or" condition | "or (" condition "and" condition ")"
    condition  name "==" text | name "!=" text | name ">" number | name "<=" number | name | "not" name

A guard is read, checked and written anew whenever a version is loaded: what is not exactly of that form is none.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from poet_hook.model import Span, Tunable

LONGEST = 80  # characters of a text in a condition
Operator = Literal["==", "!=", ">", "<=", "is", "not"]
_OPPOSITE: dict[Operator, Operator] = {"==": "!=", "!=": "==", ">": "<=", "<=": ">", "is": "not", "not": "is"}
_SIGNS: dict[type[ast.cmpop], Operator] = {ast.Eq: "==", ast.NotEq: "!=", ast.Gt: ">", ast.LtE: "<="}


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of a name; "is" and "not" are of one that is True or False, and have no `literal`."""

    name: str
    operator: Operator
    literal: str | float | None = None

    def __str__(self) -> str:
        if self.literal is None:
            return self.name if self.operator == "is" else f"not {self.name}"
        return f"{self.name} {self.operator} {self.literal!r}"

    @property
    def opposite(self) -> Condition:
        """What holds where this one does not."""
        return Condition(self.name, _OPPOSITE[self.operator], self.literal)

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Whether it holds where the names have these values."""
        value = names[self.name]
        if self.operator in ("is", "not"):
            return bool(value) == (self.operator == "is")
        if self.operator in ("==", "!="):
            return bool(value == self.literal) == (self.operator == "==")
        return bool(value > self.literal) == (self.operator == ">")


@dataclass(frozen=True, slots=True)
class Guard:
    """`and`: nothing is raised but where one of the conditions holds. `or`: it is raised too where all of them hold."""

    joiner: Literal["and", "or"]
    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        if len(self.conditions) == 1:
            return f"{self.joiner} {self.conditions[0]}"
        return f"{self.joiner} ({f' {_other(self.joiner)} '.join(map(str, self.conditions))})"

    @property
    def names(self) -> set[str]:
        """What it looks at."""
        return {condition.name for condition in self.conditions}


def _other(joiner: str) -> str:
    return "or" if joiner == "and" else "and"


def read_guard(text: str) -> Guard:
    """The guard of a text, which must be exactly as it is written. Raises ValueError."""
    if len(text) > 500:
        raise ValueError("a guard is not that long")
    try:
        tree = ast.parse(f"_ {text}", mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is no guard") from error
    if isinstance(tree, ast.BoolOp) and len(tree.values) == 2:
        joiner: Literal["and", "or"] = "and" if isinstance(tree.op, ast.And) else "or"
        rule = tree.values[1]
        parts = rule.values if isinstance(rule, ast.BoolOp) else [rule]
        guard = Guard(joiner, tuple(map(_condition, parts)))
        if len(parts) <= 2 and str(guard) == text:
            return guard
    raise ValueError(f"{text!r} is no guard")


def _condition(part: ast.expr) -> Condition:
    if isinstance(part, ast.Name):
        return Condition(part.id, "is")
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not) and isinstance(part.operand, ast.Name):
        return Condition(part.operand.id, "not")
    if isinstance(part, ast.Compare) and isinstance(part.left, ast.Name) and type(part.ops[0]) in _SIGNS:
        operator = _SIGNS[type(part.ops[0])]
        literal = _literal(part.comparators[0])
        text = type(literal) is str and len(literal) <= LONGEST and operator in ("==", "!=")
        number = type(literal) is float and math.isfinite(literal) and operator in (">", "<=")
        if text or number:
            return Condition(part.left.id, operator, literal)
    raise ValueError("no condition of a guard")


def _literal(part: ast.expr) -> Any:
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub):
        value = _literal(part.operand)
        return -value if type(value) is float else None
    return part.value if isinstance(part, ast.Constant) else None


def fits_guard(tunable: Tunable, text: str) -> bool:
    """Whether a text is a guard that may stand there; "" is none, which may."""
    try:
        guard = read_guard(text) if text else None
    except ValueError:
        return False
    if guard is None:
        return True
    numeric = {condition.name for condition in guard.conditions if condition.operator in (">", "<=")}
    return numeric <= set(tunable.numbers) and any(guard.names <= set(place.names) for place in tunable.exits)


def written(tunable: Tunable, text: str) -> Iterator[tuple[Span, str, bool]]:
    """What a guard puts where, and whether that opens something. Raises LookupError for what is none."""
    if not fits_guard(tunable, text):
        raise LookupError(f"{text!r} is no guard that may stand there")
    guard = read_guard(text) if text else None
    for place in tunable.exits if guard else ():
        if guard is None or not guard.names <= set(place.names):
            continue
        if place.constant is None:
            wraps = guard.joiner in place.wraps
            yield place.start, "(" if wraps else "", True
            yield place.end, f"{')' if wraps else ''} {guard}", False
        elif place.constant == (guard.joiner == "and"):  # what else it returns, the guard does not change
            rule = str(guard).removeprefix(f"{guard.joiner} ")
            yield place.start, rule.removeprefix("(").removesuffix(")") if rule[0] == "(" else rule, True
