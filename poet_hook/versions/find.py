"""A slot -> the function objects of this process whose code holds it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from poet_hook.runtime.slot import Slot


def functions_of(slot: Slot) -> list[FunctionType]:
    """The function objects whose code holds `slot`."""
    found = [f for f in _by_name(slot) if _holds(f, slot)]
    if found:
        return found
    return [o for o in gc.get_objects() if type(o) is FunctionType and _holds(o, slot)]


def _holds(function: Any, slot: Slot) -> bool:
    return type(function) is FunctionType and any(c is slot for c in function.__code__.co_consts)


def _by_name(slot: Slot) -> Iterator[Any]:
    for module in list(sys.modules.values()):
        try:
            if module.__file__ != slot.path:
                continue
        except Exception:  # noqa: BLE001 - a module that is made when it is first touched, and can't be
            continue
        value: Any = module
        for part in slot.qualname.split("."):
            value = vars(value).get(part) if hasattr(value, "__dict__") else None
        for _ in range(20):  # decorators that follow functools.wraps, descriptors
            if value is None:
                break
            yield value
            value = (
                getattr(value, "__wrapped__", None) or getattr(value, "__func__", None) or getattr(value, "fget", None)
            )
