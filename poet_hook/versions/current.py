"""The name of a function -> its plan, as its source is now."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from poet_hook.errors import ReplayError, UnknownFunctionError
from poet_hook.model import Plan
from poet_hook.runtime.slot import slots
from poet_hook.settings import Settings
from poet_hook.store.database import FunctionRecord, Store
from poet_hook.transform.plan import plan_module


def plan_of(function: str, store: Store, settings: Settings) -> tuple[Plan, str]:
    """The plan of a function as its source is now, and the module's source.

    Raises `UnknownFunctionError` where nothing of it is stored, `ReplayError` where its source has gone or the
    pragma with it.
    """
    record = store.function(function)
    if record is None:
        names = ", ".join(sorted(item.function for item in store.functions())) or "none yet"
        raise UnknownFunctionError(f"no function {function!r} was recorded in {store.home}; known: {names}")
    try:
        path = path_of(record, settings)
        source = importlib.util.decode_source(Path(path).read_bytes())
        planned = plan_module(source, path, record.module, function.partition(":")[0], settings.assume)
    except (OSError, SyntaxError, ValueError) as error:
        raise ReplayError(f"{function}: its source can't be read: {error}") from error
    for target in planned.targets:
        if target.plan.qualname == record.qualname:
            return target.plan, source
    for left in planned.left_alone:
        if left.function == function:
            raise ReplayError(f"{function} is left alone: {left.reason}")
    raise ReplayError(f"{function} no longer has a pragma in {path}")


def path_of(record: FunctionRecord, settings: Settings) -> str:
    """The file of a function; a store that came with a checkout must not choose which files are read and run."""
    loaded = any(slot.function == record.function and slot.path == record.path for slot in slots())
    inside = "\0" not in record.path and Path(os.path.realpath(record.path)).is_relative_to(settings.root)
    if loaded or inside or settings.trusts_home:
        return record.path
    moved = settings.path_of(record.function.partition(":")[0])  # together with its store
    if moved is None:
        raise ReplayError(
            f"{record.function}: {settings.home} says that it stands in {record.path}, which is outside the project "
            f"{settings.root}; look from its own project, or set the environment variable POET_HOME"
        )
    return str(moved)
