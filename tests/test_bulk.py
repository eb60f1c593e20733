from __future__ import annotations

import codecs
import json
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import environment
from hypothesis import given, settings
from hypothesis import strategies as st

import poet_hook
from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.signals.bulk import Fate, import_feedback
from poet_hook.signals.rows import LONGEST_LINE, open_table
from poet_hook.store import codec

Load = Callable[..., ModuleType]
Done = subprocess.CompletedProcess[str]

MODULE = """
    # poet: domain=ml_monitoring, optimize_for=accuracy, after=1000, key=name
    def check(name: str, value: float) -> bool:
        return value > 3.0

    # poet: optimize_for=error, after=1000, key=name
    def price(name: str, area: float) -> dict:
        return {"price": 3.0 * area, "currency": "EUR"}
"""


@pytest.fixture
def module(load: Load) -> ModuleType:
    module = load(MODULE)
    for number in range(6):
        module.check(f"incident-{number}", float(number))
    return module


def run(path: Path | str, text: str | bytes, **options: Any) -> list[Fate]:
    path = Path(path)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(import_feedback(api.store(), api.settings(), path, **options))


def outcomes(fates: list[Fate]) -> list[tuple[int, str]]:
    return [(fate.line, fate.outcome) for fate in fates]


def stored() -> list[tuple[str | None, Any, str, str]]:
    found = [(e.key, f) for e in poet_hook.executions("check") for f in api.feedback_of(e.id)]
    found.sort(key=lambda pair: pair[1].id)
    return [(key, codec.decode(f.raw), f.source, f.signal.kind) for key, f in found]


def id_of(key: str) -> str:
    return next(e.id for e in poet_hook.executions("check") if e.key == key)


# --------------------------------------------------------------------------- what becomes of a row


def test_the_fate_of_each_row(module: ModuleType) -> None:
    for _ in range(7):
        module.check("twice", 5.0)
    text = """key,said
incident-4,false alarm
incident-5,let me ask Ann

incident-1,
nobody,missed
twice,correct
incident-2,"missed, the disk
was full"
,missed
incident-3,missed,by far
incident-4,false alarm
"""
    fates = run("f.csv", text, source="ops")
    assert outcomes(fates) == [
        (2, "understood"),
        (3, "unread"),
        (5, "empty"),
        (6, "unknown"),
        (7, "ambiguous"),
        (8, "understood"),
        (10, "broken"),
        (11, "broken"),
        (12, "there"),
    ]
    assert [fate.kept for fate in fates] == [True, True, True, False, False, True, False, False, True]
    reasons = {fate.line: fate.reason for fate in fates}
    assert "no rule reads this" in reasons[3]
    assert reasons[6] == "no execution has the key 'nobody'"
    assert reasons[7].startswith("7 executions have the key 'twice': ")
    assert reasons[7].count(", ") == 5
    assert reasons[10] == "no 'key' names the execution"
    assert reasons[11] == "3 cells under 2 columns"
    assert fates[0].signal is not None
    assert (fates[0].signal.kind, fates[0].signal.value, fates[0].function) == ("expected", False, "m:check")
    assert fates[0].execution_id == id_of("incident-4")
    assert stored() == [
        ("incident-4", "false alarm", "ops", "expected"),
        ("incident-5", "let me ask Ann", "ops", "unread"),
        ("incident-2", "missed, the disk\nwas full", "ops", "expected"),
    ]


def test_what_was_imported_is_not_imported_again(module: ModuleType) -> None:
    text = '{"key": "incident-4", "said": ["false alarm", {"rating": 1}]}\n{"key": "incident-5", "said": "hm"}\n'
    assert outcomes(run("f.jsonl", text)) == [(1, "understood"), (2, "unread")]
    before = stored()
    assert len(before) == 3
    assert outcomes(run("f.jsonl", text, dry_run=True)) == [(1, "there"), (2, "there")]
    assert outcomes(run("f.jsonl", text)) == [(1, "there"), (2, "there")]
    assert stored() == before
    more = text.replace("hm", "good catch").replace('{"rating": 1}', '{"rating": 2}')
    assert outcomes(run("f.jsonl", more)) == [(1, "understood"), (2, "understood")]
    assert stored()[3:] == [
        ("incident-4", {"rating": 2}, "user", "wrong"),
        ("incident-5", "good catch", "user", "right"),
    ]
    assert outcomes(run("f.jsonl", text, source="ann")) == [(1, "understood"), (2, "unread")]


def test_a_word_that_was_revised_since_stays_revised(module: ModuleType) -> None:
    text = "key,said\nincident-4,false alarm\n"
    run("f.csv", text)
    poet_hook.feedback("incident-4", "good catch")
    assert outcomes(run("f.csv", text)) == [(2, "there")]
    (item,) = api.store().for_function("m:check")
    assert item.signal.kind == "right"


def test_a_dry_run_stores_nothing_and_says_the_same(module: ModuleType) -> None:
    text = "key,said\nincident-4,false alarm\nincident-4,false alarm\nnobody,x\nincident-5,hm\n"
    tried = run("f.csv", text, dry_run=True)
    assert stored() == []
    assert outcomes(tried) == [(2, "understood"), (3, "there"), (4, "unknown"), (5, "unread")]
    assert run("f.csv", text) == tried


def test_a_preference_in_a_file(module: ModuleType) -> None:
    lines = [
        {"key": "incident-4", "said": {"better_than": "incident-1"}},
        {"key": "incident-4", "said": {"better_than": "nobody"}},
        {"key": "incident-4", "said": {"better_than": "incident-4"}},
    ]
    fates = run("f.jsonl", "\n".join(map(json.dumps, lines)))
    assert outcomes(fates) == [(1, "understood"), (2, "unknown"), (3, "unread")]
    assert outcomes(run("f.jsonl", "\n".join(map(json.dumps, lines[:1])))) == [(1, "there")]
    assert [row[0] for row in stored()] == ["incident-4", "incident-1", "incident-4"]


# --------------------------------------------------------------------------- columns


def test_the_columns_can_be_chosen(module: ModuleType) -> None:
    text = f"ref, incident ,who,note\n{id_of('incident-4')},incident-5,x,false alarm\n"
    assert run("f.csv", text, key="incident", said="note")[0].name == "incident-5"
    (fate,) = run("f.csv", text, id="ref", said="note")
    assert (fate.name, fate.execution_id) == (id_of("incident-4"),) * 2
    assert run("f.csv", f"execution_id,key,feedback\n{id_of('incident-4')},nobody,hm\n")[0].outcome == "unread"


def test_an_id_must_be_whole(module: ModuleType) -> None:
    whole = id_of("incident-4")
    assert outcomes(run("f.csv", f"execution_id,said\n{whole[-8:]},wrong\n{whole},wrong\n")) == [
        (2, "unknown"),
        (3, "understood"),
    ]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "f.csv:1: no column 'execution_id' or 'key' for the execution; there are: a, b"),
        ("key,b\n1,2\n", {}, "f.csv:1: no column 'said' or 'feedback' for what was said; there are: key, b"),
        ("key,said\n1,2\n", {"key": "inc"}, "f.csv:1: no column 'inc' for the execution; there are: key, said"),
        ("key,said\n1,2\n", {"said": "note"}, "f.csv:1: no column 'note' for what was said; there are: key, said"),
        ("key,said,said\n1,2,3\n", {}, "f.csv:1: there are several columns 'said'"),
        ("", {}, "f.csv:1: it is empty; its first line must name the columns"),
        ("\n\n", {}, "f.csv:1: it is empty; its first line must name the columns"),
        (b"key,s\xe4id\n", {}, "f.csv:1: it is not UTF-8; its first line must name the columns"),
        ("key,said".encode("utf-16"), {}, "f.csv: it is UTF-16; save it as UTF-8"),
        ("key,said\n", {"key": "key", "id": "key"}, "named by its key or by its id, not by both"),
    ],
)
def test_a_file_that_can_not_be_meant(module: ModuleType, text: Any, options: dict[str, str], message: str) -> None:
    Path("f.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(poet_hook.FeedbackError) as error:
        import_feedback(api.store(), api.settings(), Path("f.csv"), **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"), [("f.txt", ".csv and .jsonl"), ("no.csv", "No such file"), ("d.csv", "Is a")]
)
def test_a_file_that_can_not_be_read(module: ModuleType, name: str, message: str) -> None:
    Path("f.txt").touch()
    Path("d.csv").mkdir()
    with pytest.raises(poet_hook.FeedbackError, match=message):
        import_feedback(api.store(), api.settings(), Path(name))


def test_a_function_narrows_what_a_key_means(module: ModuleType) -> None:
    module.price("incident-4", 2.0)
    text = "key,said\nincident-4,wrong\n"
    assert run("f.csv", text)[0].outcome == "ambiguous"
    assert run("f.csv", text, function="m:price")[0].function == "m:price"
    by_id = f"execution_id,said\n{id_of('incident-4')},wrong\n"
    (fate,) = run("f.csv", by_id, function="m:price")
    assert (fate.outcome, "is an execution of m:check" in fate.reason) == ("unknown", True)


def test_json_lines_name_their_own_columns(module: ModuleType) -> None:
    text = """{"key": "incident-4", "said": {"expected": false}}
{"key": "incident-5"}

[1]
{"key": "incident-5", "said":
{"key": ["incident-5"], "said": "missed"}
{"key": "incident-3", "said": null}
{"said": true, "key": "incident-5", "more": 1}
"""
    fates = run("f.jsonl", text)
    assert outcomes(fates) == [
        (1, "understood"),
        (2, "broken"),
        (4, "broken"),
        (5, "broken"),
        (6, "broken"),
        (7, "empty"),
        (8, "understood"),
    ]
    assert fates[1].reason == "no column 'said' or 'feedback' for what was said; there are: key"
    assert fates[2].reason == "no JSON object"
    assert fates[3].reason.startswith("no JSON: ")
    assert stored() == [
        ("incident-4", {"expected": False}, "user", "expected"),
        ("incident-5", True, "user", "right"),
    ]


def test_a_key_that_is_a_number(load: Load) -> None:
    module = load(MODULE.replace("name: str, value", "name: int, value"))
    module.check(7, 5.0)
    assert outcomes(run("f.jsonl", '{"key": 7, "said": "wrong"}\n')) == [(1, "understood")]
    assert outcomes(run("f.csv", "key,said\n 7 ,false alarm\n")) == [(2, "understood")]


def test_objects_and_lists_in_a_table(module: ModuleType) -> None:
    module.price("p", 2.0)
    text = """key,said
p,"{""price"": ""too high"", ""currency"": {""expected"": ""USD""}}"
incident-4,"[""false alarm"", {""rating"": 1}]"
incident-5,{not json
"""
    fates = run("f.csv", text)
    assert outcomes(fates) == [(2, "understood"), (3, "understood"), (4, "unread")]
    assert fates[0].signal is not None
    assert fates[0].signal.kind == "fields"
    assert [row[1] for row in stored()] == ["false alarm", {"rating": 1}, "{not json"]


# --------------------------------------------------------------------------- files as they are


@pytest.mark.parametrize("start", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(module: ModuleType, start: bytes, end: str) -> None:
    text = end.join(["key,said", "incident-4,👎 false alarm – “déjà vu”", "", "incident-5,correct"])
    assert outcomes(run("f.csv", start + text.encode())) == [(2, "understood"), (4, "understood")]
    lines = ['{"key": "incident-1", "said": "you missed this 👎"}', "", '{"key": "incident-2", "said": "missed"}']
    assert outcomes(run("f.jsonl", start + end.join(lines).encode())) == [(1, "understood"), (3, "understood")]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ('incident-1,"missed', "no CSV: "),
        ('incident-1,"missed" it', "no CSV: "),
        (b"incident-1,mi\xdfed", "it is not UTF-8"),
        ("incident-1", "1 cells under 2 columns"),
        ("incident-1," + "x" * (LONGEST_LINE + 5), "longer than"),
        ('incident-1,"' + "y" * 200_000 + '"', "no CSV: field larger"),
    ],
)
@pytest.mark.parametrize("after", [1, 3])
def test_a_broken_row_loses_no_other(module: ModuleType, broken: Any, reason: str, after: int) -> None:
    line = broken if isinstance(broken, bytes) else broken.encode()
    others = [b'incident-5,"correct, and\nwell done"', b"incident-4,false alarm", b"incident-3,missed"]
    lines = [b"key,said", b"incident-2,missed", *others[:after], line, *others[after:]]
    fates = run("f.csv", b"\n".join(lines) + b"\n")
    assert Counter(fate.outcome for fate in fates) == {"understood": 4, "broken": 1}
    (lost,) = [fate for fate in fates if fate.outcome == "broken"]
    assert lost.line == 3 + after + 1
    assert lost.reason.startswith(reason)


def test_a_quote_inside_a_cell_is_no_quoting(module: ModuleType) -> None:
    fates = run("f.csv", 'key,said\nincident-4,"false ""alarm"""\nincident-5,correct; a 5" disk\nincident-3,missed\n')
    assert outcomes(fates) == [(2, "understood"), (3, "understood"), (4, "understood")]
    assert stored()[1][1] == 'correct; a 5" disk'


def test_a_file_of_megabytes(module: ModuleType) -> None:
    text = "key,said\n" + "nobody,a comment of some length about nothing much at all\n" * 20_000
    table = open_table(_written("f.csv", text))
    assert sum(1 for row in table.rows if not row.problem) == 20_000
    assert len(text) > 1_000_000


def _written(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


cell = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(cell, cell), max_size=6))
def test_whatever_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    import csv

    path = tmp_path_factory.getbasetemp() / "written.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("key", "said"), *rows])
    found = [(row.cells["key"], row.cells["said"]) for row in open_table(path).rows]
    assert found == rows


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200) | st.text(alphabet='a,"\n\r\\{}[]:1', max_size=200).map(str.encode))
def test_any_bytes_give_rows_or_an_error_with_the_place(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    for name in ("any.csv", "any.jsonl"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(b"key,said\n" + data)
        lines = [row.line for row in open_table(path).rows]
        assert lines == sorted(set(lines))
        assert all(1 <= line <= 1 + len(data) + 1 for line in lines)


# --------------------------------------------------------------------------- the command


def poet(*words: str) -> Done:
    command = [sys.executable, "-m", "poet_hook", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())


def test_the_command_tells_the_fate_of_each_row(module: ModuleType) -> None:
    _written("f.csv", "incident,note\nincident-4,false alarm\nincident-5,let me ask Ann\n")
    words = ("feedback", "--from", "f.csv", "--key", "incident", "--said", "note", "--source", "ops")
    tried = poet(*words, "--dry-run")
    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout.splitlines()[-1] == (
        "f.csv: 2 rows: 1 understood, 1 stored, but not understood; nothing was stored (--dry-run)"
    )
    done = poet(*words)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, summary = done.stdout.splitlines()
    assert first == "f.csv:2: incident-4: understood: the right value is False (confidence 90.0 %)"
    assert second.startswith("f.csv:3: incident-5: stored, but not understood: no rule reads this")
    assert summary == "f.csv: 2 rows: 1 understood, 1 stored, but not understood"
    again = poet(*words)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "f.csv: 2 rows: 2 there already")
    assert [row[2] for row in stored()] == ["ops", "ops"]


def test_the_command_ends_with_1_where_a_row_was_not_stored(module: ModuleType) -> None:
    _written("f.csv", "key,said\nnobody,wrong\nincident-4\nincident-4,wrong\n")
    done = poet("feedback", "--from", "f.csv")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "f.csv:2: nobody: no such execution: no execution has the key 'nobody'",
        "f.csv:3: broken: 1 cells under 2 columns",
        "f.csv:4: incident-4: understood: the result was wrong (confidence 90.0 %)",
        "f.csv: 3 rows: 1 understood, 1 no such execution, 1 broken",
    ]


def test_the_command_as_json(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    _written("f.jsonl", '{"key": "incident-4", "said": "false alarm"}\n{"key": "nobody", "said": 1}\n')
    assert main(["feedback", "--from", "f.jsonl", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["file"], document["dry_run"], document["learned"]) == ("f.jsonl", False, {})
    assert {name: count for name, count in document["summary"].items() if count} == {"understood": 1, "unknown": 1}
    first, second = document["rows"]
    assert (first["line"], first["signal"]["value"], first["execution_id"]) == (1, False, id_of("incident-4"))
    assert (second["outcome"], second["signal"]) == ("unknown", None)


def test_one_feedback_as_json(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback", "incident-4", "false", "alarm", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["function"], document["signal"]["value"], document["learned"]) == ("m:check", False, {})
    assert main(["feedback", "incident-4", "--json", "--source", "ann", "hm"]) == 1
    assert json.loads(capsys.readouterr().out)["signal"]["kind"] == "unread"


@pytest.mark.parametrize(
    "words",
    [
        ("feedback",),
        ("feedback", "incident-4"),
        ("feedback", "incident-4", "wrong", "--dry-run"),
        ("feedback", "incident-4", "wrong", "--key", "key"),
        ("feedback", "incident-4", "wrong", "--from", "f.csv"),
        ("feedback", "--from", "f.csv", "--json-value"),
        ("feedback", "--from", "f.csv", "--key", "key", "--id", "key"),
    ],
)
def test_wrong_usage(module: ModuleType, words: tuple[str, ...]) -> None:
    _written("f.csv", "key,said\nincident-4,wrong\n")
    done = poet(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert stored() == []


def test_a_file_without_the_columns_is_one_line_of_error(module: ModuleType) -> None:
    _written("f.csv", "a,b\n1,2\n")
    done = poet("feedback", "--from", "f.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "poet_hook: f.csv:1: no column 'execution_id' or 'key' for the execution; there are: a, b [PH-E20]\n"
    )
    _written("f.csv", "key,said\nincident-4,wrong\n")
    done = poet("feedback", "--from", "f.csv", "--function", "nosuch")
    assert (done.returncode, done.stdout, "[PH-E24]" in done.stderr) == (1, "", True)


def test_without_a_store_none_is_made(project: Path) -> None:
    _written("f.csv", "key,said\nx,wrong\n")
    done = poet("feedback", "--from", "f.csv")
    assert (done.returncode, done.stdout, "nothing was recorded" in done.stderr) == (1, "", True)
    assert not (project / ".poet").exists()


LEARNS = """
# poet: optimize_for=accuracy, after=40, key=name
def is_high(name: str, value: float) -> bool:
    return value > 2.0


if __name__ == "__main__":
    for step in range(60):
        is_high(f"k{step}", step / 4)
"""


def test_an_older_file_after_a_revision_changes_nothing_and_says_so(
    module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    old = "key,said\nincident-4,false alarm\nincident-4,false alarm\n"
    assert outcomes(run("old.csv", old)) == [(2, "understood"), (3, "there")]
    assert [fate.reason for fate in run("old.csv", old)] == ["", ""]
    run("new.csv", "key,said\nincident-4,good catch\n")
    again = run("old.csv", old)
    assert outcomes(again) == [(2, "there"), (3, "there")]
    assert again[0].reason == "user said something else since then, and that is what counts"
    (stands,) = api.store().for_function("m:check")
    assert stands.signal.kind == "right"
    assert main(["feedback", "--from", "old.csv"]) == 0
    out = capsys.readouterr().out
    assert "old.csv:2: incident-4: there already: user said something else since then" in out
    assert [fate.reason for fate in run("old.csv", old, source="ann", dry_run=True)] == ["", ""]


def test_an_import_starts_learning_once_at_its_end(project: Path) -> None:
    _written("app.py", LEARNS)
    assert poet("run", "app.py").returncode == 0
    rows = [f'{{"key": "k{step}", "said": {{"expected": {str(step / 4 > 5).lower()}}}}}' for step in range(60)]
    _written("f.jsonl", "\n".join(rows))
    tried = poet("feedback", "--from", "f.jsonl", "--dry-run")
    assert (tried.returncode, "learned from it" in tried.stdout) == (0, False)
    done = poet("feedback", "--from", "f.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    *_, summary, learned = done.stdout.splitlines()
    assert summary == "f.jsonl: 60 rows: 60 understood"
    assert learned == "learned from it: v2 is in use now; see: python -m poet_hook diff app:is_high"


def test_progress_is_drawn_on_a_terminal_only(module: ModuleType) -> None:
    _written("f.csv", "key,said\nincident-4,false alarm\n")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "poet_hook", "feedback", "--from", "f.csv"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=60, env=environment())
    os.close(theirs)
    drawn = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "f.csv: 100.0 %" in drawn
    assert drawn.endswith("\r\x1b[K")
    assert done.stdout.splitlines()[-1] == "f.csv: 1 rows: 1 understood"


def test_two_imports_at_once_store_each_row_once(module: ModuleType) -> None:
    for number in range(40):
        module.check(f"more-{number}", 5.0)
    _written("f.csv", "key,said\n" + "".join(f"more-{number},false alarm\n" for number in range(40)))
    command = [sys.executable, "-m", "poet_hook", "feedback", "--from", "f.csv", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) for _ in range(2)]
    summaries = [json.loads(process.communicate(timeout=60)[0])["summary"] for process in both]
    assert sum(summary["understood"] for summary in summaries) == 40
    assert sum(summary["there"] for summary in summaries) == 40
    assert len(stored()) == 40


NAMED = """
    # poet: domain=ml_monitoring, optimize_for=accuracy, after=1000, key=incident, group=incident, stream=host
    def fire(host: str, incident: str | None, load: float) -> bool:
        return load > 0.8
"""


def test_an_incident_is_spoken_of_by_its_name(load: Load, tmp_path: Path) -> None:
    """Its first alert stands for all of it, whatever else has its name."""
    fire = load(NAMED).fire
    for number in range(40):
        for load_now in (0.5, 0.85, 0.9) if number % 2 else (0.5, 1.1, 1.2):
            fire("h", f"INC-{number}", load_now)
        fire("h", None, 0.3)
    rows = [f"INC-{number},{'false alarm' if number % 2 else 'good catch'}" for number in range(40)]
    fates = run(tmp_path / "said.csv", "\n".join(["key,said", *rows]))
    assert {fate.outcome for fate in fates} == {"understood"}
    receipt = poet_hook.feedback("INC-1", "false alarm")
    execution = api.store().execution(receipt.execution_id)
    assert execution is not None
    assert (receipt.execution_id, codec.decode(execution.arguments or b"")[2]) == (fates[1].execution_id, 0.85)
    learned = poet_hook.learn(fire)
    assert learned.promoted, learned.reasons
    assert learned.verdict is not None
    assert (learned.verdict.evidence.labelled, learned.verdict.evidence.comments) == (40, 40)


def test_a_name_of_two_incidents_names_none(load: Load, tmp_path: Path) -> None:
    fire = load(NAMED).fire
    for host in "ab":
        fire(host, "INC-1", 0.9)
    fire("a", None, 0.9)
    assert [fate.outcome for fate in run(tmp_path / "said.csv", "key,said\nINC-1,false alarm\n")] == ["ambiguous"]
    with pytest.raises(poet_hook.AmbiguousResultError):
        poet_hook.feedback("INC-1", "false alarm")
