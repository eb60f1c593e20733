"""The checks of `doctor`, in the order in which they are shown; a further one is put in here."""

from __future__ import annotations

from poet_hook.cli.checks import here, isolation, language_model
from poet_hook.cli.checks.base import Check

CHECKS: tuple[Check, ...] = (
    here.versions,
    here.store,
    here.signing_key,
    isolation.isolation,
    language_model.named,
    language_model.asked,
)
