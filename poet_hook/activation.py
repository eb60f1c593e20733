"""Turning it on and off: the settings and the store of this process, and the hook that stands in it."""

from __future__ import annotations

import functools
import os
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from poet_hook import settings as settings_module
from poet_hook.errors import (
    PoetError,
    PoetWarning,
    PragmaError,
    PragmaWarning,
    SettingsError,
    VersionError,
    VersionWarning,
    warn,
)
from poet_hook.runtime import handed
from poet_hook.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from poet_hook.hook.loader import Kept
    from poet_hook.learning.background import Background
    from poet_hook.llm.endpoint import Configured
    from poet_hook.model import Learned, Plan
    from poet_hook.store.database import Store
    from poet_hook.transform.compile import Champion


def activate(*, roots: list[str | Path] | None = None, strict: bool | None = None) -> None:
    """Enhance the functions with a `# poet:` comment in modules imported from here on.

    `roots` are the folders whose modules may be enhanced (default: the main script's folder, the working
    directory and the project); `strict` makes a mistake in a pragma, or in the settings, an error instead of a
    warning.
    """
    from poet_hook.hook import finder
    from poet_hook.hook.cache import user_cache
    from poet_hook.hook.loader import Enhancer

    try:
        chosen = settings()
    except SettingsError as error:
        if settings_module.asked_for_strict() if strict is None else strict:
            raise
        warn(f"nothing is enhanced: {error}", PoetWarning, stacklevel=2)
        return
    strictly = chosen.strict if strict is None else strict
    _name_mistakes(chosen, strictly)
    places = [Path(root) for root in roots] if roots is not None else _roots(chosen)
    handed.make_store = functools.partial(store)  # a new one, so that the recorder sees that this is another activation
    enhancer = Enhancer(_Champions(), strictly, chosen.module_of, str(chosen.root), user_cache(), chosen.assume)
    finder.install(places, enhancer)


def _name_mistakes(chosen: Settings, strictly: bool) -> None:
    """Of what the settings assume; a module's own pragmas are looked at when it is imported."""
    if not chosen.assume:
        return
    from poet_hook.pragma.assume import mistakes
    from poet_hook.pragma.diagnose import render

    for said_in, item in mistakes(chosen.assume):
        if strictly:
            raise PragmaError(f"{said_in}: {item.code} {item.message}{f' ({item.hint})' if item.hint else ''}")
        warn(render(item, said_in), PragmaWarning, stacklevel=3)


def deactivate() -> None:
    """Enhance no further module; what is enhanced already stays so."""
    from poet_hook.hook import first
    from poet_hook.versions.watch import watch

    first.remove()
    watch.end()


@contextmanager
def activated(*, roots: list[str | Path] | None = None, strict: bool | None = None) -> Iterator[None]:
    """`activate()` for the length of a block; an activation around it is there again afterwards."""
    from poet_hook.hook import first

    outer = first.stands()
    activate(roots=roots, strict=strict)
    try:
        yield
    finally:
        first.remove()
        if outer is None:
            deactivate()
        else:
            sys.meta_path.insert(0, outer)


def _roots(chosen: Settings) -> list[Path]:
    main = getattr(settings_module.main_module(), "__file__", None)
    scripts = _script_folders or ([Path(main).resolve().parent] if main else [])
    return [*scripts, Path.cwd(), chosen.root, *_by_links(Path.cwd(), chosen.root)]


def _by_links(*places: Path) -> list[Path]:
    """The same places on the way by which a shell came here: PYTHONPATH=$PWD names files so."""
    told = Path(os.environ.get("PWD", ""))
    if told in places or not told.is_absolute() or os.path.realpath(told) != os.getcwd():
        return []
    return [place for place in (told, *told.parents) if Path(os.path.realpath(place)) in places]


class _Champions:
    """What the loader puts into a module that is imported: from then on, promotions are watched for."""

    def of(self, plan: Plan) -> Champion:
        """The version in use of the function of `plan`."""
        from poet_hook.transform.compile import ORIGINAL

        if not plan.pragma.trains:
            return ORIGINAL
        from poet_hook.pragma.options import judged_live
        from poet_hook.versions.chain import Chain

        _follow(judged_live(plan.pragma))
        return Chain(settings(), plan.function).champion(plan, carry_over=True)

    def still(self, kept: Sequence[Kept]) -> bool:
        """Whether each function still has that version in use, made from that text."""
        if not kept:
            return True
        from poet_hook.versions.chain import Chain

        for function, source_hash, version, values, live in kept:
            _follow(live)
            if not Chain(settings(), function).is_in_use(version, source_hash, values):
                return False
        return True


def _follow(live: bool) -> None:
    from poet_hook.versions.watch import watch

    watch.start(settings())
    from poet_hook.runtime.early import when_bad

    when_bad(lambda function: background().ask(function, look))
    if live and settings().trust == "local":
        from poet_hook.runtime.trial import when_due

        when_due(lambda function: background().ask(function))


@functools.cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return settings_module.load(script_folder=next(iter(_script_folders), settings_module.script_folder()))


def learned(function: str, progress: Callable[[str, float], None] | None = None) -> Learned:
    """Learn `function` (its stored name) now, and bring this process to what came of it. Raises what `learn` does.

    Where a language model may be asked, it first reads the feedback that nobody understood.
    """
    from poet_hook.learning import loop
    from poet_hook.versions.watch import refresh

    if settings().trust != "local":
        raise VersionError(f"{function}: nothing is learned where POET_TRUST={settings().trust}")
    read = _read(function)
    found = loop.learn(function, store(), settings(), progress)
    refresh(settings())
    if not read:
        return found
    from dataclasses import replace

    return replace(found, reasons=(*found.reasons, read))


def _read(function: str) -> str:
    """What became of the unread feedback on a function, in words; "" where there is none, or nothing is asked."""
    if not store().has_unread(function):
        return ""
    try:
        model = language_model().endpoint
        if model is None:
            return ""
        from poet_hook.signals.reader import AT_ONCE, SECONDS, read_feedback

        return read_feedback(
            function, store(), settings(), model, limit=AT_ONCE, seconds=SECONDS, patient=True
        ).in_words()
    except PoetError as error:  # to learn from what the rules read needs no model
        return f"no model could read what is unread: {error}"


@functools.cache
def language_model() -> Configured:
    """The language model that this process may ask, or why none; looked up once, as the settings are.

    Raises `SettingsError`.
    """
    from poet_hook.llm.endpoint import configured

    return configured(settings())


def look(function: str) -> Learned | None:
    """See whether the first calls of the version in use speak against it; go back at once, with one warning, if so."""
    from poet_hook.learning import loop
    from poet_hook.versions.watch import refresh

    back = loop.look(function, store(), settings())
    if back is not None:
        refresh(settings())
        warn(f"{function}: {back.reasons[0]}", VersionWarning)
    return back


@functools.cache
def background() -> Background:
    """What learns beside this program."""
    from poet_hook.learning.background import Background

    return Background(learned)


_script_folders: list[Path] = []


def belong_to(script_folders: list[Path]) -> None:
    """Say where the script stands that will be the main one; before anything else is asked for."""
    _script_folders[:] = script_folders


def folders_of(script: str) -> list[Path]:
    """Where a script stands: what its path leads to, and then the path itself."""
    real = os.path.realpath(script)
    return [
        Path(real if os.path.isdir(real) else os.path.dirname(real)),
        Path(os.path.dirname(os.path.abspath(script))),
    ]


def store() -> Store:
    """The store of this process, one for all of its threads."""
    with _storing:
        return _store()


@functools.cache
def _store() -> Store:
    from poet_hook.store.database import Store

    return Store(settings().home)


_storing = threading.RLock()


def _after_fork() -> None:
    global _storing
    _storing = threading.RLock()  # the one before may be held by a thread that is not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
