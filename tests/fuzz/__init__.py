"""What anybody may have written -> our readers of it, at random: a reader that raises, hangs or believes it is found.

`make fuzz SECONDS=60` gives each target that long; `make test` runs a few hundred cases of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Target:
    """Cases, and what opens the check of one, in a folder of its own; the check raises where it finds something."""

    name: str
    cases: SearchStrategy[Any]
    opened: Callable[[Path], AbstractContextManager[Check]]


def plainly(check: Check) -> Callable[[Path], AbstractContextManager[Check]]:
    """A check that needs nothing opened."""

    @contextmanager
    def opened(_folder: Path) -> Iterator[Check]:
        yield check

    return opened


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fails where this process computes longer than that; what others do meanwhile does not count."""
    started = time.process_time()
    yield
    took = time.process_time() - started
    assert took < seconds, f"it took {took:.1f} s"
