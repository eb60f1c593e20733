"""A module -> which of its functions numba, jax, torch or Cython compile.

These read the source or the bytecode of a function, and would not understand what is added to it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from poet_hook.transform.nodes import FunctionNode, last_name

_WORDS = frozenset(
    {
        *("njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "cuda", "jitclass", "register_jitable"),
        "compile",  # torch's
    }
)
_MARKS = ("jit", "torch", "vectorize", "cfunc", "stencil", "cuda")  # without one of these, a text is not looked at


class Compilers:
    """What in one module compiles functions: decorators, names for these, and calls that are given a function."""

    def __init__(self, nodes: Sequence[ast.AST], text: str) -> None:
        self.names = set(_WORDS)
        self.given: dict[str, str] = {}  # names of functions, and the call that compiles each
        self.all = ""  # the call that compiles every function of the module
        if any(mark in text for mark in _MARKS):
            for node in nodes:
                self._name(node)
            for node in nodes:
                if isinstance(node, ast.Call):
                    self._look(node)

    def reason(self, node: FunctionNode, qualname: str, classes: Iterable[ast.ClassDef]) -> str:
        """Why a function is to be left alone; "" where nothing here compiles it."""
        decorators = [*node.decorator_list, *(each for around in classes for each in around.decorator_list)]
        by = next((f"@{last_name(each)}" for each in decorators if self._compiles(each)), self.all)
        if not by and (qualname == node.name or qualname.endswith(f".<locals>.{node.name}")):
            by = self.given.get(node.name, "")
        return by and f"{by} compiles it elsewhere; the enhanced body would not be understood there"

    def _compiles(self, node: ast.expr) -> bool:
        """Whether it is one of the words, or what a call of one gives that was not given a function yet."""
        if isinstance(node, ast.Call) and last_name(node) == "partial":
            return bool(node.args) and self._compiles(node.args[0])
        return last_name(node) in self.names and not _is_of(node, "np", "numpy")

    def _name(self, node: ast.AST) -> None:
        """Take in further names of a compiler: `from numba import njit as fast`, `fast = njit(cache=True)`."""
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if node.module == "numpy":  # what it vectorizes is called as it is
                    self.names.discard(alias.asname or alias.name)
                elif alias.name in _WORDS:
                    self.names.add(alias.asname or alias.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and self._compiles(node.value):
            value = node.value
            if not isinstance(value, ast.Call) or last_name(value) == "partial" or _is_of_constants(value):
                self.names.add(node.targets[0].id)

    def _look(self, call: ast.Call) -> None:
        name = last_name(call.func)
        if name == "jit_module":
            self.all = f"{name}() at line {call.lineno}"
        elif call.args and self._compiles(call.func) and not _is_text(call.func):
            for given in _functions_in(call.args[0]):
                self.given.setdefault(given, f"{name}() at line {call.lineno}")


def _is_of_constants(call: ast.Call) -> bool:
    """Whether a call was told how to compile, and not what."""
    return all(isinstance(each, (ast.Constant, ast.List, ast.Tuple)) for each in call.args)


def _is_text(function: ast.expr) -> bool:
    """Whether it is Python's own `compile`, or that of regular expressions, and such."""
    return last_name(function) == "compile" and not _is_of(function, "torch")


def _is_of(node: ast.expr, *modules: str) -> bool:
    """Whether it, or what it calls, is taken from one of these: `np.vectorize`."""
    function = node.func if isinstance(node, ast.Call) else node
    of = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(of, ast.Name) and of.id in modules


def _functions_in(node: ast.expr) -> Iterator[str]:
    """The names that may be functions in the first argument: `f`, `partial(f, 2)`, `vmap(f)`."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Call):
        for each in node.args[:1]:
            yield from _functions_in(each)
