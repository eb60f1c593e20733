"""Bytes -> an HMAC under a key of this user, kept outside every project, or of the process environment.

`POET_SIGNING_KEY` is a key that several people share: what is made where it is set is signed with it. It is read from
the environment when it is needed, and kept in no object: what is no field of the settings is not printed with them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from poet_hook.errors import SettingsError, VersionError
from poet_hook.settings import Settings

SHARED = "POET_SIGNING_KEY"
KEY = "signing.key"
BEFORE = "signing.key.before"  # while what was signed with it is signed anew
_BYTES = 32


def signature(data: bytes, settings: Settings) -> str:
    """The hex HMAC-SHA256 of `data`; this user's key is made (mode 0600) at the first use. Raises `VersionError`."""
    return _signed_with(_shared() or _own(settings), data)


def verified(data: bytes, claimed: str, settings: Settings) -> bool:
    """True where `claimed` is a signature of `data` that counts here; never makes a key. Raises `VersionError`."""
    return any(_matches(key, data, claimed) for key in _keys(settings))


def is_current(data: bytes, claimed: str, settings: Settings) -> bool:
    """True where `claimed` is the signature that `signature` would make. Raises `VersionError`."""
    return any(_matches(key, data, claimed) for key in islice(_keys(settings), 1))


def _matches(key: bytes, data: bytes, claimed: str) -> bool:
    return hmac.compare_digest(_signed_with(key, data).encode(), claimed.encode("utf-8", "replace"))


def _signed_with(key: bytes, data: bytes) -> str:
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _keys(settings: Settings) -> Iterator[bytes]:
    """The keys that count here, the one that signs first."""
    shared = _shared()
    if settings.trust == "verify" and shared is None:
        raise VersionError(f"POET_TRUST=verify needs the key in the environment variable {SHARED}")
    if shared is not None:
        yield shared
    if settings.trust == "verify":
        return
    for path in (settings.user_dir / KEY, settings.user_dir / BEFORE):
        if os.path.lexists(path):
            yield read_key(path, settings)


def _shared() -> bytes | None:
    text = os.environ.get(SHARED, "").strip()
    if not text:
        return None
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        make = 'python -c "import secrets; print(secrets.token_hex(32))"'
        raise VersionError(f"the environment variable {SHARED} must hold {2 * _BYTES} hexadecimal digits: {make}")
    return key


def _own(settings: Settings) -> bytes:
    path = settings.user_dir / KEY
    try:
        settings.user_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            make_key(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return read_key(path, settings)


def read_key(path: Path, settings: Settings) -> bytes:
    """The key in a file. Raises `VersionError` where it is none, is not this user's alone, or came with a checkout."""
    try:
        settings.own_file(path.name)
    except SettingsError as error:
        raise VersionError(str(error)) from error
    try:
        with open(path, "rb") as file:
            status, key = os.fstat(file.fileno()), file.read(_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise VersionError(f"{path}: others than you may read or change the key that signs versions: chmod 600 {path}")
    if len(key) != _BYTES:
        raise VersionError(f"{path}: not a key of {_BYTES} bytes; move it away, and a new one is made")
    return key


def _unreadable(path: Path, error: OSError) -> VersionError:
    return VersionError(f"{path}: the key that signs versions can't be read or made: {error}")


def make_key(path: Path) -> None:
    """Make a key where there is none: the first of two processes wins, and both read its key. Raises `OSError`."""
    draft = draft_key(path)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def draft_key(path: Path) -> Path:
    """Write a new key beside `path`. Raises `OSError`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return draft
