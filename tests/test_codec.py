from __future__ import annotations

import enum
import math
import re
import socket
import struct
import subprocess
import sys
import threading
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from poet_hook.errors import CodecError
from poet_hook.model import Execution
from poet_hook.store import codec
from poet_hook.store.codec import Summary, decode, digest, encode, shape


class Colour(enum.Enum):
    RED = "r"
    ALSO_RED = "r"  # noqa: PIE796
    DEEP = ("tuple", 1)


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@dataclass(frozen=True)
class Point:
    x: float
    tags: tuple[str, ...] = ()
    hidden: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        CONSTRUCTED.append(self)


@dataclass(slots=True)
class Slotted:
    inner: Any


class Zone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, moment: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return "here"


class Outer:
    @dataclass
    class Inner:
        n: int


CONSTRUCTED: list[Point] = []
Pair = namedtuple("Pair", "a b")


def same(left: Any, right: Any) -> bool:
    """Equal in value and in type all the way down; NaN is itself, and 0.0 is not -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, set | frozenset):
        rest = list(right)
        for item in left:
            match = next((index for index, other in enumerate(rest) if same(item, other)), None)
            if match is None:
                return False
            del rest[match]
        return not rest
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, np.ndarray):
        alike = left.dtype.char == right.dtype.char and left.shape == right.shape
        return bool(alike and same_bytes(left, right))
    if isinstance(left, np.generic):
        return bool(left.dtype == right.dtype and left.tobytes() == right.tobytes())
    if isinstance(left, datetime | time):
        zones = (left.tzinfo, right.tzinfo)
        return bool(left == right and repr(left) == repr(right)) and type(zones[0]) is type(zones[1])
    if isinstance(left, Decimal):
        return bool(left.as_tuple() == right.as_tuple())
    if isinstance(left, Point):
        return same((left.x, left.tags, left.hidden), (right.x, right.tags, right.hidden))
    if isinstance(left, Slotted):
        return same(left.inner, right.inner)
    return bool(left == right)


def same_bytes(left: Any, right: Any) -> bool:
    return bool(left.tobytes() == right.tobytes() and left.flags.f_contiguous == right.flags.f_contiguous)


zones = (
    st.none()
    | st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), UTC])
    | st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)), st.just("X"))
)
texts = st.text() | st.text(st.characters(categories=["Cs", "Lu"]), min_size=1)
hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | texts
    | st.binary()
    | st.complex_numbers()
    | st.dates()
    | st.datetimes(timezones=zones)
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.sampled_from([Decimal("-0E+5"), *Colour, *Level, Mode.READ, Mode.READ | Mode.WRITE])
    | st.uuids(),
    lambda inner: (
        st.lists(inner).map(tuple)
        | st.frozensets(inner, max_size=4)
        | st.builds(Point, st.floats(), st.lists(texts).map(tuple), inner)
    ),
    max_leaves=6,
)
arrays = st.builds(
    lambda dtype, rows, fortran: np.array(np.arange(rows * 3).reshape(rows, 3), dtype, order="F" if fortran else "C"),
    st.sampled_from(["?", "b", "H", "i", "q", ">u8", "e", "f", "d", ">d", "g", "D", "M8[us]", "m8[3D]", "U5", "S3"]),
    st.integers(0, 4),
    st.booleans(),
)
values = st.recursive(
    hashable | arrays | st.decimals(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.sets(hashable, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.dictionaries(texts, inner, max_size=4)
        | st.builds(Slotted, inner)
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(values)
@example([math.nan, -0.0, math.inf, 2**64, -(2**63) - 1, 2**63, "\ud800", b"\xff"])
@example({1: {"a": ()}, (2, "b"): [set()], None: {}, "": frozenset({1})})
@example({0: 1})
@example(({"x": 1.0, "y": [1.0, 2.0]}, [[1.0], [2.0]]))
def test_round_trip_keeps_values_and_types(value: Any) -> None:
    assert same(decode(encode(value)), value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60).map(lambda tail: bytes([0x10 + (len(tail) & 1)]) + tail) | st.binary(max_size=40))
@example(b"")
@example(b"\x10\xdd\xff\xff\xff\xff")
@example(b"\x10" + b"\x91" * 100_000 + b"\xc0")
@example(b"\x10" + b"\x91" * 150 + b"\xc0")
@example(b"\x10\xd6\xff\x00\x00\x00\x00")
def test_foreign_bytes_raise_only_codec_errors(data: bytes) -> None:
    try:
        decode(data)
    except CodecError:
        pass


@settings(max_examples=300, deadline=None)
@given(values, st.data())
def test_damaged_bytes_raise_only_codec_errors(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(encoded[: data.draw(st.integers(0, len(encoded)))]))
    except CodecError:
        pass


def nodes(node: Any) -> bytes:
    return b"\x10" + codec._pack(node)


@pytest.mark.parametrize(
    "node",
    [
        {99: 1},
        {0: 5},
        {3: [1]},
        {3: [[], 1]},
        {4: [1]},
        {7: [2024, 13, 1]},
        {9: [2024, 1, 1, 0, 0, 0, 0, 0, "../../etc/passwd"]},
        {9: [2024, 1, 1, 0, 0, 0, 0, 0, "America"]},
        {9: [2024, 1, 1, 0, 0, 0, 0, 0, "No/Such"]},
        {11: "x"},
        {12: b"1"},
        {13: ["os:system", "x"]},
        {13: ["no.such:Thing", "x"]},
        {13: [f"{__name__}:Colour", "BLUE"]},
        {13: [f"{__name__}:Colour", 7]},
        {13: [f"{__name__}:Point", "x"]},
        {14: [f"{__name__}:Point", {"x": 1.0}]},
        {14: [f"{__name__}:Colour", {}]},
        {14: ["subprocess:Popen", {"args": "true"}]},
        {15: ["O", b"12345678"]},
        {15: ["<d", b"1"]},
        {16: ["<d", [-1, -1], b"12345678", False]},
        {16: ["<d", [2**63], b"", False]},
        {16: ["<d", [0, 2**62, 2**62], b"", False]},
        {16: ["<U1", [1], b"\xff\xff\xff\xff", False]},
        {16: ["<d", [10**9], 10**9, False]},
        {17: ["full", "x"]},
        {"a": 1, 2: 3},
    ],
)
def test_malformed_nodes_are_refused(node: Any) -> None:
    with pytest.raises(CodecError):
        decode(nodes(node))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Pair(1, 2), "Pair can't be stored exactly (a subclass of tuple)"),
        (OrderedDict(a=1), "subclass of dict"),
        (type("Text", (str,), {})("x"), "subclass of str"),
        (np.float64.__mro__[1], "a type can't be stored"),
        (lambda: 1, "a function can't be stored"),
        (np.ma.masked_array([1.0]), "can't be stored"),
        (np.array([object()]), "dtype object can't be stored"),
        (np.zeros(2, "i4,f8"), "can't be stored"),
        (np.void(b"12"), "can't be stored"),
        (datetime(2024, 1, 1, tzinfo=Zone()), "a time zone of type Zone can't be stored exactly"),
        ({"x": Slotted([1, object()])}, "x.inner[1]: an object can't be stored"),
        ({"odd key": {3: {None: object()}}}, "['odd key'][3][...]: an object"),
        ({(1, object()): 1}, "key [...][1]: an object"),
        ((1.0, [2.0, {"deep": {1, Ellipsis}}]), "[1][1].deep["),
    ],
)
def test_what_cant_be_stored_is_named(value: Any, message: str) -> None:
    with pytest.raises(CodecError, match=re.escape(message)):
        encode(value)


def test_a_socket_is_named_with_its_path() -> None:
    with socket.socket() as sock, pytest.raises(CodecError, match=r"^x\.y: a socket\.socket can't be stored$"):
        encode({"x": {"y": sock}})


def test_cycles_depth_and_shared_lists_end_in_an_error() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(CodecError, match="circle"):
        encode(circle)
    deep: Any = 1.0
    for _ in range(100):
        deep = [deep]
    assert same(decode(encode(deep)), deep)
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(CodecError, match="nested deeper than 100"):
        encode(deep)
    doubled: Any = []
    for _ in range(60):
        doubled = [doubled, doubled]
    with pytest.raises(CodecError, match=r"^larger than 262,144 bytes$"):
        encode(doubled)


def test_a_nearly_full_stack_is_no_recursion_error() -> None:
    def descend() -> None:
        try:
            descend()
        except RecursionError:
            try:
                encode({1: {2: {3: {4: {5: 6}}}}})
            except CodecError as error:
                errors.append(str(error))
            raise

    errors: list[str] = []
    with pytest.raises(RecursionError):
        descend()
    assert errors


@pytest.mark.parametrize(
    "value", ["x" * 300, (1, "x" * 300), [1.0] * 300, {"a": b"x" * 300}, ([1.0] * 300,), np.zeros(300), 2**3000]
)
def test_size_limit(value: Any) -> None:
    with pytest.raises(CodecError, match=r"^larger than 256 bytes$"):
        encode(value, 256)
    assert same(decode(encode(value, 4096)), value)


def test_size_limit_is_exact() -> None:
    for value in ([""] * 1000, ["\ud800", *[""] * 1000], {"k": {"a": [""] * 50}}):
        size = len(encode(value))
        assert same(decode(encode(value, size)), value)
        with pytest.raises(CodecError, match="larger than"):
            encode(value, size - 1)


def test_dataclasses_are_made_without_their_constructors() -> None:
    data = encode(Point(1.0, hidden=Outer.Inner(3)))
    made = len(CONSTRUCTED)
    assert decode(data).hidden == Outer.Inner(3)
    assert len(CONSTRUCTED) == made


def test_dataclasses_that_would_come_back_different_are_refused() -> None:
    @dataclass
    class Local:
        n: int = 1

    with pytest.raises(CodecError, match="can't be found again by its name"):
        encode(Local())
    point = Point(1.0)
    object.__setattr__(point, "cache", 3)
    with pytest.raises(CodecError, match=r"not its fields.*cache"):
        encode(point)
    unset = object.__new__(Slotted)
    with pytest.raises(CodecError, match=r"not its fields.*inner"):
        encode(unset)


@dataclass
class Listing(list[int]):
    n: int = 1


@dataclass
class Temporary:
    path: str

    def __del__(self) -> None:
        CONSTRUCTED.append(Point(0.0))


def test_dataclasses_that_cant_be_made_blank_are_refused() -> None:
    with pytest.raises(CodecError, match="Listing can't be stored"):
        encode(Listing())
    with pytest.raises(CodecError, match="finaliser"):
        encode(Temporary("x"))
    with pytest.raises(CodecError, match="finaliser"):
        decode(nodes({14: [f"{__name__}:Temporary", {"path": "x"}]}))


def test_classes_come_from_types_or_from_imported_modules_only(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Other:
        x: float
        tags: tuple[str, ...]
        hidden: Any

    data = encode(Point(2.0))
    found = decode(data, {f"{__name__}:Point": Other})
    assert type(found) is Other
    assert found.x == 2.0
    monkeypatch.delitem(sys.modules, __name__)
    with pytest.raises(CodecError, match="Point is not imported here"):
        decode(data)
    assert decode(data, {f"{__name__}:Point": Point}) == Point(2.0)
    assert "antigravity" not in sys.modules
    with pytest.raises(CodecError, match="not imported here"):
        decode(nodes({13: ["antigravity:X", "Y"]}))
    assert "antigravity" not in sys.modules


def test_numpy_types_are_kept_and_arrays_are_the_callers_own() -> None:
    for scalar in (
        np.float64(1.5),
        np.longlong(3),
        np.int64(3),
        np.bool_(True),
        np.datetime64("NaT", "s"),
        np.str_("a\0"),
    ):
        assert same(decode(encode(scalar)), scalar)
        assert type(decode(encode([scalar]))[0]) is type(scalar)
    assert same(decode(encode(np.bytes_(b"a\0"))), np.bytes_(b"a\0"))
    array = np.arange(12.0).reshape(3, 4)[:, ::2]
    found = decode(encode(array))
    found[0, 0] = 7.0
    assert found.tolist()[1:] == array.tolist()[1:]


def test_numpy_is_not_imported_by_encoding_and_its_absence_is_said() -> None:
    code = (
        "import sys\n"
        "from poet_hook.store.codec import decode, encode, shape\n"
        "from poet_hook.errors import CodecError\n"
        "encode((1.0, [2.0], {'a': {1}})), shape([1])\n"
        "assert 'numpy' not in sys.modules and 'sqlite3' not in sys.modules\n"
        "sys.modules['numpy'] = None\n"
        "try: decode(bytes.fromhex(sys.argv[1]))\n"
        "except CodecError as error: print(error)\n"
    )
    root = str(Path(codec.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, encode(np.zeros(2)).hex()],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": root},
        check=False,
    )
    assert done.stdout == "this value needs numpy, which is not installed here\n", done.stderr


def test_a_change_after_encoding_changes_nothing() -> None:
    history, table = [1.0, 2.0], {"a": [1]}
    data = encode((history, table))
    history.append(3.0)
    table["a"].append(2)
    table["b"] = []
    assert decode(data) == ([1.0, 2.0], {"a": [1]})


def test_a_change_during_encoding_is_a_codec_error_at_worst() -> None:
    shared: dict[Any, Any] = {0: 0}
    stop = threading.Event()

    def change() -> None:
        n = 0
        while not stop.is_set():
            n = (n + 1) % 50
            shared[n] = [n]
            shared.pop((n * 7) % 50, None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            try:
                decode(encode([shared, shared]))
            except CodecError as error:
                assert "can't be stored" in str(error)  # noqa: PT017
    finally:
        stop.set()
        thread.join()


def test_digest_depends_on_the_value_alone() -> None:
    assert digest({"a", "b", "c", "d"}) == digest({"d", "c", "b", "a"})
    assert digest(1) != digest(True) != digest(1.0)
    assert re.fullmatch("[0-9a-f]{64}", digest("x" * 400_000))
    assert digest("x" * 400_000) != digest("x" * 400_001)
    assert digest(object()) == digest(object()) != digest(print)
    command = [sys.executable, "-c", "from poet_hook.store.codec import digest; print(digest(frozenset('abcdef')))"]
    root = str(Path(codec.__file__).parents[2])
    outputs = {
        subprocess.check_output(command, env={"PYTHONPATH": root, "PYTHONHASHSEED": seed}) for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.0, "float"),
        (None, "NoneType"),
        ("x" * 12, "str of 12"),
        ([1.0] * 20, "list of 20 float"),
        ([1, "a"], "list of 2"),
        ((), "tuple of 0"),
        ({1, 2}, "set of 2 int"),
        ({"a": 1, "b": 2, "c": 3}, "dict of 3"),
        (np.zeros((3, 4)), "ndarray float64 (3, 4)"),
        (Point(1.0), "Point"),
    ],
)
def test_shape_in_words(value: Any, words: str) -> None:
    assert shape(value) == words


@pytest.mark.parametrize("mode", ["hash", "shape", "none"])
def test_summary_round_trip(mode: str) -> None:
    assert decode(encode((1.0, Summary(mode, "list of 3 float")))) == (1.0, Summary(mode, "list of 3 float"))


def test_executions_are_packed_and_foreign_payloads_refused() -> None:
    execution = Execution("e1", "m:f", 1, "h", 1, 0.5, "error", b"a", None, "E: \udcff", "k\ud800", 2, "")
    row = codec.unpack_execution(codec.pack_execution(execution))
    first = ("e1", "m:f", 1, "h", 1.0, 0.5, "error", b"a", None, "E: \\udcff", "k\\ud800", 2, "")
    assert row == (*first, None, None, None, None)
    for payload in (b"", b"\x00", codec._pack((3, row)), codec._pack((2, row[:-1])), codec._pack((2, (1, *row[1:])))):
        with pytest.raises(CodecError):
            codec.unpack_execution(payload)


def test_plain_values_are_known() -> None:
    for value in (uuid4(), UUID(int=0), date.min, datetime.max, timedelta.min, time.max, Decimal("1E+100"), Mode(0)):
        assert same(decode(encode(value)), value)
