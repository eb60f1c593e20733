"""Versions -> lines of JSON for somebody else, and such lines -> proposals, which nothing puts in use by itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, BinaryIO, Literal

import msgspec

from poet_hook.errors import StoreError, VersionError
from poet_hook.model import Evidence, Level, Plan, Version
from poet_hook.settings import Settings
from poet_hook.versions.chain import Chain
from poet_hook.versions.rebase import carry, fits, same_code

LONGEST_LINE = 1_000_000  # bytes
MOST_LINES = 1_000

Text = Annotated[str, msgspec.Meta(max_length=20_000)]  # other code may be as long
FindPlan = Callable[[str], Plan | None]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version in a file. From `number` on it is what its maker says of it, for people, and never believed."""

    format: Literal[1]
    function: Annotated[str, msgspec.Meta(max_length=500)]
    original: str
    source: str
    values: Annotated[dict[str, float | Text], msgspec.Meta(max_length=1_000)]
    number: Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
    created: float
    level: Level | None
    reasons: tuple[str, ...] = ()
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of line `line` (1-based): a new proposal, one that was here already, or nothing, and why."""

    line: int
    kind: Literal["stored", "known", "refused"]
    reason: str = ""
    version: Version | None = None
    claims: Line | None = field(default=None, repr=False)


# --------------------------------------------------------------------------- out


def line_of(version: Version, original: str) -> str:
    """A version as one line of ASCII; `original` is the user's text that it was made from.

    No execution and no path is in it. Raises `VersionError` for one that `read` would not take.
    """
    verdict = version.verdict
    document: dict[str, Any] = {
        "format": 1,
        "function": version.function,
        "number": version.number,
        "level": version.level,
        "created": version.created,
        "values": dict(version.values),
        "original": original,
        "source": version.source,
        "reasons": verdict.reasons if verdict else (),
        "evidence": asdict(verdict.evidence) if verdict else None,
    }
    line = json.dumps(document, allow_nan=False)
    if len(line) >= LONGEST_LINE:
        raise VersionError(f"{version.function} v{version.number} takes more than {LONGEST_LINE:,} bytes")
    return line


# --------------------------------------------------------------------------- in


def read(file: BinaryIO, plan_of: FindPlan, settings: Settings) -> Iterator[Fate]:
    """Store what a file of `line_of` proposes, and yield the fate of each line that is not blank.

    `plan_of` answers with the function of exactly that name as its source is here, or None. Reading the same file
    again changes nothing. No champion is changed. Raises `StoreError` where nothing can be stored.
    """
    for number, data in _lines(file):
        if number > MOST_LINES:
            yield Fate(number, "refused", f"more than {MOST_LINES:,} lines: this one and what follows is not read")
            return
        if data is None:
            yield Fate(number, "refused", f"it is longer than {LONGEST_LINE:,} bytes")
        elif data.strip():
            yield _fate(number, data, plan_of, settings)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """The numbered lines; None stands for one that is too long, and ends what is read where its end does not come."""
    number = 0
    while data := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(data) <= LONGEST_LINE:
            yield number, data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data
            continue
        for _ in range(100):
            if data.endswith(b"\n") or not data:
                break
            data = file.readline(LONGEST_LINE)
        yield number, None
        if data and not data.endswith(b"\n"):
            return


def _fate(number: int, data: bytes, plan_of: FindPlan, settings: Settings) -> Fate:
    try:
        line = msgspec.json.decode(data, type=Line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Fate(number, "refused", f"this is no version: {error}")
    plan = plan_of(line.function)
    if plan is None:
        return Fate(number, "refused", f"no function that learns is called {line.function!r} here", claims=line)
    try:
        version = _proposed(line, plan)
    except VersionError as error:
        return Fate(number, "refused", str(error), claims=line)
    except (RecursionError, MemoryError):
        return Fate(number, "refused", "its code is nested too deep", claims=line)
    if same_code(version.source, plan.source):
        return Fate(number, "known", "it is what stands in your file", claims=line)
    chain = Chain(settings, plan.function)
    known = chain.like(version)
    if known is not None:
        return Fate(number, "known", version=known, claims=line)
    try:
        return Fate(number, "stored", version=chain.keep(version, plan.source), claims=line)
    except VersionError as error:  # the key that signs
        raise StoreError(str(error)) from error


def _proposed(line: Line, plan: Plan) -> Version:
    """The version that a line means for the function as it is here. Raises `VersionError` where it does not fit."""
    original = line.original.encode("utf-8", "surrogatepass")
    version = Version(
        function=plan.function,
        number=line.number,
        source=line.source,
        source_hash=hashlib.sha256(original).hexdigest(),
        created=0.0,
        parent=1,
        values=line.values,
    )
    if version.source_hash != plan.source_hash:
        if same_code(line.source, plan.source):
            return version
        try:
            version = replace(carry(version, line.original, plan), parent=1)
        except VersionError as error:
            raise VersionError(f"it was made from another text of the function than yours, and {error}") from error
    fits(version, plan)
    return version
