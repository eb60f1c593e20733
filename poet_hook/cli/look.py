"""`status`, `log`, `versions`, `diff`, `show`, `config`: what is stored and what runs, and nothing is changed."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Mapping
from typing import Any

from poet_hook import api
from poet_hook.cli import startup
from poet_hook.cli.names import find, nothing_recorded, recorded
from poet_hook.cli.output import (
    aside,
    before_and_after,
    local_time,
    plain,
    say,
    say_json,
    shown,
    signal_words,
    table,
)
from poet_hook.cli.read import to_be_read
from poet_hook.errors import CodecError, NotEnhancedError, VersionError
from poet_hook.learning.live import OnTrial
from poet_hook.learning.opinions import contradictions
from poet_hook.learning.study import value_of
from poet_hook.model import Execution, Feedback, LeftAlone, Version
from poet_hook.store import codec
from poet_hook.store.feedback import standing
from poet_hook.transform.render import render
from poet_hook.transform.values import as_changes
from poet_hook.versions.chain import Chain
from poet_hook.versions.diff import diff as text_diff
from poet_hook.versions.pointer import FIRST

_START = "Put `# poet: optimize_for=...` above a function, and run: python -m poet_hook run SCRIPT"


def status(options: argparse.Namespace) -> int:
    """One line for each function that was recorded here."""
    items = [] if nothing_recorded() else api.status()
    if options.json:
        say_json({"home": api.settings().home, "functions": items})
        return 0
    if not items:
        say(f"No function was recorded in {api.settings().home} yet. {_START}")
        return 0
    rows = [
        (
            item.function,
            item.optimize_for,
            f"v{item.champion}" + (f" {item.level}" if item.level else ""),
            str(item.versions),
            str(item.executions),
            f"{item.feedback} ({item.unread} unread)" if item.unread else str(item.feedback),
            before_and_after(item.metric, item.before, item.after),
        )
        for item in items
    ]
    table(("function", "objective", "in use", "versions", "executions", "feedback", "evidence"), rows, flexible={0, 1})
    for item in items:
        if item.on_trial:
            aside(f"{item.function}: {_trial_words(item.on_trial)}")
        if item.problem:
            aside(f"{item.function}: {item.problem}")
        if item.unread and (words := to_be_read(item.function)):
            aside(f"{item.function}: {words}")
        if own := api.own_text(item.function):
            aside(f"{item.function}: {_own_words(own)}")
        if item.requested:
            how = f"python -m poet_hook promote {item.function} {item.requested}"
            aside(f"{item.function}: v{item.requested} was asked for, and waits; put it in use with: {how}")
    return 0


def _own_words(number: int) -> str:
    return f"v{number} is the function's own text now, which is called v1"


def _trial_words(trial: OnTrial) -> str:
    failed = f", {trial.failed:,} failed" if trial.failed else ""
    if trial.share is not None:
        what = "held back" if trial.held_back else "canary"
        return f"{what} v{trial.challenger} ({trial.share:.0%} of the calls): {trial.calls:,} answered{failed}"
    return f"shadow v{trial.challenger}: {trial.calls:,} calls, {trial.differ:,} differ{failed}"


# --------------------------------------------------------------------------- executions


def log(options: argparse.Namespace) -> int:
    """The newest executions of a function, with what was said about each."""
    function = recorded(options.function)
    said = True if options.with_feedback else None
    found = list(api.store().executions(function, with_feedback=said, newest_first=True, limit=options.limit))
    names = _ParameterNames(function)
    rows = [_Row(item, names.of(item.source_hash), api.feedback_of(item.id)) for item in found]
    if options.json:
        say_json({"function": function, "executions": [row.document() for row in rows]})
    elif not rows:
        say(f"{function} has no executions{' with feedback' if said else ''} yet")
    else:
        table(("id", "time", "version", "arguments", "outcome", "feedback"), [row.cells() for row in rows], {3, 4, 5})
    return 0


class _ParameterNames:
    """The parameters of each text that a function had."""

    def __init__(self, function: str) -> None:
        self.function = function
        self.known: dict[str, tuple[str, ...]] = {}

    def of(self, source_hash: str) -> tuple[str, ...]:
        if source_hash not in self.known:
            text = api.store().source_of(self.function, source_hash) or ""
            self.known[source_hash] = _parameters(text)
        return self.known[source_hash]


def _parameters(text: str) -> tuple[str, ...]:
    try:
        node = ast.parse(text).body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return ()
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return ()
    args = node.args
    ordered = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    return tuple(item.arg for item in ordered if item is not None)


class _Row:
    """One execution as it is shown."""

    def __init__(self, execution: Execution, names: tuple[str, ...], said: list[Feedback]) -> None:
        self.execution = execution
        self.said = said
        self.contradictions = contradictions(standing(said), value_of(execution.result))
        self.problem = ""
        values = self._decoded(execution.arguments)
        named = isinstance(values, tuple) and len(values) == len(names)
        self.arguments: Mapping[str, Any] | None = dict(zip(names, values, strict=True)) if named else None
        self.result = self._decoded(execution.result)

    def _decoded(self, data: bytes | None) -> Any:
        if data is None:
            return None
        try:
            return codec.decode(data)
        except CodecError as error:
            self.problem = str(error)
            return None

    def cells(self) -> tuple[str, ...]:
        item = self.execution
        arguments = ", ".join(f"{name}={_shown(value)}" for name, value in (self.arguments or {}).items())
        said = "; ".join([*map(_feedback_words, self.said), *self.contradictions])
        return (item.id, local_time(item.started), f"v{item.version}", arguments or "-", self._outcome(), said or "-")

    def _outcome(self) -> str:
        if self.execution.outcome == "error":
            return f"raised {self.execution.error}"
        value = "-" if self.execution.result is None else self.problem or _shown(self.result)
        return f"fell back: {value}" if self.execution.outcome == "fallback" else value

    def document(self) -> dict[str, Any]:
        item = self.execution
        document = {
            name: plain(getattr(item, name))
            for name in (
                *("id", "function", "version", "source_hash", "started", "duration", "outcome", "error"),
                *("key", "stream", "incident"),
            )
        }
        arguments = None if self.arguments is None else {k: _plain(v) for k, v in self.arguments.items()}
        return document | {
            "attempts": item.attempts,
            "replayable": item.replayable,
            "time": local_time(item.started),
            "arguments": arguments,
            "result": _plain(self.result),
            "feedback": [feedback_document(feedback) for feedback in self.said],
            "contradictions": self.contradictions,
        }


def _shown(value: Any) -> str:
    return _summary(value) if isinstance(value, codec.Summary) else shown(value)


def _plain(value: Any) -> Any:
    return _summary(value) if isinstance(value, codec.Summary) else plain(value)


def _summary(value: codec.Summary) -> str:
    return f"<{value.mode}{' ' + value.text if value.text else ''}>"


def _raw(item: Feedback) -> Any:
    try:
        return codec.decode(item.raw)
    except CodecError as error:
        return f"<{error}>"


def _feedback_words(item: Feedback) -> str:
    reason = f": {item.signal.reason}" if item.signal.reason else ""
    return f"{shown(_raw(item))} = {signal_words(item.signal)} ({item.source}{reason})"


def feedback_document(item: Feedback) -> dict[str, Any]:
    """One feedback as a JSON object."""
    return {
        "id": item.id,
        "given": item.given,
        "time": local_time(item.given),
        "source": item.source,
        "raw": plain(_raw(item)),
        "signal": plain(item.signal),
    }


# --------------------------------------------------------------------------- versions


def versions(options: argparse.Namespace) -> int:
    """Every version of a function, and how the one in use got there."""
    function = recorded(options.function)
    stored = api.versions_of(function)
    champion, problem = api.in_use(function)
    if options.json:
        trial = api.on_trial(function)
        document = {"function": function, "champion": champion, "problem": problem, "on_trial": trial}
        say_json({**document, "versions": stored})
        return 0
    say(function)
    rows = [_version_cells(item, item.number == champion) for item in stored]
    table(("version", "in use", "level", "made", "from", "changes", "evidence"), rows, flexible={5})
    if own := api.own_text(function):
        aside(_own_words(own))
    trial = api.on_trial(function)
    if trial:
        aside(_trial_words(trial))
    pointer = FIRST if problem else Chain(api.settings(), function).pointer()
    for gone in pointer.withdrawn:
        aside(f"v{gone.version} was on trial, and withdrawn: {gone.why}")
    for gone in pointer.undone:
        aside(f"{local_time(gone.at)}: {gone.why}")
    if pointer.upheld:
        aside(f"v{pointer.champion} was upheld against what it replaced: {pointer.upheld}")
    if problem:
        aside(problem)
    return 0


def _version_cells(item: Version, in_use: bool) -> tuple[str, ...]:
    evidence = item.verdict.evidence if item.verdict else None
    return (
        f"v{item.number}",
        "yes" if in_use else "",
        item.level or ("original" if item.number == 1 else "-"),
        local_time(item.created),
        f"v{item.parent}" if item.parent else "-",
        as_changes(item.values, "=") or "-",
        before_and_after(evidence.metric, evidence.before, evidence.after) if evidence and evidence.labelled else "-",
    )


def diff(options: argparse.Namespace) -> int:
    """What changed from one version to another; by default from the parent of the one in use to it."""
    function = recorded(options.function)
    stored = {item.number: item for item in api.versions_of(function)}
    new = options.new or api.champion(function)
    old = options.old
    if old is None:
        old = _version(function, stored, new).parent
        if old is None:
            raise VersionError(f"{function}: v{new}, the original, is in use. {_offer(function, stored)}")
    text = text_diff(_version(function, stored, old), _version(function, stored, new))
    if options.json:
        say_json({"function": function, "old": old, "new": new, "diff": text})
    elif text:
        say(text.rstrip("\n"))
    else:
        say(f"{function}: v{old} and v{new} are the same text")
    return 0


def _version(function: str, stored: Mapping[int, Version], number: int) -> Version:
    if number not in stored:
        return Chain(api.settings(), function).read(number)  # which raises, and says why
    return stored[number]


def _offer(function: str, stored: Iterable[int]) -> str:
    latest = max(stored)
    return "No other was made yet" if latest == 1 else f"See: python -m poet_hook diff {function} 1 {latest}"


def show(options: argparse.Namespace) -> int:
    """The text of what really runs, for recorded functions and for those of the project's files."""
    found = find(options.function)
    plan = found.what
    function = plan.function
    if isinstance(plan, LeftAlone):
        raise NotEnhancedError(f"{function} runs as it is written: {plan.reason}")
    text = render(found.source, plan, Chain(api.settings(), function).champion(plan))
    if options.json:
        say_json({"function": function, "text": text})
    else:
        aside(f"# {function}; POET is the part of poet_hook that carries out its pragma")
        say(text.rstrip("\n"))
    return 0


def config(options: argparse.Namespace) -> int:
    """Each setting, and where it came from."""
    rows = [*api.settings().rows(), startup.state()]
    if options.json:
        say_json({"settings": [{"name": name, "value": value, "source": source} for name, value, source in rows]})
    else:
        table(("setting", "value", "from"), rows)
    return 0
