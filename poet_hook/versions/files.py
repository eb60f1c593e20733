"""A version <-> the files of its folder, signed, and each of them written as a whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from poet_hook.errors import StoreError, VersionError
from poet_hook.owner import open_inside
from poet_hook.settings import Settings
from poet_hook.store.journal import open_file
from poet_hook.versions.sign import signature, verified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.model import Version

_LIMIT = 1_000_000
Check = Callable[[bytes, str, Settings], bool]


def read_version(chain: Path, number: int, function: str, settings: Settings, check: Check = verified) -> Version:
    """The version of that number in a chain's folder, signed by this user; `check` says whether it is.

    Raises `VersionError` where it is missing, damaged, edited, foreign, or of another function.
    """
    folder = chain / f"v{number}"
    try:
        data = read_file(folder / "version.json", settings)
        operate = read_file(folder / "operate.py", settings).decode("utf-8")
        record = json.loads(data)
        claimed = record.pop("signature")
        signed = check(_canonical(record), claimed, settings)
        version = _version(record, operate)
    except FileNotFoundError as error:
        raise VersionError(f"{function} has no version {number} ({error.filename} is missing)") from error
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        msgspec.MsgspecError,
    ) as error:
        raise VersionError(f"{folder} is damaged: {error}") from error
    if not signed:
        raise VersionError(f"{folder} was not made by this user, or was edited")
    if version.function != function or version.number != number:
        raise VersionError(f"{folder} belongs to {version.function} v{version.number}")
    if hashlib.sha256(operate.encode()).hexdigest() != record["operate_sha256"]:
        raise VersionError(f"{folder / 'operate.py'} was edited")
    return version


def write_version(chain: Path, version: Version, enhanced: str, original: str, settings: Settings) -> bool:
    """Write a version into a chain's folder; False where another process took its number meanwhile.

    What is "" of the texts `enhanced` and `original` is left out. Raises `StoreError`.
    """
    record = _signed(version, settings)
    draft = chain / f".draft-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        draft.mkdir(parents=True)
        (draft / "operate.py").write_text(version.source, encoding="utf-8", newline="\n")
        if enhanced:
            (draft / "enhanced.py").write_text(enhanced, encoding="utf-8", newline="\n")
        if original:
            (draft / "original.py").write_text(original, encoding="utf-8", newline="\n")
        (draft / "version.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        try:
            draft.rename(chain / f"v{version.number}")
        except OSError:
            if (chain / f"v{version.number}").exists():
                return False
            raise
    except OSError as error:
        raise StoreError(f"{chain}: the version can't be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def write_atomic(path: Path, text: str, durable: bool = False) -> None:
    """Replace a file as a whole: a reader sees the old or the new text, also after a crash; if `durable`, the new."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(draft, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        if durable:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_file(path: Path, settings: Settings) -> bytes:
    """The bytes of a file of ours; raises `OSError`, and `ValueError` where it is too large to be one.

    No link, pipe or device is read in its place: they came with a checkout.
    """
    trusted = settings.trusts_home
    with open(open_file(path) if trusted else open_inside(settings.home, path, settings.root), "rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError(f"{path.name} is larger than {_LIMIT} bytes")
    return data


def sign_again(chain: Path, version: Version, settings: Settings | None) -> None:
    """Write what is said of a stored version anew, and sign it; without settings, leave it unsigned.

    Raises `StoreError`.
    """
    record = _signed(version, settings) if settings else {**_record(version), "signature": ""}
    path = chain / f"v{version.number}" / "version.json"
    try:
        write_atomic(path, json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error}") from error


def _signed(version: Version, settings: Settings) -> dict[str, Any]:
    if settings.trust == "verify":
        raise VersionError("no version is made where POET_TRUST=verify: they are made and signed elsewhere")
    record = _record(version)
    return {**record, "signature": signature(_canonical(record), settings)}


def mark_of(version: Version) -> str:
    """What tells a version from any other of its number, whoever signed it and whatever is found of it later."""
    told = json.dumps([version.source, version.source_hash, version.created])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _record(version: Version) -> dict[str, Any]:
    record = dataclasses.asdict(version)
    source = record.pop("source")
    record["operate_sha256"] = hashlib.sha256(source.encode()).hexdigest()
    return record


def _version(record: dict[str, Any], operate: str) -> Version:
    from poet_hook.model import Version  # most processes run originals, and read none

    fields = {name: value for name, value in record.items() if name != "operate_sha256"}
    return msgspec.convert({**fields, "source": operate}, Version)


def _canonical(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
