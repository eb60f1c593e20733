"""A function, what was said of it and a language model -> offers of other code.

A round is made from the first so many labelled executions, on a grid that no feedback moves, where so much of what was
said there stays unsettled that other code could be chosen at all. What the model writes is refused or kept by what can
be known of those executions alone: whether the policy lets it run, and whether it agrees better with what was said of
them. What is kept bets, as other offers do, on what came after (`learning/gate.py`). A further round, on more of them,
is shown what became of the attempts before.

Rounds are kept in the store, so that no learning run asks again, and belong to one text and one version in use. A store
may have come with a checkout: rounds that this user did not sign count for nothing, and all code is vetted each time.
"""

from __future__ import annotations

import ast
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from poet_hook.errors import CodecError, LlmError, SettingsError, VersionError
from poet_hook.isolation.policy import Original, vet
from poet_hook.isolation.slice import Slice, slice_function
from poet_hook.learning.candidates import Terms, rank_share
from poet_hook.learning.gate import BEYOND, REWRITES
from poet_hook.learning.search import FIRST_OFFER, Offer, Search, slack
from poet_hook.learning.shown import SYSTEM, VARIANTS, again, question
from poet_hook.learning.study import Study, values_of
from poet_hook.llm.extract import NotExtracted, extract_code
from poet_hook.model import CODE, Feedback, Plan, Value
from poet_hook.settings import Settings
from poet_hook.store import codec
from poet_hook.store.database import Store
from poet_hook.transform.choices import names_of
from poet_hook.transform.values import lines_of, option_line, with_values
from poet_hook.versions.sign import signature, verified

DryRun = Callable[[str], None]
Ask = Callable[[str, str, int], tuple[str, str]]
"""(system, user, which of several replies) -> the reply and its finish_reason; raises `LlmError`."""

MOST_ROUNDS = 4  # for one text and one version in use
KEPT = 2  # of the candidates of one round
SHOWN = 6  # earlier attempts
PURPOSE = "rewrite"


@dataclass
class Attempt:
    """What the model wrote (its function alone, "" where it wrote none), whether it was kept, and why, or why not."""

    text: str
    kept: bool = False
    why: str = ""


@dataclass
class Round:
    """One round: how many labelled executions it was made from, and the number of the last word among them."""

    size: int
    upto: int
    by: str
    attempts: list[Attempt] = field(default_factory=list)


@dataclass
class _Rounds:
    source_hash: str
    champion: int
    rounds: list[Round] = field(default_factory=list)


class Rewriting:
    """The rounds of one function, and who is asked for another; `by` is the name of the model ("": nobody is asked)."""

    def __init__(self, store: Store, by: str = "", ask: Ask | None = None, notes: Sequence[str] = ()) -> None:
        self.store, self.by, self.ask = store, by, ask
        self.notes = [*notes]

    def offers(self, search: Search, others: Sequence[Offer]) -> Iterator[Offer]:
        """What was written, as offers, after a new round where one is due; `others` is what else could be chosen."""
        study = search.study
        original = Original(study.source, study.plan.qualname)
        found = self._known(search)
        size = self._due(search, found, others)
        if size:
            made = self._round(search, original, found, size)
            if made is not None:
                found.rounds.append(made)
                self._keep(study, found)
        rank = 0
        for each in found.rounds:
            after = sum(label.order <= each.upto for label in search.labels.values())
            for attempt in each.attempts:
                text = _written(attempt.text, original)[0] if attempt.kept else ""
                if text:
                    rank += 1
                    why = f"other code, written by {each.by or 'a language model'} from the first {each.size} of them"
                    terms = Terms(after, REWRITES * rank_share(rank), structural=True)
                    yield search.offer(terms, _with_code(search, text), (why,))

    def _known(self, search: Search) -> _Rounds:
        plan, champion = search.study.plan, search.study.champion.version
        claimed, _, kept = (self.store.get_meta(_key(search.study)) or "").partition(" ")
        try:
            signed = bool(kept) and verified(_signed(kept), claimed, search.study.chain.settings)
            found = msgspec.json.decode(kept, type=_Rounds) if signed else None
        except (VersionError, msgspec.MsgspecError, RecursionError, UnicodeError):
            found = None
        if found is None or (found.source_hash, found.champion) != (plan.source_hash, champion):
            return _Rounds(plan.source_hash, champion)
        return found

    def _keep(self, study: Study, found: _Rounds) -> None:
        """Store the rounds, signed; where no key can be made, they are of this run only."""
        text = json.dumps(asdict(found))
        try:
            self.store.set_meta(_key(study), f"{signature(_signed(text), study.chain.settings)} {text}")
        except VersionError as error:
            self.notes.append(f"what the language model wrote can't be kept: {error}")

    def _due(self, search: Search, found: _Rounds, others: Sequence[Offer]) -> int:
        """From how many labelled executions the next round is to be made; 0 where none is due."""
        if self.ask is None or len(found.rounds) >= MOST_ROUNDS or search.study.plan.pragma.margin is not None:
            return 0
        half, size = max(FIRST_OFFER, len(search.labels) // 2), FIRST_OFFER
        while size + size // 2 <= half:
            size += size // 2
        if len(search.labels) < size or any(each.size >= size for each in found.rounds):
            return 0
        weights = search.weights(_first(search, size))
        left = [sum(weight * search.now(number) for number, weight in weights.items())]
        for i, losses in enumerate(search.losses):
            left.append(search.fit(i, losses, search.study.champion.values, weights)[1])
        left += [_lost(offer, weights) for offer in others if offer.terms.after <= size]
        return size if min(left) > BEYOND else 0

    def _round(self, search: Search, original: Original, found: _Rounds, size: int) -> Round | None:
        numbers = _first(search, size)
        upto = max(search.labels[number].order for number in numbers)
        made = Round(size, upto, self.by)
        source = _text_in_use(search)
        before = [(a.text, a.why) for each in found.rounds for a in each.attempts if a.text][-SHOWN:]
        judging = _executions(search, set(search.labels) - set(numbers))
        suggested = self.store.suggestions(search.study.plan.function)
        said = [item.text for item in suggested if item.feedback <= upto and item.execution_id not in judging]

        def words(execution_id: str) -> list[str]:
            return [text for item in self.store.for_execution(execution_id) if (text := _text(item, upto))][-1:]

        known = {attempt.text for each in found.rounds for attempt in each.attempts}
        for variant in range(len(VARIANTS)):
            asked = question(search, original, source, numbers, said, before, words, variant)
            try:
                attempt = self._attempt(asked, source, original, len(found.rounds) * len(VARIANTS) + variant)
            except LlmError as error:
                if error.kind == "dry run":
                    continue
                self.notes.append(f"no other code was asked for: {error}")
                return None  # the next run begins this round anew, with what was answered by then
            if not attempt.text or attempt.text not in known:
                known.add(attempt.text)
                made.attempts.append(attempt)
        self._keep_best(search, numbers, made)
        return made if made.attempts else None

    def _attempt(self, asked: str, source: str, original: Original, number: int) -> Attempt:
        """What the model writes, corrected once where it can't be taken."""
        assert self.ask is not None
        words, why = asked, ""
        for _ in range(2):
            reply, finish = self.ask(SYSTEM, words, number)
            taken = extract_code(reply, original.function.name, finish, source)
            if isinstance(taken, NotExtracted):
                why = f"{taken.message}."
            else:
                text, why = _written(taken.source, original)
                if text:
                    return Attempt(text)
            words = again(asked, reply, why)
        return Attempt("", why=why)

    def _keep_best(self, search: Search, numbers: Sequence[int], made: Round) -> None:
        """Keep what agrees best with what was said of the executions that the round was made from."""
        weights = {number: min(search.labels[number].weight, 1.0) for number in numbers}
        now = sum(weight * search.now(number) for number, weight in weights.items())
        losses = []
        for attempt in made.attempts:
            lost = float("inf")
            if attempt.text:
                lost = _lost(search.offer(Terms(made.size, 0.0), _with_code(search, attempt.text)), weights)
                attempt.why = f"it lost {lost:g} on the first {made.size} results, and the function in use {now:g}"
            losses.append(lost)
        order = sorted(range(len(losses)), key=lambda i: losses[i])
        for i in order[:KEPT]:
            made.attempts[i].kept = losses[i] < now - slack(weights)


def writer_of(study: Study, store: Store, settings: Settings, dry_run: DryRun | None = None) -> Rewriting | None:
    """Who writes other code for a function; None where no language model may, and none did before.

    With `dry_run`, that is given what would be sent, and nothing is.
    """
    from poet_hook.llm.endpoint import endpoint  # most programs have none

    function, before = study.plan.function, store.get_meta(_key(study)) is not None
    notes = []
    try:
        found = endpoint(settings)
    except SettingsError as error:
        found, notes = None, [f"no other code was asked for: {error}"]
    if found is None:
        return Rewriting(store, notes=notes) if before or notes else None
    from poet_hook.llm.client import Client

    client = Client(found, store, settings, dry_run)

    def ask(system: str, user: str, number: int) -> tuple[str, str]:
        reply = client.ask(PURPOSE, system, user, function=function, n=number + 1)
        return reply.text, reply.finish_reason

    return Rewriting(store, found.model, ask)


def slice_of(study: Study, settings: Settings, *, writes: bool = False) -> Slice:
    """What of the module is loaded to replay the function, with what other versions of it use.

    What other code may use is among it where such a version is in use, was, or may be written now.
    """
    ran = {item.execution.version for item in study.known} | {study.champion.version, *study.chain.history()[-1:]}
    code = writes or any(CODE in (values_of(study, number) or {}) for number in ran)
    return slice_with(study.plan, study.source, settings, code=code)


def slice_with(plan: Plan, source: str, settings: Settings, *, code: bool) -> Slice:
    """The same, where it is known whether other `code` is to run."""
    perhaps: set[str] = set()
    if code:  # besides what the function itself uses
        names = Original(source, plan.qualname).names
        perhaps = {name for name, known in names.items() if known.kind in ("import", "member", "constant")}
    modules = settings.replay_modules
    return slice_function(source, plan.qualname, plan.line, modules, names_of(plan), perhaps)


def _text(item: Feedback, upto: int) -> str:
    """What was written, where that was before the executions that will judge were spoken of."""
    try:
        said = codec.decode(item.raw, plain=True) if item.id <= upto else ""
    except CodecError:
        return ""
    return said if isinstance(said, str) else ""


def _first(search: Search, size: int) -> list[int]:
    return list(itertools.islice(search.labels, size))


def _executions(search: Search, numbers: Iterable[int]) -> set[str]:
    """The ids of the executions of these events."""
    study = search.study
    return {study.known[member].execution.id for number in numbers for member in search.events[number].members}


def _lost(offer: Offer, weights: Any) -> float:
    return float(sum(weight * offer.losses[number] for number, weight in weights.items()))


def _signed(text: str) -> bytes:
    """What is signed of rounds: no signature of anything else counts for them."""
    return b"rounds of other code " + text.encode("utf-8", "surrogatepass")


def _key(study: Study) -> str:
    return f"rewrites:{study.plan.function}"


def _with_code(search: Search, text: str) -> dict[str, Value]:
    """The values of other code: the options in use stay."""
    options = {tunable.name for tunable in search.study.plan.tunables if tunable.kind == "option"}
    kept = {name: value for name, value in search.study.champion.values.items() if name in options}
    return {**kept, CODE: text}


def _text_in_use(search: Search) -> str:
    plan, values = search.study.plan, search.study.champion.values
    text = with_values(plan.source, plan.tunables, values).removeprefix(option_line(plan.tunables, values))
    return _alone(text)


def _decorated(text: str, original: Original) -> str:
    """The text with the decorators of the original, where it has none: the model need not repeat them."""
    function = _function_in(text, original.function.name)
    if function is None or function.decorator_list or not original.function.decorator_list:
        return text
    lines = lines_of(text)
    above = "".join(f"@{ast.unparse(each)}\n" for each in original.function.decorator_list)
    return "".join([*lines[: function.lineno - 1], above, *lines[function.lineno - 1 :]])


def _alone(text: str) -> str:
    """The lines of the function itself."""
    function = _function_in(text, None)
    assert function is not None
    return "".join(lines_of(text)[function.lineno - 1 : function.end_lineno]).rstrip("\n") + "\n"


def _function_in(text: str, name: str | None) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = (node for node in ast.parse(text).body if isinstance(node, kinds) and name in (None, node.name))
    return next(found, None)


def _written(text: str, original: Original) -> tuple[str, str]:
    """What may run of what a model wrote, or "" and why nothing may.

    That is the function without comments, and with the docstring of the original: words for the next reader stay out.
    """
    try:
        vetted = vet(_decorated(text, original), original)
        if vetted.function is None:
            return "", "; ".join(f"line {refusal.line}: {refusal}" for refusal in vetted.refusals[:3])
        vetted.function.decorator_list = []
        written = ast.unparse(vetted.function) + "\n"
        if ast.dump(ast.parse(written).body[0]) == ast.dump(vetted.function):
            return written, ""
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    return "", "it can't be written down again: use plainer f-strings, and nest less."
