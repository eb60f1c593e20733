"""The text of a slot -> what the slot does, for code that holds none: a call that goes well never comes here."""

from __future__ import annotations

import functools
from typing import Any

from poet_hook.model import LATE_PREFIX
from poet_hook.runtime.slot import Slot


def perceive(text: str, index: int, value: Any) -> Any:
    """The value for a parameter; raises `PerceiveError`."""
    return _slot(text).perceive(index, value)


def check(text: str, result: Any) -> None:
    """Raise `EnforceError` where the result breaks its annotation; the text itself is the result of what raised."""
    if result is not text:
        _slot(text).check(result)


@functools.cache
def _slot(text: str) -> Slot:
    return Slot(text[len(LATE_PREFIX) :])
