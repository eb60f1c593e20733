"""The text of a slot -> what the slot does, for code that holds none: a call that goes well never comes here."""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

from poet_hook.model import LATE_PREFIX
from poet_hook.runtime.slot import Slot


def perceive(text: str, index: int, value: Any) -> Any:
    """The value for a parameter of the caller; raises `PerceiveError`."""
    return _slot(text, _caller()).perceive(index, value)


def perceive_all(text: str, indexes: tuple[int, ...], *values: Any) -> list[Any]:
    """The values for several parameters of the caller; raises `PerceiveError`."""
    return _slot(text, _caller()).perceive_all(indexes, *values)


def check(text: str, result: Any) -> None:
    """Raise `EnforceError` where the result breaks its annotation."""
    _slot(text, _caller()).check(result)


def _caller() -> str:
    return sys._getframe(2).f_code.co_qualname


@functools.cache
def _slot(text: str, qualname: str) -> Slot:
    spec = json.loads(text[len(LATE_PREFIX) :])
    return Slot(json.dumps(spec | {"function": f"{spec['module']}:{qualname}", "qualname": qualname}))
