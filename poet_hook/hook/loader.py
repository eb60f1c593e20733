"""A module's bytes -> its code, enhanced where a pragma asks for it."""

from __future__ import annotations

import importlib.util
import warnings
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any

from poet_hook.errors import PoetWarning, PragmaError, PragmaWarning, warn
from poet_hook.model import Diagnostic
from poet_hook.pragma.diagnose import render
from poet_hook.runtime.slot import bind
from poet_hook.transform.compile import FindChampion, compile_module

MARK = b"poet:"


def enhanced_code(
    data: bytes, path: str, module: str, champion: FindChampion, strict: bool, kept_as: str = ""
) -> CodeType | None:
    """The bound code of a module with pragmas; None where there is nothing to enhance, or nothing could be.

    Raises `PragmaError` in strict mode only. Whatever else goes wrong is one warning, and the plain module
    is compiled instead, before any of it ran.
    """
    if MARK not in data:
        return None
    try:
        source = importlib.util.decode_source(data)
        compiled = compile_module(source, path, module, champion, kept_as=kept_as)
        _report(compiled.diagnostics, path, strict)
        if not compiled.plans:
            return None
        return bind(compiled.code, {plan.qualname: plan.source for plan in compiled.plans})
    except PragmaError:
        raise
    except Exception as error:  # noqa: BLE001 - never worse than the original
        if isinstance(error, (SyntaxError, UnicodeDecodeError)) and not _compiles(data, path):
            return None  # Python's own compiler says it better
        warn(f"not enhanced, the original runs: {type(error).__name__}: {error}", PoetWarning, (path, 1))
        return None


def _compiles(data: bytes, path: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(data, path, "exec", dont_inherit=True)
    except Exception:  # noqa: BLE001 - whatever it says will be said again
        return False
    return True


def _report(diagnostics: tuple[Diagnostic, ...], path: str, strict: bool) -> None:
    for item in diagnostics:
        if strict:
            raise PragmaError(
                f"{item.code} {item.message}{f' ({item.hint})' if item.hint else ''}",
                (path, item.line, item.column + 1, item.source_line, item.line, item.end_column + 1),
            )
        warn(render(item, path), PragmaWarning, (path, item.line))


class PoetLoader(SourceFileLoader):
    """Python's own source loader, with another `get_code`: everything else is as without poet_hook."""

    def __init__(self, fullname: str, path: str, champion: FindChampion, strict: bool, kept_as: str) -> None:
        super().__init__(fullname, path)
        self.champion = champion
        self.strict = strict
        self.kept_as = kept_as

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code; compiled afresh, since plain bytecode files must not hold enhanced code."""
        path = self.get_filename(fullname)
        code = enhanced_code(self.get_data(path), path, self.name, self.champion, self.strict, self.kept_as)
        return super().get_code(fullname) if code is None else code

    def __eq__(self, other: Any) -> bool:
        return self.__class__ is other.__class__ and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((self.name, self.path))
