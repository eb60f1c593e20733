from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Load, numbers_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_versions import SOURCE, VERDICT, add, chain_of, folder, plan_of, promote

from poet_hook import activation, api
from poet_hook.cli.main import main
from poet_hook.errors import StoreError, VersionError, VersionWarning
from poet_hook.model import Plan
from poet_hook.transform.compile import Champion
from poet_hook.versions import exchange
from poet_hook.versions import promote as steps
from poet_hook.versions.chain import Chain
from poet_hook.versions.exchange import Fate, line_of, read

Said = pytest.CaptureFixture[str]


def line(value: float = 3.5, module: str = SOURCE, function: str = "m:f", **changes: Any) -> dict[str, Any]:
    """What `export` prints for a version with every number at `value`, as an object."""
    plan = plan_of("m:f", module)
    text = plan.source
    for tunable in numbers_of(plan):
        text = text.replace(f"{tunable.value:g}", f"{value:g}")
    document = {
        "format": 1,
        "function": function,
        "number": 2,
        "level": "proven",
        "created": 1.5,
        "values": {tunable.name: value for tunable in numbers_of(plan)},
        "original": plan.source,
        "source": text,
    }
    return {**document, **changes}


def fates(*lines: Any, plans: Callable[[str], Plan | None] | None = None) -> list[Fate]:
    """Read lines that are given as objects, text or bytes."""
    rows = [
        item if isinstance(item, bytes) else item.encode() if isinstance(item, str) else dumped(item) for item in lines
    ]
    return list(read(io.BytesIO(b"\n".join(rows)), plans or {"m:f": plan_of()}.get, api.settings()))


def dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


def refusal(item: Any) -> str:
    """Why one line is refused, with another one after it that is not."""
    shutil.rmtree(api.settings().home / "functions", ignore_errors=True)
    fate, after = fates(item, line(9.5))
    assert (fate.line, fate.kind, after.line, after.kind) == (1, "refused", 2, "stored")
    assert chain_of().numbers() == [1, 2]
    assert chain_of().champion_number() == 1
    return fate.reason


# --------------------------------------------------------------------------- out and in


def test_out_and_in_again(load: Load, project: Path, capsys: Said, tmp_path: Path) -> None:
    m = load(SOURCE)
    m.f(3)
    promote(3.5)
    promote(4.5)
    assert main(["export"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    documents = [json.loads(row) for row in out.splitlines()]
    evidence = json.loads(json.dumps(documents[0].pop("evidence")))
    assert documents[0] == {**line(3.5), "reasons": ["fixes 9 of 10"], "created": documents[0]["created"]}
    assert evidence["e_value"] == 33.0
    assert documents[1]["values"] == {"x_limit": 4.5}
    assert str(project) not in out
    (tmp_path / "all.jsonl").write_text(out)
    shutil.rmtree(project / ".poet" / "functions")
    assert main(["import", str(tmp_path / "all.jsonl")]) == 0
    assert capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines() == [
        "all.jsonl:1: m:f v2 (proven there) is proposed as v2; accept it with: python -m poet_hook promote m:f 2",
        "all.jsonl:2: m:f v3 (proven there) is proposed as v3; accept it with: python -m poet_hook promote m:f 3",
    ]
    first, second, third = chain_of().versions()
    assert (first.source, second.values, third.values) == (plan_of().source, {"x_limit": 3.5}, {"x_limit": 4.5})
    assert (second.level, second.verdict, second.parent, third.parent) == (None, None, 1, 1)
    assert second.created > documents[0]["created"] + 0.001
    assert chain_of().champion_number() == 1
    assert load(None).f(3)
    assert main(["import", str(tmp_path / "all.jsonl")]) == 0
    assert capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines() == [
        "all.jsonl:1: m:f v2 is known here as v2",
        "all.jsonl:2: m:f v3 is known here as v3",
    ]
    assert chain_of().numbers() == [1, 2, 3]
    api.promote("m:f", 3)
    assert (load(None).f(4), load(None).f(5)) == (False, True)
    assert [(status.champion, status.level) for status in api.status()] == [(3, None)]


def test_another_users_project(
    load: Load, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Said
) -> None:
    load(SOURCE).f(3)
    promote(3.5)
    main(["export", "f"])
    (tmp_path / "it.jsonl").write_text(capsys.readouterr().out)
    monkeypatch.setenv("POET_USER_DIR", str(tmp_path / "other"))
    api.settings.cache_clear()
    with pytest.warns(VersionWarning, match="was not written by this user"):
        assert load(None).f(3)
    shutil.rmtree(project / ".poet")  # a clone: nothing was recorded here yet
    activation._store.cache_clear()
    assert main(["import", str(tmp_path / "it.jsonl")]) == 0
    assert chain_of().read(2).values == {"x_limit": 3.5}
    assert load(None).f(3)


def test_functions_of_the_project_are_found_by_their_whole_name(project: Path, tmp_path: Path, capsys: Said) -> None:
    (project / "pack").mkdir()
    (project / "pack" / "m.py").write_text(SOURCE)
    (project / "m.py").write_text(SOURCE.replace("optimize_for=accuracy", "retries=1"))
    (project / "broken.py").write_text("# poet: retries=1\ndef f(:")
    rows = [line(function=name) for name in ("pack.m:f", "m:f", "f", "pack/m.py:f", f"{project}/pack/m.py:f", "")]
    (tmp_path / "it.jsonl").write_bytes(b"\n".join(map(dumped, rows)))
    assert main(["import", str(tmp_path / "it.jsonl")]) == 1
    out = capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines()
    assert out[0].startswith("it.jsonl:1: pack.m:f v2 (proven there) is proposed as v2; ")
    assert out[1] == "it.jsonl:2: m:f v2 is refused: no function that learns is called 'm:f' here"
    assert all(" is refused: no function that learns is called " in row for row in out[2:])
    assert os.listdir(project / ".poet" / "functions") == ["pack.m.f"]


def test_functions_are_chosen(load: Load, capsys: Said) -> None:
    m = load(SOURCE + SOURCE.replace("def f", "def g") + SOURCE.replace("def f", "def h"))
    m.f(1), m.g(1), m.h(1)
    add(3.5)
    chain = chain_of("m:g")
    chain.add(plan_of("m:g", SOURCE.replace("def f", "def g")), 1, {"x_limit": 4.5}, None, "")

    def exported(*words: str) -> list[str]:
        assert main(["export", *words]) == 0
        return [json.loads(row)["function"] for row in capsys.readouterr().out.splitlines()]

    assert exported() == ["m:f", "m:g"]
    assert exported("g", "m:g") == ["m:g"]
    assert main(["export", "h"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "poet_hook: nothing to export: no version but the originals is stored here\n")
    assert main(["export", "nothing"]) == 1


def test_nothing_is_made_by_an_export(project: Path, capsys: Said) -> None:
    assert main(["export"]) == 0
    assert "nothing to export" in capsys.readouterr().err
    assert not (project / ".poet").exists()


def test_versions_that_can_not_be_exported_are_said(load: Load, capsys: Said) -> None:
    load(SOURCE).f(1)
    promote(3.5)
    (folder(1) / "operate.py").write_text("def f(x):\n    return x\n")
    with pytest.warns(VersionWarning, match="operate.py was edited"):
        assert main(["export"]) == 0  # the text before is known from what was recorded
    assert json.loads(capsys.readouterr().out)["original"] == plan_of().source
    edited = plan_of(source=SOURCE.replace("2.5", "2.25"))
    chain_of().add(edited, 1, {"x_limit": 9.5}, None, "")
    (folder(3) / "original.py").unlink()
    with pytest.warns(VersionWarning, match="operate.py was edited"):
        assert main(["export"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["number"] == 2
    assert "m:f was edited after v3 was learned" in said.err


def test_a_version_that_is_too_long_is_not_exported(project: Path) -> None:
    plan = plan_of(source=SOURCE + "    '''" + "a" * 600_000 + "'''\n")
    version = chain_of().add(plan, 1, {"x_limit": 3.5}, None, "")
    with pytest.raises(VersionError, match="m:f v2 takes more than 1,000,000 bytes"):
        line_of(version, plan.source)


def test_an_import_of_no_file_says_which(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "away.jsonl"]) == 1
    assert capsys.readouterr().err == "poet_hook: away.jsonl: No such file or directory\n"


def test_what_export_prints_import_takes(project: Path) -> None:
    source = "# poet: optimize_for=f1\ndef f(x):\n    s = 'é🙂\\ud800\\n'\n    return 1e-300 < x < 3 or x == 9_007_199_254_740_993\n"
    plan = plan_of(source=source)
    names = [tunable.name for tunable in numbers_of(plan)]
    values = dict(zip(names, (0.1 + 0.2, 7, 1 << 70), strict=True))
    made = chain_of().add(plan, 1, values, replace(VERDICT, regressions=("secret",)), "")
    text = line_of(made, plan.source)
    assert "secret" not in text
    shutil.rmtree(folder())
    (fate,) = fates(text, plans=lambda name: plan)
    assert fate.kind == "stored"
    assert chain_of().read(2).values == values
    assert chain_of().read(2).source == made.source


# --------------------------------------------------------------------------- only a proposal


def test_an_import_is_never_in_use_by_itself(load: Load) -> None:
    m = load(SOURCE)
    assert m.f(3)
    assert [fate.kind for fate in fates(line(3.5))] == ["stored"]
    assert load(SOURCE).f(3)
    promote(4.5)
    shutil.rmtree(folder(3))  # the pointer goes on naming it
    (fate,) = fates(line(9.5))
    assert fate.version
    assert fate.version.number == 4
    with pytest.warns(VersionWarning, match="m:f has no version 3"):
        assert load(SOURCE).f(3)


def test_what_was_rolled_back_is_not_brought_back(load: Load) -> None:
    promote(3.5)
    steps.rollback(chain_of())
    (fate,) = fates(line(3.5))
    assert (fate.kind, fate.version and fate.version.number) == ("known", 2)
    assert load(SOURCE).f(3)


def test_an_edit_does_not_put_an_import_in_use(load: Load) -> None:
    promote(3.5)
    edited = SOURCE.replace("    return", "    # edited\n    return")
    plan = plan_of(source=edited)
    assert [fate.kind for fate in fates(line(9.5, edited), plans=lambda name: plan)] == ["stored"]
    assert not load(edited).f(3)
    assert chain_of().champion(plan) == Champion(4, {"x_limit": 3.5})


# --------------------------------------------------------------------------- another text


def test_versions_of_another_text_are_carried_over(project: Path) -> None:
    other = SOURCE.replace("    return", "    x = x + 0\n    return")
    (fate,) = fates(line(3.5, other))
    assert fate.kind == "stored"
    version = chain_of().read(2)
    assert (version.source, version.parent, version.level) == (plan_of().source.replace("2.5", "3.5"), 1, None)
    assert [fate.kind for fate in fates(line(3.5, other), line(3.5))] == ["known", "known"]


def test_what_stands_in_the_file_is_no_proposal(project: Path) -> None:
    plan = plan_of(source=SOURCE.replace("2.5", "3.50"))
    fate, own = fates(line(3.5), line(3.5, SOURCE.replace("2.5", "3.50")), plans=lambda name: plan)
    assert (fate.kind, fate.reason) == ("known", "it is what stands in your file")
    assert own.kind == "refused"
    assert chain_of().numbers() == []


OTHER_TEXTS = {
    "other number": (line(9.5, SOURCE.replace("2.5", "2.25")), "your own values take the place of those of v2"),
    "other name": (line(9.5, SOURCE.replace("x", "y")), "the two no longer fit"),
    "another text": (line(9.5, original="def f(x):\n    return 0\n"), "the two no longer fit"),
    "no function": (line(9.5, original="import os\nos.abort()\n"), "the two no longer fit"),
    "no Python": (line(9.5, original="\0def f(:"), "the two no longer fit"),
    "deep": (line(9.5, original="def f(x):\n    return " + "(" * 5000), "the two no longer fit"),
    "deeper": (line(9.5, original="def f(x):\n    return " + "-" * 50_000 + "x"), "the two no longer fit"),
    "a long number": (line(9.5, original="def f(x):\n    return x > " + "9" * 5000), "the two no longer fit"),
    "other code": (
        line(source="def f(x):\n    return 9\n", original=plan_of().source.replace("x >", "x  >")),
        "v2 changes more than its values",
    ),
}


@pytest.mark.parametrize("name", OTHER_TEXTS)
def test_what_does_not_fit_is_refused(project: Path, name: str) -> None:
    item, reason = OTHER_TEXTS[name]
    assert refusal(item) == f"it was made from another text of the function than yours, and {reason}"


# --------------------------------------------------------------------------- what is refused

LINES = {
    "no JSON": ("{", "this is no version: "),
    "text": ('"m:f"', "this is no version: Expected `object`, got `str`"),
    "list": ("[]", "this is no version: Expected `object`, got `array`"),
    "null": ("null", "this is no version: "),
    "empty": ({}, "this is no version: Object missing required field `format`"),
    "not UTF-8": (b'{"format": 1, "function": "\xff"}', "this is no version: "),
    "deep": ("[" * 100_000, "this is no version: "),
    "deep in a field": (line(values={"x_limit": []}), "this is no version: "),
    "two objects": (dumped(line()) + dumped(line()), "this is no version: "),
    "another format": (line(format=2), "this is no version: "),
    "a field that is none": (line(path="/etc/passwd"), "this is no version: Object contains unknown field `path`"),
    "function of another type": (line(function=["m:f"]), "this is no version: "),
    "a long function": (line(function="m:f" * 200), "this is no version: "),
    "an unknown function": (line(function="m:g"), "no function that learns is called 'm:g' here"),
    "a path": (line(function="../../m:f"), "no function that learns is called '../../m:f' here"),
    "a NUL": (line(function="m:f\0"), "no function that learns is called 'm:f\\x00' here"),
    "a number of another type": (line(number="2"), "this is no version: "),
    "a number below all": (line(number=0), "this is no version: "),
    "a large number": (line(number=1 << 80), "this is no version: "),
    "a level that is none": (line(level="sure"), "this is no version: "),
    "text as a value": (line(values={"x_limit": "3.5"}), "v2 sets 'x_limit' to 3.5, which is no number"),
    "true as a value": (line(values={"x_limit": True}), "this is no version: "),
    "NaN": (line(values={"x_limit": float("nan")}), "this is no version: "),
    "infinite": (dumped(line()).replace(b'"x_limit": 3.5', b'"x_limit": 1e999'), "this is no version: "),
    "too many values": (line(values={f"x{n}": 1.0 for n in range(1001)}), "this is no version: "),
    "another name": (line(values={"y_limit": 3.5}), "v2 changes 'y_limit', which is nothing of m:f to tune"),
    "outside its range": (line(99), "v2 sets 'x_limit' to 99, outside its range"),
    "other code": (line(source="def f(x):\n    return 1\n"), "v2 changes more of m:f than its values"),
    "a number that does not stand there": (line(values={"x_limit": 4.5}), "v2 changes more of m:f than its values"),
    "no change": (line(2.5, values={}, source="def f(x):\n    return x\n"), "v2 changes more of m:f than its values"),
    "too long": (b" " * 1_000_001 + dumped(line()), "it is longer than 1,000,000 bytes"),
    "reasons of another type": (line(reasons="fine"), "this is no version: "),
    "evidence of another type": (line(evidence={"labelled": 3}), "this is no version: "),
}


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_refused_and_the_next_one_is_taken(project: Path, name: str) -> None:
    item, reason = LINES[name]
    assert refusal(item).startswith(reason)
    assert os.listdir(api.settings().home / "functions") == ["m.f"]


def test_blank_lines_and_a_mark_at_the_start_are_fine(project: Path) -> None:
    found = fates(b"\xef\xbb\xbf" + dumped(line()), b"  ", b"\r", b"", dumped(line(4.5)) + b"\r")
    assert [(fate.line, fate.kind) for fate in found] == [(1, "stored"), (5, "stored")]


def test_there_is_an_end_to_a_file(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    found = fates(*[b""] * 1_000, line(), line())
    assert [(fate.line, fate.kind) for fate in found] == [(1_001, "refused")]
    assert found[0].reason == "more than 1,000 lines: this one and what follows is not read"
    monkeypatch.setattr(exchange, "LONGEST_LINE", 1_000)
    assert main(["import", "/dev/zero"]) == 1
    assert capsys.readouterr().out == "/dev/zero:1: refused: it is longer than 1,000 bytes\n"


def test_files_that_can_not_be_read(project: Path, capsys: Said) -> None:
    for name in ("none.jsonl", "."):
        assert main(["import", name]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("poet_hook: ")
        assert name in said.err
    (project / "empty.jsonl").touch()
    assert main(["import", "empty.jsonl"]) == 0


def test_a_store_that_can_not_be_written(project: Path) -> None:
    (project / ".poet").write_text("in the way")
    with pytest.raises(StoreError, match="the version can't be written"):
        fates(line())
    (project / ".poet").unlink()
    shutil.rmtree(api.settings().user_dir)
    api.settings().user_dir.write_text("in the way")
    with pytest.raises(StoreError, match="the key that signs versions can't be read or made"):
        fates(line())


def test_what_a_terminal_would_act_on_is_shown_as_nothing(project: Path, capsys: Said) -> None:
    (project / "it.jsonl").write_bytes(dumped(line(function="\x1b[2J")))
    assert main(["import", "it.jsonl"]) == 1
    assert "\x1b" not in capsys.readouterr().out


# --------------------------------------------------------------------------- any file

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys([*line(), "reasons", "evidence", "more"], JSON))
TEXTS = st.sampled_from([SOURCE, plan_of().source, "def f(x):\n    return x > 3.5\n", "", "\0", "def f(:", "x = 1\n"])
NEAR = st.fixed_dictionaries(
    {}, optional={"original": TEXTS, "source": TEXTS, "function": st.sampled_from(["m:f", "m:g"])}
)
ROW = (
    st.binary(max_size=40)
    | JSON.map(dumped)
    | st.builds(lambda value, near, changes: dumped(line(value) | near | changes), st.floats(), NEAR, FIELDS)
    | st.builds(lambda value, near: dumped(line(value) | near), st.sampled_from([3.5, 4.5, 99.0, -0.0, 1e300]), NEAR)
    | st.builds(
        lambda at, byte: dumped(line())[:at] + byte + dumped(line())[at:], st.integers(0, 300), st.binary(max_size=2)
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(ROW, max_size=4), end=st.sampled_from([b"\n", b"\r\n", b""]))
@example(rows=[dumped(line(function="\ud800"))], end=b"")
@example(rows=[b"\xef\xbb\xbf"], end=b"\n")
@example(rows=[dumped(line()).replace(b"3.5", b"1" * 5_000)], end=b"")
def test_any_file_says_what_it_is_and_changes_no_champion(project: Path, rows: list[bytes], end: bytes) -> None:
    shutil.rmtree(api.settings().home / "functions", ignore_errors=True)
    promote(7.5)
    before = (folder() / "champion.json").read_bytes()
    data = end.join(rows)
    plans = {"m:f": plan_of(), "": plan_of()}
    found = list(read(io.BytesIO(data), plans.get, api.settings()))
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")  # which is no part of the text
    assert [fate.line for fate in found] == [n for n, row in enumerate(lines, 1) if row.strip()]
    assert (folder() / "champion.json").read_bytes() == before
    assert chain_of().champion(plan_of()) == Champion(2, {"x_limit": 7.5})
    stored = [fate.version.number for fate in found if fate.kind == "stored" and fate.version]
    assert chain_of().numbers() == [1, 2, *stored]
    for version in chain_of().versions()[2:]:
        assert (version.level, version.verdict) == (None, None)
        assert 0 <= version.values.get("x_limit", 2.5) <= 10
    again = list(read(io.BytesIO(data), plans.get, api.settings()))
    assert [(fate.line, fate.kind == "refused") for fate in again] == [(f.line, f.kind == "refused") for f in found]
    assert not any(fate.kind == "stored" for fate in again)
    assert set(os.listdir(api.settings().home / "functions")) == {"m.f", "generation"}


def test_imports_beside_each_other_store_each_once(project: Path) -> None:
    slower = Chain._write
    raced: list[int] = []

    def race(chain: Chain, *args: Any) -> bool:
        if not raced:
            raced.append(1)
            fates(line(3.5))
        return slower(chain, *args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Chain, "_write", race)
        fates(line(3.5))
    assert chain_of().numbers() == [1, 2]
