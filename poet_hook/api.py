"""What a user's program asks for, answered from the local store."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from poet_hook.activation import (
    activate,
    activated,
    background,
    belong_to,
    deactivate,
    language_model,
    learned,
    settings,
    store,
)
from poet_hook.errors import NotEnhancedError, PoetError, StoreError, VersionError
from poet_hook.model import (
    Execution,
    Feedback,
    FeedbackReceipt,
    Learned,
    Metric,
    POETResult,
    Version,
)
from poet_hook.naming import name_of, why_not_recorded, wrapped
from poet_hook.runtime.record import capture
from poet_hook.versions.chain import Chain

if TYPE_CHECKING:
    from poet_hook.learning.ask import Asked
    from poet_hook.learning.live import OnTrial
    from poet_hook.signals.reader import ReadFeedback

logger = logging.getLogger("poet_hook")


# --------------------------------------------------------------------------- calls and feedback


@overload
def call(
    function: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any, **kwargs: Any
) -> Coroutine[Any, Any, POETResult]: ...
@overload
def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> POETResult: ...
def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function that learns; its value together with the execution that feedback may name.

    Of an async function that is awaited: `await poet_hook.call(function, ...)`. Raises `NotEnhancedError` where the
    call left no execution, and whatever the function raises.
    """
    with capture() as executions:
        value = function(*args, **kwargs)
    found = _among(executions, function, value)
    if found is None and inspect.isawaitable(value):
        return _called(function, value, executions)
    if found is None:
        raise NotEnhancedError(why_not_recorded(function))
    return found


async def _called(function: Callable[..., Any], waiting: Awaitable[Any], before: list[POETResult]) -> POETResult:
    with capture() as executions:
        value = await waiting
    # a task runs in a context of its own, which took the first list along
    found = _among(executions, function, value) or _among(before, function, value)
    if found is None:
        raise NotEnhancedError(why_not_recorded(function))
    return found


def _among(executions: list[POETResult], function: Callable[..., Any], value: Any) -> POETResult | None:
    names = {getattr(inner, "__qualname__", None) for inner in wrapped(function)}
    for result in reversed(executions):
        if result.function.partition(":")[2] in names:
            return replace(result, value=value)  # a decorator above the pragma may have changed it
    return None


def feedback(about: Any, said: Any, *, source: str = "user") -> FeedbackReceipt:
    """Say anything about an execution: True, 4, "false alarm", {"expected": 3.5}, an exception, a list of these.

    `about` is a POETResult, an execution id, a business key, or the very object that a call returned. `source`
    names who says it: the latest word of each source counts. {"better_than": other} compares two executions. What
    can't be read is stored, and the receipt says so (`signal.kind == "unread"`). Raises `AmbiguousResultError`,
    `UnknownExecutionError` and `StoreError`.
    """
    from poet_hook.signals.give import give

    execution, signal = give(store(), settings(), about, said, source)
    if signal.kind == "unread":
        logger.info("%s: feedback is stored, but was not understood: %s", execution.id, signal.reason)
    if signal.kind != "unread" or _may_be_read():
        learn_later(execution.function)
    return FeedbackReceipt(execution.id, execution.function, signal)


def _may_be_read() -> bool:
    """Whether a language model is there that reads later what the rules did not."""
    try:
        return language_model().endpoint is not None
    except PoetError as error:
        logger.debug("no language model: %s", error)
        return False


# --------------------------------------------------------------------------- learning


def learn(function: str | Callable[..., Any], progress: Callable[[str, float], None] | None = None) -> Learned:
    """Look for a better version now, judge it, and put it in use where the function's `learn=` allows.

    Raises `UnknownFunctionError`, and `ReplayError` where the function can't be run again.
    """
    return learned(name_of(function), progress)


def would_ask(function: str | Callable[..., Any], sink: Callable[[str], None]) -> Learned:
    """Give `sink` what learning would send to a language model for other code; nothing is sent, stored or changed.

    Raises what `learn` does.
    """
    from poet_hook.learning import loop

    return loop.would_ask(name_of(function), store(), settings(), sink)


def ask(function: str | Callable[..., Any], limit: int = 5) -> Asked:
    """At most `limit` executions without feedback whose label would decide most; nothing is written by asking.

    Answer with `feedback(id, said, source="asked")`. Raises `UnknownFunctionError`, and `ReplayError` where the
    function can't be run again.
    """
    from poet_hook.learning.ask import asked

    if limit < 1:
        raise ValueError(f"ask: limit is a number of executions, at least 1, not {limit!r}")
    return asked(name_of(function), store(), settings(), limit)


def read_feedback(
    function: str | Callable[..., Any], *, limit: int | None = None, dry_run: Callable[[str], None] | None = None
) -> ReadFeedback:
    """Have a language model read the unread feedback on a function, at most `limit` of it, and store what it reads.

    With `dry_run`, that is given what would be sent, and nothing is. Where no model may be asked, the reason says why.
    Raises `SettingsError`, `StoreError` and `UnknownFunctionError`.
    """
    from poet_hook.signals import reader

    name, model = name_of(function), language_model()
    if model.endpoint is None:
        return reader.ReadFeedback(name, "", (), len(reader.due(store(), settings(), name)), model.why_not)
    return reader.read_feedback(name, store(), settings(), model.endpoint, limit=limit, dry_run=dry_run)


def to_be_read(function: str | Callable[..., Any]) -> tuple[int, str]:
    """How much of the unread feedback on a function a language model may be asked about, and by which ("": none)."""
    from poet_hook.signals.reader import due

    model = language_model().endpoint
    return len(due(store(), settings(), name_of(function), model.model if model else "")), model.model if model else ""


def wait_for_learning(seconds: float | None = None) -> bool:
    """Wait until no learning runs in the background of this process; False where `seconds` were not enough."""
    return background().wait(seconds)


def learn_later(function: str) -> None:
    """Start a learning run once `after=` feedbacks have come since the last one, or somebody asked for a number."""
    from poet_hook.versions.current import plan_of

    if settings().trust != "local":
        return
    seen = int(store().get_meta(f"learned:{function}") or 0)
    count = store().count_new(function, seen)
    try:
        pragma = plan_of(function, store(), settings())[0].pragma
    except PoetError as error:
        logger.debug("%s: %s", function, error)
        return
    asked = store().requests(function, max(seen, int(store().get_meta(f"requested:{function}") or 0)))
    if pragma.learn != "off" and (asked or count >= pragma.after):
        background().ask(function)


# --------------------------------------------------------------------------- looking and choosing


@dataclass(frozen=True, slots=True)
class FunctionStatus:
    """One function in a line; `before` (v1) and `after` (in use) are the metric of its objective over the labelled
    executions, by replay at the verdict: shares in 0..1, or mean losses.

    `problem` says why what runs is not the version that was chosen, where it is not. `requested` is the latest version
    that somebody asked for, if it is later than the one in use; `on_trial` what a challenger came to.
    """

    function: str
    optimize_for: str
    champion: int
    level: str | None
    versions: int
    executions: int
    feedback: int
    unread: int
    metric: Metric | None
    before: float | None
    after: float | None
    problem: str | None = None
    requested: int | None = None
    on_trial: OnTrial | None = None


def status() -> list[FunctionStatus]:
    """Every function of the store, with its version in use and what it is known to be worth."""
    return [_status(record.function, record.optimize_for) for record in store().functions()]


def _status(function: str, optimize_for: str) -> FunctionStatus:
    chain = Chain(settings(), function)
    stored = chain.versions()
    champion, problem = in_use(function)
    running = next((v for v in stored if v.number == champion), None)
    said = store().for_function(function)
    now = running.verdict.evidence if running and running.verdict else None
    evidence = [v.verdict.evidence for v in stored if v.verdict and v.verdict.evidence.labelled]
    told = [item for item in evidence if now and item.metric == now.metric]
    asked = [v.number for v in stored if v.level == "requested" and v.number > champion]
    return FunctionStatus(
        function=function,
        optimize_for=optimize_for,
        champion=champion,
        level=running.level if running else None,
        versions=max(len(stored), 1),
        executions=store().count(function),
        feedback=len(said),
        unread=sum(item.signal.kind == "unread" for item in said),
        metric=now.metric if now else None,
        before=told[0].before if told else None,
        after=now.after if now and now.labelled else None,
        problem=problem,
        requested=asked[-1] if asked else None,
        on_trial=on_trial(function),
    )


def in_use(function: str) -> tuple[int, str | None]:
    """The number of the version that runs, and why that is not the one that was chosen, or can't be told."""
    from poet_hook.versions.current import plan_of

    chain = Chain(settings(), function)
    if settings().trust == "original":
        return 1, "the original runs: POET_TRUST=original"
    try:
        plan, _ = plan_of(function, store(), settings())
    except PoetError as error:  # the source has gone, or the store is damaged
        plan, problem = None, str(error)
    try:
        if plan is None:
            return chain.champion_number(), problem
        version = chain.in_use(plan)
    except (VersionError, StoreError) as error:
        return 1, f"the original runs: {error}"
    return version.number if version else 1, None


def on_trial(function: str | Callable[..., Any]) -> OnTrial | None:
    """What the challenger came to that runs beside the function's calls, or answers some; None where none does."""
    from poet_hook.learning import live
    from poet_hook.versions.current import plan_of

    name = name_of(function)
    try:
        pointer = Chain(settings(), name).pointer()
        pragma = plan_of(name, store(), settings())[0].pragma
    except PoetError:  # the source has gone, or the pointer is damaged, which `in_use` reports
        return None
    if not (pragma.learn == "shadow" or pragma.canary):
        return None
    return live.on_trial(store(), name, pointer, pragma.canary)


def executions(function: str | Callable[..., Any], *, limit: int | None = None) -> Iterator[Execution]:
    """The recorded executions of a function, newest first."""
    return store().executions(name_of(function), newest_first=True, limit=limit)


def feedback_of(execution_id: str) -> list[Feedback]:
    """All that was said about one execution, oldest first."""
    return store().for_execution(execution_id)


def versions_of(function: str | Callable[..., Any]) -> list[Version]:
    """The versions of a function, ascending; the first is the original."""
    from poet_hook.versions.current import plan_of

    name = name_of(function)
    stored = Chain(settings(), name).versions()
    if stored:
        return stored
    plan, _ = plan_of(name, store(), settings())
    return [Version(name, 1, plan.source, plan.source_hash, 0.0)]


def champion(function: str | Callable[..., Any]) -> int:
    """The number of the version that runs."""
    return in_use(name_of(function))[0]


def promote(function: str | Callable[..., Any], version: int) -> int:
    """Put a version in use, here at once and elsewhere within a second; returns the one that was."""
    from poet_hook.versions import promote as steps
    from poet_hook.versions.current import plan_of
    from poet_hook.versions.watch import refresh

    name = name_of(function)
    try:
        plan = plan_of(name, store(), settings())[0]
    except StoreError:  # the import checks again whether the version fits
        plan = None
    before = steps.promote(Chain(settings(), name), version, plan)
    refresh(settings())
    return before


def challenge(function: str | Callable[..., Any], version: int | None) -> int | None:
    """Put a version on trial beside the one in use (`learn=shadow`, `canary=`), here at once and elsewhere within a
    second; with None, end the trial. Returns the challenger that was."""
    from poet_hook.versions import challenge as steps
    from poet_hook.versions.current import plan_of
    from poet_hook.versions.watch import refresh

    name = name_of(function)
    chain = Chain(settings(), name)
    before = chain.pointer().challenger
    if version is not None:
        plan, source = plan_of(name, store(), settings())
        steps.challenge(chain, version, source, plan, settings())
    elif before is not None:
        chain.withdraw(before, "its trial was ended by hand")
    refresh(settings())
    return before


def own_text(function: str | Callable[..., Any]) -> int | None:
    """The number of the latest version that says the same as the function's own text does now, if there is one."""
    from poet_hook.versions.current import plan_of
    from poet_hook.versions.rebase import same_code

    name = name_of(function)
    try:
        plan = plan_of(name, store(), settings())[0]
    except PoetError:  # the source has gone, which `in_use` reports
        return None
    later = (v for v in reversed(Chain(settings(), name).versions()) if v.number > 1)
    return next(
        (v.number for v in later if v.source_hash != plan.source_hash and same_code(v.source, plan.source)), None
    )


def rollback(function: str | Callable[..., Any]) -> tuple[int, int]:
    """Put the version that was in use before the champion back; returns (from, to)."""
    from poet_hook.versions import promote as steps
    from poet_hook.versions.watch import refresh

    moved = steps.rollback(Chain(settings(), name_of(function)))
    refresh(settings())
    return moved


def show(function: str | Callable[..., Any]) -> str:
    """The text of what really runs."""
    from poet_hook.transform.render import render
    from poet_hook.versions.current import plan_of

    plan, source = plan_of(name_of(function), store(), settings())
    return render(source, plan, Chain(settings(), plan.function).champion(plan))


__all__ = [
    "FunctionStatus",
    "activate",
    "activated",
    "ask",
    "belong_to",
    "call",
    "capture",
    "challenge",
    "champion",
    "deactivate",
    "executions",
    "feedback",
    "feedback_of",
    "learn",
    "name_of",
    "own_text",
    "promote",
    "read_feedback",
    "rollback",
    "settings",
    "show",
    "status",
    "store",
    "to_be_read",
    "versions_of",
    "wait_for_learning",
]
