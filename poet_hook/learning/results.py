"""Two results -> whether they are one; a result -> its fields, and where it lies to a range."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from poet_hook.domains.number import is_number
from poet_hook.model import UNSET

Path = tuple[Any, ...]
"""The names that lead from a result to one of its fields; none for the whole of it."""
WHOLE: Path = ()
_DAY = len("2024-05-01")
_KEEPS = {"at_least": operator.ge, "at_most": operator.le, "above": operator.gt, "below": operator.lt}


def field(value: Any, path: Path) -> Any:
    for name in path:
        value = value.get(name, UNSET) if isinstance(value, Mapping) else UNSET
    return value


def beyond(limits: Mapping[str, Any], number: Any) -> tuple[int, Any]:
    """Where a number must go to be in a range, 1 up, -1 down or 0, and the end of the range that lies there."""
    for name, limit in limits.items():
        if not _KEEPS[name](number, limit):
            return (1 if name in ("at_least", "above") else -1), limit
    return 0, None


def equal(a: Any, b: Any) -> bool:
    """Whether two results are one: numbers by value, dates as far as both tell, else also by type."""
    if is_number(a) and is_number(b):
        return bool(a == b) or (a != a and b != b)
    if isinstance(a, date) or isinstance(b, date):
        return _same_moment(_moment(a), _moment(b))
    if type(a) is not type(b):
        return False
    try:
        return bool(a == b)
    except Exception:  # noqa: BLE001 - the user's __eq__
        return False


def _moment(value: Any) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if len(value) == _DAY else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _same_moment(a: date | None, b: date | None) -> bool:
    """Whether two dates are the same; of one without a time of day, only the day is known."""
    if a is None or b is None:
        return False
    if isinstance(a, datetime) and isinstance(b, datetime):
        return a == b
    return tuple(a.timetuple())[:3] == tuple(b.timetuple())[:3]
