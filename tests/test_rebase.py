from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Load, Python, numbers_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_versions import SOURCE, VERDICT, add, chain_of, folder, plan_of, promote, signed

from poet_hook import api
from poet_hook.errors import StoreError, VersionError, VersionWarning
from poet_hook.learning.study import study_of
from poet_hook.model import Tunable, Version
from poet_hook.transform.compile import ORIGINAL, Champion
from poet_hook.transform.values import with_values
from poet_hook.versions import promote as steps
from poet_hook.versions.chain import Chain
from poet_hook.versions.pointer import Pointer
from poet_hook.versions.rebase import allowed, carry, same_code
from poet_hook.versions.watch import refresh

TWO = """\
# poet: optimize_for=accuracy
def f(x):
    low = x > 2.5
    return low and x < 9
"""


def promote_two(**values: float) -> None:
    chain_of().add(plan_of(source=TWO), 1, values, VERDICT, "")
    steps.promote(chain_of(), 2, plan_of(source=TWO))


SAME = {
    "comment": SOURCE.replace("    return", "    # a remark\n    return"),
    "comment at the start": SOURCE.replace("    return", "# a remark\n\n    return"),
    "white space": SOURCE.replace("x > 2.5", "x  >  2.5"),
    "parentheses": SOURCE.replace("x > 2.5", "(x > 2.5)"),
    "number": SOURCE.replace("2.5", "2.50"),
    "range": SOURCE.replace("0..10", "0..20"),
}
OTHER = {
    "docstring": SOURCE.replace("    return", '    """Whether it is high."""\n    return'),
    "statement": SOURCE.replace("    return", "    x = x * 1\n    return"),
    "annotation": SOURCE.replace("(x)", "(x: float)"),
    "default": SOURCE.replace("(x)", "(x, y=7.5)"),
    "name of nothing tuned": SOURCE.replace("return x > 2.5", "y = x > 2.5").replace("10\n", "10\n    return y\n"),
    "a number that is not tuned": SOURCE.replace("    return", "    y = 3.5\n    return"),
}


@pytest.mark.parametrize("edited", SAME.values(), ids=SAME)
def test_an_edit_that_changes_nothing_keeps_the_level(load: Load, edited: str) -> None:
    promote(3.5)
    m = load(edited)
    assert (m.f(3), m.f(4)) == (False, True)
    version = chain_of().read(3)
    assert (version.parent, version.values, version.level) == (2, {"x_limit": 3.5}, "proven")
    assert version.source == plan_of(source=edited).source.replace("2.50", "2.5").replace("2.5", "3.5")
    assert version.source_hash == plan_of(source=edited).source_hash
    assert version.verdict == replace(
        VERDICT, reasons=("carried over from v2 after an edit that changes nothing of what it does", "fixes 9 of 10")
    )
    assert (chain_of().champion_number(), chain_of().history()) == (3, [1])
    assert [e.version for e in api.store().executions("m:f")] == [3, 3]
    assert "x > 3.5" in api.show("m:f")
    load(edited)
    assert chain_of().numbers() == [1, 2, 3]


@pytest.mark.parametrize("edited", OTHER.values(), ids=OTHER)
def test_after_another_edit_nothing_is_proven(load: Load, edited: str) -> None:
    promote(3.5)
    m = load(edited)
    assert (m.f(3), m.f(4)) == (False, True)
    version = chain_of().read(3)
    assert version.verdict
    assert version.level == version.verdict.level == "provisional"
    assert version.verdict.reasons[0] == (
        "carried over from v2 after an edit: what follows was found with the text before it"
    )
    assert version.verdict.evidence == VERDICT.evidence


@pytest.mark.parametrize("level", ["requested", None])
def test_what_claimed_nothing_claims_nothing(load: Load, level: Any) -> None:
    verdict = replace(VERDICT, level=level) if level else None
    chain_of().add(plan_of(), 1, {"x_limit": 3.5}, verdict, "")
    steps.promote(chain_of(), 2, plan_of())
    assert not load(OTHER["statement"]).f(3)
    assert chain_of().read(3).level == level
    assert (chain_of().read(3).verdict is None) == (level is None)


def test_the_users_own_number_wins_and_the_others_are_carried_over(load: Load) -> None:
    promote_two(x_limit=3.5, x_limit_2=7)
    edited = TWO.replace("2.5", "4.5")
    m = load(edited)
    assert [m.f(x) for x in (4, 5, 6.5, 7.5)] == [False, True, True, False]
    version = chain_of().read(3)
    assert version.values == {"x_limit_2": 7.0}
    assert version.level == "requested"
    assert version.verdict
    assert version.verdict.reasons[1] == "x_limit: your own 4.5 takes the place of 3.5"
    assert chain_of().champion_number() == 3


def names(source: str) -> list[str]:
    return [tunable.name for tunable in numbers_of(plan_of(source=source))]


def test_a_number_that_was_not_learned_may_be_edited(load: Load) -> None:
    promote_two(x_limit_2=7)
    m = load(TWO.replace("2.5", "4.5"))
    assert [m.f(x) for x in (4, 5, 7.5)] == [False, True, False]
    assert chain_of().read(3).level == "provisional"


def test_a_whole_number_that_was_made_a_fraction_is_the_users_own(load: Load) -> None:
    promote_two(x_limit=3.5, x_limit_2=7)
    m = load(TWO.replace("9", "9.0"))
    assert [m.f(x) for x in (3, 4, 8)] == [False, True, True]
    assert chain_of().read(3).values == {"x_limit": 3.5}


def test_a_number_outside_its_new_range_is_left_behind(load: Load) -> None:
    source = TWO.replace("2.5", "2.5  # poet: tune 0..10").replace("9", "9  # poet: tune 0..10")
    plan = plan_of(source=source)
    chain_of().add(plan, 1, {"x_limit": 3.5, "x_limit_2": 7}, VERDICT, "")
    steps.promote(chain_of(), 2, plan)
    m = load(source.replace("0..10", "0..3", 1))
    assert [m.f(x) for x in (3, 8)] == [True, False]
    verdict = chain_of().read(3).verdict
    assert verdict
    assert verdict.reasons[1] == "x_limit: 3.5 lies outside its new range, your own 2.5 stays"


MISFITS = {
    "only number edited": SOURCE.replace("2.5", "2.0"),
    "out of the range": SOURCE.replace("0..10", "0..3"),
    "renamed": SOURCE.replace("x", "y"),
    "one more": SOURCE.replace("x > 2.5", "x > 2.5  # poet: tune 0..9\n    return x > 2.25"),
    "none left": SOURCE.replace("x > 2.5  # poet: tune 0..10", "x > 0"),
    "no longer tuned": SOURCE.replace("2.5  # poet: tune 0..10", "2.25 and x < 7.5"),
}


@pytest.mark.parametrize("edited", MISFITS.values(), ids=MISFITS)
def test_where_the_shape_does_not_fit_the_original_runs(load: Load, edited: str) -> None:
    promote(3.5)
    with pytest.warns(VersionWarning) as caught:
        m = load(edited)
    (warning,) = caught
    message = str(warning.message)
    assert message.startswith("m:f: the original runs: m:f was edited after v2 was learned, and ")
    assert message.endswith("Keep what you wrote with: python -m poet_hook promote m:f 1, or learn again")
    assert m.f(2.75)
    assert chain_of().numbers() == [1, 2]
    assert chain_of().champion_number() == 2
    api.promote("m:f", 1)
    assert load(edited).f(2.75)


def test_numbers_in_another_order_do_not_fit(load: Load) -> None:
    source = "# poet: optimize_for=f1\ndef f(x, y):\n    return x > 2.5 and y > 2.5\n"
    plan = plan_of(source=source)
    chain_of().add(plan, 1, {"x_limit": 3.5}, VERDICT, "")
    steps.promote(chain_of(), 2, plan)
    with pytest.warns(VersionWarning, match="the two no longer fit"):
        m = load(source.replace("x > 2.5 and y > 2.5", "y > 2.5 and x > 2.5"))
    assert m.f(3, 3)


def test_an_edit_that_is_undone_brings_the_old_version_back(load: Load) -> None:
    promote(3.5)
    for edited, number in (
        (SAME["comment"], 3),
        (SOURCE, 2),
        (SAME["comment"], 3),
        (OTHER["statement"], 4),
        (SOURCE, 2),
    ):
        assert not load(edited).f(3)
        assert chain_of().champion_number() == number
    with pytest.warns(VersionWarning):
        load(MISFITS["only number edited"])
    assert not load(SOURCE).f(3)
    assert chain_of().numbers() == [1, 2, 3, 4]


def test_edits_one_after_the_other(load: Load) -> None:
    promote(3.5)
    load(OTHER["statement"])
    twice = OTHER["statement"].replace("x * 1", "x * 1 + 0")
    assert not load(twice).f(3)
    version = chain_of().read(4)
    assert (version.parent, version.level) == (3, "provisional")
    assert version.verdict
    assert [reason.partition(" after")[0] for reason in version.verdict.reasons[:2]] == [
        "carried over from v3",
        "carried over from v2",
    ]
    assert (folder(4) / "original.py").read_text() == plan_of(source=twice).source
    assert not (folder(2) / "original.py").exists()
    shutil.rmtree(folder(2))  # what it was made from is not needed any more
    shutil.rmtree(folder(1))
    assert not load(SAME["comment"]).f(3)
    assert chain_of().champion_number() == 5


def test_going_back_leads_to_what_the_user_wrote(load: Load) -> None:
    promote(3.5)
    m = load(OTHER["statement"])
    assert not m.f(3)
    assert api.rollback(m.f) == (3, 1)
    assert m.f(3)
    with pytest.raises(VersionError, match="m:f was edited after v2 was learned"):
        api.promote(m.f, 2)
    api.promote(m.f, 3)
    assert not m.f(3)


def test_an_earlier_champion_is_carried_over_when_it_comes_back(load: Load) -> None:
    promote(3.5)
    promote(4.5)
    assert not load(OTHER["statement"]).f(4)
    assert (chain_of().champion_number(), chain_of().history()) == (4, [1, 2])
    assert steps.rollback(chain_of()) == (4, 2)
    m = load(OTHER["statement"])
    assert (m.f(3), m.f(4)) == (False, True)
    assert (chain_of().champion_number(), chain_of().history()) == (5, [1])


def test_the_champions_number_written_by_hand(load: Load) -> None:
    promote(3.5)
    m = load(SOURCE.replace("2.5", "3.50").replace("    return", "    # as learned\n    return"))
    assert (m.f(3), m.f(4)) == (False, True)
    assert (chain_of().champion_number(), chain_of().history()) == (1, [])
    assert [(s.champion, s.level, s.versions) for s in api.status()] == [(1, None, 2)]
    assert [e.version for e in api.store().executions("m:f")] == [1, 1]


KINDS = """\
import functools

class C:
    limit = 0

    # poet: optimize_for=accuracy
    @functools.lru_cache(maxsize=0)
    def m(self, x):
        text = '''
  not indented
'''
        return (
            x
            > 2.5
        ) and text
"""


def test_methods_and_lines_that_are_not_indented(load: Load) -> None:
    promote(3.5, "m:C.m", KINDS)
    edited = KINDS.replace("return (", "found = 1\n        return (").replace("  not", "    not")
    m = load(edited)
    assert (bool(m.C().m(3)), bool(m.C().m(4))) == (False, True)
    assert "    not indented" in m.C().m(4)
    assert chain_of("m:C.m").champion_number() == 3


# --------------------------------------------------------------------------- who looks, and who writes


def test_looking_carries_nothing_over(load: Load) -> None:
    promote(3.5)
    edited = plan_of(source=OTHER["statement"])
    with pytest.warns(
        VersionWarning, match="v2 was learned; its numbers are carried over when it is imported the next"
    ):
        assert chain_of().champion(edited) == ORIGINAL
    assert chain_of().numbers() == [1, 2]
    load(OTHER["statement"])
    assert chain_of().champion(edited) == Champion(3, {"x_limit": 3.5})
    assert chain_of().champion(plan_of()) == Champion(2, {"x_limit": 3.5})
    assert chain_of().champion_number() == 3


def test_a_process_with_the_text_before_goes_on_as_it_is(load: Load, project: Path, python: Python) -> None:
    promote(3.5)
    m = load(SOURCE)
    (project / "m.py").write_text(OTHER["statement"])
    assert python("import poet_hook; poet_hook.activate(); import m; print(m.f(3))").stdout == "False\n"
    assert chain_of().champion_number() == 3
    assert refresh(api.settings()) == []
    (project / "m.py").write_text(SOURCE)  # as where two texts of one project run beside each other
    assert refresh(api.settings()) == []
    assert not m.f(3)
    assert chain_of().champion_number() == 3


def test_learning_starts_from_what_was_carried_over(load: Load) -> None:
    promote(3.5)
    assert load(SOURCE).f(9)
    m = load(OTHER["statement"])
    assert [m.f(x) for x in (3, 4)] == [False, True]
    for item in api.store().executions("m:f"):
        api.feedback(item.id, True)
    plan = plan_of(source=OTHER["statement"])
    study = study_of(plan, OTHER["statement"], chain_of(), api.store())
    assert study.champion == Champion(3, {"x_limit": 3.5})
    assert [item.execution.version for item in study.known] == [3, 3]
    assert sum(study.set_aside.values()) == 1  # of the text before


def test_a_function_is_learned_anew_after_its_edit(load: Load) -> None:
    promote(1.5)
    edited = OTHER["statement"].replace("accuracy", "accuracy after=1000")
    m = load(edited)
    for step in range(40):
        result = api.call(m.f, step / 4)
        api.feedback(result, {"expected": step / 4 > 5.1})
    learned = api.learn(m.f)
    assert (learned.champion, learned.version, learned.promoted) == (3, 4, True)
    assert chain_of().read(4).parent == 3
    assert chain_of().history() == [1, 3]
    assert not m.f(5)
    load(edited)
    assert api.rollback("m:f") == (4, 3)


# --------------------------------------------------------------------------- what can go wrong


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir

    def refuse(path: Path, *args: Any, **kwargs: Any) -> None:
        if path.name.startswith(".draft"):
            raise OSError(30, "Read-only file system")
        make(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", refuse)


def test_where_it_can_not_be_stored_the_original_runs(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(3.5)
    with monkeypatch.context() as patched:
        read_only(patched)
        with pytest.warns(VersionWarning) as caught:
            m = load(OTHER["statement"])
        (warning,) = caught
        message = str(warning.message)
        assert message.startswith(
            "m:f: the original runs: m:f was edited after v2 was learned, and its numbers can't be carried over: "
        )
        assert "Read-only file system" in message
    assert m.f(3)
    assert (chain_of().numbers(), chain_of().champion_number()) == ([1, 2], 2)
    assert not load(OTHER["statement"]).f(3)


def test_where_the_pointer_can_not_be_moved_the_original_runs(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(3.5)

    def refuse(chain: Chain, number: int, history: list[int], *, instead_of: int) -> None:
        raise StoreError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(Chain, "point", refuse)
        with pytest.warns(VersionWarning, match="can't be carried over: no space"):
            assert load(OTHER["statement"]).f(3)
        assert not load(SOURCE.replace("2.5", "3.5")).f(3)  # the user's own: nothing needs to be said
    assert not load(OTHER["statement"]).f(3)
    assert chain_of().numbers() == [1, 2, 3]


def test_a_text_before_that_is_not_known(load: Load) -> None:
    promote(3.5)
    load(OTHER["statement"])
    (folder(3) / "original.py").write_text("def f(x):\n    return x > 2.5\n")
    with pytest.warns(VersionWarning, match="m:f was edited after v3 was learned, and the two no longer fit"):
        assert load(SAME["comment"]).f(3)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "def f(x):\n    return __import__('os')\n"},
        {"values": {"x_limit": 4.0}},
        {"values": {"other": 4.0}},
        {"values": {"x_limit": float("inf")}},
        {"values": {}},
    ],
)
def test_only_numbers_are_carried_over(load: Load, changes: dict[str, Any]) -> None:
    version = replace(chain_of().read(add(3.5)), **changes)
    shutil.rmtree(folder(2))
    signed(version)
    with pytest.warns(VersionWarning, match="m:f was edited after v2 was learned"):
        assert load(OTHER["statement"]).f(3)
    assert chain_of().numbers() == [1, 2]


IMPORTS = "import poet_hook; poet_hook.activate(); import m; print(m.f(3), m.f(4))"


def test_processes_that_import_at_once_make_one_version(project: Path, python: Python) -> None:
    promote(3.5)
    (project / "m.py").write_text(OTHER["statement"])
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(python(IMPORTS).stdout)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["False True\n"] * 4
    assert chain_of().numbers() == [1, 2, 3]
    assert (chain_of().champion_number(), chain_of().history()) == (3, [1])


@pytest.mark.parametrize("other_first", [True, False])
def test_the_slower_of_two_takes_the_version_of_the_faster(
    load: Load, monkeypatch: pytest.MonkeyPatch, other_first: bool
) -> None:
    promote(3.5)
    plan = plan_of(source=OTHER["statement"])
    write = Chain._write
    raced: list[int] = []

    def race(chain: Chain, version: Version, enhanced: str, original: str = "") -> bool:
        if not raced:
            raced.append(1)
            if other_first:  # something else takes the number, and then the other process the next one
                add(8)
            chain_of().champion(plan, carry_over=True)
        return write(chain, version, enhanced, original)

    monkeypatch.setattr(Chain, "_write", race)
    assert not load(OTHER["statement"]).f(3)
    assert chain_of().numbers() == [1, 2, 3, *([4] if other_first else [])]
    assert chain_of().champion_number() == (4 if other_first else 3)
    assert chain_of().history() == [1]


def test_what_is_added_is_not_in_use_by_its_number(load: Load) -> None:
    promote(3.5)
    promote(4.5)
    shutil.rmtree(folder(3))  # as the message about a damaged version advises
    assert add(9.5) == 4
    steps.rollback(chain_of())
    shutil.rmtree(folder(4))
    chain_of()._put(Pointer(1 << 60, (7,), 0.0))
    assert add(9.5) == 8
    (folder() / "champion.json").write_text("{}")
    assert add(9.5) == 9
    assert os.listdir(folder(9))


# --------------------------------------------------------------------------- any edit

FILLS = [
    "",
    "    # poet_hook 2.5",
    "    y = [1, 2, 3]",
    "    '''\n  2.5\n    '''",
    "    if x: x = x",
    "\f",
    "    x = f'{x}'",
]
NUMBERS = st.floats(0, 10).map(lambda value: round(value, 3)).filter(lambda value: value not in (0.0, 1.0))  # not tuned


@settings(deadline=None)
@given(
    fills=st.lists(st.sampled_from(FILLS), min_size=3, max_size=3),
    learned=st.fixed_dictionaries({}, optional={"low": NUMBERS, "x_limit": NUMBERS, "low_limit": st.integers(2, 50)}),
    own=st.sampled_from(["2.5", "2.50", "-2.5", "4.5", "25e-1"]),
)
def test_any_edit_between_the_numbers(fills: list[str], learned: dict[str, float], own: str) -> None:
    def text(number: str, *between: str) -> str:
        rows = [
            f"    low = {number}",
            between[0],
            "    y = x > 7.25",
            between[1],
            "    return low < x < 9 or y",
            between[2],
        ]
        return "# poet: optimize_for=accuracy\ndef f(x):\n" + "\n".join(row for row in rows if row) + "\n"

    before = plan_of(source=text("2.5", "", "", ""))
    after = plan_of(source=text(own, *fills))
    assert names(text("2.5", "", "", "")) == ["low", "x_limit", "low_limit"]
    version = Version(
        "m:f", 7, with_values(before.source, before.tunables, learned), before.source_hash, 0.0, 1, learned
    )
    left = {name: value for name, value in learned.items() if name != "low" or float(own) == 2.5}
    if not left:
        with pytest.raises(VersionError, match="your own values"):
            carry(version, before.source, after)
        return
    carried = carry(version, before.source, after)
    assert (carried.values, carried.source_hash, carried.parent) == (left, after.source_hash, 7)
    found = plan_of(source="# poet: optimize_for=accuracy\n" + carried.source).tunables
    written = {t.name: t.value for t in numbers_of(after)}
    assert {t.name: t.value for t in found if t.kind == "number"} == written | left
    assert same_code(with_values(carried.source, found, written), after.source)


def test_a_whole_number_stays_whole() -> None:
    whole = Tunable("k", 4.0, 1, 11, 12, integer=True)
    assert allowed(whole, 5.0)
    assert not allowed(whole, 4.7)
    assert allowed(Tunable("x", 4.0, 1, 11, 12), 4.7)


def test_code_that_is_nested_too_deep_is_not_the_same() -> None:
    deep = "def f(x):\n    return " + "+".join(["x"] * 3000) + "\n"
    assert not same_code(deep, deep + "# else\n")


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("min_run=3", "min_run: your own 3 takes the place of 1"),
        ("hold=1", "min_run: your pragma has no min_run= any more that could be 1"),
    ],
)
def test_an_option_that_the_user_wrote_anew_stays_and_the_numbers_are_carried_over(
    load: Load, option: str, reason: str
) -> None:
    source = "# poet: optimize_for=accuracy, min_run=2\ndef f(x) -> bool:\n    return x > 2.5\n"
    plan = plan_of(source=source)
    chain = chain_of()
    number = chain.add(plan, 1, {"x_limit": 3.5, "min_run": 1}, VERDICT, "").number
    steps.promote(chain, number, plan)
    load(source)
    assert chain.champion_number() == number
    m = load(source.replace("min_run=2", option))
    version = chain.read(chain.champion_number())
    assert (version.number, version.values, version.level) == (3, {"x_limit": 3.5}, "requested")
    assert version.verdict is not None
    assert reason in version.verdict.reasons
    assert [m.f(x) for x in (3, 4, 4, 4)] == ([False] * 3 + [True] if option == "min_run=3" else [False] + [True] * 3)
    with pytest.raises(VersionError, match=r"its pragma has other options now|'min_run', which is nothing"):
        steps.promote(chain, number, plan_of(source=source.replace("min_run=2", option)))
    only = chain.add(plan, 1, {"min_run": 1}, VERDICT, "").number
    chain.point(only, [])
    why = "no min_run= any more" if option == "hold=1" else f"your own values take the place of those of v{only}"
    with pytest.warns(VersionWarning, match=why):
        load(source.replace("min_run=2", option))
