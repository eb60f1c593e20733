"""A key and a name that nobody but the tests has -> where they turn up and should not: in files, logs, prompts, output.

Both are in each test session. `conftest` looks for them at its end, `llm_server` in each request.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

KEY = f"sk-canary-{secrets.token_hex(12)}"
PERSON = f"Eve Kanarek {secrets.token_hex(12)}"
"""Given where an argument is not recorded, or recorded as a hash or a shape."""

_KNOWN = {"the key": KEY.encode(), "the name": PERSON.encode()}
_LONGEST = 8 << 20  # bytes that are read of one file, in parts
_PART = 1 << 20

leaks: list[str] = []
"""What was found while the tests ran."""


def found_in(data: bytes) -> list[str]:
    """Which of them stand in these bytes, as text, JSON or msgpack write them."""
    return [what for what, written in _KNOWN.items() if written in data]


def look(where: str, text: str) -> None:
    """Note what stands in a text that leaves the process."""
    leaks.extend(f"{what} in {where}" for what in found_in(text.encode("utf-8", "surrogatepass")))


def scan(folder: Path) -> Iterator[str]:
    """Every file below a folder that one of them stands in, or in whose name."""
    longest = max(map(len, _KNOWN.values()))
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            yield from (f"{what} in the name of {file}" for what in found_in(name.encode("utf-8", "surrogateescape")))
            if os.path.isfile(file) and not os.path.islink(file):
                yield from (f"{what} in {file}" for what in sorted(_found_in_file(file, longest)))


def _found_in_file(file: str, longest: int) -> set[str]:
    found: set[str] = set()
    try:
        with open(file, "rb", buffering=0) as opened:
            rest, read = b"", 0
            while read < _LONGEST and (part := opened.read(_PART)):
                read += len(part)
                found.update(found_in(rest + part))
                rest = part[-longest:]
    except OSError:  # a test took the rights to it away
        pass
    return found
