from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import poet_hook
from benchmarks.change_streams import Change, followed
from benchmarks.event_streams import Bursts, promotion
from benchmarks.gate_streams import Comments, Scenario, World, stream
from poet_hook import api
from poet_hook.cli.teach import _say_learned
from poet_hook.learning.ageing import moments_of, renewals, weights_of
from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps
from poet_hook.learning.events import Call, Event, Incident, Timeline, agreed_on, combined, incidents, told
from poet_hook.learning.evidence import KEPT, Renewed
from poet_hook.learning.gate import Judge, judge
from poet_hook.learning.objective import Label
from poet_hook.learning.silence import EXECUTIONS, Opinions
from poet_hook.store import codec

Load = Callable[..., ModuleType]

MONITOR = """
    # poet: optimize_for={objective}, after=100000, {options}
    def is_hot(machine: str, celsius: float) -> bool:
        return celsius > {limit}  # poet: tune 0..100
"""


def monitor(load: Load, options: str, limit: float = 30.0, objective: str = "accuracy", module: str = "m") -> Any:
    return load(MONITOR.format(options=options, limit=limit, objective=objective), module).is_hot


def calls(text: str, stream: str | None = None) -> list[Call]:
    """A letter for each call: `A` an alert, `q` a quiet result, `-` a call that failed."""
    return [
        Call(str(n), float(n), stream, None, {"A": True, "q": False, "-": None}[letter], letter != "-")
        for n, letter in enumerate(text)
    ]


def found(text: str, group: int | float | str, said: dict[int, bool | None] | None = None) -> list[Incident]:
    names = {str(n): value for n, value in (said or {}).items()}
    return incidents(calls(text), group, names, names)


def numbers(ids: tuple[str, ...]) -> list[int]:
    return [int(name) for name in ids]


# --------------------------------------------------------------------------- which executions are one incident


def test_alerts_within_the_gap_are_one_incident_with_a_window_around() -> None:
    one, two = (i for i in found("qqqAqAqqqqqqAqqq", 2, {3: False, 12: True}) if i.spoken)
    assert (numbers(one.spoken), numbers(one.alerts), numbers(one.window)) == ([3], [3, 5], [1, 2, 3, 4, 5, 6, 7])
    assert (numbers(two.spoken), numbers(two.alerts), numbers(two.window)) == ([12], [12], [10, 11, 12, 13, 14])


def test_a_gap_in_seconds_looks_at_the_clock() -> None:
    timed = [Call(str(n), t, None, None, True) for n, t in enumerate([0.0, 50.0, 111.0, 170.0])]
    got = incidents(timed, 60.0, {"0": True, "3": True}, {"0", "3"})
    assert [numbers(i.alerts) for i in got if i.spoken] == [[0, 1], [2, 3]]


def test_streams_are_apart() -> None:
    both = [Call(str(n), float(n), "ab"[n % 2], None, True) for n in range(6)]
    got = incidents(both, 1, {"0": True, "1": False}, {"0", "1"})
    assert [numbers(i.alerts) for i in got if i.spoken] == [[0, 2, 4], [1, 3, 5]]


def test_an_expression_names_the_incident_and_nothing_stands_alone() -> None:
    named = [
        Call(str(n), float(n), None, name, alert)
        for n, (name, alert) in enumerate(
            [("x", True), (None, True), ("x", False), ("y", True), ("x", True), (None, True)]
        )
    ]
    got = incidents(named, "incident", {"0": True, "1": False}, {"0", "1"})
    assert [(numbers(i.alerts), numbers(i.window)) for i in got if i.spoken] == [([0, 4], [0, 2, 4]), ([1], [1])]


def test_a_missed_one_near_alerts_belongs_to_them_and_elsewhere_is_an_incident_of_its_own() -> None:
    near, far = (i for i in found("qqAqqqqqqqqq", 2, {2: True, 4: True, 9: True}) if i.spoken)
    assert (numbers(near.spoken), numbers(near.alerts)) == ([2, 4], [2])
    assert (numbers(far.spoken), numbers(far.alerts), numbers(far.window)) == ([9], [], [7, 8, 9, 10, 11])


def test_quiet_results_called_right_in_a_row_are_one_event() -> None:
    got = [i for i in found("qqqqqqqqqq", 2, {0: False, 1: False, 3: False, 8: False}) if i.spoken]
    assert [numbers(i.spoken) for i in got] == [[0, 1, 3], [8]]
    assert all(not i.window for i in got)


def test_what_nobody_spoke_of_counts_once_an_incident_and_once_a_gap() -> None:
    got = found("qqqqAAAqqqqqqqqqqqqq", 4)
    alerts, quiet = [i for i in got if i.alerts], [i for i in got if not i.alerts]
    assert [(numbers(i.alerts), i.stands_for) for i in alerts] == [([4, 5, 6], 1.0)]
    assert [numbers(i.window) for i in quiet] == [[n] for n in range(11, 20)]  # not those in the window
    assert sum(i.stands_for for i in quiet) == pytest.approx(3)  # 8..11, 12..15, 16..19


def test_what_was_heard_but_says_nothing_is_no_silence() -> None:
    assert [i for i in incidents(calls("qAAq"), 1, {}, {"1"}) if i.alerts] == []


def test_large_incidents_are_thinned_and_stay_bounded() -> None:
    (incident,) = (i for i in found("q" * 500 + "A" * 500 + "q" * 500, 400, {600: True}) if i.spoken)
    assert len(incident.alerts) == 24
    assert set(incident.alerts) <= set(incident.window)
    assert len(incident.window) == 48


@settings(max_examples=150, deadline=None)
@given(
    st.text("Aq-", max_size=40),
    st.integers(1, 6),
    st.dictionaries(st.integers(0, 39), st.sampled_from([True, False, None])),
)
def test_each_call_is_in_its_place_once(text: str, gap: int, said: dict[int, bool | None]) -> None:
    said = {n: value for n, value in said.items() if n < len(text) and text[n] != "-"}
    got = found(text, gap, said)
    alerts = [n for n, letter in enumerate(text) if letter == "A"]
    groups = sorted(numbers(i.alerts) for i in got if i.alerts)
    assert sorted(n for group in groups for n in group) == alerts
    for n, m in pairwise(alerts):
        together = any(n in group and m in group for group in groups)
        assert together == (m - n <= gap)
    assert sorted(n for i in got for n in numbers(i.spoken)) == sorted(said)

    def close(n: int, others: list[int]) -> bool:
        return min((abs(n - m) for m in others), default=99) <= gap

    missed = [n for n, value in said.items() if value and not close(n, alerts)]
    quiet = {n for n, letter in enumerate(text) if letter == "q" and not close(n, [*alerts, *missed])}
    silent = [numbers(i.window) for i in got if not i.spoken and not i.alerts]
    assert sorted(n for (n,) in silent) == sorted(quiet - set(said))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 100), max_size=30), st.floats(0.5, 20))
def test_around_is_all_within_the_gap(times: list[float], gap: float) -> None:
    ordered = sorted(times)
    timeline = Timeline([Call(str(n), t, None, None, True) for n, t in enumerate(ordered)], gap)
    for run in timeline.together(range(len(ordered))):
        first, last = ordered[run[0]], ordered[run[-1]]
        expected = [n for n, t in enumerate(ordered) if first - gap <= t <= last + gap]
        assert timeline.around(run) == expected


# --------------------------------------------------------------------------- what an event costs

VALUES = st.sampled_from([0.0, 0.25, 1.0])


@st.composite
def steps(draw: st.DrawFn) -> Steps:
    breaks = sorted(draw(st.sets(st.integers(0, 9), max_size=4)))
    values = draw(st.lists(VALUES, min_size=len(breaks) + 1, max_size=len(breaks) + 1))
    at = draw(st.lists(VALUES, min_size=len(breaks), max_size=len(breaks)))
    return Steps(tuple(map(float, breaks)), tuple(values), tuple(at), draw(st.booleans()))


@settings(max_examples=200, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=6), st.sampled_from([min, max, sum]))
def test_steps_are_combined_exactly(several: list[Steps], f: Callable[..., float]) -> None:
    one = combined(several, f)
    for i in range(-1, 22):
        t = i / 2
        assert one(t) == (f([each(t) for each in several]) if len(several) > 1 else several[0](t))
    assert one.exact == all(each.exact for each in several)


def said(value: bool, weight: float = 1.0, order: int = 1) -> Label:
    return Label(str(order), "decision", value, weight, False, order)


def test_a_false_incident_costs_the_share_that_remains_and_a_true_one_nothing_if_any_does() -> None:
    alerts = [Steps((score,), (True, False), (False,)) for score in (1.0, 2.0, 3.0, 4.0)]
    false, true = Event(said(False), (0, 1, 2, 3), 0), Event(said(True), (0, 1, 2, 3), 0)

    def cost(event: Event, t: float) -> float:
        assert event.label is not None
        loss = [each.map(lambda alert: float(alert != event.label.value)) for each in alerts]
        return combined(loss, event.together(event.label))(t)

    assert [cost(false, t) for t in (0.5, 1.5, 2.5, 3.5, 4.5)] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert [cost(true, t) for t in (0.5, 1.5, 3.5, 4.0, 4.5)] == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_comments_on_one_incident_take_weight_from_each_other() -> None:
    nine = agreed_on([said(False, order=n) for n in range(2, 11)] + [said(True, order=1)])
    assert nine is not None
    assert (nine.value, nine.weight, nine.order) == (False, pytest.approx(0.8), 1)
    assert agreed_on([said(False), said(True)]) is None
    doubtful = agreed_on([said(True, 0.4), said(True, 0.6)])
    assert doubtful is not None
    assert doubtful.weight == pytest.approx(0.5)


def test_numbers_of_one_event_are_judged_one_by_one_and_meant() -> None:
    one, two = (Label(str(n), "value", value, 1.0, False, n) for n, value in ((1, 10.0), (2, 20.0)))
    label = agreed_on([one, two])
    assert label is not None
    event = Event(label, (0, 1), 0)
    assert event.labels(label) == (one, two)
    assert event.returned([10.0, 5.0]) == {0: 10.0, 1: 5.0}
    assert event.together(label)([0.0, 1.0]) == 0.5
    assert told(label) is None


# --------------------------------------------------------------------------- through the library


def day(function: Any, rng: random.Random, base: float, comments: int = 5) -> None:
    """Six quiet calls, then five with nearly one value, of which the alerts are commented on one by one."""
    for _ in range(6):
        poet_hook.call(function, "press", rng.uniform(0, 25))
    for number in range(5):
        result = poet_hook.call(function, "press", base + rng.gauss(0, 0.3))
        if result.value and number < comments:
            poet_hook.feedback(result, base > 45)


def test_twenty_comments_on_an_incident_are_one_bet(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    rng, learned = random.Random(1), {}
    for module, options in (("each", "stream=machine"), ("grouped", "stream=machine, group=3")):
        is_hot = monitor(load, options, module=module)
        for base in (33, 50, 36, 40, 55, 34):
            day(is_hot, rng, base)
        learned[module] = poet_hook.learn(is_hot)
    each, grouped = (run.verdict for run in learned.values())
    assert each is not None
    assert grouped is not None
    assert (each.evidence.labelled, each.evidence.comments) == (30, None)
    assert (grouped.evidence.labelled, grouped.evidence.comments) == (6, 30)
    assert grouped.evidence.before == pytest.approx(2 / 6)
    assert grouped.evidence.after == 1.0
    assert each.level == "proven"
    assert grouped.level is None
    _say_learned(learned["grouped"])
    shown = capsys.readouterr().out
    assert "33.3 % -> 100.0 % on 6 incidents (30 executions with feedback)" in shown
    assert "labelled incidents" in shown
    assert "per incident that did not help" in shown


@pytest.mark.parametrize("options", ["group=3", "group=10m, stream=machine", "group=machine", "stream='None', group=2"])
def test_incidents_are_learned_from(load: Load, options: str) -> None:
    is_hot = monitor(load, options)
    rng = random.Random(2)
    clock = iter(range(10**9, 10**9 + 10**6, 60))
    named = options == "group=machine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poet_hook.runtime.record.now", lambda: (float(next(clock)), 0.0))
        for number in range(30):
            base = rng.uniform(32, 60)
            for _ in range(12):
                poet_hook.call(is_hot, "-", rng.uniform(0, 25))
            for _ in range(4):
                result = poet_hook.call(is_hot, f"press {number}" if named else "-", base + rng.gauss(0, 0.3))
                poet_hook.feedback(result, base > 45)
    learned = poet_hook.learn(is_hot)
    assert learned.promoted
    assert learned.verdict is not None
    assert (learned.verdict.evidence.labelled, learned.verdict.evidence.comments) == (30, 120)
    assert learned.candidate is not None
    assert 42 < learned.candidate.values["celsius_limit"] < 48


def test_the_name_of_an_incident_is_recorded(load: Load) -> None:
    is_hot = load("""
        # poet: optimize_for=accuracy, group="ticket or None"
        def is_hot(ticket: str, celsius: float) -> bool:
            return celsius > 30.0
    """).is_hot
    is_hot("A-7", 31.0)
    is_hot("", 31.0)
    assert [(e.incident, e.stream, e.key) for e in api.store().executions()] == [
        ("A-7", None, None),
        (None, None, None),
    ]


def test_an_alert_elsewhere_in_the_window_finds_a_missed_incident(load: Load) -> None:
    """Somebody points at one reading; a limit that raises its neighbour finds the incident as well."""
    is_hot = monitor(load, "group=2", limit=50.0)
    for _ in range(8):
        for celsius in (10, 11, 12, 13, 41, 30, 41, 14, 15, 16):
            result = poet_hook.call(is_hot, "press", float(celsius))
            if celsius == 30:
                poet_hook.feedback(result, "missed it")
    learned = poet_hook.learn(is_hot)
    assert learned.candidate is not None
    assert 30 < learned.candidate.values["celsius_limit"] < 41
    assert learned.verdict is not None
    assert learned.verdict.evidence.after == 1.0


def test_a_question_is_asked_once_an_incident(load: Load) -> None:
    is_hot = monitor(load, "group=3")
    rng = random.Random(3)
    for base in (33, 50, 36, 40):
        day(is_hot, rng, base, comments=0)
    asked = poet_hook.ask(is_hot, limit=50).questions
    alerts = [q for q in asked if q.returned]
    assert len(alerts) == 4
    quiet = [q for q in asked if not q.returned]
    assert 0 < len(quiet) <= 8  # 24 quiet calls, none of those in the window of an alert


def test_a_version_is_rolled_back_by_incidents(load: Load) -> None:
    rolled = {}
    for module, options in (("each", "alpha=0.1"), ("grouped", "alpha=0.1, group=3")):
        is_hot = monitor(load, options, module=module)
        rng = random.Random(4)
        for _ in range(40):
            day(is_hot, rng, rng.uniform(31, 60))
        assert poet_hook.learn(is_hot).promoted
        for _ in range(3):  # three incidents missed, with five comments each
            for _ in range(6):
                poet_hook.call(is_hot, "press", rng.uniform(0, 25))
            for _ in range(5):
                poet_hook.feedback(poet_hook.call(is_hot, "press", 35.0), {"expected": True})
        rolled[module] = " ".join(poet_hook.learn(is_hot).reasons)
    assert "rolled back to v1" in rolled["each"]
    assert "rolled back" not in rolled["grouped"]
    for _ in range(6):
        for _ in range(6):
            poet_hook.call(is_hot, "press", rng.uniform(0, 25))
        for _ in range(5):
            poet_hook.feedback(poet_hook.call(is_hot, "press", 35.0), {"expected": True})
    assert "on the 9 labelled incidents since" in " ".join(poet_hook.learn(is_hot).reasons)


def test_an_incident_with_as_many_words_for_as_against_it_counts_for_nothing(load: Load) -> None:
    is_hot = monitor(load, "group=3")
    for right in (True, False):
        poet_hook.feedback(poet_hook.call(is_hot, "press", 40.0), right)
    learned = poet_hook.learn(is_hot)
    assert "2 executions with feedback were set aside: as much was said for their incident as against it" in (
        learned.reasons
    )


def test_errors_of_numbers_are_meant_over_what_follows_within_the_gap(load: Load) -> None:
    minutes = load("""
        # poet: optimize_for=absolute_error, after=100000, group=2, stream=tour
        def minutes(tour: int, kilometres: float) -> float:
            return kilometres * 6.0  # poet: tune 1..20
    """).minutes
    for tour in range(40):
        for _ in range(3):
            result = poet_hook.call(minutes, tour, 1.0 + tour % 7)
            poet_hook.feedback(result, {"expected": 4.0 * (1.0 + tour % 7)})
    learned = poet_hook.learn(minutes)
    assert learned.promoted
    assert learned.verdict is not None
    assert (learned.verdict.evidence.labelled, learned.verdict.evidence.comments) == (40, 120)
    assert learned.candidate is not None
    assert list(learned.candidate.values.values()) == [pytest.approx(4, rel=0.02)]


# --------------------------------------------------------------------------- assume_ok_after


def past(days: float) -> Callable[[], tuple[float, float]]:
    return lambda: (time.time() - 86_400 * days, time.perf_counter())


ASSUMED = """
    # poet: optimize_for=accuracy, after=100000{options}
    def is_hot(celsius: float) -> bool:
        return celsius > 30.0  # poet: tune 0..100
"""


def complained_of(load: Load, monkeypatch: pytest.MonkeyPatch, days: float, options: str, module: str) -> Any:
    """Alerts below 40 are complained of, those above are silent; so are the quiet ones."""
    is_hot = load(ASSUMED.format(options=options), module).is_hot
    monkeypatch.setattr("poet_hook.runtime.record.now", past(days))
    for celsius in (*range(20, 50), *range(20, 50)):
        result = poet_hook.call(is_hot, float(celsius))
        if result.value and celsius < 40:
            poet_hook.feedback(result, "false alarm")
    monkeypatch.undo()
    return is_hot


def test_silence_that_is_old_enough_is_approval_and_the_verdict_says_so(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_hot = complained_of(load, monkeypatch, 3, ", assume_ok_after=2d", "old")
    learned = poet_hook.learn(is_hot)
    told = "20 alerts that nobody spoke of for 2d were taken as right (assume_ok_after)"
    assert told in learned.reasons
    assert "22 quiet results that nobody spoke of for 2d were taken as right (assume_ok_after)" in learned.reasons
    assert not any("saying which are right helps" in reason for reason in learned.reasons)
    assert learned.candidate is not None
    assert 39 <= learned.candidate.values["celsius_limit"] < 40


def test_silence_that_is_younger_says_nothing(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    is_hot = complained_of(load, monkeypatch, 1, ", assume_ok_after=2d", "young")
    learned = poet_hook.learn(is_hot)
    assert not any("nobody spoke" in reason or "silence" in reason for reason in learned.reasons)
    assert learned.verdict is not None
    assert (learned.verdict.evidence.silent, learned.verdict.evidence.silent_weight) == (0, 0.0)
    assert len(poet_hook.ask(is_hot, limit=3).questions) == 3  # and is what there is to ask about


def test_what_is_assumed_of_incidents(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    is_hot = complained_of(load, monkeypatch, 3, ", assume_ok_after=2d, group=1", "grouped")
    learned = poet_hook.learn(is_hot)
    assert learned.verdict is not None
    assert learned.verdict.evidence.labelled == 2  # the alerts of each round are one incident, and were spoken of
    assert not any("incidents that nobody" in reason for reason in learned.reasons)
    assert any("quiet results that nobody spoke of for 2d" in reason for reason in learned.reasons)


def test_a_word_replaces_what_was_assumed(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    is_hot = complained_of(load, monkeypatch, 3, ", assume_ok_after=2d", "late")
    silent = next(e for e in api.store().executions(with_feedback=False) if e.result == codec.encode(True))
    poet_hook.feedback(silent.id, "false alarm")
    assert "19 alerts that nobody spoke of for 2d were taken as right (assume_ok_after)" in (
        poet_hook.learn(is_hot).reasons
    )


def test_answers_say_how_far_the_assumption_holds() -> None:
    opinions = Opinions(True, EXECUTIONS._replace(assumed="2d"))
    opinions.hush(30.0, 0.0, (1.0, 1.0))
    for right in (True, False, False):
        opinions.answer(right)
    assert opinions.agreement() == opinions.in_choice(1.0) == 1.0
    assert list(opinions.words(1.0)) == [
        "30 alerts that nobody spoke of for 2d were taken as right (assume_ok_after)",
        "but of 3 answers about alerts, 2 said that it was wrong",
    ]


def test_what_is_assumed_is_approved_where_a_provisional_version_would_break_it() -> None:
    def case(score: float, right: bool) -> Case:
        loss = Steps((score,), (float(right is False), float(right)), (float(right),))
        return Case(str(score), loss(1.0), (loss,), approved=right, alarm=True)

    levels = []
    for broken in (False, True):
        process = Judge([Axis(1.0, 0.5, 8.0)], reading=EXECUTIONS._replace(assumed="1d"))
        for n in range(6):
            if n == 3 and broken:
                process.hush(replace(case(1.25, True), now=0.0, weight=0.1))
            process.add(case(1.3, False))
        levels.append(process.judgement().level)
    assert levels == ["provisional", None]


@pytest.mark.parametrize(
    ("comments", "points", "learns"),
    [
        (lambda a, r, _: not r, 0, False),
        (lambda a, r, _: not r, 26, True),
        (lambda a, r, rng: not r and rng.random() < 0.5, 15, False),  # blind, and no worse
        (lambda a, r, rng: rng.random() < 0.2, 15, False),
    ],
)
def test_the_bias_of_what_is_assumed(comments: Comments, points: float, learns: bool) -> None:
    world = World(0.32, 2.1)
    where = world.below_optimum(points)
    scenario = Scenario("assumed", world, where, comments, 40, assumed=True)
    ends = [stream(scenario, random.Random(f"{points} {i}")) for i in range(10)]
    gains = [end[2] for end in ends if end is not None]
    assert min(gains, default=0.0) >= 0.0
    assert (len(gains) >= 6) if learns else not gains


# --------------------------------------------------------------------------- half_life


def test_a_half_life_begins_with_the_first_bet_in_it() -> None:
    assert renewals([], 10) == []
    assert [place for place, renews in enumerate(renewals(range(30), 10)) if renews] == [0, 10, 20]
    assert renewals([0.0, 9.0, 35.0, 8.0, 36.0, 41.0], 10.0) == [True, False, True, False, False, True]


def renewed(*bets: float, between: int = 3) -> Renewed:
    purse = Renewed()
    for place, bet in enumerate(bets):
        if place % between == 0:
            purse.renew()
        purse.bet(bet, (1.0, 2.0))
    return purse


@given(st.lists(st.floats(-1, 1), max_size=20), st.floats(-1, 1))
def test_a_fair_bet_does_not_change_what_a_renewed_purse_expects(bets: list[float], d: float) -> None:
    purses = [renewed(*bets, each) for each in (d, -d)]
    before = renewed(*bets)
    if len(bets) % 3 == 0:
        before.renew()
    assert (purses[0].mean() + purses[1].mean()) / 2 == pytest.approx(before.mean(), rel=1e-9)


@given(st.lists(st.floats(-1, 1), max_size=20))
def test_to_begin_anew_never_makes_richer(bets: list[float]) -> None:
    purse = renewed(*bets)
    before = purse.mean()
    purse.renew()
    assert purse.mean() <= before * (1 + 1e-9)


def test_what_was_won_long_ago_is_no_evidence_and_what_was_not_lost_is_bet_again() -> None:
    purse = renewed(*[1.0] * 8, between=8)
    assert purse.mean() > 10
    for _ in range(KEPT):
        purse.renew()
    assert purse.mean() == pytest.approx(1.0)
    idle, unlucky = Renewed(), Renewed()
    for _ in range(40):
        for each, bet in ((idle, 0.0), (unlucky, -1.0)):
            each.renew()
            each.bet(bet, (1.0, 2.0))
    for each in (idle, unlucky):
        each.renew()
        for _ in range(8):
            each.bet(1.0, (1.0, 2.0))
    assert idle.mean() > 6 > 1e-3 > unlucky.mean()


def test_what_age_leaves_of_a_weight() -> None:
    assert weights_of({0: 0.0, 1: 50.0, 2: 100.0, 3: 120.0}, 100.0, 50.0) == {0: 0.25, 1: 0.5, 2: 1.0, 3: 1.0}
    assert weights_of({0: 0.0}, 1e9, 1.0)[0] > 0.0
    labelled = [Event(said(True, order=n), (n,), n, given=10.0 * n) for n in range(1, 4)]
    silent = [Event(None, (n,), n) for n in range(2)]
    started = [0.0, 0.0, 0.0, 5.0, 25.0]
    assert moments_of([*labelled, *silent], started, 50) == {0: 0.0, 1: 1.0, 2: 2.0, 3: 0.0, 4: 2.0}
    assert moments_of([*labelled, *silent], started, 50.0) == {0: 10.0, 1: 20.0, 2: 30.0, 3: 5.0, 4: 25.0}


def test_one_by_one_is_judged_as_all_at_once() -> None:
    world = World(0.32, 2.1)
    change = Change("", world, world.below_optimum(26), 10**9, 0.0, 80, every=1)
    end = followed(change, random.Random(5), 20)
    assert end is not None
    rng, levels = random.Random(5), []
    cases = [change.case(n, rng, 20) for n in range(end[0])]
    for upto in (end[0] - 1, end[0]):
        weights = weights_of(dict(enumerate(map(float, range(upto)))), upto - 1.0, 20)
        faded = [replace(case, fresh=weights[n]) for n, case in enumerate(cases[:upto])]
        levels.append(judge(faded, [], [Axis(change.incumbent, -3, 7)], ages=True).level)
    assert levels == [None, end[1]]


def taught(load: Load, module: str, options: str, old: int, new: int) -> Any:
    """First everything above 30 deserves an alert, then only what is above 42."""
    is_hot = load(ASSUMED.format(options=options), module).is_hot
    rng = random.Random(7)
    for number in range(old + new):
        celsius = round(rng.uniform(20, 55), 2)
        result = poet_hook.call(is_hot, celsius)
        poet_hook.feedback(result, result.value == (celsius > (30 if number < old else 42)))
    return is_hot


def test_the_function_follows_a_world_that_changed(load: Load) -> None:
    runs = {
        module: poet_hook.learn(taught(load, module, options, 60, 60))
        for module, options in (("never", ""), ("aged", ", half_life=20"))
    }
    never, aged = runs["never"], runs["aged"]
    assert not never.promoted
    assert aged.promoted
    assert aged.candidate is not None
    assert 41 < aged.candidate.values["celsius_limit"] < 43
    assert aged.verdict is not None
    assert aged.verdict.evidence.labelled == 20  # of which the metric is told
    assert aged.verdict.evidence.after == 1.0
    assert "half_life: the latest 80 of 120 labelled executions are evidence" in aged.reasons


def test_a_champion_that_was_good_for_long_is_rolled_back_when_it_is_no_more(load: Load) -> None:
    rolled = {}
    for module, options in (("never", ""), ("aged", ", half_life=20")):
        is_hot = taught(load, module, options, 0, 60)
        assert poet_hook.learn(is_hot).promoted
        rng = random.Random(8)
        for number in range(120 + 30):  # it goes on being right, and then the world is as it was before
            celsius = round(rng.uniform(20, 55), 2)
            result = poet_hook.call(is_hot, celsius)
            poet_hook.feedback(result, result.value == (celsius > (42 if number < 120 else 30)))
        rolled[module] = " ".join(poet_hook.learn(is_hot).reasons)
    assert "rolled back" not in rolled["never"]
    assert "rolled back to v1" in rolled["aged"]
    assert "did worse than v1 on the last" in rolled["aged"]


def test_a_half_life_of_time(load: Load) -> None:
    learned = poet_hook.learn(taught(load, "timed", ", half_life=30d", 0, 60))
    assert learned.promoted
    assert "half_life: the latest 60 of 60 labelled executions are evidence" in learned.reasons


def test_with_half_life_a_change_is_followed_sooner_and_nothing_is_found_where_there_is_none() -> None:
    world = World(0.32, 2.1)
    change = Change("higher by 2", world, world.optimum, 80, 2.0, 240, every=4)
    waits = {
        half_life: [followed(change, random.Random(f"{change.name} {i}"), half_life) for i in range(5)]
        for half_life in (None, 40)
    }
    late = {half_life: sum(end[0] if end else 240 for end in ends) for half_life, ends in waits.items()}
    assert late[40] < late[None]
    still = Change("none", world, world.optimum, 10**9, 0.0, 120, every=4)
    assert not any(followed(still, random.Random(f"none {i}"), 40) for i in range(10))


# --------------------------------------------------------------------------- simulations


def test_comments_one_by_one_prove_anything_and_incidents_do_not() -> None:
    world = World(0.32, 2.1)
    bursts = Bursts("optimal", world, world.optimum)
    ends = {
        grouped: [promotion(bursts, random.Random(f"optimal {i}"), 25, grouped=grouped) for i in range(40)]
        for grouped in (False, True)
    }
    assert sum(end is not None for end in ends[False]) > 20
    assert sum(end is not None for end in ends[True]) <= 2  # alpha = 5 % of 40


def test_what_is_learned_from_bursts_is_better_on_what_was_not_seen() -> None:
    world = World(0.32, 2.1)
    bursts = Bursts("26 points off", world, world.below_optimum(26), wrong=0.1)
    ends = [promotion(bursts, random.Random(f"off {i}"), 50, grouped=True) for i in range(12)]
    gains = [end[2] for end in ends if end is not None]
    assert len(gains) >= 6
    assert min(gains) > 0
