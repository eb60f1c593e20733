"""The stored versions of a function: files that a person reads, signed by this user.

<home>/functions/<module>.<qualname>/
    champion.json            which version is in use, those before it, and which one challenges it; signature
    v2/operate.py            the function's own text
    v2/enhanced.py           what really runs (shown, never executed)
    v2/version.json          values, evidence, verdict, signature
    v5/original.py           the user's text that v5 was made from, where that is no longer v1's
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from poet_hook.errors import MovedError, StoreError, VersionError, VersionWarning, warn
from poet_hook.settings import Settings
from poet_hook.versions.files import mark_of, read_file, read_version, write_atomic, write_version
from poet_hook.versions.lock import alone
from poet_hook.versions.pointed import PointerFile
from poet_hook.versions.pointer import FIRST, Pointer, Turn

# what a version is held against is imported when one is in use: most processes run originals
TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.model import Plan, Value, Verdict, Version
    from poet_hook.transform.compile import Champion

_HIGHEST = 1 << 30  # a pointer may name any number, and the version after it must have one that can be written


class Chain:
    """The versions of one function; `VersionError` where that is no name of one, which might lead elsewhere."""

    def __init__(self, settings: Settings, function: str) -> None:
        module, _, qualname = function.partition(":")
        if not module or not qualname or set(function) & {"/", "\0"}:  # from a store that came with a checkout
            raise VersionError(f"{function!r} is no name of a function: somebody wrote it into the store")
        self.settings = settings
        self.function = function
        self.folder = settings.home / "functions" / function.replace(":", ".")
        self.pointed = PointerFile(self.folder, function, settings)

    # -- reading

    def numbers(self) -> list[int]:
        """The numbers of the stored versions, ascending; v1, the original, need not be stored."""
        try:
            names = [path.name for path in self.folder.iterdir() if path.name[:1] == "v"]
        except OSError:
            return []
        numbers = {int(name[1:]) for name in names if name[1:].isdecimal()}  # v01 is none of ours
        return sorted(number for number in numbers if f"v{number}" in names)

    def read(self, number: int) -> Version:
        """One version, checked: raises `VersionError` where it is missing, damaged, edited or foreign."""
        return read_version(self.folder, number, self.function, self.settings)

    def versions(self) -> list[Version]:
        """All stored versions that can be read, ascending."""
        out = []
        for number in self.numbers():
            try:
                out.append(self.read(number))
            except VersionError as error:
                warn(str(error), VersionWarning)
        return out

    def champion_number(self) -> int:
        """Which version is in use, by the pointer; 1 where there is none. Raises `VersionError`."""
        return self.pointer().champion

    def history(self) -> list[int]:
        """The versions in use before the champion, oldest first."""
        return list(self.pointer().history)

    def since(self) -> float:
        """When the champion came into use, seconds since the epoch; 0 for an original that always was."""
        return self.pointer().since

    def champion(self, plan: Plan, carry_over: bool = False) -> Champion:
        """What to put into the code of `plan`; the original, with one warning, where that can't be done."""
        from poet_hook.transform.compile import ORIGINAL, Champion

        try:
            version = self.in_use(plan, carry_over)
        except (VersionError, StoreError) as error:
            warn(f"{self.function}: the original runs: {error}", VersionWarning)
            return ORIGINAL
        if version is None:
            return ORIGINAL
        return Champion(version.number, version.values, self.text_path(version.number))

    def text_path(self, number: int) -> str:
        """The file that holds the text of a version."""
        return str(self.folder / f"v{number}" / "operate.py")

    def is_in_use(self, number: int, source_hash: str, values: Mapping[str, Value]) -> bool:
        """Whether `champion` would say just this once more, for the text of that hash."""
        if self.settings.trust == "original":
            return number == 1
        try:
            if self.champion_number() != number:
                return False
            version = self.read(number) if number != 1 else None
        except VersionError:
            return False
        return version is None or (version.source_hash == source_hash and version.values == values)

    def in_use(self, plan: Plan, carry_over: bool = False) -> Version | None:
        """The version that runs in the text of `plan`; None is the original.

        After an edit, it is the one that was carried over from the champion to that text. With `carry_over` (at an
        import, and nowhere else) it is stored and made the champion, if that was not done yet. Raises `VersionError`
        where there is none, and `StoreError` where it can't be stored.
        """
        if self.settings.trust == "original":
            return None
        pointer = self.pointer()
        number = pointer.champion
        if number == 1:
            return None
        from poet_hook.versions.rebase import fits, same_code, same_options

        try:
            version = self.read(number)
            if pointer.mark not in ("", mark_of(version)):
                raise VersionError(f"{self.folder / f'v{number}'} is not the one that was put in use")
        except VersionError as error:
            look, back = (f"python -m poet_hook {word} {self.function}" for word in ("trust", "rollback"))
            raise VersionError(f"{error}. Look at it with: {look}, or go back with: {back}") from error
        if version.source_hash != plan.source_hash or not same_options(version, plan):
            if same_code(version.source, plan.source):  # the user's own text says the same by now
                if carry_over:
                    with contextlib.suppress(StoreError, MovedError):
                        self.point(1, [], instead_of=number)
                return None
            version = self._carried(version, plan, carry_over)
        fits(version, plan)
        return version

    def _carried(self, champion: Version, plan: Plan, carry_over: bool) -> Version:
        from poet_hook.versions.rebase import carry, edited

        original = self.original(champion)
        try:
            carried = carry(champion, original, plan)
        except VersionError as error:
            raise edited(champion, str(error)) from error
        before = f"{plan.function} was edited after v{champion.number} was learned"
        if not carry_over:
            stored = self.like(carried)
            if stored is None:
                raise VersionError(f"{before}; its numbers are carried over when it is imported the next time")
            return stored
        try:
            stored = self.keep(carried, plan.source)
            with contextlib.suppress(MovedError):
                self.point(stored.number, self.history(), instead_of=champion.number)
        except StoreError as error:
            raise StoreError(f"{before}, and its numbers can't be carried over: {error}") from error
        return stored

    def original(self, version: Version) -> str:
        """The user's text that a version was made from, known by its hash. Raises `VersionError`."""
        from poet_hook.versions.rebase import MISFIT, edited

        for place in (f"v{version.number}/original.py", "v1/operate.py"):
            with contextlib.suppress(OSError, ValueError):
                data = read_file(self.folder / place, self.settings)
                if hashlib.sha256(data).hexdigest() == version.source_hash:
                    return data.decode("utf-8")
        raise edited(version, MISFIT)

    def like(self, version: Version) -> Version | None:
        """The stored version with the same text, made from the same original; the one with the highest level."""
        data = version.source.encode()
        found = []
        for number in self.numbers():
            with contextlib.suppress(OSError, ValueError):  # `VersionError` is one
                if number > 1 and read_file(self.folder / f"v{number}" / "operate.py", self.settings) == data:
                    stored = self.read(number)
                    if stored.source_hash == version.source_hash:
                        found.append(stored)
        return max(found, key=lambda stored: _LEVELS.index(stored.level), default=None)

    def pointer(self) -> Pointer:
        """Which version is in use, and which challenges it. Raises `VersionError`."""
        return self.pointed.read()

    # -- writing

    def add(
        self, plan: Plan, parent: int, values: Mapping[str, Value], verdict: Verdict | None, enhanced: str
    ) -> Version:
        """Store a new version under the next number; atomic, and safe beside other processes."""
        from poet_hook.model import Version
        from poet_hook.transform.values import with_values

        version = Version(
            function=self.function,
            number=0,
            source=with_values(plan.source, plan.tunables, values),
            source_hash=plan.source_hash,
            created=0.0,
            parent=parent,
            values=dict(values),
            level=verdict.level if verdict else None,
            verdict=verdict,
        )
        while True:
            made = self._add(version, self._next(), plan.source, enhanced)
            if made is not None:
                return made

    def keep(self, version: Version, original: str) -> Version:
        """Store a version under the next number; where its text is stored already, that one is meant."""
        while True:
            number = self._next()  # before looking: what takes this number meanwhile is looked at the next time
            made = self.like(version) or self._add(version, number, original, "")
            if made is not None:
                return made

    def _next(self) -> int:
        """A number that no version has, and that the pointer does not name: what is added is not in use by that."""
        named = [*self.numbers(), 1]
        with contextlib.suppress(VersionError):
            named += [number for number in (self.champion_number(), *self.history()) if number < _HIGHEST]
        return max(named) + 1

    def _add(self, version: Version, number: int, original: str, enhanced: str) -> Version | None:
        """None where another process took the number meanwhile."""
        from poet_hook.model import Version

        if not self.numbers():
            self._write(Version(self.function, 1, original, version.source_hash, time.time()), "")
        made = replace(version, number=number, created=time.time())
        return made if self._write(made, enhanced, original) else None

    def _write(self, version: Version, enhanced: str, original: str = "") -> bool:
        """False where another process took the number meanwhile."""
        self._refuse_link()
        kept = "" if self._is_first(original) else original
        return write_version(self.folder, version, enhanced, kept, self.settings)

    def _refuse_link(self) -> None:
        for folder in (self.folder, self.folder.parent):
            if folder.is_symlink() and not self.settings.trusts_home:
                raise StoreError(f"{folder} is a symbolic link, which may have come with a checkout: remove it")

    def _is_first(self, original: str) -> bool:
        try:
            return read_file(self.folder / "v1" / "operate.py", self.settings) == original.encode()
        except (OSError, ValueError):
            return False

    def point(
        self,
        number: int,
        history: list[int],
        turns: Sequence[Turn] | None = None,
        *,
        held_back: bool = False,
        instead_of: int | None = None,
    ) -> None:
        """Move the champion pointer, and tell running processes; a challenger of the one before is on trial no more.

        `turns` came before the champion in its place (None: learning did not choose it). With `held_back` the last of
        `history` goes on being served to a share of the calls. Raises `MovedError` where the champion is not
        `instead_of` (None: whichever it is).
        """
        now = time.time()
        with self._moving():
            before = FIRST
            with contextlib.suppress(VersionError):  # a damaged pointer is written anew
                before = self.pointer()
            self._still(before, instead_of)
            pointer = before.moved(number, history, now, turns)
            if held_back:
                pointer = replace(pointer, challenger=history[-1], challenged=now, held_back=True)
            self._put(pointer)

    def undo(self, why: str, at_once: bool, instead_of: int) -> None:
        """Move the champion pointer back by one, and tell running processes; `why` is kept, if it is not empty.

        Raises `MovedError` where the champion is not `instead_of`.
        """
        with self._moving():
            pointer = self.pointer()
            self._still(pointer, instead_of)
            self._put(pointer.back(time.time(), why, at_once))

    def _still(self, pointer: Pointer, champion: int | None) -> None:
        if champion not in (None, pointer.champion):
            raise MovedError(
                f"v{pointer.champion} of {self.function} came into use in place of v{champion} meanwhile: "
                "nothing was changed"
            )

    def challenge(self, number: int) -> None:
        """Put a version on trial against the champion, in place of the one that is, and tell running processes."""
        with self._moving():
            self._put(replace(self.pointer(), challenger=number, challenged=time.time(), held_back=False))

    def withdraw(self, number: int, why: str) -> bool:
        """Take a challenger back, and keep the reason; False where that version is on trial no more."""
        with self._moving():
            pointer = self.pointer()
            if pointer.challenger != number:
                return False
            self._put(pointer.alone(time.time(), why))
        return True

    @contextmanager
    def _moving(self) -> Iterator[None]:
        self._refuse_link()
        try:
            with alone(self.folder):
                yield
        except OSError as error:
            raise StoreError(f"{self.folder}: the champion can't be changed: {error}") from error

    def put(self, pointer: Pointer) -> None:
        """Put a pointer that somebody looked at in the place of the one that is there, and tell running processes."""
        with self._moving():
            self._put(pointer)

    def _put(self, pointer: Pointer) -> None:
        mark = ""
        with contextlib.suppress(VersionError):  # what can't be read does not run
            mark = mark_of(self.read(pointer.champion)) if pointer.champion != 1 else ""
        self.pointed.write(replace(pointer, mark=mark))
        write_atomic(generation_path(self.settings), secrets.token_hex(8) + "\n")


_LEVELS = (None, "requested", "provisional", "proven")


def functions_with_versions(settings: Settings) -> list[str]:
    """The names of the functions that have stored versions, as these say it themselves."""
    found = set()
    for path in (settings.home / "functions").glob("*/v*/version.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            name = json.loads(read_file(path, settings))["function"]
            if name.replace(":", ".") == path.parts[-3]:
                found.add(name)
    return sorted(found)


def generation_path(settings: Settings) -> Path:
    """The file that is replaced whenever any champion of the project changes."""
    return settings.home / "functions" / "generation"
