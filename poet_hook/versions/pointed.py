"""The file `champion.json` of one function: read and held against what this user wrote last, or written and signed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from poet_hook.errors import VersionError, VersionWarning, warn
from poet_hook.settings import Settings
from poet_hook.versions.counts import count, counted
from poet_hook.versions.files import read_file, write_atomic
from poet_hook.versions.pointer import FIRST, Pointer, decoded, encoded, signed_bytes
from poet_hook.versions.sign import is_current, signature, verified


class PointerFile:
    """The pointer in the folder of a function's versions."""

    def __init__(self, folder: Path, function: str, settings: Settings) -> None:
        self.path = folder / "champion.json"
        self.function = function
        self.settings = settings

    def read(self) -> Pointer:
        """The pointer, where it is the one that this user wrote last. Raises `VersionError`."""
        if not self.path.exists():
            return FIRST
        known = 0
        problem = f"{self.path} is older than the one that was in use here last: somebody put it back"
        wrong = ""
        try:
            known = counted(self.settings, self.function)  # first: who moves the pointer beside this writes it first
        except VersionError as error:
            wrong = str(error)
        pointer, claimed = self._decoded()
        if not verified(signed_bytes(pointer, self.function), claimed, self.settings):
            wrong = f"{self.path} was not written by this user, or was edited"
        if wrong or pointer.count < known:
            raise VersionError(f"{wrong or problem}. Look at it with: python -m poet_hook trust {self.function}")
        return pointer

    def claimed(self) -> Pointer:
        """What the file says, whoever wrote it. Raises `VersionError`."""
        return self._decoded()[0]

    def is_current(self) -> bool:
        """Whether it bears the signature that one written now would; where there is none, it does."""
        pointer, claimed = self._decoded()
        return not self.path.exists() or is_current(signed_bytes(pointer, self.function), claimed, self.settings)

    def write(self, pointer: Pointer) -> None:
        """Put another pointer in its place, which counts one up. Raises `OSError` and `VersionError`."""
        known = pointer.count
        try:
            known = max(known, counted(self.settings, self.function))
        except VersionError:  # damaged, and it is this user who says what is in use
            pass
        self._write(replace(pointer, count=known + 1))
        try:
            count(self.settings, self.function, known + 1)
        except (OSError, VersionError) as error:
            warn(f"{self.function}: a store of before this change would not be noticed: {error}", VersionWarning)

    def sign_again(self) -> None:
        """Sign it anew, as it is, where it is this user's. Raises `OSError` and `VersionError`."""
        if not self.is_current():
            self._write(self.read())

    def _write(self, pointer: Pointer) -> None:
        text = encoded(pointer, signature(signed_bytes(pointer, self.function), self.settings))
        write_atomic(self.path, text, durable=True)

    def _decoded(self) -> tuple[Pointer, str]:
        try:
            return decoded(read_file(self.path, self.settings))
        except (FileNotFoundError, NotADirectoryError):
            return FIRST, ""
        except (OSError, ValueError) as error:
            raise VersionError(
                f"{self.path} is damaged: {error}. Choose again: poet_hook promote {self.function} VERSION"
            ) from error
