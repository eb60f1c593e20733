"""What the setting `assume` names -> what is said where nothing of this name can be enhanced.

Nothing is imported for that: the files of the project are looked at, and where Python would find a module.
"""

from __future__ import annotations

import ast
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from poet_hook.model import Diagnostic
from poet_hook.pragma.assume import Assumed
from poet_hook.pragma.diagnose import Place, suggest
from poet_hook.settings import Assumption, Settings
from poet_hook.transform.plan import UNPARSABLE, qualnames


class _NothingError(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def unknown_names(settings: Settings, files: Iterable[Path]) -> Iterator[tuple[str, Diagnostic]]:
    """What is wrong with each entry that names nothing, and where it was said; `files` are those of the project."""
    names = {path: settings.module_of(path, path.stem) for path in files}
    for entry in settings.assume:
        try:
            _look(entry, settings.root, names)
        except _NothingError as nothing:
            place = Place(1, entry.target, 0, len(entry.target))
            yield f"{entry.said_in} ({entry.target})", place.diagnostic("PH501", nothing.message, nothing.hint)


def _look(entry: Assumption, root: Path, names: dict[Path, str]) -> None:
    module = entry.module
    if entry.within:
        found = [path for path, name in names.items() if f".{name}".endswith(f".{module}")]
    else:  # any end of a file's place may be the name that it is imported by
        found = [path for path, name in names.items() if f".{module}." in f".{name}."]
    if not found and root.joinpath(*module.split(".")).exists():
        return
    if not found:
        path = _found(entry, [name.split(".") for name in names.values()])
        if path is not None and not entry.reaches(module, str(path)):
            hint = "only the environment variable POET_ASSUME speaks of what lies outside the project"
            raise _NothingError(f"no module of the project is called {module}", hint)
        found = [path] if path is not None else []
    if entry.within and found:
        _find_function(entry, found)


def _found(entry: Assumption, own: list[list[str]]) -> Path | None:
    """Where Python finds a module that no file of the project is; None where only an import could tell."""
    top, *inner = entry.module.split(".")
    if top in sys.stdlib_module_names:
        raise _NothingError(f"{top} is part of Python, which stays as it is")
    if top == "__main__":
        raise _NothingError("no module is called __main__", "a script is named by its file, without .py")
    if top == "poet_hook":
        raise _NothingError("poet_hook itself stays as it is")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        choices = {".".join(name[start:]) for name in own for start in range(len(name))}
        if entry.anywhere:
            choices.update(found.name for found in pkgutil.iter_modules())
        whose = "" if entry.anywhere else " of the project"
        raise _NothingError(f"no module{whose} is called {entry.module}", suggest(entry.module, choices))
    for part in inner:
        if _makes_its_path(spec):
            return None
        places = list(spec.submodule_search_locations or ())
        # by its last name alone: the name of a namespace in another asks that one, which is not imported
        inside = PathFinder.find_spec(part, places)
        if inside is None:
            near = suggest(part, (found.name for found in pkgutil.iter_modules(places)))
            raise _NothingError(f"no module is called {entry.module}: there is no {part} in it", near)
        spec = inside
    return _source(entry.module, spec)


def _makes_its_path(spec: ModuleSpec) -> bool:
    try:
        return spec.origin is not None and b"__path__" in Path(spec.origin).read_bytes()
    except OSError:
        return False


def _source(module: str, spec: ModuleSpec) -> Path | None:
    if spec.origin is not None and spec.origin.endswith(".py"):
        return Path(spec.origin)
    if spec.submodule_search_locations is not None:
        return next((Path(place) for place in spec.submodule_search_locations), None)
    if not spec.has_location:
        return None
    raise _NothingError(f"{module} has no Python source: it is {Path(spec.origin or '').name}")


def _find_function(entry: Assumption, files: list[Path]) -> None:
    known: set[str] = set()
    for path in files:
        try:
            known.update(qualnames(ast.parse(path.read_bytes())))
        except (OSError, *UNPARSABLE):  # which is reported of the file
            return
    if not any(Assumed(entry.within, None).names(name) for name in known):
        near = suggest(entry.within, known)
        raise _NothingError(f"there is no function {entry.within} in {entry.module}", near)
