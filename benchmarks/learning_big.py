"""Very many recorded executions of a function with three constants, a few of them labelled -> one learning run.

Executions go through the store as they do in use; `show` says how long `poet_hook.learn` took, its peak memory, and
whether the version is better, by what the constants are worth on fresh data.
"""

from __future__ import annotations

import importlib
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import poet_hook

LIMITS = {"cpu": 0.3, "memory": 0.3, "disk": 0.3}
BEST = (1.8, 2.2, 2.6)
WRONG = 0.02
FRESH = 20_000
MODULE = """\
# poet: optimize_for=accuracy, learn=proven, after=1000000
def overloaded(cpu: float, memory: float, disk: float) -> bool:
    if cpu > 0.3:  # poet: tune -3..6 as cpu
        return True
    if memory > 0.3:  # poet: tune -3..6 as memory
        return True
    return disk > 0.3  # poet: tune -3..6 as disk
"""


@dataclass(frozen=True)
class Big:
    """What became of it: seconds, peak memory in MB, shares of fresh data that are right, and the reasons."""

    recorded: int
    labelled: int
    recording: float
    learning: float
    memory_before: float
    memory: float
    promoted: bool
    values: dict[str, float]
    before: float
    after: float
    best: float
    reasons: tuple[str, ...]


def drawn(rng: random.Random) -> tuple[list[float], bool]:
    """Three scores, and whether any is truly too high; 2 % are not as they look."""
    scores = [rng.gauss(0.0, 1.5) for _ in BEST]
    deserves = any(score > limit for score, limit in zip(scores, BEST, strict=True))
    return scores, deserves != (rng.random() < WRONG)


def right(limits: Sequence[float]) -> float:
    """The share of fresh executions in which these limits decide well."""
    rng, good = random.Random(2), 0
    for _ in range(FRESH):
        scores, deserves = drawn(rng)
        good += any(score > limit for score, limit in zip(scores, limits, strict=True)) == deserves
    return good / FRESH


def peak() -> float:
    """Of this process and of those that it waited for, in MB."""
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


def progress(what: str, share: float) -> None:
    """A bar, on a terminal only."""
    if sys.stderr.isatty():
        filled = round(30 * share)
        print(f"\r{'#' * filled}{'.' * (30 - filled)} {what:20}", end="\n" if share >= 1 else "", file=sys.stderr)


def measure(executions: int, labelled: int) -> Big:
    """Record, label at random, learn, in a project that is removed afterwards."""
    rng, before = random.Random(1), Path.cwd()
    chosen = set(rng.sample(range(executions), labelled))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(POET_HOME=f"{folder}/.poet", POET_USER_DIR=f"{folder}/user")
        Path(folder, "machine.py").write_text(MODULE, encoding="utf-8")
        os.chdir(folder)
        sys.path.insert(0, folder)
        try:
            poet_hook.activate(roots=[folder])
            overloaded = importlib.import_module("machine").overloaded
            started = time.perf_counter()
            for number in range(executions):
                scores, deserves = drawn(rng)
                if number in chosen:
                    poet_hook.feedback(poet_hook.call(overloaded, *scores), {"expected": deserves})
                else:
                    overloaded(*scores)
                if number % 1_000 == 0:
                    progress("calls", number / executions)
            progress("calls", 1.0)
            recorded, memory_before = time.perf_counter(), peak()
            learned = poet_hook.learn(overloaded, progress)
            seconds = time.perf_counter() - recorded
            found = learned.candidate.values if learned.candidate else {}
        finally:
            poet_hook.deactivate()
            sys.path.remove(folder)
            os.chdir(before)
    values = LIMITS | (dict(found) if learned.promoted else {})
    return Big(
        executions,
        labelled,
        recorded - started,
        seconds,
        memory_before,
        peak(),
        learned.promoted,
        values,
        right(list(LIMITS.values())),
        right(list(values.values())),
        right(BEST),
        learned.reasons,
    )


def show(executions: int, labelled: int) -> None:
    """Measure, and print it."""
    big = measure(executions, labelled)
    print(f"{big.recorded:,} executions recorded in {big.recording:.1f} s, {big.labelled:,} of them labelled at random")
    print(f"learning: {big.learning:.1f} s, peak memory {big.memory:.0f} MB (before it {big.memory_before:.0f} MB)")
    shown = ", ".join(f"{name} {value:g}" for name, value in big.values.items())
    print(f"{'promoted' if big.promoted else 'not promoted'}: {shown}")
    print(f"right on fresh data: {big.before:.1%} before, {big.after:.1%} now, {big.best:.1%} at best")
    for reason in big.reasons:
        print(f"- {reason}")
