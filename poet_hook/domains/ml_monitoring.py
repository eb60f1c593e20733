"""Monitoring of models and metrics: alerts, anomalies, drift."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from functools import lru_cache
from numbers import Real
from typing import Any

from poet_hook.domains.base import Domain, as_bool, field_of
from poet_hook.model import UNSET

FALSE_ALARM = ("false alarm", "false positive", "known issue", "known problem", "alert fatigue")
NORMAL = (
    "expected, we deployed", "expected, we released", "expected, we migrated", "expected deploy",
    "expected deployment", "expected release", "expected behavior", "expected behaviour", "expected change",
    "expected load", "expected traffic", "caused by a deploy", "caused by a deployment", "due to a deploy",
    "due to a deployment", "due to maintenance", "planned maintenance", "scheduled maintenance",
    "maintenance window", "planned change", "planned downtime", "planned outage", "planned migration",
    "scheduled downtime", "scheduled outage", "scheduled change", "scheduled job", "planned test",
    "load test", "stress test", "test data", "test traffic", "test alert", "test run", "test environment",
    "just testing", "only testing", "fire drill", "failover drill", "game day", "chaos test",
    "nightly batch", "nightly job", "nightly backup", "batch job", "cron job", "backup window",
    "seasonal", "seasonality", "seasonal effect", "seasonal pattern", "daily pattern", "weekly pattern",
    "normal variation", "natural variation", "random fluctuation", "within the normal range", "sampling noise",
    "self-resolved", "resolved itself", "recovered by itself", "recovered on its own", "works as designed",
    "no impact", "no customer impact", "no user impact",
)  # fmt: skip
MISS = (
    "false negative", "should have alerted", "should have paged", "undetected", "went undetected",
    "silent failure", "failed silently", "drifted silently", "degraded silently", "customers noticed first",
    "users noticed first", "found by a customer", "found by customers", "we found it ourselves",
    "noticed it ourselves", "customers told us", "a customer told us", "users told us", "customers called us",
    "a customer called us", "found out from twitter", "found out from customers", "nobody was alerted",
    "nobody was paged", "no one was paged", "slipped under the radar", "flew under the radar",
)  # fmt: skip
RIGHT = (
    "true positive", "good catch", "real incident", "real outage", "real drift", "real anomaly",
    "confirmed incident", "confirmed drift",
)  # fmt: skip

SEQUENCES = frozenset({"list", "sequence", "iterable", "collection"})
ARRAYS = frozenset({"ndarray", "arraylike"})
ITEMS = {"float": float, "float64": float, "float32": float, "int": int, "int64": int, "int32": int}
FINITE = ("score", "distance", "statistic", "threshold")
PROBABILITIES = ("p_value", "p")


@lru_cache(maxsize=512)
def _item_type(kind: str) -> type | None:
    """float or int: what the items of this annotation are; object: it does not say; None: no numbers."""
    head, _, inside = kind.replace(" ", "").lower().partition("[")
    head = head.rpartition(".")[2]
    inside = inside.removesuffix("]")
    if head in ARRAYS:
        return float
    if head == "tuple" and inside:
        # tuple[float, float] is a pair, and stays one.
        inside, _, rest = inside.partition(",")
        if rest != "...":
            return None
    elif head != "tuple" and head not in SEQUENCES:
        return None
    if inside in ("", "any", "object"):
        return object
    inside = inside.removeprefix("optional[").removesuffix("]")
    parts = [ITEMS.get(part.rpartition(".")[2]) for part in inside.split("|") if part != "none"]
    if not parts or None in parts:
        return None
    return float if float in parts else int


def _number(item: Any, into: type) -> Any:
    """A usable number; None for one to be dropped. Raises ValueError for what is no number."""
    if item is None:
        return None
    if isinstance(item, str):
        if into is int:
            return int(item)
        item = float(item)
    if isinstance(item, float):
        return item if math.isfinite(item) else None
    if isinstance(item, int):
        return item
    if isinstance(item, Decimal):
        return item if item.is_finite() else None
    if isinstance(item, Real):
        return item if math.isfinite(item) else None
    raise ValueError("no number")


def _numbers(items: Any, into: type) -> list[Any]:
    """The usable numbers among the items; raises ValueError where one is no number."""
    if into is object and not any(isinstance(item, (int, float)) for item in items):
        raise ValueError("texts only: nothing says that these are numbers")
    numbers = (_number(item, into) for item in items)
    return [number for number in numbers if number is not None]


def _array(value: Any, numpy: Any) -> Any:
    """A one-dimensional array without its NaN and inf, or of the numbers in it where it holds objects."""
    if value.ndim != 1 or value.dtype.kind in "iub":
        return value
    if value.dtype.kind == "f":
        finite = numpy.isfinite(value)
        return value if finite.all() else value[finite]
    return numpy.array(_numbers(value.tolist(), float), dtype=float)


def normalise(kind: str, value: Any) -> Any:
    """A sequence of numbers without None, NaN and inf, its numeric texts converted; the container stays.

    Anything else (scalars, subclasses, sequences that hold what is no number) comes back as it is.
    """
    into = _item_type(kind)
    if into is None:
        return value
    container = type(value)
    try:
        if container is not list and container is not tuple:
            numpy = sys.modules.get("numpy")
            return _array(value, numpy) if numpy is not None and container is numpy.ndarray else value
        try:
            # At the speed of C, and true of nearly every call.
            if math.isfinite(sum(value)):
                return value
        except Exception:  # noqa: BLE001 - adding up other people's objects may raise anything
            pass
        numbers = _numbers(value, into)
        unchanged = len(numbers) == len(value) and all(a is b for a, b in zip(numbers, value, strict=True))
        return value if unchanged else container(numbers)
    except Exception:  # noqa: BLE001 - as above; what can't be normalised is Perceive's to refuse
        return value


def _as_float(value: Any) -> float | None:
    """A number as a float; None for what is none, or a bool."""
    if value is UNSET or as_bool(value) is not None or not isinstance(value, (int, float, Real, Decimal)):
        return None
    try:
        return float(value)
    except OverflowError:
        # An int beyond every float is finite all the same.
        return sys.float_info.max


def violation(result: Any) -> str | None:
    """The broken invariant in words: a NaN, a p-value outside [0, 1], a score that is not finite."""
    if type(result) is bool:
        return None
    try:
        if isinstance(result, float):
            return "the result is NaN" if math.isnan(result) else None
        if result is None or (isinstance(result, (int, str, bytes, list, tuple)) and not hasattr(result, "_fields")):
            return None
        for name in PROBABILITIES:
            p = _as_float(field_of(result, name))
            if p is not None and not 0.0 <= p <= 1.0:
                return f"{name} is {p:g}, outside [0, 1]"
        for name in FINITE:
            number = _as_float(field_of(result, name))
            if number is not None and not math.isfinite(number):
                return f"{name} is {number:g}, not finite"
    except Exception:  # noqa: BLE001 - the user's classes may raise anything; that is no broken invariant
        pass
    return None


DOMAIN = Domain(
    name="ml_monitoring",
    title="Monitoring of models and metrics",
    phrases=(
        *((phrase, "false_alarm") for phrase in FALSE_ALARM),
        *((phrase, "normal") for phrase in NORMAL),
        *((phrase, "miss") for phrase in MISS),
        *((phrase, "right") for phrase in RIGHT),
    ),
    normalise=normalise,
    violation=violation,
    options=("cooldown",),
    decisions=("an alert was raised", "no alert was raised"),
)
