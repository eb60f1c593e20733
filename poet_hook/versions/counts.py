"""How often the champion of each function was changed, by this user's folder: what is older than that was put back.

<user_dir>/projects/<hash of the home>.json
    home, counts by function, signature

A store may be exchanged for one of yesterday, all of it signed by this user: then versions would run that were rolled
back since. Each change of `champion.json` counts one up, there and here, and here nothing that comes with a checkout
can count down. The file of a project is named by where its home lies: a copy counts for itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import msgspec

from poet_hook.errors import VersionError
from poet_hook.settings import Settings
from poet_hook.versions.lock import alone
from poet_hook.versions.sign import signature, verified


class Counts(msgspec.Struct):
    """What is known of one project."""

    home: str
    counts: dict[str, int]
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return b"counts " + json.dumps([self.home, self.counts], sort_keys=True).encode()


def counted(settings: Settings, function: str) -> int:
    """How often the champion of a function was changed, as far as is known here. Raises `VersionError`."""
    if settings.trust == "verify":  # which of its versions is put there is for whoever deploys to say
        return 0
    return _read(settings).counts.get(function, 0)


def count(settings: Settings, function: str, number: int) -> None:
    """Keep that the champion was changed `number` times, after it was. Raises `OSError` and `VersionError`."""
    if settings.trust == "verify":
        return
    from poet_hook.versions.files import write_atomic

    path = path_of(settings)
    with alone(path.parent):
        try:
            known = _read(settings)
        except VersionError:  # damaged, and it is this user who says what is in use
            known = _none(settings)
        known.counts[function] = number
        known.signature = signature(known.signed_bytes(), settings)
        write_atomic(path, msgspec.json.encode(known).decode() + "\n")


def sign_all(settings: Settings) -> list[str]:
    """Sign the counts of every project anew, where this user had; the homes of these. Raises `OSError`."""
    from poet_hook.versions.files import write_atomic

    homes = []
    with alone(settings.user_dir / "projects"):
        for path in (settings.user_dir / "projects").glob("*.json"):
            try:
                known = msgspec.json.decode(path.read_bytes(), type=Counts)
            except msgspec.MsgspecError:
                continue
            if verified(known.signed_bytes(), known.signature, settings):
                known.signature = signature(known.signed_bytes(), settings)
                write_atomic(path, msgspec.json.encode(known).decode() + "\n")
                homes.append(known.home)
    return homes


def path_of(settings: Settings) -> Path:
    """The file of a project."""
    name = hashlib.sha256(os.fsencode(_home(settings))).hexdigest()[:32]
    return settings.user_dir / "projects" / f"{name}.json"


def _read(settings: Settings) -> Counts:
    path = path_of(settings)
    try:
        known = msgspec.json.decode(path.read_bytes(), type=Counts)
    except FileNotFoundError:
        return _none(settings)
    except (OSError, msgspec.MsgspecError) as error:
        raise VersionError(f"{path} is damaged: {error}") from error
    if known.home != _home(settings) or not verified(known.signed_bytes(), known.signature, settings):
        raise VersionError(f"{path} was not written by this user, or was edited")
    return known


def _none(settings: Settings) -> Counts:
    return Counts(_home(settings), {})


def _home(settings: Settings) -> str:
    return os.path.realpath(settings.home)
