"""An argument that is not of its annotated type -> the value that the body gets, or a refusal.

Lax (the default) changes only what has one meaning: text that is a number ("65,000", "25%"), text that is a
truth value, numpy scalars. Everything else is passed on as it is: the body may well know what to do with it.
Strict refuses whatever is not of the type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from poet_hook.errors import PerceiveError
from poet_hook.model import UNSET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.runtime.slot import Slot

_SHOWN = 200  # characters of a value

_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f"})
TYPES: dict[str, type | tuple[type, ...]] = {
    "float": (float, int),
    "int": int,
    "bool": bool,
    "str": str,
    "bytes": bytes,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "set": set,
}


class RefusedError(Exception):
    """The value breaks a rule; `args[0]` is the rule in words."""


def perceived(slot: Slot, index: int, value: Any) -> Any:
    """`Slot.perceive`: the value for parameter `index`; raises `PerceiveError`."""
    name, kind, optional = slot.parameters[index]
    try:
        out = perceive(kind, value, optional, slot.coerce)
    except RefusedError as error:
        raise PerceiveError(f"{slot.function}: argument {name!r} {error.args[0]}: {_seen(slot, name, value)}") from None
    return out if slot.domain is None else slot.domain.normalise(kind, out)


def perceived_all(slot: Slot, indexes: tuple[int, ...], *values: Any) -> list[Any]:
    """`Slot.perceive_all`: the values for several parameters, in their order; raises `PerceiveError`."""
    return [perceived(slot, index, value) for index, value in zip(indexes, values, strict=True)]


def required(slot: Slot, arguments: tuple[Any, ...], rule: Callable[..., Any]) -> None:
    """`Slot.require`: raise `PerceiveError` unless the `require=` expression holds."""
    cause = None
    try:
        if rule(*arguments):
            return
    except Exception as error:  # noqa: BLE001 - a rule that can't be evaluated does not hold
        cause = error
    shown = ", ".join(f"{n}={_seen(slot, n, v)}" for n, v in zip(slot.names, arguments, strict=True))
    raise PerceiveError(f"{slot.function}: require={slot.rule!r} {broken(cause)} for {shown}{told(cause)}") from cause


def _seen(slot: Slot, name: str, value: Any) -> str:
    return "<hidden>" if slot.record_arguments.get(name, slot.record) != "full" else short(value)


def broken(cause: Exception | None) -> str:
    """What became of an expression that raised `cause`, or was false."""
    return "does not hold" if cause is None else "can't be evaluated"


def told(cause: Exception | None) -> str:
    """What is said of `cause` behind that: its type, since its text may quote what must not be shown."""
    return "" if cause is None else f": {type(cause).__name__}"


def short(value: Any) -> str:
    """A value in a message."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the user's repr
        return f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def perceive(kind: str, value: Any, optional: bool, mode: str) -> Any:
    """The value for a parameter annotated `kind`; raises `RefusedError`."""
    if value is None and (optional or mode == "lax"):
        return value
    base = kind.partition("[")[0]
    expected = TYPES[base]
    if mode == "strict":
        if not isinstance(value, expected) or (base in ("float", "int") and isinstance(value, bool)):
            raise RefusedError(f"must be {kind}, and is {type(value).__name__} (coerce=strict)")
        return value
    if isinstance(value, expected):
        return value
    if base in ("float", "int", "bool"):
        return _scalar(base, value)
    return value


def _scalar(base: str, value: Any) -> Any:
    if isinstance(value, str):
        coerced = _truth(value) if base == "bool" else number(value, whole=base == "int")
        if coerced is UNSET:
            raise RefusedError(
                f"must be {base}, and is text that is no {'truth value' if base == 'bool' else 'number'}"
            )
        return coerced
    kind = type(value)
    # numpy's scalars, without importing numpy
    if kind.__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        plain = value.item()
        if isinstance(plain, TYPES[base]):
            return plain
    return value


def number(text: str, whole: bool = False) -> Any:
    """Text such as "65,000", " -1.5e3 " or "25%" as a number (25% is 0.25); UNSET where it is none."""
    word = text.strip()
    percent = word.endswith("%")
    word = word[:-1].rstrip() if percent else word
    if "," in word:
        before, _, after = word.partition(".")
        head, *groups = before.split(",")
        head = head.lstrip("+-")
        thousands = all(len(group) == 3 and group.isdecimal() for group in groups)
        if not (head.isdecimal() and len(head) <= 3 and thousands and "," not in after):
            return UNSET
        word = word.replace(",", "")
    if not word or "_" in word or len(word) > 400:
        return UNSET
    try:
        if whole and not percent:
            return int(word)
        value = float(word)
    except ValueError:
        return UNSET
    if whole or not math.isfinite(value):
        return UNSET
    return value / 100 if percent else value


def _truth(text: str) -> Any:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else UNSET
