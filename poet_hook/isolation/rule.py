"""A function that looks at one node -> a rule with a name, and what to do about it where it is broken."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poet_hook.isolation.code import Code

Test = Callable[["Code", ast.AST], "str | None"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that a candidate breaks: its name, the line (from 1), what stands there, and what to do about it."""

    rule: str
    line: int
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what} [{self.rule}]: {self.advice}"


ADVICE: dict[str, str] = {}  # every rule by its name
BY_NODE: dict[type[ast.AST], list[tuple[str, Test]]] = {}


def say(rule: str, advice: str) -> str:
    """Note a rule that is no test of one node; its name again."""
    ADVICE[rule] = advice
    return rule


def rule(*kinds: type[ast.AST]) -> Callable[[Callable[..., str | None]], Test]:
    """Register a test of nodes of these kinds: it takes the code and a node, and says what is wrong, or None.

    The rule is called as the function is; its docstring is the advice.
    """

    def register(test: Callable[..., str | None]) -> Test:
        name = test.__name__.replace("_", "-")
        say(name, (test.__doc__ or "").strip())
        for kind in kinds:
            BY_NODE.setdefault(kind, []).append((name, test))
        return test

    return register


def refusal(name: str, node: ast.AST | int, what: str) -> Refusal:
    """The rule `name`, broken at `node` or a line."""
    line = node if isinstance(node, int) else getattr(node, "lineno", 1)
    return Refusal(name, line, what, ADVICE[name])
