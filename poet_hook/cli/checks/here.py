"""This Python, the store, and the key that signs versions."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from poet_hook import __version__
from poet_hook.cli.checks.base import Finding, Patient
from poet_hook.errors import StoreError, VersionError
from poet_hook.versions.sign import verified


def versions(_: Patient) -> Iterator[Finding]:
    """Which poet_hook, in which Python."""
    yield Finding("poet_hook", "ok", f"{__version__}, {platform.python_implementation()} {platform.python_version()}")


def store(patient: Patient) -> Iterator[Finding]:
    """Whether what is recorded can be read and written."""
    home = patient.settings.home
    if not home.exists():
        yield Finding("store", "ok", f"{home}: nothing is recorded yet")
        return
    try:
        (number,) = patient.store.query("SELECT COUNT(*) FROM functions")[0]
    except StoreError as error:
        yield Finding("store", "problem", str(error))
        return
    if patient.store.read_only:
        yield Finding("store", "problem", f"{home}: it can only be read; make it writable, or set POET_HOME")
    else:
        yield Finding("store", "ok", f"{home}: {number} function{'' if number == 1 else 's'}")


def signing_key(patient: Patient) -> Iterator[Finding]:
    """Whether there is a key that signs versions."""
    path = patient.settings.user_dir / "signing.key"
    try:
        verified(b"", "", patient.settings)
    except VersionError as error:
        yield Finding("signing key", "problem", str(error))
        return
    yield Finding("signing key", "ok", f"{path}" if path.exists() else f"{path}: made with the first version")
