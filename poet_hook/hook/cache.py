"""Source bytes -> what was compiled from them before, from a folder of this user's.

Enhanced code never goes where Python keeps its own: a plain run would take it for the module's. It never lies in
the project either: what comes with a checkout may not be run unread. The folder is `poet_hook` in the user's cache
folder, or in `PYTHONPYCACHEPREFIX`; it is used only where nobody else may write to it. A file holds

    8 bytes   what it was made from: the source, its path and names, Python, its optimisation level, poet_hook
    8 bytes   a checksum of the rest
    the rest  what was made, by `marshal`

and a file in which one of these is not as it should be is as good as none. The hashes are those of Python's own
hash-based bytecode files (PEP 552).
"""

from __future__ import annotations

import contextlib
import marshal
import os
import stat
import sys
import threading
from _imp import source_hash
from importlib.util import MAGIC_NUMBER
from typing import Any

from poet_hook.settings import in_site_packages

_KEY = int.from_bytes(b"poet2", "little")  # a change of the format changes the key
_HASH = 8
_MOST_FILES = 2_000
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Cache:
    """The files in one folder; where that can't be this user's alone, it holds nothing and keeps nothing."""

    def __init__(self, folder: str | None) -> None:
        self.folder = folder
        self._usable = folder is not None and _is_ours(folder)
        self._made_by = source_hash(_KEY, repr((MAGIC_NUMBER, sys.flags.optimize, _own_state())).encode())

    def key(self, data: bytes, *names: str) -> bytes:
        """What tells whether a file was made from just this source, under just these names."""
        told = (name.encode("utf-8", "surrogatepass") for name in names)
        return source_hash(_KEY, b"\0".join([source_hash(_KEY, data), *told, self._made_by]))

    def read(self, place: str, key: bytes) -> Any:
        """What was kept for `place` with this key; None where nothing was."""
        if not self._usable:
            return None
        try:
            with open(self._path(place), "rb", buffering=0) as file:
                found = file.read()
            rest = memoryview(found)[2 * _HASH :]
            if found[:_HASH] != key or found[_HASH : 2 * _HASH] != source_hash(_KEY, rest):
                return None
            return marshal.loads(rest)
        except (OSError, ValueError, EOFError, TypeError):
            return None

    def write(self, place: str, key: bytes, made: Any) -> None:
        """Keep what was made, where that can be done; readers beside it see the old file or the new one."""
        if self.folder is None or sys.dont_write_bytecode:
            return
        with contextlib.suppress(OSError, ValueError):
            rest = marshal.dumps(made)
            if not self._usable:
                os.makedirs(self.folder, 0o700, exist_ok=True)
                self._usable = _is_ours(self.folder)
                if not self._usable:
                    return
            self._make_room()
            path = self._path(place)
            draft = f"{path}.{os.getpid()}.{threading.get_ident()}"
            try:
                with open(draft, "xb") as file:
                    file.write(key + source_hash(_KEY, rest) + rest)
                os.replace(draft, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(draft)
                raise

    def _path(self, place: str) -> str:
        assert self.folder is not None
        return os.path.join(self.folder, source_hash(_KEY, place.encode("utf-8", "surrogatepass")).hex())

    def _make_room(self) -> None:
        """Of too many files, the older half goes: projects that are no longer, drafts that were never finished."""
        assert self.folder is not None
        paths = [os.path.join(self.folder, name) for name in os.listdir(self.folder)]
        if len(paths) < _MOST_FILES:
            return
        for path in sorted(paths, key=lambda path: os.stat(path).st_mtime)[: len(paths) // 2]:
            with contextlib.suppress(OSError):
                os.unlink(path)


def user_cache() -> Cache:
    """The cache of this user for this Python, at this optimisation level."""
    tag = sys.implementation.cache_tag
    base = sys.pycache_prefix or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if tag is None or not os.path.isabs(base):
        return Cache(None)
    level = f".opt-{sys.flags.optimize}" if sys.flags.optimize else ""
    return Cache(os.path.join(base, "poet_hook", tag + level))


def _is_ours(folder: str) -> bool:
    """True for a folder into which nobody else may put a file."""
    try:
        state = os.lstat(folder)
    except (OSError, ValueError):
        return False
    if not hasattr(os, "geteuid"):  # Windows: what lies in a profile is its user's
        return stat.S_ISDIR(state.st_mode)
    shared = state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not shared


def _own_state() -> Any:
    """What changes with poet_hook itself: in a checkout any file may."""
    with contextlib.suppress(OSError):
        if in_site_packages(_OWN + os.sep):
            return _state(os.path.join(_OWN, "__init__.py"))
        folders = [_OWN, *(entry.path for entry in os.scandir(_OWN) if entry.is_dir())]
        files = (entry.path for folder in folders for entry in os.scandir(folder) if entry.name.endswith(".py"))
        return sorted(map(_state, files))
    return None


def _state(path: str) -> tuple[str, int, int]:
    found = os.stat(path)
    return path, found.st_mtime_ns, found.st_size
