"""Value -> bytes, and back with the same types: a closed, versioned format that runs no code of anybody.

The first byte is the format; the rest is MessagePack of the nodes that `to_nodes` describes. A tuple at the
top has a format byte of its own, because recorded arguments are tuples of plain values and must be encoded
without a visit to each element.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from poet_hook.errors import CodecError
from poet_hook.model import Execution
from poet_hook.store.from_nodes import Reader
from poet_hook.store.to_nodes import (
    NUMBERS,
    SIZED,
    Refused,
    Summary,
    Tree,
    is_array,
    only_scalars,
    only_text,
    too_large,
)

__all__ = [
    "ExecutionRow",
    "Summary",
    "decode",
    "digest",
    "encode",
    "pack_execution",
    "shape",
    "unpack_execution",
    "utf8",
]

MAX_DIGEST_BYTES = 1 << 26
_VALUE, _TUPLE_ON_TOP = b"\x10", b"\x11"
_FEW = 64

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def encode(value: Any, max_bytes: int = 262_144) -> bytes:
    """Return `value` as at most `max_bytes` bytes; CodecError says what can't be stored exactly and where."""
    try:
        try:
            kind = type(value)
            if kind is tuple and len(value) <= _FEW and _is_plain(value, max_bytes):
                data = _TUPLE_ON_TOP + _pack(value)
            elif kind in NUMBERS or _stands_for_itself(value, max_bytes):
                data = _VALUE + _pack(value)
            else:
                data = _VALUE + _pack(Tree(max_bytes, _pack, careful=False).node(value, 0))
        except (OverflowError, UnicodeEncodeError):  # somewhere is a large int or a lone surrogate
            data = _VALUE + _pack(Tree(max_bytes, _pack, careful=True).node(value, 0))
        if len(data) > max_bytes:
            raise too_large(max_bytes)
    except Refused as refused:
        raise CodecError(refused.in_words()) from None
    except RecursionError:
        raise CodecError("nested too deep to be stored") from None
    except Exception as error:  # another thread changed the value meanwhile: the caller must go on all the same
        raise CodecError(f"can't be stored: {type(error).__name__}: {error}") from error
    return data


def decode(data: bytes, types: Mapping[str, type] | None = None, *, plain: bool = False) -> Any:
    """Return the value that `encode` made `data` of; CodecError for any other bytes.

    Classes are named "module:qualname" and looked up in `types`, then among the modules already imported. With
    `plain` none is looked up: a dataclass instance becomes a dict of its fields, a member its name.
    """
    try:
        node = _unpack(memoryview(data)[1:])
        reader = Reader(types or {}, plain)
        if data[:1] == _TUPLE_ON_TOP:
            return tuple(reader.items(node, 0))
        if data[:1] == _VALUE:
            return reader.value(node, 0)
    except CodecError:
        raise
    except Exception as error:  # the bytes may be anything, and so may be what they make fail
        raise CodecError(f"these bytes are no stored value: {type(error).__name__}: {error}") from error
    raise CodecError(f"these bytes are no stored value: their format is {data[:1].hex()}")


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of the encoded value, or of its type's name and "?" where there is none."""
    try:
        data = encode(value, MAX_DIGEST_BYTES)
    except CodecError:
        data = utf8(f"{type(value).__name__}?").encode()
    return hashlib.sha256(data).hexdigest()


def shape(value: Any) -> str:
    """Return the type and size of a value in short words, and nothing of its content: "list of 20 float"."""
    kind = type(value)
    if is_array(value):
        return f"ndarray {value.dtype} {value.shape}"
    if kind not in SIZED:
        return kind.__name__
    words = f"{kind.__name__} of {len(value)}"
    kinds = set(map(type, list(value))) if kind in (list, tuple, set, frozenset) else set()
    return f"{words} {kinds.pop().__name__}" if len(kinds) == 1 else words


def utf8(text: str) -> str:
    """Return `text` with lone surrogates spelled out, since neither MessagePack nor SQLite takes them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _stands_for_itself(value: Any, max_bytes: int) -> bool:
    kind = type(value)
    if kind is list:
        return len(value) <= max_bytes and only_scalars(map(type, value))
    return kind is dict and len(value) <= _FEW and only_text(map(type, value)) and _is_plain(value.values(), max_bytes)


def _is_plain(items: Iterable[Any], max_bytes: int) -> bool:
    """Whether MessagePack keeps each item as it is: scalars, and lists of them, none of them too long."""
    for item in items:
        kind = type(item)
        if kind in NUMBERS:
            continue
        if kind is list:
            if len(item) > max_bytes or not only_scalars(map(type, item)):
                return False
        elif (kind is not str and kind is not bytes) or len(item) > max_bytes:
            return False
    return True


# --------------------------------------------------------------------------- executions

_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
ExecutionRow = tuple[
    str,
    str,
    _Count,
    str,
    float,
    float,
    Literal["result", "error", "fallback"],
    bytes | None,
    bytes | None,
    str | None,
    str | None,
    _Count,
    str,
    str | None,
    bytes | None,
    bytes | None,
    str | None,
]
_FIRST_ROW = 13  # fields of an execution in format 1
_execution_row = attrgetter(*(field.name for field in fields(Execution)))
_unpack_execution = msgspec.msgpack.Decoder(tuple[Literal[2], ExecutionRow]).decode
_unpack_first = msgspec.msgpack.Decoder(tuple[Literal[1], tuple[Any, ...]]).decode


def pack_execution(execution: Execution) -> bytes:
    """Return the journal's payload for one execution."""
    row = _execution_row(execution)
    try:
        return _pack((2, row))
    except UnicodeEncodeError:
        return _pack((2, tuple(utf8(part) if isinstance(part, str) else part for part in row)))


def unpack_execution(payload: bytes) -> ExecutionRow:
    """Return an execution's fields in the order of `Execution`; CodecError if it is none of this format."""
    try:
        if payload[1:2] == b"\x01":  # written before there were streams
            first = _unpack_first(payload)[1]
            if len(first) != _FIRST_ROW:
                raise ValueError(f"{len(first)} fields")
            payload = _pack((2, (*first, None, None, None, None)))
        return _unpack_execution(payload)[1]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CodecError(f"not an execution of this format: {error}") from None
