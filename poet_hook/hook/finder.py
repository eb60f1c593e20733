"""The name of a module -> its spec, with our loader where the source under a project root has a pragma."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from pathlib import Path

from poet_hook.errors import PoetWarning, warn
from poet_hook.hook.first import First, has_pragma, is_installed, not_own, stands_below
from poet_hook.hook.loader import Enhancer, PoetLoader, say_compiled

_BESIDE = "beartype.claw."  # once anything uses it, it loads every source file of the process, and few to check them


class Finder(First):
    """At most replaces the loader of what the finders behind it found."""

    def __init__(self, roots: Sequence[Path], enhancer: Enhancer) -> None:
        self.roots = tuple(dict.fromkeys(os.path.join(os.path.abspath(root), "") for root in roots))
        self.enhancer = enhancer
        # most imports of most programs are from here, and told by this alone
        self.away = () if any(entry.anywhere for entry in enhancer.assume) else not_own()

    def consider(self, spec: ModuleSpec) -> None:
        """Put our loader into the spec of a module under the roots that has pragmas, or say why that can't be."""
        loader = spec.loader
        if type(loader) is SourceFileLoader:
            if not loader.path.startswith(self.away) and self.wants(spec.name, loader.path):
                spec.loader = PoetLoader(loader.name, loader.path, self.enhancer)
        elif type(loader) is ExtensionFileLoader:
            self._name_hidden(spec.name, loader.path)
        elif not isinstance(loader, PoetLoader):
            with contextlib.suppress(Exception):  # theirs may be anything, and stays what it is
                self._stand_beside(spec)

    def _name_hidden(self, module: str, path: str) -> None:
        """Say so where a module that was compiled, as Cython does it, has a source with pragmas beside it."""
        folder, library = os.path.split(path)
        source = os.path.join(folder, f"{library.partition('.')[0]}.py")
        if not path.startswith(self.away) and self._asks(module, source):
            message = f"not enhanced, since the shared library {library} is imported in its place: {source}"
            warn(message, PoetWarning, (source, 1))

    def _asks(self, module: str, path: str) -> bool:
        return self.wants(module, path) and (self.enhancer.assumes(module, path) or _has_pragma_line(path))

    def _stand_beside(self, spec: ModuleSpec) -> None:
        loader, path = spec.loader, spec.origin
        if not spec.has_location or path is None or not path.endswith(".py"):
            return
        inner = getattr(loader, "loader", None)  # of those that only do something around a module, or later
        if isinstance(inner, PoetLoader) or not self.wants(spec.name, path):
            return
        if isinstance(loader, SourceFileLoader) and type(loader).__module__.startswith(_BESIDE):
            spec.loader = PoetLoader(loader.name, loader.path, self.enhancer, loader)
        elif type(inner) is SourceFileLoader:
            loader.loader = PoetLoader(inner.name, inner.path, self.enhancer)  # type: ignore[union-attr]
        elif self.enhancer.assumes(spec.name, path) or _has_pragma_line(path):
            say_compiled(path, loader)

    def may_assume(self, module: str, path: str) -> bool:
        """Whether the settings say something of a module."""
        return self.enhancer.assumes(module, path)

    def wants(self, module: str, path: str) -> bool:
        """Whether the file of a module may be enhanced, and either has a pragma or one is assumed of it."""
        if self.covers(path):
            return has_pragma(path) or self.enhancer.assumes(module, path)
        return not stands_below(os.path.abspath(path)) and self.enhancer.assumes(module, path, anywhere=True)

    def covers(self, path: str) -> bool:
        """True for a file under a project root that is not an installed package, the standard library or ours."""
        full = path if os.path.isabs(path) and f"{os.sep}." not in path else os.path.abspath(path)
        return full.startswith(self.roots) and not is_installed(full)


def install(roots: Sequence[Path], enhancer: Enhancer) -> Finder:
    """Put a finder first in `sys.meta_path` in place of an earlier one of ours, and say what came too early."""
    finder = Finder(roots, enhancer)
    # at one stroke: no import of another thread finds neither the one nor the other
    sys.meta_path[:] = [finder, *(other for other in sys.meta_path if not isinstance(other, First))]
    _name_too_early(finder)
    return finder


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
        if finder._asks(name, path):
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
    found = find(text)
    return bool(found.pragmas or found.classes or found.module)
