from __future__ import annotations

import math
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poet_hook.domains.base import KNOWN, MEANINGS, decision, load
from poet_hook.errors import SettingsError
from poet_hook.model import ANOMALY_FIELDS

MONITORING = load("ml_monitoring")
GENERIC = load("generic")


@pytest.mark.parametrize("name", KNOWN)
def test_each_known_domain_loads_under_its_name(name: str) -> None:
    domain = load(name)
    assert domain.name == name
    assert domain.title
    for phrase, meaning in domain.phrases:
        assert phrase == phrase.lower().strip() != ""
        assert meaning in MEANINGS
    assert len({phrase for phrase, _ in domain.phrases}) == len(domain.phrases)


@pytest.mark.parametrize("name", ["ml-monitoring", "", "base", "os", "../generic", "generic.DOMAIN"])
def test_an_unknown_domain_is_refused_and_the_known_are_named(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(name)
    for known in KNOWN:
        assert known in str(caught.value)


def test_loading_is_late_and_light() -> None:
    code = (
        "import sys, poet_hook.domains.base as base;"
        "assert 'poet_hook.domains.ml_monitoring' not in sys.modules;"
        "base.load('ml_monitoring');"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@dataclass
class Report:
    drift_detected: Any = None
    p_value: Any = 0.5
    score: Any = 1.0


class Careless:
    @property
    def is_anomaly(self) -> bool:
        raise RuntimeError("boom")

    alert = False


Pair = namedtuple("Pair", "anomaly score")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, True),
        (False, False),
        (numpy.bool_(True), True),
        (numpy.bool_(False), False),
        ({"is_anomaly": True}, True),
        ({"alert": numpy.bool_(False), "score": 1}, False),
        ({"is_anomaly": "yes", "drift": False}, False),
        ({"is_anomaly": 1}, None),
        ({"other": True}, None),
        (Report(True), True),
        (Report(False), False),
        (Report("no"), None),
        (Pair(False, 1.0), False),
        (Careless(), False),
        (1, None),
        (0.0, None),
        ("true", None),
        (None, None),
        ([True], None),
        (numpy.array([True]), None),
    ],
)
def test_decision(value: Any, said: bool | None) -> None:
    assert decision(value) is said


@pytest.mark.parametrize("field", ANOMALY_FIELDS)
def test_decision_reads_each_field(field: str) -> None:
    assert decision({field: True}) is True


SEQUENCES = [
    "list", "tuple", "list[float]", "list[int]", "List[float]", "typing.List[float]", "Sequence[float]",
    "tuple[float, ...]", "list[float | None]", "list[Optional[float]]", "np.ndarray", "list[int | float]",
]  # fmt: skip


@pytest.mark.parametrize("kind", SEQUENCES)
@pytest.mark.parametrize(
    "value",
    [
        [],
        [1.0, 2.5],
        [1, 2],
        (1.0, 2.0),
        [True, False],
        [1e308, 1e308],
        [10**400, 1],
        [Fraction(1, 3), 2],
        [Decimal("1.5"), 1],
    ],
)
def test_clean_sequences_come_back_as_the_same_object(kind: str, value: Any) -> None:
    if kind != "np.ndarray":
        assert MONITORING.normalise(kind, value) is value


@pytest.mark.parametrize(
    ("kind", "value", "becomes"),
    [
        ("list[float]", [1.0, None, 2.0], [1.0, 2.0]),
        ("list[float]", [1.0, math.nan, math.inf, -math.inf, 2.0], [1.0, 2.0]),
        ("list[float]", ["1.5", " 2 ", 3], [1.5, 2.0, 3]),
        ("list[float]", ["nan", "1", "inf"], [1.0]),
        ("list[float]", [None], []),
        ("list[int]", ["3", 4, None], [3, 4]),
        ("list[int | None]", [4, None], [4]),
        ("tuple[float, ...]", (1.0, math.nan), (1.0,)),
        ("tuple", (1.0, None, "2"), (1.0, 2.0)),
        ("list", [1, None, "2"], [1, 2.0]),
        ("Sequence[float]", (None, 1.0), (1.0,)),
        ("list[float]", [Decimal("NaN"), Decimal("1.5")], [Decimal("1.5")]),
        ("list[float]", [numpy.float32("nan"), numpy.float32(1.5)], [1.5]),
        ("list[float]", [10**400, None], [10**400]),
        ("list[float]", [1e308, 1e308, None], [1e308, 1e308]),
    ],
)
def test_sequences_lose_what_is_no_number(kind: str, value: Any, becomes: Any) -> None:
    before = type(value)(value)
    result = MONITORING.normalise(kind, value)
    assert result == becomes
    assert type(result) is type(value)
    assert [type(item) for item in result] == [type(item) for item in becomes] or numpy.float32 in map(type, value)
    assert repr(value) == repr(before), "the caller's own list was changed"


class Stubborn:
    def __radd__(self, other: Any) -> Any:
        raise RuntimeError("boom")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("boom")

    __hash__ = None  # type: ignore[assignment]


class OwnList(list):  # type: ignore[type-arg]
    pass


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("float", math.nan),
        ("float", "1.5"),
        ("", [None]),
        ("str", "nan"),
        ("list[str]", ["1", None]),
        ("list[list[float]]", [[None]]),
        ("dict[str, float]", {"a": math.nan}),
        ("tuple[float, float]", (1.0, math.nan)),
        ("tuple[float]", (math.nan,)),
        ("list", ["1", "2"]),
        ("list", ["a", None]),
        ("list[float]", [1.0, "a"]),
        ("list[int]", ["3.5"]),
        ("list[float]", [1.0, Stubborn()]),
        ("list[float]", [[1.0], None]),
        ("list[float]", "123"),
        ("list[float]", None),
        ("list[float]", 3.0),
        ("list[float]", OwnList([None])),
        ("list[float]", Pair(1.0, math.nan)),
        ("list[float]", [1j, None]),
    ],
)
def test_what_is_no_sequence_of_numbers_comes_back_as_it_is(kind: str, value: Any) -> None:
    assert MONITORING.normalise(kind, value) is value


def test_arrays_stay_arrays() -> None:
    clean = numpy.array([1.0, 2.0])
    assert MONITORING.normalise("np.ndarray", clean) is clean
    whole = numpy.array([1, 2])
    assert MONITORING.normalise("NDArray[np.int64]", whole) is whole
    grid = numpy.array([[1.0, math.nan]])
    assert MONITORING.normalise("np.ndarray", grid) is grid
    names = numpy.array(["a", "b"])
    assert MONITORING.normalise("np.ndarray", names) is names
    masked = numpy.ma.masked_array([1.0, math.nan])
    assert MONITORING.normalise("np.ndarray", masked) is masked

    gaps = numpy.array([1.0, math.nan, math.inf, -math.inf, 2.0], dtype=numpy.float32)
    filled = MONITORING.normalise("np.ndarray", gaps)
    assert type(filled) is numpy.ndarray
    assert filled.dtype == numpy.float32
    assert filled.tolist() == [1.0, 2.0]
    assert len(gaps) == 5
    objects = MONITORING.normalise("list[float]", numpy.array([1, None, "2.5"], dtype=object))
    assert objects.dtype == float
    assert objects.tolist() == [1.0, 2.5]


items = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.decimals(), st.lists(st.none())
)


@settings(max_examples=400, deadline=None)
@given(kind=st.one_of(st.sampled_from(SEQUENCES), st.text(max_size=12)), value=st.one_of(st.lists(items), items))
def test_normalising_never_raises_and_a_second_time_changes_nothing(kind: str, value: Any) -> None:
    once = MONITORING.normalise(kind, value)
    assert MONITORING.normalise(kind, once) is once
    assert type(once) is type(value)
    assert GENERIC.normalise(kind, value) is value


@settings(max_examples=300, deadline=None)
@given(value=st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6), st.floats())))
def test_exactly_the_finite_numbers_stay_in_their_order(value: list[Any]) -> None:
    kept = MONITORING.normalise("list[float]", value)
    assert kept == [item for item in value if item is not None and math.isfinite(item)]


class Opaque:
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (math.nan, "NaN"),
        (numpy.float64("nan"), "NaN"),
        ({"p_value": 1.2}, "p_value"),
        ({"p_value": -0.1}, "p_value"),
        ({"p_value": 10**400}, "p_value"),
        ({"p": math.nan}, "p is"),
        ({"score": math.inf}, "score"),
        ({"distance": -math.inf}, "distance"),
        ({"statistic": math.nan}, "statistic"),
        ({"threshold": numpy.float32("inf")}, "threshold"),
        ({"threshold": Decimal("Infinity")}, "threshold"),
        (Report(p_value=2), "p_value"),
        (Report(score=math.nan), "score"),
        (Pair(True, math.nan), "score"),
    ],
)
def test_a_broken_invariant_is_named(result: Any, names: str) -> None:
    broken = MONITORING.violation(result)
    assert broken is not None
    assert names in broken
    assert GENERIC.violation(result) is None


@pytest.mark.parametrize(
    "result",
    [
        True, False, None, 0, 1.5, math.inf, "nan", [math.nan], {}, {"p_value": 0}, {"p_value": 1.0, "score": -3},
        {"p_value": None, "score": None}, {"p_value": "2"}, {"score": True}, {"score": [math.nan]}, {"score": 1j},
        {"p_value": numpy.array([2.0])}, Report(), Careless(), numpy.array([math.nan]), object(),
        {"score": 10**400}, Pair(True, 1.0),
    ],
)  # fmt: skip
def test_a_sound_result_has_no_violation(result: Any) -> None:
    assert MONITORING.violation(result) is None


def test_an_object_whose_own_code_raises_breaks_no_invariant() -> None:
    assert MONITORING.violation(Opaque()) is None
