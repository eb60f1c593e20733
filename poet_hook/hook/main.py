"""The main script of a process -> the same script, run by us where it has a pragma, or may be said to.

No finder is asked for a script: Python reads it itself. But it first asks `sys.path_hooks` whether the path is that of
a folder or an archive with a `__main__`, and so does `runpy.run_path`, with which multiprocessing runs the script of
the parent once more as `__mp_main__`. Here, a script with a pragma is an archive that holds itself.

Imported as Python starts: `os` and `sys`, and no more.
"""

from __future__ import annotations

import os
import sys

from poet_hook.hook.first import has_pragma, is_installed, say, stands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import CodeType
    from typing import Any


class MainHook:
    """The entry of `sys.path_hooks` that takes the main script, once, and no other path."""

    def __init__(self, activate: Callable[[str], None]) -> None:
        self.activate = activate
        # "" and "-" stand for stdin. With -i, Python goes on where the script ended, which it can do with its own only
        first = next(iter(getattr(sys, "argv", ())), "")
        self.script = None if first in ("", "-", "-c", "-m") or sys.flags.inspect else os.path.abspath(first)

    def __call__(self, path: str) -> MainScript:
        """The importer of the main script; raises `ImportError` for every other path, as this protocol wants."""
        if self._is_main(path) and self._is_wanted(path):
            try:
                from poet_hook.hook.script import run_in
            except Exception as error:  # noqa: BLE001 - Python runs it itself
                say(error)
            else:
                return MainScript(path, lambda names: run_in(names, path, self.activate))
        raise ImportError(path=path)

    def _is_main(self, path: str) -> bool:
        if not isinstance(path, str) or path in sys.path:
            return False
        module = sys.modules.get("multiprocessing.process")
        if module is not None and getattr(module.current_process(), "_inheriting", False):
            # what is asked for before the parent's script runs is that script; till then, both names are one module
            return getattr(sys.modules.get("__mp_main__"), "__name__", "") != "__mp_main__"
        if self.script is None or hasattr(sys.modules.get("__main__"), "__file__"):
            return False  # there is none, or it runs already
        return os.path.isabs(path) and os.path.normpath(path) == self.script

    def _is_wanted(self, path: str) -> bool:
        # nothing stands there where the program said that nothing is to be enhanced; a pipe can be read only once
        standing = stands()
        if standing is None or not os.path.isfile(path) or is_installed(path):
            return False
        return has_pragma(path) or standing.may_assume(os.path.basename(path).removesuffix(".py"), path)


class MainScript:
    """The importer, and the loader, of a script that is found as the `__main__` of its own path."""

    def __init__(self, path: str, run_in: Callable[[dict[str, Any]], None]) -> None:
        self.path = path
        self.run_in = run_in

    def find_spec(self, fullname: str, _target: object = None) -> ModuleSpec | None:
        """The spec of the script, and of nothing else."""
        if fullname != "__main__":
            return None
        from importlib.machinery import ModuleSpec  # runpy, which asks, has it

        return ModuleSpec(fullname, self, origin=self.path)  # type: ignore[arg-type]

    def get_code(self, _fullname: str) -> CodeType:
        """Code that runs the script in the namespace that it is given."""
        return compile("__spec__.loader.run(globals())", "<poet_hook>", "exec", dont_inherit=True)

    def run(self, names: dict[str, Any]) -> None:
        """Run the script as Python would; what it raises passes through, or is reported, as under Python."""
        sys.path_importer_cache.pop(self.path, None)  # from here on, it is a file as any other
        self.run_in(names)
