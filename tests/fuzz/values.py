"""Any bytes -> a value or our error; any value -> bytes -> the very value."""

from __future__ import annotations

from typing import Any

import test_codec
from hypothesis import strategies as st

from fuzz import Target, plainly, within
from poet_hook.errors import CodecError
from poet_hook.store import codec

_SECONDS = 2.0
_damage = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=4)
_CASES = st.one_of(
    st.tuples(test_codec.values, _damage, st.integers(0, 1 << 20)),
    st.binary(max_size=200),
    st.binary(max_size=200).map(bytes([0x10]).__add__),
)


def _check(case: Any) -> None:
    if isinstance(case, bytes):
        _read(case)
        return
    value, damage, cut = case
    with within(_SECONDS):
        data = codec.encode(value)
        assert test_codec.same(codec.decode(data), value)
    _read(data)
    damaged = bytearray(data)
    for place, byte in damage:
        damaged[place % len(damaged)] = byte
    _read(bytes(damaged))
    _read(bytes(damaged[: cut % (len(damaged) + 1)]))


def _read(data: bytes) -> None:
    """Our error, or a value that can be written again."""
    for plain in (False, True):
        with within(_SECONDS):
            try:
                value = codec.decode(data, plain=plain)
            except CodecError:
                continue
        codec.shape(value)
        codec.digest(value)
    with within(_SECONDS):
        try:
            codec.unpack_execution(data)
        except CodecError:
            pass


CODEC = Target("codec", _CASES, plainly(_check))
