"""A function, or what somebody calls it -> the name under which it is stored."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Any

from poet_hook.activation import settings, store
from poet_hook.errors import NotEnhancedError, SettingsError, StoreError, StoreWarning, UnknownFunctionError, warn
from poet_hook.runtime.attribute import Poet
from poet_hook.runtime.slot import Slot
from poet_hook.versions.chain import functions_with_versions


def name_of(function: str | Callable[..., Any]) -> str:
    """The stored name ("module:qualname") of a function, or of a name that ends like exactly one."""
    known = _known()
    if not isinstance(function, str):
        codes = [code for inner in wrapped(function) if (code := getattr(inner, "__code__", None)) is not None]
        found = [s.function for code in codes for s in code.co_consts if isinstance(s, Slot) and s.trains]
        found = found or [n for code in codes if (n := _kept(code.co_filename, code.co_qualname)) in known]
        if not found:
            raise NotEnhancedError(why_not_recorded(function))
        return found[0]
    if function in known:
        return function
    path, _, qualname = function.rpartition(":")
    if path.endswith(".py"):
        ends = [n for n in known if n == _kept(path, qualname)]
    else:
        ends = [n for n in known if n.endswith((f":{function}", f".{function}")) or n.replace(":", ".") == function]
    if len(ends) == 1:
        return ends[0]
    where = f"called {function!r} in {settings().home}"
    if ends:
        raise UnknownFunctionError(f"several functions are {where}: {', '.join(sorted(ends))}")
    listed = f"there is: {', '.join(sorted(known))}" if known else "none was recorded yet"
    raise UnknownFunctionError(f"no function is {where}; {listed}")


def _known() -> list[str]:
    """The functions of the store; of a damaged one, those whose versions can still be chosen between."""
    try:
        return [record.function for record in store().functions()]
    except StoreError as error:
        names = functions_with_versions(settings())
        if not names:
            raise
        warn(str(error), StoreWarning)
        return names


def _kept(path: str, qualname: str) -> str:
    return f"{settings().module_of(path, os.path.basename(path).removesuffix('.py'))}:{qualname}"


def wrapped(function: Any) -> Iterator[Any]:
    """A callable, and what its decorators wrap, as far as they say so."""
    for _ in range(20):
        if function is None:
            return
        yield function
        function = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)


def why_not_recorded(function: Callable[..., Any]) -> str:
    """Why nothing is known of a function that was called, and what to do about it."""
    name = getattr(function, "__qualname__", repr(function))
    module = sys.modules.get(getattr(function, "__module__", "") or "")
    start = f"{name} left no execution: "
    try:
        settings()
    except SettingsError as error:
        return start + f"nothing is enhanced, because {error}"
    for inner in wrapped(function):
        poet, code = getattr(inner, "poet", None), getattr(inner, "__code__", None)
        if isinstance(poet, Poet) and not poet.trains and code is not None:
            place = f"{code.co_filename}:{code.co_firstlineno}"
            return start + f"its pragma ({place}) has no optimize_for=, so nothing is recorded"
    place = getattr(module, "__file__", None) or "its module"
    if place.endswith(tuple(EXTENSION_SUFFIXES)):
        return start + f"it is compiled, and only Python source can be enhanced; its module is {place}"
    return start + (
        f"it is not enhanced. Put `# poet: optimize_for=...` above it in {place}, and import it after "
        "poet_hook.activate(), or start the program with: python -m poet_hook run SCRIPT"
    )
