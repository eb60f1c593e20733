"""Any text that leaves the machine -> the same without the secrets that are known here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 6  # characters: a shorter value is a word such as "true", and stands everywhere
HIDDEN = "<secret>"


class Secrets:
    """The values that must not leave: those given, and those of variables whose names say that they are secret."""

    def __init__(self, given: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> None:
        named = os.environ if environ is None else environ
        values = {value.strip() for name, value in named.items() if _NAMED.search(name)}
        known = {value for value in values if len(value) >= _SHORTEST} | {value for value in given if value}
        written = {form for value in known for form in _forms(value)}
        longest_first = sorted(written, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hidden_in(self, text: str) -> str:
        """The text, with `HIDDEN` in place of each of them."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def hidden_within(self, tree: Any) -> Any:
        """The same for every text in a tree of JSON."""
        if isinstance(tree, str):
            return self.hidden_in(tree)
        if isinstance(tree, Mapping):
            return {self.hidden_in(str(key)): self.hidden_within(item) for key, item in tree.items()}
        return [self.hidden_within(item) for item in tree] if isinstance(tree, (list, tuple)) else tree


def _forms(value: str) -> tuple[str, ...]:
    """A value as it is, and as Python, JSON and URLs write it."""
    return value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe="")
