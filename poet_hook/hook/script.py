"""`python script.py` and `python -m module`, with the pragmas of the main module carried out."""

from __future__ import annotations

import builtins
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType, TracebackType

from poet_hook.hook.finder import Finder, active
from poet_hook.hook.loader import PoetLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def run_script(path: str, arguments: Sequence[str]) -> None:
    """Run a file (or a folder or zip with a `__main__.py`) as Python itself would; exceptions pass through."""
    sys.argv = [path, *arguments]
    if pkgutil.get_importer(path) is not None:
        sys.path[0 : 0 if sys.flags.safe_path else 1] = [os.path.join(os.getcwd(), path)]
        _fresh_main()
        runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]
        return
    with open(path, "rb") as file:
        data = file.read()
    _set_path0(os.path.dirname(os.path.realpath(path)))
    # Python joins and does not normalise: `./app.py` is /folder/./app.py in tracebacks
    if not os.path.isabs(path):
        path = os.path.join(os.getcwd(), path)
    loader, code = _script_code(active(), path, data)
    main = _fresh_main()
    main.__file__ = path
    main.__loader__ = loader
    main.__dict__["__cached__"] = None
    exec(code, main.__dict__)


def run_in(names: dict[str, Any], path: str, activate: Callable[[str], None]) -> None:
    """Run a script in a namespace of runpy's, which took it for an archive, as if it had not; first, `activate` for it.

    What it raises as `__main__` is reported; as `__mp_main__`, it passes through.
    """
    is_main = names["__name__"] == "__main__"
    if path in sys.path:  # where Python, or runpy, put the archive
        place = sys.path.index(path)
        folders = [os.path.dirname(os.path.realpath(path))] if is_main and not sys.flags.safe_path else []
        sys.path[place : place + 1] = folders
    names["__spec__"] = None
    if not is_main:
        _exec_in(names, path, activate)
        return
    names["__package__"] = None
    try:
        _exec_in(names, path, activate)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the program raises is shown as Python shows it
        raise SystemExit(report(error)) from None


def _exec_in(names: dict[str, Any], path: str, activate: Callable[[str], None]) -> None:
    file_name = names.pop("__file__")  # until it is loaded, it can't be called loaded too early
    activate(path)
    finder = active()
    with open(path, "rb") as file:
        data = file.read()
    loader, code = _script_code(finder if finder and finder.covers(path) else None, path, data, names["__name__"])
    names.update(__file__=file_name, __loader__=loader)
    exec(code, names)


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Run a module as `python -m name` would; exceptions pass through."""
    sys.argv = ["-m", *arguments]
    _set_path0(os.getcwd())
    _fresh_main()
    runpy._run_module_as_main(name, alter_argv=True)  # type: ignore[attr-defined]


def report(error: BaseException) -> int:
    """Print an exception as Python itself would, without our own frames; the exit code.

    A KeyboardInterrupt is raised again: the interpreter cleans up, and then ends itself by SIGINT.
    """
    _show(error)
    if isinstance(error, KeyboardInterrupt):
        sys.excepthook = lambda *_: None  # it is printed already
        raise error
    return 1


def _show(error: BaseException) -> None:
    traceback = error.__traceback__
    while traceback is not None and _is_ours(traceback):
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError):  # of an imported module: our loader stands between Python's
        traceback = _without_loader(traceback)
    error.__traceback__ = traceback
    sys.excepthook(type(error), error, traceback)


def _without_loader(traceback: TracebackType | None) -> TracebackType | None:
    before, frame = None, traceback
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if name.startswith(("<frozen importlib", _OWN)):
            if before is None:
                traceback = frame.tb_next
            else:
                before.tb_next = frame.tb_next
        else:
            before = frame
        frame = frame.tb_next
    return traceback


def _is_ours(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(_OWN)


def _script_code(
    finder: Finder | None, path: str, data: bytes, name: str = "__main__"
) -> tuple[SourceFileLoader, CodeType]:
    if finder is not None:
        code = finder.enhancer.code(data, path, os.path.basename(path).removesuffix(".py"))
        if code is not None:
            return PoetLoader(name, path, finder.enhancer), code
    plain = SourceFileLoader(name, path)
    return plain, compile(data, path, "exec", dont_inherit=True)


def _fresh_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    _kept.append(sys.modules["__main__"])  # its globals must outlive the script
    sys.modules["__main__"] = main
    return main


_kept: list[ModuleType] = []


def _set_path0(folder: str) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = folder
