"""A few hundred cases of each target of `make fuzz`, the same ones each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import Target
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_what_anybody_may_have_written(target: Target, tmp_path: Path) -> None:
    with target.opened(tmp_path) as check:

        @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(target.cases)
        def each(case: object) -> None:
            check(case)

        each()
