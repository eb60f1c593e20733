"""Any value -> whether it is a number."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

from poet_hook.domains.base import as_bool


def is_number(value: Any) -> bool:
    """Whether it is a number that others can be compared with, and no yes or no."""
    if isinstance(value, Decimal):
        return not value.is_nan()  # which refuses to be compared
    return isinstance(value, Real) and as_bool(value) is None
