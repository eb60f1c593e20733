"""`optimize_for=module:function` -> a loss of the user's own, imported when it is needed.

The module must lie in the project, or be named in `replay_modules`: a comment in a source file must not choose any
other code to be run. It is imported into the process that learns, not into the closed one that replays.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import numbers
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from poet_hook.domains.base import as_bool
from poet_hook.learning.objective import Loss
from poet_hook.learning.results import equal
from poet_hook.settings import Settings

_LONGEST = 80


class LossError(Exception):
    """A loss that can't be used, and why."""


def own_loss(optimize_for: str | None, settings: Settings) -> Loss | None:
    """The user's loss where `optimize_for` names one as `module:function`, None where it names one of ours.

    Raises `LossError` where it can't be imported; the loss itself does where it raises, gives no number from 0 to 1,
    or anything but 0 for a result that is the right one.
    """
    if optimize_for is None or ":" not in optimize_for:
        return None
    name, _, attribute = optimize_for.partition(":")
    where = f"optimize_for={optimize_for}"
    module = _module(name, where, settings)
    function = getattr(module, attribute, None)
    if not callable(function):
        raise LossError(f"{where}: {name} has no function {attribute}; it takes (expected, outcome)")
    return _checked(function, where)


def _module(name: str, where: str, settings: Settings) -> ModuleType:
    path = settings.path_of(name)
    if path is None and name not in settings.replay_modules:
        raise LossError(
            f"{where}: there is no module {name} in {settings.root}; one that lies elsewhere must be named in "
            f"pyproject.toml: [tool.poet_hook] replay_modules = [{name!r}]"
        )
    main = sys.modules.get("__main__")
    for loaded in (sys.modules.get(name), main):  # the program itself is not to run a second time
        if loaded is not None and (path is None or _file(loaded) == path):
            return loaded
        if path is None:
            break
    root = str(settings.root)
    added = path is not None and root not in sys.path
    try:
        if added:
            sys.path.append(root)  # behind all else: a file of the project must not pass for a module of Python
        if path is not None:
            found = importlib.util.find_spec(name.partition(".")[0])
            places = [found.origin, *(found.submodule_search_locations or ())] if found else []
            if not any(place and path.is_relative_to(Path(place).resolve()) for place in places):
                raise LossError(
                    f"{where}: the name {name} is taken by {places[0] if places else 'nothing'}, not {path}"
                )
        return importlib.import_module(name)
    except LossError:
        raise
    except (Exception, SystemExit) as error:
        raise LossError(f"{where}: {name} can't be imported: {type(error).__name__}: {error}") from error
    finally:
        if added and root in sys.path:
            sys.path.remove(root)


def _file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _checked(function: Callable[[Any, Any], Any], where: str) -> Loss:
    def loss(expected: Any, outcome: Any) -> float:
        call = f"{where}: with expected={_short(expected)} and outcome={_short(outcome)} it"
        try:
            found = function(expected, outcome)
        except Exception as error:
            raise LossError(f"{call} raised {type(error).__name__}: {error}") from error
        truth = as_bool(found)
        found = found if truth is None else truth
        number = float(found) if isinstance(found, numbers.Real) else math.nan
        if not 0.0 <= number <= 1.0:
            raise LossError(f"{call} gave {_short(found)}; a loss is a number from 0 (best) to 1")
        if number and equal(expected, outcome):
            raise LossError(f"{call} gave {_short(found)}; the right result must have a loss of 0")
        return number

    return loss


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the user's __repr__
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
