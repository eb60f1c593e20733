"""The name of a module -> its spec, with our loader where the source under a project root has a pragma."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

from poet_hook.errors import PoetWarning, warn
from poet_hook.hook.loader import MARK, Enhancer, PoetLoader

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
# a Python without its library on the disk has no such file, and covers nothing of it
_STANDARD = os.path.join(os.path.dirname(getattr(os, "__file__", "\0/os.py")), "")


class Finder:
    """Stands first in `sys.meta_path`, asks the finders behind it, and at most replaces the loader."""

    def __init__(self, roots: Sequence[Path], enhancer: Enhancer) -> None:
        self.roots = tuple(dict.fromkeys(os.path.join(os.path.abspath(root), "") for root in roots))
        self.enhancer = enhancer

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the remaining finders give, its loader replaced where the module has pragmas."""
        ours = False
        for finder in sys.meta_path:
            if finder is self:
                ours = True
                continue
            find = getattr(finder, "find_spec", None)
            if not ours or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                self._consider(spec)
                return spec
        return None

    def _consider(self, spec: ModuleSpec) -> None:
        loader = spec.loader
        if type(loader) is SourceFileLoader and self.covers(loader.path) and has_pragma(loader.path):
            spec.loader = PoetLoader(loader.name, loader.path, self.enhancer)

    def covers(self, path: str) -> bool:
        """True for a file under a project root that is not an installed package, the standard library or ours."""
        full = path if os.path.isabs(path) and f"{os.sep}." not in path else os.path.abspath(path)
        if not full.startswith(self.roots) or full.startswith(_OWN):
            return False
        return not full.startswith(_STANDARD) and not any(part in full for part in _INSTALLED)

    def invalidate_caches(self) -> None:
        """Nothing is cached here; the finders behind have their own."""


def has_pragma(path: str) -> bool:
    """True where the file's bytes hold a pragma; False too where it can't be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return MARK in file.read()
    except OSError:
        return False


def install(roots: Sequence[Path], enhancer: Enhancer) -> Finder:
    """Put a finder first in `sys.meta_path` in place of an earlier one of ours, and say what came too early."""
    remove()
    finder = Finder(roots, enhancer)
    sys.meta_path.insert(0, finder)
    _name_too_early(finder)
    return finder


def remove() -> None:
    """Take our finder out of `sys.meta_path`; modules that are enhanced already stay so."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]


def active() -> Finder | None:
    """Our finder, where one is installed."""
    return next((finder for finder in sys.meta_path if isinstance(finder, Finder)), None)


def _name_too_early(finder: Finder) -> None:
    late = []
    for name, module in list(sys.modules.items()):
        try:
            path = getattr(module, "__file__", None)
            spec = getattr(module, "__spec__", None)
            loader = getattr(module, "__loader__", None) if spec is None else spec.loader
        except Exception:  # noqa: BLE001 - a module that is made when it is first touched, and can't be
            continue
        if not isinstance(path, str) or not path.endswith(".py") or isinstance(loader, PoetLoader):
            continue
        if finder.covers(path) and has_pragma(path) and _has_pragma_line(path):
            late.append(name)
    if late:
        warn(
            f"imported before poet_hook was activated, and therefore not enhanced: {', '.join(sorted(late))}. "
            "Activate earlier, or start the program with: python -m poet_hook run SCRIPT",
            PoetWarning,
            stacklevel=4,
        )


def _has_pragma_line(path: str) -> bool:
    from poet_hook.pragma.scan import find

    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(find(text).pragmas)
