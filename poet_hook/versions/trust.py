"""What somebody else made, or put back -> what it is, and the signature of this user under it, or none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from poet_hook.errors import StoreError, VersionError
from poet_hook.model import Plan, Version
from poet_hook.settings import Settings
from poet_hook.versions.chain import Chain, functions_with_versions
from poet_hook.versions.counts import sign_all
from poet_hook.versions.files import mark_of, read_version, sign_again
from poet_hook.versions.lock import alone
from poet_hook.versions.pointer import FIRST, Pointer
from poet_hook.versions.rebase import fits
from poet_hook.versions.sign import BEFORE, KEY, SHARED, draft_key, is_current, read_key, verified


@dataclass(frozen=True, slots=True)
class Standing:
    """A stored version: `reason` is why it is not trusted ("" where it is), `version` what its files say.

    `own` says that it bears another signature of this user's. `version` is None where it can't be trusted at all.
    """

    number: int
    reason: str
    version: Version | None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """The versions of a function, and its pointer: as it is claimed, and why it is not trusted ("" where it is)."""

    function: str
    versions: tuple[Standing, ...]
    pointer: Pointer | None
    reason: str

    @property
    def doubted(self) -> list[Standing]:
        """The versions that are not trusted."""
        return [each for each in self.versions if each.reason]

    @property
    def open(self) -> bool:
        """Whether there is anything that `trust` would sign."""
        return bool(self.reason and self.pointer) or any(each.version for each in self.doubted)


def examine(chain: Chain, plan: Plan | None) -> Examined:
    """What is trusted of a function's versions; with a plan, also what of the rest may run in its place at all."""
    found = tuple(_standing(chain, number, plan) for number in chain.numbers())
    pointer, reason = None, ""
    try:
        pointer = chain.pointed.claimed()
        used = {each.number: each.version for each in found}.get(chain.pointer().champion)
        if used is not None and pointer.mark not in ("", mark_of(used)) and used.number != 1:
            reason = f"{chain.folder / f'v{used.number}'} is not the one that was put in use"
        elif not chain.pointed.is_current():
            reason = f"{chain.pointed.path} bears another signature of this user's"
    except VersionError as error:
        reason = str(error).partition(". Look at it with")[0]
    return Examined(chain.function, found, pointer, reason)


def _standing(chain: Chain, number: int, plan: Plan | None) -> Standing:
    place = chain.folder, number, chain.function, chain.settings
    try:
        return Standing(number, "", read_version(*place, is_current), own=True)
    except VersionError as error:
        reason = str(error)
    try:
        version, own = read_version(*place, verified), True
        reason = f"v{number} bears another signature of this user's"
    except VersionError:
        try:
            version, own = read_version(*place, _whoever), False
        except VersionError as error:
            return Standing(number, str(error), None)
    if plan is not None and number > 1 and version.source_hash == plan.source_hash:
        try:
            fits(version, plan)
        except VersionError as error:
            return Standing(number, f"{reason}, and can't run: {error}", None)
    return Standing(number, reason, version, own)


def _whoever(_data: bytes, _claimed: str, _settings: Settings) -> bool:
    return True


def trust(chain: Chain, examined: Examined) -> None:
    """Sign what was examined, and nothing that was written since. Raises `StoreError` and `VersionError`."""
    for each in examined.doubted:
        if each.version is not None:
            sign_again(chain.folder, each.version if each.own else _as_claimed(each.version), chain.settings)
    if examined.pointer is None:
        return
    usable = {1, *(each.number for each in examined.versions if each.version is not None)}
    if examined.reason:
        chain.put(_kept(examined.pointer, usable))
    elif chain.pointed.path.exists() and examined.doubted:  # it was about them as they were
        chain.put(examined.pointer if examined.pointer.champion in usable else _kept(examined.pointer, usable))


def _as_claimed(version: Version) -> Version:
    """What its maker found was not found here: a person asked for it, and that is all there is."""
    if version.level is None:
        return version
    verdict = version.verdict
    if verdict is not None:
        said = f"trusted on {time.strftime('%Y-%m-%d')}: what follows is what its maker says"
        verdict = replace(verdict, level="requested", reasons=(said, *verdict.reasons))
    return replace(version, level="requested", verdict=verdict)


def _kept(pointer: Pointer, usable: set[int]) -> Pointer:
    if pointer.champion not in usable:
        return replace(FIRST, since=time.time())
    history = tuple(number for number in pointer.history if number in usable)
    return Pointer(pointer.champion, history, time.time())


def untrust(chain: Chain) -> list[int]:
    """Put the original in use, and take the signatures from all other versions; their numbers.

    Raises `StoreError` and `VersionError`.
    """
    chain.point(1, [])
    gone = []
    for number in chain.numbers():
        if number > 1:
            try:
                version = chain.read(number)
            except VersionError:
                continue
            sign_again(chain.folder, version, None)
            gone.append(number)
    return gone


# --------------------------------------------------------------------------- another key


@dataclass(frozen=True, slots=True)
class Rotated:
    """How many versions of how many projects are signed with the new key; `left` says which were not, and why."""

    signed: int
    projects: int
    left: tuple[str, ...]


def rotate(settings: Settings) -> Rotated:
    """Make a new key for this user, and sign with it what the one before had signed, in every project known here.

    An interrupted rotation goes on where it was: both keys count until all is signed. Raises `VersionError` and
    `StoreError`.
    """
    if os.environ.get(SHARED):
        raise VersionError(f"{SHARED} is set, and this changes your own key: unset it for this command")
    key, before = settings.user_dir / KEY, settings.user_dir / BEFORE
    if not key.exists():
        raise VersionError(f"{key}: there is no key yet; one is made when the first version is")
    read_key(key, settings)
    try:
        if not before.exists():
            os.link(key, before)
            os.replace(draft_key(key), key)
        signed, left = 0, []
        homes = sorted({str(settings.home), *sign_all(settings)})
        for home in homes:
            made, not_made = _sign_again(_elsewhere(settings, Path(home)))
            signed += made
            left += not_made
        before.unlink()
    except OSError as error:
        raise StoreError(f"{settings.user_dir}: the key can't be changed: {error}") from error
    return Rotated(signed, len(homes), tuple(left))


def _elsewhere(settings: Settings, home: Path) -> Settings:
    if home == settings.home:
        return settings
    return replace(settings, home=home, root=home.parent, sources={**settings.sources, "home": "default"})


def _sign_again(settings: Settings) -> tuple[int, list[str]]:
    signed, left = 0, []
    for chain in _chains(settings):
        with alone(chain.folder):
            for each in examine(chain, None).doubted:
                if each.own and each.version is not None:
                    sign_again(chain.folder, each.version, settings)
                    signed += 1
                else:
                    left.append(each.reason)
            try:
                chain.pointed.sign_again()
            except VersionError as error:
                left.append(str(error))
    return signed, left


def _chains(settings: Settings) -> Iterator[Chain]:
    for function in functions_with_versions(settings):
        try:
            yield Chain(settings, function)
        except VersionError:  # no name of a function
            continue
