"""Nodes -> value: the way back of `to_nodes`, on bytes that anybody may have written."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import EnumType, Flag
from typing import Any
from uuid import UUID

from poet_hook.errors import CodecError
from poet_hook.store import to_nodes as nodes
from poet_hook.store.to_nodes import MAX_DEPTH, SCALARS, Summary, blank, find_class, only_scalars


class Reader:
    """Makes the value of nodes; anything unforeseen raises (of any type, `decode` makes one of it)."""

    def __init__(self, types: Mapping[str, type], plain: bool = False) -> None:
        self.plain = plain
        self.types = types

    def value(self, node: Any, depth: int) -> Any:
        kind = type(node)
        if kind in SCALARS:
            return node
        if depth > MAX_DEPTH:
            raise _foreign(f"nested deeper than {MAX_DEPTH}")
        if kind is list:
            return self.items(node, depth)
        if kind is not dict:
            raise _foreign(f"a {kind.__name__} in them")
        if len(node) == 1 and type(tag := next(iter(node))) is int:
            return _READ[tag](self, node[tag], depth)
        if not all(type(key) is str for key in node):
            raise _foreign("a key that is neither text nor a tag in them")
        return {key: self.value(item, depth + 1) for key, item in node.items()}

    def items(self, node: Any, depth: int) -> list[Any]:
        items: list[Any] = _typed(node, list)
        if only_scalars(map(type, items)):
            return items
        return [self.value(item, depth + 1) for item in items]

    def mapping(self, node: Any, depth: int) -> dict[Any, Any]:
        items = self.items(node, depth)
        return dict(zip(items[::2], items[1::2], strict=True))

    def found(self, path: Any) -> Any:
        found = self.types.get(path) or find_class(_typed(path, str))
        if not isinstance(found, type):
            raise CodecError(f"the class {path} is not imported here, so its instances can't be read")
        return found

    def enum(self, node: Any, _depth: int) -> Any:
        path, member = _typed(node, list)
        if self.plain:
            return member
        kind = self.found(path)
        if not isinstance(kind, EnumType):
            raise CodecError(f"{path} is not an enumeration any more")
        if type(member) is int and issubclass(kind, Flag):
            return kind(member)
        if member not in kind.__members__:
            raise CodecError(f"{path} has no member {member} any more")
        return kind.__members__[member]

    def instance(self, node: Any, depth: int) -> Any:
        path, state = _typed(node, list)
        if self.plain:
            return {name: self.value(item, depth + 1) for name, item in _typed(state, dict).items()}
        kind = self.found(path)
        names = _typed(state, dict).keys()
        if not is_dataclass(kind) or {field.name for field in fields(kind)} != names:
            raise CodecError(f"{path} is not a dataclass with the fields {', '.join(map(str, names))} any more")
        value = blank(kind)
        for name, item in state.items():
            object.__setattr__(value, name, self.value(item, depth + 1))
        return value

    def summary(self, node: Any, depth: int) -> Summary:
        mode, text = self.items(node, depth)
        if mode not in ("hash", "shape", "none"):
            raise _foreign("a summary without meaning in them")
        return Summary(mode, _typed(text, str))

    def numpy_scalar(self, node: Any, depth: int) -> Any:
        name, data = _typed(node, list)
        if name == "U":
            return _numpy().str_(_typed(self.value(data, depth + 1), str))
        if name == "S":
            return _numpy().bytes_(_typed(data, bytes))
        return _array([name, [], data, False])[()]


def _foreign(reason: str) -> CodecError:
    return CodecError(f"these bytes are no stored value: {reason}")


def _typed(node: Any, kind: type) -> Any:
    if type(node) is not kind:
        raise _foreign(f"{type(node).__name__} in the place of {kind.__name__}")
    return node


def _zone(node: Any) -> Any:
    if node is None:
        return None
    if type(node) is list:
        offset, *name = node
        return timezone(offset * nodes.MICROSECOND, *name)
    if not nodes.ZONE.fullmatch(node):
        raise _foreign("a time zone without meaning in them")
    return importlib.import_module("zoneinfo").ZoneInfo(node)


def _time(node: Any) -> time:
    hour, minute, second, microsecond, fold, zone = _typed(node, list)
    return time(hour, minute, second, microsecond, _zone(zone), fold=fold)


def _datetime(node: Any) -> datetime:
    year, month, day, *rest = _typed(node, list)
    return datetime.combine(date(year, month, day), _time(rest))


def _numpy() -> Any:
    try:
        return importlib.import_module("numpy")
    except ImportError:
        raise CodecError("this value needs numpy, which is not installed here") from None


def _array(node: Any) -> Any:
    name, dimensions, data, fortran = _typed(node, list)
    if not nodes.DTYPE.fullmatch(name):
        raise _foreign("a dtype without meaning in them")
    dtype = _numpy().dtype(name)
    size = math.prod(_typed(length, int) for length in _typed(dimensions, list))
    if len(_typed(data, bytes)) != size * dtype.itemsize or min(dimensions, default=0) < 0:
        raise _foreign("an array of another size in them")
    array = _numpy().ndarray(dimensions, dtype, data, order="F" if fortran else "C").copy(order="K")
    if dtype.kind == "U":
        array.tolist()  # raises for what is no character; later it would raise in the user's function
    return array


_READ: dict[int, Callable[[Reader, Any, int], Any]] = {
    nodes.TUPLE: lambda reader, node, depth: tuple(reader.items(node, depth)),
    nodes.SET: lambda reader, node, depth: set(reader.items(node, depth)),
    nodes.FROZENSET: lambda reader, node, depth: frozenset(reader.items(node, depth)),
    nodes.DICT: Reader.mapping,
    nodes.INT: lambda _reader, node, _depth: int.from_bytes(_typed(node, bytes), "little", signed=True),
    nodes.STR: lambda _reader, node, _depth: _typed(node, bytes).decode("utf-8", "surrogatepass"),
    nodes.COMPLEX: lambda _reader, node, _depth: complex(*_typed(node, list)),
    nodes.DATE: lambda _reader, node, _depth: date(*_typed(node, list)),
    nodes.TIME: lambda _reader, node, _depth: _time(node),
    nodes.DATETIME: lambda _reader, node, _depth: _datetime(node),
    nodes.TIMEDELTA: lambda _reader, node, _depth: timedelta(*_typed(node, list)),
    nodes.DECIMAL: lambda _reader, node, _depth: Decimal(_typed(node, str)),
    nodes.UUID_: lambda _reader, node, _depth: UUID(bytes=_typed(node, bytes)),
    nodes.ENUM: Reader.enum,
    nodes.DATACLASS: Reader.instance,
    nodes.NUMPY_SCALAR: Reader.numpy_scalar,
    nodes.NUMPY_ARRAY: lambda _reader, node, _depth: _array(node),
    nodes.SUMMARY: Reader.summary,
}
