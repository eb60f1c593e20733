"""The challenger that the pointer names -> the plain function that this process tries beside the champion."""

from __future__ import annotations

import ast
import importlib.util
import logging
from collections.abc import Mapping
from functools import partial
from types import FunctionType

from poet_hook.errors import PoetError, VersionError, VersionWarning, warn
from poet_hook.runtime.slot import Slot
from poet_hook.runtime.trial import Challenger, Options, Shadow, follow
from poet_hook.settings import Settings
from poet_hook.versions.chain import Chain
from poet_hook.versions.find import functions_of

# every process that trains comes here, and few have a challenger: what it takes to make one is imported then
TYPE_CHECKING = False
if TYPE_CHECKING:
    from poet_hook.model import Plan, Value

logger = logging.getLogger("poet_hook")


def follow_challengers(settings: Settings) -> None:
    """Let the slots of this process find their challengers in this project, and take back those that fail."""
    follow(partial(_challenger_of, settings), partial(_withdraw, settings))


def _challenger_of(settings: Settings, slot: Slot, known: Challenger | None) -> Challenger | None:
    if settings.trust == "original":
        return None
    chain = Chain(settings, slot.function)
    try:
        number = chain.pointer().challenger
    except Exception:  # noqa: BLE001 - a damaged pointer changes nothing that runs
        return known
    if number is None or (known is not None and known.number == number):
        return known if number is not None else None
    functions = functions_of(slot)
    if not functions:  # another version runs by now, and has a slot of its own
        return None
    try:
        made = _made(chain, number, slot, functions[0], settings)
    except Exception as error:  # noqa: BLE001 - the champion runs on
        warn(f"{slot.function}: v{number} can't be tried beside the version in use: {error}", VersionWarning)
        return None
    logger.info("%s: v%d is on trial", slot.function, number)
    return made


def _made(chain: Chain, number: int, slot: Slot, function: FunctionType, settings: Settings) -> Challenger:
    from poet_hook.model import Version
    from poet_hook.transform.compile import Champion, body_code
    from poet_hook.versions.rebase import fits

    with open(slot.path, "rb") as file:
        source = importlib.util.decode_source(file.read())
    kept_as = slot.function.partition(":")[0]
    plan = _plan_of(slot, source, kept_as, settings)
    if number == 1:  # what is stored of it may be an older text
        version = Version(slot.function, 1, plan.source, plan.source_hash, 0.0)
    else:
        version = chain.read(number)
    fits(version, plan)
    reason = why_not_shadow(source, plan, settings) if isinstance(slot.trial, Shadow) else None
    if reason:
        raise VersionError(reason)

    def body_of(values: Mapping[str, Value]) -> FunctionType:
        code = body_code(source, kept_as, plan, Champion(number, values, chain.text_path(number)))
        if function.__code__.co_freevars != code.co_freevars:
            raise VersionError("it uses other variables of the code around it")
        body = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
        body.__kwdefaults__ = function.__kwdefaults__
        return body

    pragma = plan.with_options(version.values).pragma
    near = plan.nearer(version.values)
    options = Options(pragma.steady, pragma.retries, pragma.backoff, pragma.timeout)
    return Challenger(version.number, body_of(version.values), options, None if near is None else body_of(near))


def _withdraw(settings: Settings, slot: Slot, number: int, why: str) -> None:
    """Take a challenger back in every process; one warning."""
    kept, what = "", "on trial"
    chain = Chain(settings, slot.function)
    try:
        what = "held back" if chain.pointer().held_back else what
        if not chain.withdraw(number, why):
            return  # another process was quicker
    except (PoetError, OSError) as error:
        kept = f" (in this process only: {error})"
    warn(f"{slot.function}: v{number} is {what} no more: {why}{kept}", VersionWarning)


def _plan_of(slot: Slot, source: str, kept_as: str, settings: Settings) -> Plan:
    from poet_hook.transform.plan import plan_module

    for target in plan_module(source, slot.path, slot.module, kept_as, settings.assume).targets:
        if (target.plan.function, target.plan.source_hash) == (slot.function, slot.source_hash):
            return target.plan
    raise VersionError(f"{slot.path} was edited since it was imported")


def challenge(chain: Chain, number: int, source: str, plan: Plan, settings: Settings) -> None:
    """Put version `number` on trial. Raises `VersionError` where it can't run, or nothing would try it."""
    from poet_hook.versions.rebase import fits

    shadow = plan.pragma.learn == "shadow"
    if not shadow and plan.pragma.canary is None:
        raise VersionError(f"{plan.function} tries no challenger: its pragma has neither learn=shadow nor canary=")
    fits(chain.read(number), plan)
    if number == chain.champion_number():
        raise VersionError(f"v{number} of {plan.function} is in use, and can't be tried against itself")
    reason = why_not_shadow(source, plan, settings) if shadow else None
    if reason:
        raise VersionError(f"{plan.function} must not be run twice: {reason}")
    chain.challenge(number)


def why_not_shadow(source: str, plan: Plan, settings: Settings) -> str | None:
    """Why a function must not be run a second time beside each of its calls; None where it may be."""
    from poet_hook.isolation.slice import slice_function

    part = slice_function(source, plan.qualname, plan.line, settings.replay_modules)
    if part.reason:
        return part.reason
    name = part.function.name
    calls = any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(part.function))
    if calls if "." in plan.qualname else name in part.names:
        return f"line {plan.line}: it calls itself, and what it calls would be the version in use"
    return None
