"""What `.env` and pyproject.toml say of an endpoint, and whether this user allowed exactly that.

The list is kept in the user's own folder, as digests: nothing in a checkout can put itself on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from typing import Any

from poet_hook.errors import SettingsError
from poet_hook.settings import Found, Settings

_FILE = "endpoints.json"
_LIMIT = 1_000_000  # bytes


def not_allowed(settings: Settings, found: Found) -> tuple[str, ...]:
    """The names of what a file of the checkout says, and this user has not allowed."""
    foreign = foreign_of(found)
    if not foreign:
        return ()
    known = _read(settings).get(_root(settings), [])
    return tuple(name for name in foreign if _digest(settings, name, found[name][0]) not in known)


def foreign_of(found: Found) -> tuple[str, ...]:
    """The names of what a file says that comes with a checkout."""
    return tuple(name for name, (_, _, trusted) in found.items() if not trusted)


def allow(settings: Settings, found: Found) -> tuple[str, ...]:
    """Allow what those files say now, and only that; returns the names."""
    foreign = foreign_of(found)
    kept = {**_read(settings), _root(settings): [_digest(settings, name, found[name][0]) for name in foreign]}
    _write(settings, kept)
    return foreign


def revoke(settings: Settings) -> bool:
    """Allow nothing that those files say; whether anything was allowed."""
    kept = _read(settings)
    was = bool(kept.pop(_root(settings), None))
    if was:
        _write(settings, kept)
    return was


def _root(settings: Settings) -> str:
    return os.path.realpath(settings.root)


def _digest(settings: Settings, name: str, value: Any) -> str:
    return hashlib.sha256(f"{_root(settings)}\0{name}\0{value!r}".encode("utf-8", "surrogatepass")).hexdigest()


def _read(settings: Settings) -> dict[str, list[str]]:
    try:
        with open(settings.own_file(_FILE), "rb") as file:
            read = json.loads(file.read(_LIMIT))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{settings.user_dir / _FILE}: can't be read: {error}; move it away") from error
    return {k: v for k, v in read.items() if isinstance(v, list)} if isinstance(read, dict) else {}


def _write(settings: Settings, kept: dict[str, list[str]]) -> None:
    path = settings.own_file(_FILE)
    draft = path.with_name(f".{_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        settings.user_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)
        os.replace(draft, path)
    except OSError as error:
        raise SettingsError(f"{path}: can't be written: {error.strerror or error}") from error
