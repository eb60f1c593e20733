from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poet_hook.learning.candidates import Axis, Case
from poet_hook.learning.constants import Steps
from poet_hook.learning.evidence import Difference, Purse, compare, e_value
from poet_hook.learning.gate import Judge, Judgement, judge
from poet_hook.learning.silence import Opinions, clustering, near

OPTIMUM = 1.409  # of scores N(0, 1) and, for 32 of 100, N(2.1, 1)
BELOW = NormalDist().cdf
Comments = Callable[[bool, bool, random.Random], bool]


def accuracy(value: float, share: float = 0.32, distance: float = 2.1) -> float:
    return (1 - share) * BELOW(value) + share * (1 - BELOW(value - distance))


def labelled(id: str, score: float, deserves: bool, incumbent: float, **other: bool) -> Case:
    alert = score > incumbent
    loss = Steps((score,), (float(not deserves), float(deserves)), (float(deserves),))
    return Case(id, loss(incumbent), (loss,), approved=alert == deserves, alarm=alert, **other)


def quiet(score: float, incumbent: float, weight: float = 1.0) -> Case:
    alert = score > incumbent
    return Case("", 0.0, (Steps((score,), (float(not alert), float(alert)), (float(alert),)),), weight, alarm=alert)


def judged(
    cases: Sequence[Case],
    silent: Sequence[Case],
    *,
    incumbent: float,
    lower: float,
    upper: float,
    integer: bool = False,
    alpha: float = 0.05,
) -> Judgement:
    return judge(cases, silent, [Axis(incumbent, lower, upper, integer)], alpha=alpha)


def stream(
    rng: random.Random, incumbent: float, comments: Comments, share: float = 0.32, distance: float = 2.1
) -> Iterator[tuple[Case, bool]]:
    """Executions without end, and whether somebody commented on them."""
    while True:
        deserves = rng.random() < share
        score = rng.gauss(distance if deserves else 0.0, 1.0)
        if comments(score > incumbent, (score > incumbent) == deserves, rng):
            yield labelled(str(score), score, deserves, incumbent), True
        else:
            yield quiet(score, incumbent), False


def first_promotion(executions: Iterator[tuple[Case, bool]], incumbent: float, feedbacks: int) -> Judgement | None:
    """Judged after every feedback."""
    process = Judge([Axis(incumbent, -3.0, 7.0)])
    for case, said in executions:
        if not said:
            process.hush(case)
            continue
        process.add(case)
        verdict = process.judgement()
        if verdict.decision == "promote":
            return verdict
        if len(process.cases) == feedbacks:
            return None
    raise AssertionError


# --------------------------------------------------------------------------- evidence


def formula(wins: int, losses: int) -> float:
    """2^(b+c+1) B(b+1, c+1) P(Beta(b+1, c+1) > 1/2), by the binomial form of the incomplete beta function."""
    n = wins + losses + 1
    beta = math.exp(math.lgamma(wins + 1) + math.lgamma(losses + 1) - math.lgamma(n + 1))
    tail = sum(math.comb(n, k) for k in range(wins + 1)) / 2.0**n
    return 2.0**n * beta * tail


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (7, 0), (10, 1), (12, 2), (14, 3), (3, 9), (60, 25), (90, 60)])
def test_e_value_agrees_with_the_closed_form(wins: int, losses: int) -> None:
    assert e_value([1.0] * wins + [-1.0] * losses) == pytest.approx(formula(wins, losses), rel=0.01)


def test_smallest_honest_counts() -> None:
    for losses, wins in enumerate((7, 10, 12, 14)):
        assert e_value([1] * wins + [-1] * losses) >= 20 > e_value([1] * (wins - 1) + [-1] * losses)


def test_e_value_stays_below_its_bound_under_the_null() -> None:
    rng, exceeded = random.Random(3), 0
    for _ in range(400):
        differences: list[float] = []
        for _ in range(60):
            size = rng.random()
            differences.append(size if rng.random() < 0.5 else -size)
        reached = any(e_value(differences[:n]) >= 20 for n in range(5, 61, 5))
        exceeded += reached
    assert exceeded / 400 <= 0.05


@given(st.lists(st.floats(-1, 1), max_size=30), st.floats(-1, 1))
def test_a_fair_bet_does_not_change_the_expectation(differences: list[float], d: float) -> None:
    now = e_value(differences)
    either = (e_value([*differences, d]) + e_value([*differences, -d])) / 2
    assert either == pytest.approx(now, rel=1e-9)


records = st.tuples(st.floats(-5, 50), st.floats(0, 50))


@given(st.lists(st.tuples(st.floats(-1, 1), records), max_size=30), st.floats(-1, 1), records, st.floats(0, 9))
def test_a_record_known_before_makes_no_bet_unfair_and_silence_only_lowers(
    bets: list[tuple[float, tuple[float, float]]], d: float, record: tuple[float, float], silent: float
) -> None:
    def after(*more: tuple[float, tuple[float, float]]) -> Purse:
        purse = Purse()
        for difference, known in (*bets, *more):
            purse.bet(difference, known)
        return purse

    either = (after((d, record)).mean() + after((-d, record)).mean()) / 2
    assert either == pytest.approx(after().mean(), rel=1e-9)
    assert 0.0 <= after().mean(silent) <= after().mean() * (1 + 1e-12)


def test_a_good_record_makes_wins_count_for_more() -> None:
    purses = [Purse(), Purse()]
    for won in range(6):
        purses[0].bet(1.0, (0.0, 0.0))
        purses[1].bet(1.0, (4.0 + won, 4.0 + won))
    assert purses[1].mean() > 1.5 * purses[0].mean()


def test_e_value_is_finite_after_very_many_wins_and_refuses_what_is_out_of_bounds() -> None:
    assert 1e200 < e_value([1.0] * 5000) < math.inf
    assert e_value([-1.0] * 5000) < 0.01
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        e_value([1.5])


# --------------------------------------------------------------------------- judging


def complaints_below(edge: float, n: int, incumbent: float) -> list[Case]:
    return [labelled(f"c{i}", incumbent + (edge - incumbent) * (i + 1) / (n + 1), False, incumbent) for i in range(n)]


def test_clear_evidence_is_proven_and_says_what_changes() -> None:
    right = [labelled(f"r{i}", 3.0 + i / 10, True, 1.0) for i in range(20)]
    wrong = complaints_below(2.0, 20, 1.0)
    verdict = judged([c for pair in zip(wrong, right, strict=True) for c in pair], [], incumbent=1.0, lower=0, upper=8)
    assert (verdict.decision, verdict.level) == ("promote", "proven")
    assert verdict.value is not None
    assert max(c.losses[0].breaks[0] for c in wrong) < verdict.value < 3.0
    assert (verdict.before, verdict.after) == (0.5, 1.0)
    assert verdict.regressions == ()
    assert set(verdict.fixes) == {c.id for c in wrong}
    assert verdict.needed is None


def test_nothing_said_or_nothing_better_keeps_the_incumbent() -> None:
    verdict = judged([], [quiet(0.3, 1.0)], incumbent=1.0, lower=0, upper=8)
    assert (verdict.decision, verdict.value, verdict.fit, verdict.level) == ("keep", None, None, None)
    approved = [labelled(str(i), float(i), i > 1, 1.0) for i in range(5)]
    verdict = judged(approved, [], incumbent=1.0, lower=0, upper=8)
    assert (verdict.decision, verdict.value, verdict.before, verdict.after) == ("keep", None, 1.0, 1.0)


def test_few_labels_wait_and_say_how_many_more() -> None:
    verdict = judged(complaints_below(2.0, 3, 1.0), [], incumbent=1.0, lower=0, upper=8)
    assert (verdict.decision, verdict.level) == ("wait", None)
    assert verdict.needed is not None
    assert verdict.needed >= 4
    assert f"about {verdict.needed} more" in verdict.reasons[0]


def test_provisional_needs_a_small_change_and_no_broken_approval() -> None:
    levels: dict[float, list[str | None]] = {}
    for far in (1.9, 6.0):
        cases = [labelled("ok", far + 0.2, True, 1.0)]
        cases += [labelled(f"c{i}", far, False, 1.0) for i in range(9)]
        for n in range(1, 11):
            verdict = judged(cases[:n], [], incumbent=1.0, lower=0.5, upper=8)
            levels.setdefault(far, []).append(verdict.level)
    assert "provisional" in levels[1.9]
    assert "provisional" not in levels[6.0]
    assert levels[6.0][-1] == "proven"


def test_a_broken_approval_is_a_regression_and_not_provisional() -> None:
    cases = [labelled("ok", 1.05, True, 1.0)]
    cases += [labelled(f"c{i}", 1.1, False, 1.0) for i in range(30)]
    for n in range(1, 31):
        verdict = judged(cases[:n], [], incumbent=1.0, lower=0.5, upper=8)
        assert verdict.level != "provisional"
    assert verdict.level == "proven"
    assert verdict.regressions == ("ok",)


def test_older_evidence_fits_but_does_not_judge() -> None:
    older = [replace(c, fits_only=True) for c in complaints_below(2.0, 30, 1.0)]
    verdict = judged(older, [], incumbent=1.0, lower=0, upper=8)
    assert verdict.e_value == 1.0
    assert (verdict.decision, verdict.wins) == ("wait", 0.0)
    assert verdict.value is not None


def test_an_unsure_label_is_less_evidence() -> None:
    sure = complaints_below(2.0, 8, 1.0)
    unsure = [replace(c, weight=0.4, approved=False) for c in sure]
    verdicts = [judged(cases, [], incumbent=1.0, lower=0.0, upper=8.0) for cases in (unsure, sure)]
    assert verdicts[0].e_value < verdicts[1].e_value


def test_alpha_moves_the_bar() -> None:
    cases = [labelled("ok", 7.0, True, 1.0), *(labelled(f"c{i}", 6.0, False, 1.0) for i in range(8))]
    verdicts = [judged(cases, [], incumbent=1.0, lower=0.5, upper=8, alpha=a) for a in (0.2, 0.001)]
    assert [v.level for v in verdicts] == ["proven", None]


def test_at_the_highest_alpha_there_still_must_be_evidence() -> None:
    cases = [labelled("ok", 7.0, True, 1.0), labelled("c", 1.5, False, 1.0)]
    verdicts = [judged(cases[:n], [], incumbent=1.0, lower=0.5, upper=8, alpha=0.5) for n in (1, 2)]
    assert [v.level for v in verdicts] == [None, None]
    more = [labelled(f"c{i}", 1.5, False, 1.0) for i in range(3)]
    assert judged([*cases, *more], [], incumbent=1.0, lower=0.5, upper=8, alpha=0.5).level == "proven"


def test_an_integer_constant_gets_an_integer() -> None:
    cases = [Case(str(i), 1.0, (Steps((4.5,), (1.0, 0.0), (0.0,)),), alarm=True) for i in range(12)]
    verdict = judged(cases, [], incumbent=3, lower=1, upper=20, integer=True)
    assert verdict.value == 5
    assert verdict.level == "proven"


# --------------------------------------------------------------------------- silence


def test_silence_on_the_same_results_is_agreement_in_words_and_weight() -> None:
    silent = [quiet(1.0 + i / 80, 1.0) for i in range(1, 81)]
    verdict = judged(complaints_below(1.9, 20, 1.0), silent, incumbent=1.0, lower=0, upper=8)
    assert verdict.decision != "promote"
    assert verdict.silent_weight == 80
    assert any("silence on 80 alerts counted as agreement, total weight 80" in r for r in verdict.reasons)


def test_silence_elsewhere_does_not_stand_in_the_way() -> None:
    calm = [quiet(-i / 10, 1.0) for i in range(80)]
    verdict = judged(complaints_below(1.9, 20, 1.0), calm, incumbent=1.0, lower=0, upper=8)
    assert verdict.level == "proven"


def test_approved_alerts_say_nothing_of_quiet_results() -> None:
    alerts = [labelled(f"a{i}", 3.0 + i / 10, True, 2.0) for i in range(20)]
    missed = [labelled(f"m{i}", 1.0 + i / 25, True, 2.0) for i in range(20)]
    calm = [quiet(1.0 + i / 100, 2.0) for i in range(95)]
    cases = [c for pair in zip(alerts, missed, strict=True) for c in pair]
    assert judged(cases, calm, incumbent=2.0, lower=0.5, upper=8).decision != "promote"
    assert judged(cases, [], incumbent=2.0, lower=0.5, upper=8).level == "proven"


def test_a_random_sample_needs_no_silence() -> None:
    cases = [labelled(str(i), -2 + (7 * i % 30 + 0.5) / 7.5, False, -3.0) for i in range(30)]
    cases[3], cases[9] = (labelled(f"hit{i}", 3.0, True, -3.0) for i in range(2))
    silent = [quiet(-2 + (i + 0.5) / 50, -3.0) for i in range(200)]
    verdict = judged(cases, silent, incumbent=-3.0, lower=-4, upper=8)
    assert (verdict.silent_weight, verdict.level) == (0, "proven")


def test_half_approvals_are_a_sample_even_of_a_cluster() -> None:
    silent = [quiet(1.0 + i / 10, 1.0) for i in range(1, 41)]
    wrong = complaints_below(1.5, 12, 1.0)
    right = [labelled(f"r{i}", 1.6 + i / 100, True, 1.0) for i in range(12)]
    weights = [judged([*wrong, *right[:n]], silent, incumbent=1.0, lower=0, upper=8).silent_weight for n in (3, 12)]
    assert weights == [40, 0]


def test_a_weighted_silent_execution_stands_for_several() -> None:
    cases = complaints_below(1.9, 20, 1.0)
    many, few = [quiet(1.5, 1.0)] * 20, [quiet(1.5, 1.0, weight=20.0)]
    verdicts = [judged(cases, silent, incumbent=1.0, lower=0, upper=8) for silent in (many, few)]
    assert verdicts[0].silent_weight == verdicts[1].silent_weight == 20


def test_what_was_said_of_another_versions_result_is_no_opinion_on_this_one() -> None:
    silent = [quiet(1.0 + i / 80, 1.0) for i in range(1, 81)]
    wrong = complaints_below(1.9, 10, 1.0)
    other = [replace(c, id=f"o{i}", approved=True, fits_only=True) for i, c in enumerate(wrong)]
    own = [labelled(f"r{i}", 1.1, True, 1.0) for i in range(10)]
    weights = [judged([*more, *wrong], silent, incumbent=1.0, lower=0, upper=8).silent_weight for more in (other, own)]
    assert weights == [80, 0]


# --------------------------------------------------------------------------- the rule of silence

breaks = st.lists(st.integers(-8, 8), unique=True, max_size=6).map(sorted)


@given(breaks, st.lists(st.integers(0, 2), min_size=13, max_size=13), st.integers(-20, 20))
def test_near_is_where_the_steps_first_change(ends: list[int], values: list[int], half: int) -> None:
    n = len(ends)
    steps = Steps(tuple(map(float, ends)), tuple(values[: n + 1]), tuple(values[7 : 7 + n])).map(lambda v: v)
    t = half / 2

    def first(sign: int) -> float:
        """Breaks are integers, so a change is seen at quarters: on a break, or a quarter beyond it."""
        changed = [q for q in range(1, 80) if steps(t + sign * q / 4) != steps(t)]
        return math.floor(changed[0] / 2) / 2 if changed else math.inf

    assert near(steps, t) == (first(-1), first(1))


distances = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0, math.inf]), st.floats(0, 9)), min_size=1, max_size=12)


@given(distances, distances, st.floats(0.1, 50))
def test_clustering_is_a_share_that_no_unit_changes(
    said: list[tuple[float, float]], silent: list[tuple[float, float]], unit: float
) -> None:
    found = clustering(said, silent)
    assert 0.0 <= found <= 1.0
    assert clustering(said, said) == 0.0
    assert clustering([(2 * a, b) for a, b in said], [(2 * a, b) for a, b in silent]) == found
    assert clustering([(b, a) for a, b in said], [(b, a) for a, b in silent]) == found


def test_a_cluster_at_several_limits_is_seen_as_one() -> None:
    here = [(0.1 * i, 5.0 + i, 5.0 + i) for i in range(6)]
    said = [each[n:] + each[:n] for n in range(3) for each in here]
    rest = [(3.0 + i / 10, 3.5 + i / 10, 4.0 + i / 10) for i in range(18)]
    assert clustering(said, rest) == 1.0
    alone = [clustering([(each[n],) for each in said], [(each[n],) for each in rest]) for n in range(3)]
    assert max(alone) < 0.5


@pytest.mark.parametrize(
    ("complaints", "approvals", "apart", "silent", "weight"),
    [
        (9, 0, 5.0, 50, 1.0),
        (9, 1, 5.0, 50, 1.0),
        (9, 2, 5.0, 50, 0.0),
        (9, 2, 0.1, 50, 1.0),
        (9, 9, 0.1, 50, 0.0),
        (9, 2, 0.1, 0, 0.0),
        (0, 0, 0.1, 50, 1.0),
    ],
    ids=["no approval", "one approval", "a spread", "a cluster", "half approved", "no silence", "nothing said"],
)
def test_when_silence_counts(complaints: int, approvals: int, apart: float, silent: int, weight: float) -> None:
    opinions = Opinions(True)
    for i in range(complaints):
        opinions.hear(False, (apart * (i + 0.5),))
    for _ in range(approvals):
        opinions.hear(True, (0.2,))
    for i in range(silent):
        opinions.hush(2.0, 0.5, (45.0 * (i + 0.5) / 50,))
    assert opinions.agreement() == weight
    assert (opinions.silent_weight, opinions.flipped) == (2.0 * silent, float(silent))
    assert bool(list(opinions.words(weight))) == (weight > 0 and complaints > 0)


# --------------------------------------------------------------------------- two versions

differences = st.builds(
    Difference,
    st.floats(-1, 1),
    st.floats(0, 1),
    st.sampled_from([True, False, None]),
    st.sampled_from([True, False, None]),
    st.tuples(st.floats(0, 9)),
)
silences = st.builds(
    Difference,
    st.floats(-1, 0),
    st.floats(1, 20),
    st.none(),
    st.sampled_from([True, False, None]),
    st.tuples(st.floats(0, 9)),
)


@given(st.lists(differences, max_size=15), st.lists(silences, max_size=15))
def test_silence_only_ever_lowers_the_evidence(labelled: list[Difference], silent: list[Difference]) -> None:
    alone, both = compare(labelled, []), compare(labelled, silent)
    assert alone.e_value == pytest.approx(e_value([d.gain * d.weight for d in labelled]))
    assert both.e_value <= alone.e_value * (1 + 1e-9)
    assert both.gain <= alone.gain + 1e-9
    assert (both.e_value == alone.e_value) or both.silent_weight > 0


def test_silence_between_two_versions_is_said_and_counted_until_the_feedback_is_a_sample() -> None:
    wins = [Difference(1.0, 1.0, False, True, (0.1 * i,)) for i in range(20)]
    rest = [Difference(-1.0, 1.0, None, True, (0.1 * i,)) for i in range(40)]
    approved = Difference(0.0, 1.0, True, True, (9.0,))
    assert compare(wins, []).e_value > 20
    held = compare(wins, rest)
    assert (held.e_value < 1, held.gain, held.silent_weight) == (True, -20, 40)
    assert "silence on 40 alerts counted as agreement, total weight 40" in held.reasons
    assert compare([*wins, approved, approved], rest).silent_weight == 40  # they lie nearer than the rest
    sample = compare([*wins, *[approved] * 20], rest)
    assert (sample.e_value > 20, sample.silent_weight, sample.reasons) == (True, 0, ())


def test_a_champion_that_is_no_worse_is_seldom_beaten_however_often_one_looks() -> None:
    beaten = 0
    for seed in range(150):
        rng = random.Random(seed)
        said: list[Difference] = []
        rest: list[Difference] = []
        for _ in range(60):
            alert, lies = rng.random() < 0.5, (rng.random(),)
            if rng.random() < 0.5:
                gain = rng.choice([1.0, -1.0, 0.0])
                said.append(Difference(gain, 1.0, rng.random() < 0.4 if gain == 0 else gain < 0, alert, lies))
            else:
                rest.append(Difference(rng.choice([-1.0, -1.0, 0.0]), 1.0, None, alert, lies))
            if compare(said, rest).e_value >= 20:
                beaten += 1
                break
    assert beaten / 150 <= 0.05


# --------------------------------------------------------------------------- streams


def test_the_incumbent_is_seldom_replaced_by_something_worse_when_it_is_optimal() -> None:
    worse = 0
    for seed in range(60):
        found = first_promotion(stream(random.Random(seed), OPTIMUM, lambda a, r, _: True), OPTIMUM, 60)
        worse += found is not None and found.value is not None and accuracy(found.value) < accuracy(OPTIMUM)
    assert worse <= 3


@pytest.mark.parametrize(
    "comments",
    [
        lambda alert, right, _: alert and not right,
        lambda alert, right, _: not alert and not right,
        lambda alert, right, _: not right,
    ],
    ids=["false alarms", "misses", "both"],
)
def test_complaints_alone_do_not_invert_a_good_function(comments: Comments) -> None:
    worse, lost = 0, 0.0
    for seed in range(40):
        found = first_promotion(stream(random.Random(seed), OPTIMUM, comments), OPTIMUM, 20)
        if found is not None and found.value is not None:
            lost += max(0.0, accuracy(OPTIMUM) - accuracy(found.value))
            worse += accuracy(found.value) < accuracy(OPTIMUM)
    assert worse <= 2
    assert lost / 40 <= 0.005


def test_random_comments_on_far_too_many_alerts_improve_them() -> None:
    better = 0
    for seed in range(30):
        executions = stream(random.Random(seed), 0.4, lambda a, _, rng: a and rng.random() < 0.2, 0.05, 3.0)
        found = first_promotion(executions, 0.4, 40)
        better += (
            found is not None
            and found.value is not None
            and accuracy(found.value, 0.05, 3.0) > accuracy(0.4, 0.05, 3.0) + 0.1
        )
    assert better >= 24


def with_limits(limits: list[float], rng: random.Random) -> Iterator[tuple[Case, bool]]:
    """Executions of a monitor of several scores, each with a limit; only mistakes, and 3 % of the rest,
    are commented on."""
    while True:
        scores = [rng.gauss(0.0, 1.0) for _ in limits]
        deserves = rng.random() < 0.3
        scores[rng.randrange(len(limits))] += 2.5 * deserves
        fires = [score > limit for score, limit in zip(scores, limits, strict=True)]
        alert = any(fires)
        said = alert != deserves or rng.random() < 0.03
        right = deserves if said else alert
        losses = []
        for i, score in enumerate(scores):
            loss = Steps((), (float(not right),), ())
            if not any(fires[:i] + fires[i + 1 :]):
                loss = Steps((score,), (float(not right), float(right)), (float(right),))
            losses.append(loss)
        now = float(alert != right)
        yield Case("", now, tuple(losses), approved=said and alert == deserves, alarm=alert), said


def test_complaints_of_several_limits_do_not_ruin_one_of_them() -> None:
    for seed in range(4):
        process = Judge([Axis(2.2, -3.0, 7.0)] * 6)
        heard = 0
        for case, said in with_limits([2.2] * 6, random.Random(seed)):
            (process.add if said else process.hush)(case)
            heard += said
            if said and heard % 10 == 0:
                assert process.judgement().decision != "promote"
            if heard == 50:
                break
