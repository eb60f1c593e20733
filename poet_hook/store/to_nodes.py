"""Value -> nodes, which MessagePack keeps exactly.

None, bool, 64-bit int, float, str, bytes, list, and dict with str keys stand for themselves; everything else
is a dict with one int key, its tag.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, EnumType, Flag
from typing import Any, cast
from uuid import UUID

MAX_DEPTH = 100
TUPLE, SET, FROZENSET, DICT, INT, STR, COMPLEX, DATE, TIME, DATETIME, TIMEDELTA = range(11)
DECIMAL, UUID_, ENUM, DATACLASS, NUMPY_SCALAR, NUMPY_ARRAY, SUMMARY = range(11, 18)

NUMBERS = frozenset({float, int, bool, type(None)})
SCALARS = NUMBERS | {str, bytes}
SIZED = frozenset({str, bytes, list, tuple, set, frozenset, dict})
DTYPE = re.compile(r"[<>|]([?bhilqBHILQefdgFDG]|[SU][1-9]\d{0,8}|[mM]8(\[\d{0,9}[a-zA-Z]{1,2}\])?)", re.ASCII)
ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
MICROSECOND = timedelta(microseconds=1)
only_scalars = SCALARS.issuperset
only_text = frozenset({str}).issuperset

_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands in place of an argument that was recorded as "hash", "shape" or "none" (`mode`)."""

    mode: str
    text: str


class Refused(Exception):
    """A value that can't be stored; the path to it is put together while the stack unwinds."""

    def __init__(self, reason: str, *, has_place: bool = True) -> None:
        super().__init__(reason)
        self.path = ""
        self.has_place = has_place

    def in_words(self) -> str:
        path = self.path.strip(". ")
        return f"{path}: {self}" if path and self.has_place else str(self)


def too_large(max_bytes: int) -> Refused:
    return Refused(f"larger than {max_bytes:,} bytes", has_place=False)


def is_array(value: Any) -> bool:
    """Whether `value` is exactly an ndarray; numpy is not imported for it."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is getattr(numpy, "ndarray", None)


def find_class(path: str) -> Any:
    """Return what "module:qualname" names among the imported modules, or None; runs no line of theirs."""
    module, _, qualname = path.partition(":")
    try:
        found: Any = sys.modules.get(module)
        scope = object.__getattribute__(found, "__dict__")
        for part in qualname.split("."):
            found = scope.get(part)
            scope = type.__getattribute__(found, "__dict__")
    except (AttributeError, TypeError):
        return None
    return found


def blank(kind: Any) -> Any:
    """Return an instance on which nothing ran; TypeError where that can't be."""
    if hasattr(kind, "__del__"):
        raise TypeError(f"{kind.__qualname__} has a finaliser, which would run once more")
    return object.__new__(kind)


class Tree:
    """Makes the nodes of one value of at most `max_bytes`; `careful` looks at each int and str too."""

    def __init__(self, max_bytes: int, pack: Callable[[Any], bytes], *, careful: bool) -> None:
        self.max_bytes = max_bytes
        self.left = max_bytes  # each element takes a byte at least: a shared list can't grow without end
        self.pack = pack
        self.careful = careful

    def node(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in NUMBERS:
            large = self.careful and kind is int and not -_INT64 <= value < 2 * _INT64
            return {INT: self.int_bytes(value)} if large else value
        if depth > MAX_DEPTH:
            raise Refused(f"nested deeper than {MAX_DEPTH}, or in a circle", has_place=False)
        if kind in SIZED:
            self.spend(len(value))
        write = _WRITE.get(kind)
        return write(self, value, depth) if write else self.instance(value, depth)

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise too_large(self.max_bytes)

    def int_bytes(self, value: int) -> bytes:
        size = value.bit_length() // 8 + 1
        self.spend(size)
        return value.to_bytes(size, "little", signed=True)

    def items(self, items: Collection[Any], depth: int) -> Any:
        if not self.careful and only_scalars(map(type, items)):
            return items
        return [self.child(f"[{index}]", item, depth) for index, item in enumerate(items)]

    def child(self, step: str, value: Any, depth: int) -> Any:
        try:
            return self.node(value, depth + 1)
        except Refused as refused:
            refused.path = step + refused.path
            raise

    def string(self, value: str) -> Any:
        if self.careful and not value.isascii():
            data = value.encode("utf-8", "surrogatepass")
            if data != value.encode("utf-8", "replace"):
                return {STR: data}
        return value

    def unordered(self, value: Collection[Any], depth: int) -> Any:
        # Sorted, so that equal sets have equal bytes in every process.
        nodes = sorted(self.items(list(value), depth), key=self.pack)
        return {SET if type(value) is set else FROZENSET: nodes}

    def mapping(self, value: dict[Any, Any], depth: int) -> Any:
        if not self.careful and only_text(map(type, value)):
            if only_scalars(map(type, value.values())):
                return value
            return {key: self.child(_step(key), item, depth) for key, item in value.items()}
        pairs = []
        for key, item in value.items():
            pairs += [self.child(f" key {_step(key)}", key, depth), self.child(_step(key), item, depth)]
        return {DICT: pairs}

    def instance(self, value: Any, depth: int) -> Any:
        """The kinds that are known by their class's class, or by numpy."""
        kind = type(value)
        if isinstance(kind, EnumType):
            return self.enum(value)
        if is_dataclass(kind):
            path, state = _class_path(kind), _state(value)
            self.spend(len(state))
            return {DATACLASS: [path, {name: self.child(f".{name}", state[name], depth) for name in state}]}
        if is_array(value):
            self.spend(value.nbytes)
            fortran = bool(value.flags.f_contiguous and not value.flags.c_contiguous)
            data = value.tobytes("F" if fortran else "C")
            return {NUMPY_ARRAY: [_dtype_name(value.dtype), list(value.shape), data, fortran]}
        return self.numpy_scalar(value)

    def numpy_scalar(self, value: Any) -> Any:
        kind: Any = type(value)
        numpy: Any = sys.modules.get("numpy")
        if not issubclass(kind, getattr(numpy, "generic", ())):
            raise Refused(_cannot(kind))
        if kind is numpy.str_:
            return {NUMPY_SCALAR: ["U", self.string(str.__str__(value))]}
        if kind is numpy.bytes_:
            return {NUMPY_SCALAR: ["S", bytes(value)]}
        if kind is not value.dtype.type:
            raise Refused(_cannot(kind))
        return {NUMPY_SCALAR: [_dtype_name(value.dtype), value.tobytes()]}

    def enum(self, value: Enum) -> Any:
        kind = type(value)
        path = _class_path(kind)
        if kind.__members__.get(value._name_) is value:
            return {ENUM: [path, value._name_]}
        if isinstance(value, Flag) and type(value._value_) is int and abs(value._value_) < _INT64:
            return {ENUM: [path, value._value_]}  # several flags at once have no name that can be looked up
        raise Refused(f"{path} has no such member")


def _step(key: Any) -> str:
    """The part of a path that leads to a dict's value."""
    if type(key) is str:
        return f".{key}" if key.isidentifier() and len(key) < 80 else f"[{key[:40]!a}]"
    return f"[{key}]" if type(key) is int and key.bit_length() < 64 else "[...]"


def _cannot(kind: type) -> str:
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    for base in (list, tuple, set, frozenset, dict, str, bytes, int, float, datetime, date, Decimal):
        if issubclass(kind, base):
            return f"{article} {name} can't be stored exactly (a subclass of {base.__name__})"
    return f"{article} {name} can't be stored"


def _dtype_name(dtype: Any) -> str:
    # By its character where it has one: int64 and longlong are two types with the same `str`.
    name = dtype.str if dtype.kind in "SUmM" else dtype.str[:1] + dtype.char
    if not DTYPE.fullmatch(name):
        raise Refused(f"numpy values of dtype {dtype} can't be stored")
    return str(name)


def _class_path(kind: type) -> str:
    path = f"{kind.__module__}:{kind.__qualname__}"
    if find_class(path) is not kind:
        raise Refused(f"{path} can't be found again by its name, so its instances can't be stored")
    return path


def _state(value: Any) -> dict[str, Any]:
    """The fields of a dataclass's instance, read without running its code."""
    kind: Any = type(value)
    state = object.__getstate__(value)
    parts = state if isinstance(state, tuple) else (state,)
    values = {name: item for part in parts if isinstance(part, dict) for name, item in part.items()}
    names = [field.name for field in fields(kind)]
    if values.keys() != set(names):
        odd = ", ".join(sorted(values.keys() ^ set(names)))
        raise Refused(f"a {kind.__qualname__} whose attributes are not its fields can't be stored ({odd})")
    try:
        blank(kind)
    except TypeError as error:
        raise Refused(f"{_cannot(kind)}: {error}") from None
    return {name: values[name] for name in names}


def _time_parts(value: time | datetime) -> list[Any]:
    parts = [value.hour, value.minute, value.second, value.microsecond, value.fold]
    return [*parts, _zone_node(value.tzinfo)]


def _zone_node(zone: Any) -> Any:
    if zone is None:
        return None
    if type(zone) is timezone:
        offset, *name = cast(Any, zone).__getinitargs__()
        return [offset // MICROSECOND, *name]
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo and type(zone) is zoneinfo.ZoneInfo and zone.key and ZONE.fullmatch(zone.key):
        return zone.key
    raise Refused(f"a time zone of type {type(zone).__qualname__} can't be stored exactly")


_WRITE: dict[type, Callable[[Tree, Any, int], Any]] = {
    str: lambda tree, value, _depth: tree.string(value),
    bytes: lambda _tree, value, _depth: value,
    list: Tree.items,
    tuple: lambda tree, value, depth: {TUPLE: tree.items(value, depth)},
    set: Tree.unordered,
    frozenset: Tree.unordered,
    dict: Tree.mapping,
    complex: lambda _tree, value, _depth: {COMPLEX: [value.real, value.imag]},
    date: lambda _tree, value, _depth: {DATE: [value.year, value.month, value.day]},
    time: lambda _tree, value, _depth: {TIME: _time_parts(value)},
    datetime: lambda _tree, value, _depth: {DATETIME: [value.year, value.month, value.day, *_time_parts(value)]},
    timedelta: lambda _tree, value, _depth: {TIMEDELTA: [value.days, value.seconds, value.microseconds]},
    Decimal: lambda _tree, value, _depth: {DECIMAL: str(value)},
    UUID: lambda _tree, value, _depth: {UUID_: value.bytes},
    Summary: lambda tree, value, _depth: {SUMMARY: [value.mode, tree.string(value.text)]},
}
