"""A module's bytes -> its code, enhanced where a pragma asks for it."""

from __future__ import annotations

import gc
import importlib.util
import warnings
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader

from poet_hook.errors import PoetWarning, PragmaError, PragmaWarning, warn
from poet_hook.hook.cache import Cache
from poet_hook.hook.first import MARK
from poet_hook.runtime import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import CodeType
    from typing import Any, Protocol

    from poet_hook.model import Plan, Value
    from poet_hook.runtime.bind import Loose
    from poet_hook.settings import Assumption
    from poet_hook.transform.compile import Champion

    NameModule = Callable[[str, str], str]
    Said = tuple[Any, ...]
    """The fields of a `Diagnostic`."""
    Kept = tuple[str, str, int, dict[str, Value], bool]
    """A function that trains: its name, the hash of its text, the version in use, its values; is it judged live?"""

    class Champions(Protocol):
        """What knows which version of a function is in use."""

        def of(self, plan: Plan) -> Champion:
            """The version to put into the code of `plan`, which is about to run."""

        def still(self, kept: Sequence[Kept]) -> bool:
            """Whether these are the versions to put into code that is about to run."""


class Enhancer:
    """A module's bytes -> its code, as one activation has it done."""

    def __init__(
        self,
        champions: Champions,
        strict: bool,
        name: NameModule,
        root: str,
        cache: Cache,
        assume: tuple[Assumption, ...] = (),
    ) -> None:
        self.champions = champions
        self.strict = strict
        self.name = name  # the name under which a file's functions are kept, in the project at `root`
        self.root = root
        self.cache = cache
        self.assume = assume

    def assumes(self, module: str, path: str, anywhere: bool = False) -> bool:
        """Whether the settings say something of a module; with `anywhere`, of one that is not the project's too."""
        return bool(self.assume) and bool(self._assumed(module, path, anywhere))

    def _assumed(self, module: str, path: str, anywhere: bool = False) -> list[Assumption]:
        entries = [entry for entry in self.assume if entry.anywhere or not anywhere]
        names = {module, self.name(path, module)} if entries else ()
        found = [entry for entry in entries if any(entry.reaches(name, path) for name in names)]
        return found if any(entry.text != "off" for entry in found) else []

    def code(self, data: bytes, path: str, module: str) -> CodeType | None:
        """The bound code of a module with pragmas; None where there is nothing to enhance, or nothing could be.

        Raises `PragmaError` in strict mode only. Whatever else goes wrong is one warning, and the plain module
        is compiled instead, before any of it ran.
        """
        assumed = self._assumed(module, path) if self.assume else ()
        if not assumed and MARK not in data:
            return None
        try:
            loose, said = self._loose(data, path, module, tuple(assumed))
            if said:
                _report(said, path, self.strict)
            if loose is None:
                return None
            return bind.bind(loose)
        except PragmaError:
            raise
        except Exception as error:  # noqa: BLE001 - never worse than the original
            if isinstance(error, (SyntaxError, UnicodeDecodeError)) and not _compiles(data, path):
                return None  # Python's own compiler says it better
            warn(f"not enhanced, the original runs: {type(error).__name__}: {error}", PoetWarning, (path, 1))
            return None

    def _loose(
        self, data: bytes, path: str, module: str, assumed: tuple[Assumption, ...]
    ) -> tuple[Loose | None, Sequence[Said]]:
        place, key = f"{path}\0{module}", self.cache.key(data, path, module, self.root, repr(assumed))
        found = self.cache.read(place, key)
        if found is None or not self.champions.still(found[2]):
            found = self._compiled(data, path, module, assumed)
            self.cache.write(place, key, found)
        loose, said, _ = found
        return loose, said

    def _compiled(
        self, data: bytes, path: str, module: str, assumed: tuple[Assumption, ...]
    ) -> tuple[Loose | None, list[Said], list[Kept]]:
        from dataclasses import astuple

        from poet_hook.pragma.options import judged_live
        from poet_hook.transform.compile import compile_module

        kept: list[Kept] = []

        def champion(plan: Plan) -> Champion:
            champion = self.champions.of(plan)
            if plan.pragma.trains:
                values, live = dict(champion.values), judged_live(plan.pragma)
                kept.append((plan.function, plan.source_hash, champion.version, values, live))
            return champion

        source, kept_as = importlib.util.decode_source(data), self.name(path, module)
        with _no_collection():
            compiled = compile_module(source, path, module, champion, kept_as=kept_as, assume=assumed)
        sources = {plan.qualname: plan.source for plan in compiled.plans}
        loose = bind.loosen(compiled.code, sources) if compiled.plans else None
        return loose, [astuple(each) for each in compiled.diagnostics], kept


@contextmanager
def _no_collection() -> Iterator[None]:
    """A tree is many objects and no cycle: to look for one over and over takes as long as all else."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _compiles(data: bytes, path: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(data, path, "exec", dont_inherit=True)
    except Exception:  # noqa: BLE001 - whatever it says will be said again
        return False
    return True


def _report(diagnostics: Sequence[Said], path: str, strict: bool) -> None:
    from poet_hook.model import Diagnostic
    from poet_hook.pragma.diagnose import render

    for item in (Diagnostic(*fields) for fields in diagnostics):
        if strict:
            raise PragmaError(
                f"{item.code} {item.message}{f' ({item.hint})' if item.hint else ''}",
                (path, item.line, item.column + 1, item.source_line, item.line, item.end_column + 1),
            )
        warn(render(item, path), PragmaWarning, (path, item.line))


def say_compiled(path: str, loader: object, functions: Sequence[str] = ()) -> None:
    """Warn that another loader compiles a file, or these functions in it."""
    what = f"{', '.join(functions)} in {path}" if functions else path
    by = f"{type(loader).__module__}.{type(loader).__qualname__}"
    warn(f"not enhanced, since it is compiled by {by}: {what}", PoetWarning, (path, 1))


class PoetLoader(SourceFileLoader):
    """Python's own source loader, with another `get_code`: everything else is as without poet_hook.

    `beside` is the loader of another hook, which may have compiled the module, or left it as it is.
    """

    def __init__(self, fullname: str, path: str, enhancer: Enhancer, beside: SourceFileLoader | None = None) -> None:
        super().__init__(fullname, path)
        self.enhancer = enhancer
        self.beside = beside

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code; never from or into plain bytecode files, which must not hold enhanced code."""
        path = self.get_filename(fullname)
        data = self.get_data(path)
        code = self.enhancer.code(data, path, self.name)
        if self.beside is not None:
            return self._with_theirs(self.beside, fullname, data, code)
        return super().get_code(fullname) if code is None else code

    def _with_theirs(
        self, loader: SourceFileLoader, fullname: str, data: bytes, code: CodeType | None
    ) -> CodeType | None:
        theirs = loader.get_code(fullname)
        if theirs is None or code is None:
            return theirs
        from poet_hook.hook.graft import graft

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were given already
            plain = compile(data, self.path, "exec", dont_inherit=True)
        whole, left = graft(theirs, plain, code)
        if left:
            say_compiled(self.path, loader, left)
        return whole

    def __eq__(self, other: Any) -> bool:
        return self.__class__ is other.__class__ and (self.name, self.path) == (other.name, other.path)

    def __hash__(self) -> int:
        return hash((self.name, self.path))


# Python leaves its own frames out of the traceback of a SyntaxError; this one stands among them, known by its file
PoetLoader.get_code.__code__ = PoetLoader.get_code.__code__.replace(
    co_filename="<frozen importlib._bootstrap_external>"
)
