"""What the `.pth` file of `install-startup` calls as Python starts, where POET_HOOK is set."""

from __future__ import annotations

import os
import sys

from poet_hook.hook import first

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
            sys.meta_path.insert(0, first.Waiting(_activate))
    except Exception as error:  # noqa: BLE001 - Python itself must start
        if sys.stderr is not None:
            print(f"poet_hook: nothing is enhanced: {error}", file=sys.stderr)  # noqa: T201


def end() -> None:
    """Wait no longer: this process says itself what is to be enhanced, or nothing is."""
    if isinstance(first.stands(), first.Waiting):
        first.remove()


def _asked_for() -> bool:
    if os.environ.get("POET_HOOK") == "1":
        return True
    from poet_hook.settings import asked_for_hook  # takes longer than all else here

    return asked_for_hook()


def _activate() -> None:
    from poet_hook.errors import PoetError, PoetWarning, warn

    try:
        from poet_hook.activation import activate

        activate()
    except PoetError:  # strict: the import fails, and the next one
        raise
    except Exception as error:  # noqa: BLE001 - never worse than without
        warn(f"nothing is enhanced: {type(error).__name__}: {error}", PoetWarning)
    end()  # wrong settings, too, are said once
