"""What a body returned -> nothing, or an `EnforceError` that says which rule it breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from poet_hook.errors import EnforceError
from poet_hook.model import UNSET
from poet_hook.runtime.perceive import TYPES, broken, short, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.runtime.slot import Slot


def checked(slot: Slot, result: Any) -> None:
    """`Slot.check`: raise `EnforceError` where the result breaks its annotation or its domain's invariants."""
    if result is UNSET:
        return
    rule = None
    if slot.returns and slot.coerce != "off":
        rule = broken_type(slot.returns, result, slot.coerce)
    if rule is None and slot.domain is not None:
        rule = slot.domain.violation(result)
    if rule is not None:
        raise EnforceError(f"{slot.function}: {rule}: {short(result)}")


def kept(slot: Slot, promise: Callable[..., Any], result: Any, arguments: tuple[Any, ...]) -> None:
    """`Slot.keep`: raise `EnforceError` unless the `ensure=` expression holds."""
    cause = None
    try:
        if promise(result, *arguments):
            return
    except Exception as error:  # noqa: BLE001 - a promise that can't be evaluated is not kept
        cause = error
    said = f"ensure={slot.promise!r} {broken(cause)} for {short(result)}{told(cause)}"
    raise EnforceError(f"{slot.function}: {said}") from cause


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
