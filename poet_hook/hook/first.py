"""What stands first in `sys.meta_path`, and which files are the user's own.

Imported as Python starts, where somebody asked for that: the standard library's `os` and `sys`, and no more.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

MARK = b"poet:"
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
# a Python without its library on the disk has no such file, and covers nothing of it
_STANDARD = os.path.join(os.path.dirname(getattr(os, "__file__", "\0/os.py")), "")


class First:
    """Asks the finders behind it in turn, and considers the spec that they give."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the remaining finders give, as `consider` left it."""
        finders = sys.meta_path.copy()  # another thread may change it meanwhile
        try:
            at = finders.index(self) + 1
        except ValueError:  # where it did so already, what stands in our place is among them
            at = 0
        spec: ModuleSpec | None
        for finder in finders[at:]:
            try:
                find = finder.find_spec
            except AttributeError:
                spec = _asked_as_of_old(finder, fullname, path)
            else:
                spec = find(fullname, path, target)
            if spec is not None:
                self.consider(spec)
                return spec
        return None

    def consider(self, spec: ModuleSpec) -> None:
        """Look at a spec, and replace its loader at most."""
        raise NotImplementedError

    def may_assume(self, module: str, path: str) -> bool:
        """Whether the settings may say something of a module that has no pragma; `path` is absolute."""
        raise NotImplementedError

    def invalidate_caches(self) -> None:
        """Nothing is cached here; the finders behind have their own."""


def _asked_as_of_old(finder: object, fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """What a finder that has no `find_spec` finds: Python 3.11 still asks it for a loader, with a warning."""
    ask = getattr(sys.modules["_frozen_importlib"], "_find_spec_legacy", None)
    found: ModuleSpec | None = ask(finder, fullname, path) if ask and hasattr(finder, "find_module") else None
    return found


class Waiting(First):
    """Until the first module of the user's own with a pragma is imported: then it makes room for the finder."""

    def __init__(self, activate: Callable[[], None]) -> None:
        self.activate = activate
        entries = os.environ.get("POET_ASSUME", "").replace("\n", ";").split(";")
        self.assumed = {entry.partition(":")[0].strip() for entry in entries} - {""}  # of quoted text too: no harm
        self._folders: dict[str, bool] = {}

    def consider(self, spec: ModuleSpec) -> None:
        """Activate poet_hook for a module with a pragma, or of which one is assumed; let the finder look at it."""
        path = spec.origin
        if not spec.has_location or path is None or not path.endswith(".py"):
            return
        path = os.path.abspath(path)
        if is_installed(path):
            wanted = self._names(spec.name)
        else:
            wanted = self.may_assume(spec.name, path) or has_pragma(path)
        if not wanted:
            return
        if stands() is self:
            self.activate()
        standing = stands()
        if standing is not None and not isinstance(standing, Waiting):
            standing.consider(spec)

    def may_assume(self, module: str, path: str) -> bool:
        """Whether POET_ASSUME names it, or a pyproject.toml above it seems to assume anything; what, is read later."""
        return self._names(module) or self._is_below_assumption(os.path.dirname(path))

    def _is_below_assumption(self, folder: str) -> bool:
        found = self._folders.get(folder)
        if found is None:
            above = os.path.dirname(folder)
            further = above != folder and folder != sys.prefix  # an environment in a project is no part of that
            found = self._folders[folder] = _assumes(folder) or (further and self._is_below_assumption(above))
        return found

    def _names(self, module: str) -> bool:
        # a file below the working directory may be named by its place in the project, too
        return any(f"{module}.".startswith(f"{name}.") or f".{name}".endswith(f".{module}") for name in self.assumed)


def _assumes(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "pyproject.toml"), "rb", buffering=0) as file:
            data = file.read()
    except OSError:
        return False
    return b"poet_hook" in data and b"assume" in data


def is_installed(path: str) -> bool:
    """True for a file of an installed package, of the standard library, or of poet_hook; `path` is absolute."""
    return path.startswith((_OWN, _STANDARD)) or _is_package(path)


def _is_package(path: str) -> bool:
    return any(part in path for part in _INSTALLED)


def not_own() -> tuple[str, ...]:
    """The folders, with a separator at the end, in which `is_installed` holds for every file."""
    return _STANDARD, *(os.path.join(path, "") for path in sys.path if os.path.join(path, "").endswith(_INSTALLED))


def stands_below(path: str) -> bool:
    """True for a file of poet_hook, or of the standard library, on which it stands; `path` is absolute."""
    return path.startswith((_OWN, _STANDARD)) and not (path.startswith(_STANDARD) and _is_package(path))


def has_pragma(path: str) -> bool:
    """True where the file's bytes hold a pragma; False too where it can't be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return MARK in file.read()
    except OSError:
        return False


def stands() -> First | None:
    """What of ours stands in `sys.meta_path`."""
    return next((finder for finder in sys.meta_path if isinstance(finder, First)), None)


def remove() -> None:
    """Take what is ours out of `sys.meta_path`; modules that are enhanced already stay so."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, First)]


def say(error: Exception) -> None:
    """One line, where warnings may not be there yet, or no more."""
    if sys.stderr is not None:
        print(f"poet_hook: nothing is enhanced: {error}", file=sys.stderr)  # noqa: T201
