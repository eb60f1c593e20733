"""Bytes -> an HMAC under a key of this user, kept outside every project."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from poet_hook.errors import VersionError

_KEY = "signing.key"
_BYTES = 32


def signature(data: bytes, user_dir: Path) -> str:
    """The hex HMAC-SHA256 of `data`; the key is made (mode 0600) at the first use."""
    return hmac.new(_key(user_dir), data, hashlib.sha256).hexdigest()


def verified(data: bytes, claimed: str, user_dir: Path) -> bool:
    """True where `claimed` is this user's signature of `data`; never makes a key."""
    if not (user_dir / _KEY).exists():
        return False
    return hmac.compare_digest(signature(data, user_dir), claimed)


def _key(user_dir: Path) -> bytes:
    path = user_dir / _KEY
    try:
        user_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise VersionError(f"{path}: the key that signs versions can't be read or made: {error}") from error
    if len(key) != _BYTES:
        raise VersionError(f"{path}: not a key of {_BYTES} bytes; move it away, and a new one is made")
    return key


def _make(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(draft, path)  # the first of two processes wins, and both read its key
    except FileExistsError:
        pass
    finally:
        draft.unlink()
