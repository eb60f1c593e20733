"""An objective that only live calls can tell -> one challenger after another on trial, and the better ones in use.

    latency      seconds from the call to its result; one that ends in an error or the fallback counts as the scale
    reliability  whether it ends in a result; one that the challenger failed is its failure, whoever answered then
    reward       how calls are rated: 1 for right, 0 for wrong, and what lies between
    cost         what is said that they cost, as in {"cost": 12.5}

Challengers are the neighbours of the version in use: one thing changed that `# poet: tune` marks, or, for the first
two, one of `retries=`, `backoff=` and `timeout=`. Each is served to the share of calls that `canary=` says, until
`contest` tells which of the two is better. For each champion all challengers together have its alpha: the first half of
it, the next a sixth, a twelfth, and so on.

After a promotion the roles are exchanged: what was replaced is held back for that share of the calls, and the contest
begins anew, until one of the two is shown to be better, or they can't be told apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from poet_hook.errors import OperateTimeout
from poet_hook.learning.aims import HIGHER, METRIC, WORDS
from poet_hook.learning.contest import SETTLING, Observed, Result, contest, scale_of
from poet_hook.learning.evidence import mean_gain
from poet_hook.learning.live import end_trial
from poet_hook.learning.scale import range_of
from poet_hook.learning.study import Study, values_of
from poet_hook.model import Evidence, Feedback, Learned, Signal, Tunable, Value, Verdict
from poet_hook.pragma.options import ATTEMPTS
from poet_hook.runtime.trial import told
from poet_hook.store.database import Store
from poet_hook.store.executions import Served
from poet_hook.transform.compile import Champion
from poet_hook.transform.render import render
from poet_hook.transform.values import as_text
from poet_hook.versions.promote import promote, rollback

GRACE = 2.0  # seconds until every process has heard of a challenger; its calls do not count before
MOST = 500  # losses of a challenger: who is not told apart by then is withdrawn
SOME_LATE = 3  # calls that a time limit ended: then a longer one is tried
_SAID = ("reward", "cost")
_RATED = {"right": 1.0, "wrong": 0.0}


def tried(study: Study, store: Store) -> Learned:
    """Judge the challenger, or what is held back; move the champion, take it back, or put the next one on trial."""
    plan = study.plan
    name = plan.pragma.optimize_for or ""
    if plan.pragma.canary is None:
        return _nothing(study, f"optimize_for={name} is told by live calls: it needs a canary=, such as canary=5%")
    court = _Court(study, store, name)
    reasons: list[str] = []
    pointer = study.chain.pointer()
    if pointer.challenger is not None:
        learned = court.watched(pointer.challenger) if pointer.held_back else court.judged(pointer.challenger)
        now = study.chain.pointer()
        if now.challenger == pointer.challenger or now.champion != pointer.champion:
            return learned
        reasons = list(learned.reasons)
    return court.opened(reasons)


@dataclass(slots=True)
class _Court:
    """The trials of one function."""

    study: Study
    store: Store
    name: str

    # -- judging

    def judged(self, number: int) -> Learned:
        """What is known of the challenger by now, and what follows from it."""
        study, chain = self.study, self.study.chain
        values = values_of(study, number)
        scale = self._scale(study.champion.version, chain.pointer().challenged)
        if values is None or scale is None:
            end_trial(study, "the function was edited since it was put on trial")
            return _nothing(study, f"v{number} is on trial no more: the function was edited")
        result = contest(self._observed(number, scale))
        alpha = study.plan.pragma.alpha
        place = len(chain.pointer().withdrawn) + 1
        needed = place * (place + 1) / alpha
        said = self._words(result.champion, result.challenger, scale, result.served, number)
        if result.better >= needed:
            verdict = self._verdict(result, scale, alpha, (f"evidence {result.better:.3g} reaches {needed:g}: {said}",))
            return self._promoted(values, verdict)
        why = ""
        if result.worse >= 1.0 / alpha:
            why = f"it does worse: {said} (e = {result.worse:.3g}, at least {1 / alpha:g} needed)"
        elif result.served >= MOST:
            why = f"it can't be told apart: {said} (e = {result.better:.3g})"
        if why:
            end_trial(study, why)
            return _nothing(study, f"v{number} is on trial no more: {why}")
        return _nothing(study, f"v{number} is on trial: {said}; evidence {result.better:.3g} is below {needed:g}")

    def watched(self, number: int) -> Learned:
        """What is known of the champion by now, against what it replaced, and what follows from it."""
        study, champion = self.study, self.study.champion.version
        scale = self._scale(number, study.chain.pointer().challenged)
        if scale is None or champion == 1:
            end_trial(study, "the function was edited")
            return _nothing(study, f"v{number} is held back no more: the function was edited")
        result = contest(self._observed(number, scale))
        said = self._words(result.challenger, result.champion, scale, result.served, number)
        needed = 1.0 / study.plan.pragma.alpha
        if result.better >= needed:
            why = (
                f"v{champion} did worse than v{number}, which it had replaced, on the calls since then: {said} "
                f"(e = {result.better:.3g}, at least {needed:g} needed): rolled back to v{number}"
            )
            rollback(study.chain, why, instead_of=study.in_use)
            return Learned(study.plan.function, number, None, None, False, (why,))
        if result.worse >= needed:
            why = f"it does better: {said} (e = {result.worse:.3g}, at least {needed:g} needed)"
        elif result.served >= MOST:
            why = f"nothing speaks against it: {said} (e = {result.better:.3g})"
        else:
            return _nothing(
                study, f"v{number} is held back, to judge v{champion}: {said}; evidence {result.better:.3g} against it"
            )
        end_trial(study, why)
        return _nothing(study, f"v{champion} is upheld against v{number}: {why}")

    def _words(self, before: float, after: float, scale: float, served: int, number: int) -> str:
        then, now = self._told(before, scale), self._told(after, scale)
        return f"{WORDS[METRIC[self.name]]} {then:.3g} -> {now:.3g}, by {served} calls of v{number}"

    def _verdict(self, result: Result, scale: float, alpha: float, reasons: tuple[str, ...]) -> Verdict:
        gain, low, high = (scale * each for each in mean_gain(result.differences, alpha))
        evidence = Evidence(
            labelled=result.served,
            wins=sum(max(difference, 0.0) for difference in result.differences),
            losses=sum(max(-difference, 0.0) for difference in result.differences),
            e_value=result.better,
            before=self._told(result.champion, scale),
            after=self._told(result.challenger, scale),
            metric=METRIC[self.name],
            gain=gain,
            gain_low=low,
            gain_high=high,
        )
        return Verdict("promote", "proven", alpha, evidence, reasons)

    def _promoted(self, values: Mapping[str, Value], verdict: Verdict) -> Learned:
        study = self.study
        number = self._stored(values, verdict)
        promote(study.chain, number, study.plan, learned=True, held_back=True, instead_of=study.in_use)
        return Learned(study.plan.function, study.champion.version, verdict, number, True, verdict.reasons)

    def _stored(self, values: Mapping[str, Value], verdict: Verdict | None) -> int:
        study = self.study
        number = max([*study.chain.numbers(), 1]) + 1
        enhanced = render(study.source, study.plan, Champion(number, values))
        return study.chain.add(study.plan, study.champion.version, values, verdict, enhanced).number

    def _told(self, loss: float, scale: float) -> float:
        return 1.0 - loss if METRIC[self.name] in HIGHER else scale * loss

    # -- what was recorded

    def _scale(self, version: int, until: float) -> float | None:
        """What counts as a loss of 1, by the calls of a version before the trial; None if there are too few."""
        if METRIC[self.name] in HIGHER:
            return 1.0
        served = self.store.served(self.study.plan.function, self.study.plan.source_hash, 0.0, until)
        own = [call for call in served if call.version == version]
        numbers = [number for _, call, said in self._in_order(own) if (number := self._number(call, said)) is not None]
        return scale_of(numbers[-1000:])

    def _observed(self, number: int, scale: float) -> list[Observed]:
        """The losses since the trial began, one for each key or stream: what chance decided upon."""
        since = self.study.chain.pointer().challenged + GRACE
        served = self.store.served(self.study.plan.function, self.study.plan.source_hash, since)
        found: dict[str, Observed] = {}
        for _, call, said in self._in_order(served):
            chosen = call.version == number or _failed(call, number)
            loss = self._loss(call, said, scale)
            names = (call.stream, call.key) if self.study.plan.remembers else (call.key, call.stream)
            unit = names[0] or names[1] or call.id
            if loss is not None and unit not in found and (chosen or call.version == self.study.champion.version):
                found[unit] = Observed(chosen, loss)
        return list(found.values())

    def _in_order(self, served: Sequence[Served]) -> list[tuple[float, Served, Sequence[Feedback]]]:
        """Calls, in the order in which they became known, with what was said of them."""
        if self.name not in _SAID:
            return [(call.started, call, ()) for call in served]
        said: dict[str, list[Feedback]] = {}
        for item in self.store.for_function(self.study.plan.function):
            said.setdefault(item.execution_id, []).append(item)
        heard = [(float(said[call.id][0].id), call, said[call.id]) for call in served if call.id in said]
        return sorted(heard, key=lambda item: item[0])

    def _number(self, call: Served, said: Sequence[Feedback]) -> float | None:
        """Seconds, or what was said that it cost."""
        if self.name == "latency":
            return call.duration if call.outcome == "result" else None
        return _mean([item.signal.value for item in said if item.signal.kind == "cost"])

    def _loss(self, call: Served, said: Sequence[Feedback], scale: float) -> float | None:
        if self.name == "latency" and call.outcome != "result":
            return 1.0
        if self.name == "reliability":
            return float(call.outcome != "result" or call.shadow is not None)
        if self.name == "reward":
            rated = _mean([number for item in said if (number := _rating(item.signal)) is not None])
            return None if rated is None else 1.0 - rated
        number = self._number(call, said)
        return None if number is None else min(1.0, number / scale)

    # -- the next one

    def opened(self, reasons: Sequence[str]) -> Learned:
        """Put the next neighbour on trial."""
        study = self.study
        if self._scale(study.champion.version, float("inf")) is None:
            what = "calls" if self.name == "latency" else "calls of which the cost is known"
            return _nothing(study, f"v{study.champion.version} needs {SETTLING} {what} first")
        pointer = study.chain.pointer()
        gone = [gone.version for gone in (*pointer.withdrawn, *pointer.undone)]
        seen = [*gone, *pointer.history, study.champion.version]
        known = [self._whole(found) for number in seen if (found := values_of(study, number)) is not None]
        shortest, longest = self._limits()
        for values in neighbours(study.plan.tunables_with(study.champion.values), study.champion.values):
            whole = self._whole(values)
            limit = whole.get("timeout", shortest)
            if whole not in known and (isinstance(limit, str) or shortest <= limit <= longest):
                number = self._stored(values, None)
                study.chain.challenge(number)
                changes = ", ".join(f"{name} = {as_text(value)}" for name, value in values.items())
                share = f"{study.plan.pragma.canary or 0.0:.0%}"
                return _nothing(study, *reasons, f"v{number} is on trial: {changes} for {share} of the calls")
        if not any(_may_change(tunable) for tunable in study.plan.tunables_with(study.champion.values)):
            return _nothing(study, *reasons, f"{self.name}: mark what may be changed with: # poet: tune LOW..HIGH")
        return _nothing(study, *reasons, f"no neighbour of v{study.champion.version} is left to try")

    def _limits(self) -> tuple[float, float]:
        """Between which time limits to try: all but one call in a hundred of the champion kept the shortest.

        None is longer than its own one, as long as that has ended next to none of its calls.
        """
        served = self.store.served(self.study.plan.function, self.study.plan.source_hash, 0.0)
        own = [call for call in served if call.version == self.study.champion.version]
        taken = sorted(call.duration for call in own if call.outcome == "result" and call.attempts == 1)
        late = sum((call.error or "").startswith(OperateTimeout.__name__) for call in own)
        now = self._whole(self.study.champion.values).get("timeout")
        keeps = late < SOME_LATE and isinstance(now, int | float)
        return taken[len(taken) * 99 // 100] if taken else 0.0, float(now) if keeps and now else math.inf

    def _whole(self, values: Mapping[str, Value]) -> dict[str, Value]:
        return {tunable.name: values.get(tunable.name, tunable.value) for tunable in self.study.plan.tunables}


def _nothing(study: Study, *reasons: str) -> Learned:
    return Learned(study.plan.function, study.champion.version, None, None, False, reasons)


def _failed(call: Served, number: int) -> bool:
    """Whether this challenger was chosen to serve a call, and could not."""
    said = None if call.shadow is None else told(call.shadow)
    return said is not None and said.version == number


def _rating(signal: Signal) -> float | None:
    if signal.model:  # ratings are what the rules read
        return None
    return float(signal.value) if signal.kind == "reward" else _RATED.get(signal.kind)


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def neighbours(tunables: Sequence[Tunable], values: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """What differs from `values` in one thing that may change: the first step of each, then the second, ..."""
    marked = [tunable for tunable in tunables if _may_change(tunable)]
    steps = ([(tunable.name, step) for step in _steps(tunable, values)] for tunable in marked)
    for turn in zip_longest(*steps):
        for change in turn:
            if change is not None:
                yield {**values, change[0]: change[1]}


def _may_change(tunable: Tunable) -> bool:
    """Whether the user said that this may differ on live calls: he marked it, or wrote such an option."""
    return tunable.declared or (tunable.kind == "option" and tunable.name in ATTEMPTS)


def _steps(tunable: Tunable, values: Mapping[str, Value]) -> list[Value]:
    """Twice and half of a number, or, where it may be of either sign, a quarter of its range up and down.

    Of attempts, one more and one less.
    """
    now = values.get(tunable.name, tunable.value)
    if isinstance(now, str):
        return [choice for choice in tunable.choices if choice != now]
    lower, upper = range_of(tunable)
    quarter = (upper - lower) / 4
    around = [2.0 * now, now / 2.0] if lower * upper >= 0.0 and now else [now + quarter, now - quarter]
    if tunable.kind == "option" and tunable.integer:
        around = [now + 1.0, now - 1.0]
    kept = [min(max(step, lower), upper) for step in around]
    steps: list[Value] = [float(round(step)) if tunable.integer else step for step in kept]
    return [step for step in steps if step != now]
