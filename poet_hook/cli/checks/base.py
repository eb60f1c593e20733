"""What a check of `doctor` is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from poet_hook.llm.endpoint import Configured, configured
from poet_hook.settings import Settings
from poet_hook.store.database import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found `about` something: that all is well ("ok"), something to know, or a problem and its remedy."""

    about: str
    state: Literal["ok", "note", "problem"]
    words: str


@dataclass(frozen=True)
class Patient:
    """What is looked at. Where `dry_run` is given, nothing is sent, and it is told what would be."""

    settings: Settings
    store: Store
    dry_run: Callable[[str], None] | None = None

    @cached_property
    def configured(self) -> Configured:
        """The endpoint of a language model, or why there is none. Raises `SettingsError`."""
        return configured(self.settings)


Check = Callable[[Patient], Iterable[Finding]]
