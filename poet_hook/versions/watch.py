"""A promotion, here or in another process -> the code of the functions that run in this one."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from functools import partial
from types import CodeType, FunctionType

from poet_hook.errors import VersionWarning, warn
from poet_hook.runtime.bind import bind, loosen
from poet_hook.runtime.slot import Slot, slots
from poet_hook.settings import Settings
from poet_hook.versions.chain import Chain, generation_path
from poet_hook.versions.challenge import follow_challengers
from poet_hook.versions.find import functions_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.model import Plan
    from poet_hook.transform.compile import Champion

logger = logging.getLogger("poet_hook")
PERIOD = 0.2  # seconds between two looks at the generation file: one stat


def refresh(settings: Settings) -> list[tuple[str, int]]:
    """Bring every loaded function to its champion, and its challenger; (function, version) of those that changed."""
    swapped = []
    by_module: dict[tuple[str, str, str], list[Slot]] = {}
    for slot in slots():
        if slot.trains:
            by_module.setdefault((slot.path, slot.module, slot.function.partition(":")[0]), []).append(slot)
    for place, members in by_module.items():
        stale = [slot for slot in members if _wanted(slot, settings) != slot.version]
        if stale:
            swapped += _swap(*place, stale, settings)
    for slot in slots():
        if slot.trial is not None and slot.trial.sought:  # else at its first call
            slot.trial.seek(slot)
    return swapped


def _wanted(slot: Slot, settings: Settings) -> int:
    if settings.trust == "original":
        return 1
    try:
        return Chain(settings, slot.function).champion_number()
    except Exception:  # noqa: BLE001 - a damaged pointer changes nothing that runs
        return slot.version


def _swap(path: str, module: str, kept_as: str, stale: list[Slot], settings: Settings) -> list[tuple[str, int]]:
    out = []
    try:
        from poet_hook.transform.compile import Champion, compile_module, function_code

        with open(path, "rb") as file:
            source = importlib.util.decode_source(file.read())
        chosen: dict[tuple[str, str], Champion] = {}
        wanted = {(slot.function, slot.source_hash) for slot in stale}

        def champion(plan: Plan) -> Champion:
            text = (plan.function, plan.source_hash)
            if text not in wanted:  # the file was edited since it was imported
                return Champion(1, {})
            chosen[text] = Chain(settings, plan.function).champion(plan)
            return chosen[text]

        compiled = compile_module(source, path, module, champion, kept_as=kept_as, assume=settings.assume)
        bound = bind(loosen(compiled.code, {plan.qualname: plan.source for plan in compiled.plans}))
    except Exception as error:  # noqa: BLE001 - what runs goes on running
        warn(f"{path}: a new version could not be loaded: {error}", VersionWarning)
        return []
    lines = {plan.function: plan.line for plan in compiled.plans}
    for slot in stale:
        new = chosen.get((slot.function, slot.source_hash))
        if new is None or new.version == slot.version:
            continue
        code = function_code(bound, slot.qualname, lines[slot.function])
        for function in functions_of(slot):
            if code is not None and _put(function, code):
                out.append((slot.function, new.version))
                logger.info("%s: v%d -> v%d", slot.function, slot.version, new.version)
    return out


def _put(function: FunctionType, code: CodeType) -> bool:
    old = function.__code__
    if old.co_freevars != code.co_freevars:
        return False
    if code.co_filename == old.co_filename:  # it may have been edited above the function since it was imported
        code = code.replace(co_firstlineno=old.co_firstlineno)
    function.__code__ = code
    return True


class Watch:
    """A daemon thread that looks at one file's identity; it pauses while the process forks."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.thread: threading.Thread | None = None
        self.stop = threading.Event()
        self.lock = threading.RLock()
        self.seen = (0, 0)
        self.paused = False

    def start(self, settings: Settings) -> None:
        """Watch the project's champions; does nothing where that is done already."""
        with self.lock:
            if self.thread is not None and self.thread.is_alive() and self.settings == settings:
                return
            self.end()
            self.settings = settings
            follow_challengers(settings)
            self.seen = _identity(settings)
            self._begin(settings)

    def end(self) -> None:
        """Stop watching."""
        with self.lock:
            thread, self.thread = self.thread, None
            self.stop.set()
            if thread is not None and thread.is_alive() and thread is not threading.current_thread():
                thread.join(PERIOD * 5)

    def before_fork(self) -> None:
        """Python 3.12 warns of a fork beside threads, and the child would miss what this one was about to do."""
        self.paused = self.thread is not None
        self.end()

    def after_fork(self, child: bool = False) -> None:
        """Go on, in the child too."""
        if child:
            self.lock = threading.RLock()
        if self.paused and self.settings is not None:
            self._begin(self.settings)

    def _begin(self, settings: Settings) -> None:
        self.stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(settings, self.stop), name="poet_hook watch", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread to be had: what runs goes on, as it is
            logger.warning("promotions elsewhere are not followed: %s", error)
            return
        self.thread = thread

    def _run(self, settings: Settings, stop: threading.Event) -> None:
        while not stop.wait(PERIOD):
            now = _identity(settings)
            if now != self.seen:
                try:
                    refresh(settings)
                except Exception as error:  # noqa: BLE001 - the thread must live
                    logger.warning("a new version could not be loaded: %s", error)
                self.seen = now


def _identity(settings: Settings) -> tuple[int, int]:
    try:
        status = os.stat(generation_path(settings))
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


watch = Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=watch.before_fork, after_in_parent=watch.after_fork, after_in_child=partial(watch.after_fork, child=True)
    )
