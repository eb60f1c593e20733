"""What a field of work knows: its phrases, how its inputs are normalised, what its results must satisfy."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from poet_hook.errors import SettingsError
from poet_hook.model import ANOMALY_FIELDS, UNSET

KNOWN = ("generic", "ml_monitoring")
YES_NO = ("yes", "no")
MEANINGS = ("right", "wrong", "false_alarm", "normal", "miss", "too_high", "too_low")


@dataclass(frozen=True, slots=True)
class Domain:
    """A field of work.

    `phrases` are pairs (text in lower case, one of `MEANINGS`), extra to those that every domain has.
    `normalise(kind, value)` takes the annotation ("float", "list[float]", ...) and an argument, and gives
    the argument to use: the same object where nothing needs doing or nothing can be done. It never raises.
    `violation(result)` names the broken invariant, or is None. It never raises either.
    `options` are those of the pragma that learning may put in where calls have streams. `decisions` is what a yes and
    a no of a function are called.
    """

    name: str
    title: str
    phrases: tuple[tuple[str, str], ...]
    normalise: Callable[[str, Any], Any]
    violation: Callable[[Any], str | None]
    options: tuple[str, ...] = ()
    decisions: tuple[str, str] = YES_NO


def load(name: str) -> Domain:
    """The domain of this name; raises SettingsError where there is none."""
    if name not in KNOWN:
        raise SettingsError(f"domain={name}: there is no such domain; known are {', '.join(KNOWN)}")
    module = importlib.import_module(f"poet_hook.domains.{name}")
    domain: Domain = module.DOMAIN
    return domain


def as_bool(value: Any) -> bool | None:
    """A bool, or numpy's, as a bool; None for anything else."""
    kind = type(value)
    if kind is bool:
        return bool(value)
    # numpy need not be imported to know its bool: it is called bool_ before numpy 2 and bool since.
    if kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"):
        return bool(value)
    return None


def field_of(value: Any, name: str) -> Any:
    """The item (of a mapping) or attribute (of anything else) of this name, UNSET where there is none."""
    try:
        if isinstance(value, Mapping):
            return value.get(name, UNSET)
        return getattr(value, name, UNSET)
    except Exception:  # noqa: BLE001 - a property of the user's class may raise anything
        return UNSET


def decision(value: Any) -> bool | None:
    """The yes/no in a result: itself, or the first of `ANOMALY_FIELDS` that is a bool; None without one."""
    own = as_bool(value)
    if own is not None or type(value) in (float, int, str, type(None)):
        return own
    name = deciding(value)
    return None if name is None else as_bool(field_of(value, name))


def deciding(value: Any) -> str | None:
    """The first of `ANOMALY_FIELDS` that is a bool in this result; None where none is."""
    return next((name for name in ANOMALY_FIELDS if as_bool(field_of(value, name)) is not None), None)


def with_decision(value: Any, decided: bool) -> Any:
    """A result like this one, with another yes or no in it, all else as it is; raises what the user's class raises."""
    if as_bool(value) is not None:
        return type(value)(decided)
    name = deciding(value)
    if name is None:
        raise TypeError(f"{type(value).__name__} holds no yes or no")
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{name: decided})
    if isinstance(value, tuple) and hasattr(value, "_replace"):
        return value._replace(**{name: decided})
    other = copy.copy(value)
    if isinstance(other, MutableMapping):
        other[name] = decided
    else:
        setattr(other, name, decided)
    return other
