"""The suite of one real package, enhanced and plain; `make transparency` does the same with many."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from transparency.run import SUITES, WAYS, differences, outcomes


@pytest.fixture(scope="module")
def toolz() -> str:
    spec = importlib.util.find_spec("toolz")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent)


@pytest.fixture(scope="module")
def plain(toolz: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outcomes(tmp_path_factory.mktemp("plain"), [sys.executable, "-m", "pytest"], toolz)


@pytest.mark.parametrize("way", WAYS)
def test_the_suite_of_toolz_says_the_same(toolz: str, plain: dict[str, str], tmp_path: Path, way: str) -> None:
    command = [sys.executable, "-m", "poet_hook", "run", "-m", "pytest"]
    found = outcomes(tmp_path, command, toolz, POET_ASSUME=f"toolz: {way}; tlz: {way}")
    assert len(plain) > 150
    assert differences(plain, found) == []


def test_what_breaks_a_function_is_seen(toolz: str, plain: dict[str, str], tmp_path: Path) -> None:
    """The comparison can fail: a promise that no result keeps."""
    command = [sys.executable, "-m", "poet_hook", "run", "-m", "pytest"]
    found = outcomes(tmp_path, command, toolz, POET_ASSUME="toolz.itertoolz:groupby: ensure='not result'")
    names = [line.partition(":: ")[0] for line in differences(plain, found)]
    assert any("test_groupby" in name for name in names)
    assert len(names) < len(plain) / 4


def test_each_suite_is_named_once() -> None:
    assert len({suite.archive for suite in SUITES}) == len(SUITES)
