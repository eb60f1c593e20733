"""Two versions -> a unified diff of the function's own text."""

from __future__ import annotations

import difflib

from poet_hook.model import Version


def diff(old: Version, new: Version) -> str:
    """A unified diff, "" where the texts are the same."""
    return "".join(
        difflib.unified_diff(
            old.source.splitlines(keepends=True),
            new.source.splitlines(keepends=True),
            f"{old.function} v{old.number}",
            f"{new.function} v{new.number}",
        )
    )
