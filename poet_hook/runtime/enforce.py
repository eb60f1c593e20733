"""What a body returned -> nothing, or the rule that it breaks."""

from __future__ import annotations

from typing import Any

from poet_hook.runtime.perceive import TYPES


def broken_type(kind: str, value: Any, mode: str) -> str | None:
    """The rule that `value` breaks as a result annotated `kind`, or None.

    numpy's scalars count as the built-in type that they hold: a monitor's `a > b` is often a numpy.bool.
    """
    base = kind.partition("[")[0]
    if isinstance(value, TYPES[base]):
        if mode == "strict" and isinstance(value, bool) and base in ("float", "int"):
            return f"must return {kind}, and returned bool"
        return None
    scalar = type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 and hasattr(value, "item")
    if scalar and isinstance(value.item(), TYPES[base]):
        return None
    return f"must return {kind}, and returned {type(value).__name__}"
