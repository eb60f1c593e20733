"""What the `.pth` file of `install-startup` calls as Python starts, where POET_HOOK is set."""

from __future__ import annotations

import os
import sys

from poet_hook.hook import first
from poet_hook.hook.main import MainHook
from poet_hook.runtime import handed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.store.database import Store

_begun: list[bool] = []


def begin() -> None:
    """Wait for the first module of the user's own with a pragma; never raises, and says one line at most.

    Nothing is activated yet: which script will be run, and where, is not known before site-packages is read.
    """
    if _begun:  # site reads some folders twice
        return
    _begun.append(True)
    try:
        if _asked_for():
            sys.path_hooks.append(MainHook(_activate_for))  # last: what Python itself can open is not asked for
            sys.meta_path.insert(0, first.Waiting(_activate))
            handed.make_store = _store
    except Exception as error:  # noqa: BLE001 - Python itself must start
        first.say(error)


def end() -> None:
    """Wait no longer: this process says itself what is to be enhanced, or nothing is."""
    if isinstance(first.stands(), first.Waiting):
        first.remove()
    if handed.make_store is _store:
        handed.make_store = None
    sys.path_hooks[:] = [hook for hook in sys.path_hooks if not isinstance(hook, MainHook)]


def _asked_for() -> bool:
    if os.environ.get("POET_HOOK") == "1":
        return True
    from poet_hook.settings import asked_for_hook  # takes longer than all else here

    return asked_for_hook()


def _activate_for(script: str) -> None:
    if isinstance(first.stands(), first.Waiting):
        from poet_hook.activation import belong_to, folders_of

        belong_to(folders_of(script))
        _activate()


def _activate() -> None:
    try:
        from poet_hook.activation import activate

        activate()
    except Exception as error:
        errors = sys.modules.get("poet_hook.errors")
        if errors is not None and isinstance(error, errors.PoetError):  # strict: the import fails, and the next one
            raise
        first.say(error)  # never worse than without
    if isinstance(first.stands(), first.Waiting):  # what is wrong is said once
        first.remove()


def _store() -> Store | None:
    """For a function that was sent here by value: no module was imported that could have activated anything."""
    try:
        _activate()
        if handed.make_store is not _store:
            from poet_hook.activation import store

            return store()
    except Exception as error:  # noqa: BLE001 - the call goes on
        first.say(error)
    return None
