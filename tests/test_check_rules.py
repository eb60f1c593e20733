from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PACKAGE, environment
from hypothesis import given, settings
from hypothesis import strategies as st

from poet_hook.cli.correct import corrected, edits
from poet_hook.cli.lint import CODES, problems_in
from poet_hook.cli.main import main
from poet_hook.cli.rule import page
from poet_hook.cli.rules import RULES, Rule

Poet = Callable[..., tuple[int, str, str]]
EVERY = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


@pytest.fixture
def poet(project: Path, capsys: pytest.CaptureFixture[str]) -> Poet:
    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


@EVERY
def test_the_wrong_example_has_this_mistake_alone(poet: Poet, rule: type[Rule]) -> None:
    example(rule, rule.wrong())
    code, out, err = poet("check", "shop.py", "--json")
    (problem,) = json.loads(out)["problems"]
    assert (code, err) == (1, "")
    assert {name: problem[name] for name in ("code", "name", "severity", "message", "url")} == {
        "code": rule.code,
        "name": rule.name(),
        "severity": rule.severity,
        "message": rule.message,
        "url": f"https://poet-hook.readthedocs.io/rules.html#{rule.code.lower()}",
    }
    told = poet("check", "shop.py", "--output-format=github")[1]
    assert re.match(rf"::{rule.severity} file=[^,]*{rule.file}[^,]*,", told)


def example(rule: type[Rule], text: str) -> Path:
    """The file of an example, and a module for those of another file."""
    Path("shop.py").write_text("def total(prices):\n    return sum(prices)\n", encoding="utf-8")
    path = Path(rule.file)
    path.write_text(text, encoding="utf-8")
    return path


@EVERY
def test_the_right_example_has_none(poet: Poet, rule: type[Rule]) -> None:
    path = example(rule, rule.right())
    assert poet("check", "shop.py") == (0, "0 problems in 0 files (1 checked)\n", "")
    assert path.suffix == ".toml" or ast.parse(rule.right())


@EVERY
def test_what_says_that_it_is_corrected_is_corrected_to_the_right_example(poet: Poet, rule: type[Rule]) -> None:
    path = example(rule, rule.wrong())
    (problem,) = json.loads(poet("check", "shop.py", "--json")[1])["problems"]
    assert corrected(path.read_bytes(), lambda _: True).decode() == (rule.right() if rule.fix else rule.wrong())
    assert bool(rule.fix) == bool(problem["fix"])
    if rule.fix:
        assert edited(rule.wrong(), problem["fix"]) == rule.right()


ROWS = st.lists(
    st.sampled_from(
        [
            "# poet: retires=2, timeuot=5s", "# POET: retries=1", "# poet retires=2", "\t# poet: nosuch=1  # ☃", "", " ",
            "def f(a): return a", "x = '# poet retries=1'; y = 1", '"""', "# a note", "class K:\x0c", "    def g(self): ...",
            "    # Poet : coerse=lax", "é = 1", "if x:", "    # poet: optimise_for=f1", "    @property",
        ]
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(ROWS, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_each_fix_leaves_the_program_as_it_is_and_the_mistake_gone(rows: list[str], end: str, mark: bool) -> None:
    text = "".join(row + end for row in rows)
    data = text.encode("utf-8-sig" if mark else "utf-8")
    items = problems_in(data, Path("nowhere.py"))
    for item, edit in zip(items, edits(data, items), strict=True):
        if edit is not None:
            place = {"line": edit.line, "column": edit.column + 1, "end_line": edit.end_line}
            after = edited(text, {**place, "end_column": edit.end_column + 1, "text": edit.text})
            assert ast.dump(ast.parse(after)) == ast.dump(ast.parse(text))
            left = problems_in(after.encode(), Path("nowhere.py"))
            assert sum(each.code == item.code for each in left) < sum(each.code == item.code for each in items)


def edited(text: str, fix: dict[str, int | str]) -> str:
    """What an editor makes of the `fix` of a problem."""
    starts = [0, *(match.end() for match in re.finditer("\r\n|\r|\n", text))]
    begin = starts[int(fix["line"]) - 1] + int(fix["column"]) - 1
    end = starts[int(fix["end_line"]) - 1] + int(fix["end_column"]) - 1
    return text[:begin] + str(fix["text"]) + text[end:]


@EVERY
def test_a_rule_is_explained(poet: Poet, rule: type[Rule]) -> None:
    code, out, err = poet("rule", rule.code.lower())
    assert (code, err) == (0, "")
    assert out.startswith(f"# {rule.code}\n\n**{rule.name()}** ({rule.severity}): `{rule.message}`\n")
    for part in (rule.summary(), rule.explanation(), f"\n{rule.wrong()}```", f"\n{rule.right()}```"):
        assert part
        assert part in out
    assert rule.summary().endswith(".")
    assert json.loads(poet("rule", rule.code, "--json")[1])["fix"] == (rule.fix or None)


def raised(path: Path) -> Iterator[str]:
    """The codes that a module gives to what it calls, but for those that it only looks up."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        given = [*node.args, *(word.value for word in node.keywords)] if isinstance(node, ast.Call) else []
        for value in given:
            if isinstance(value, ast.Constant) and re.fullmatch(r"PH\d{3}", str(value.value)):
                yield str(value.value)


def test_every_code_that_is_raised_has_a_rule_and_every_rule_is_raised() -> None:
    sources = [path for path in (PACKAGE / "poet_hook").rglob("*.py") if path.parent.name != "rules"]
    assert {code for path in sources for code in raised(path)} == set(RULES) == CODES
    mentioned = {code for path in sources for code in re.findall(r'"(PH\d{3})"', path.read_text(encoding="utf-8"))}
    assert mentioned <= set(RULES)


def test_the_rules_are_in_order_and_have_names_of_their_own() -> None:
    assert list(RULES) == sorted(RULES)
    assert len({rule.name() for rule in RULES.values()}) == len(RULES)
    defined = re.findall(
        r'code = "(PH\d{3})"', "".join(path.read_text() for path in (PACKAGE / "poet_hook/cli/rules").glob("*.py"))
    )
    assert sorted(defined) == sorted(RULES)


def test_the_page_is_that_of_the_rules(poet: Poet) -> None:
    written = (PACKAGE / "docs" / "rules.md").read_text(encoding="utf-8")
    assert written == page(), "say: make rules"
    assert poet("rule") == (0, written, "")
    assert [rule["code"] for rule in json.loads(poet("rule", "--json")[1])["rules"]] == [*RULES]


def test_without_docstrings_the_page_is_named(project: Path) -> None:
    command = [sys.executable, "-OO", "-m", "poet_hook", "rule", "PH203"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.endswith("\n\nSee https://poet-hook.readthedocs.io/rules.html#ph203\n")
    assert done.stderr == ""


def test_the_words_of_the_rules_are_not_imported_with_the_hook(project: Path, python: Callable[..., object]) -> None:
    (project / "shop.py").write_text(RULES["PH201"].wrong(), encoding="utf-8")
    python(
        """
        import sys, warnings
        import poet_hook
        poet_hook.activate()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            import shop
        assert "PH201" in str(told[0].message)
        assert not [name for name in sys.modules if name.startswith("poet_hook.cli")]
        """
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "good.py"], 0),
        (["check", "shop.py"], 1),
        (["check", "shop.py", "--ignore=PH301"], 0),
        (["check", "shop.py", "--select=PH301", "--output-format=github"], 1),
        (["check", "shop.py", "--diff"], 0),  # nothing there is safe to correct
        (["check", "nowhere.py"], 2),
        (["check"], 2),
        (["check", "shop.py", "--select=PH9"], 2),
        (["check", "shop.py", "--output-format=xml"], 2),
        (["rule", "PH301"], 0),
        (["rule", "PH9"], 2),
    ],
)
def test_exit_codes(poet: Poet, words: list[str], code: int) -> None:
    Path("shop.py").write_text(RULES["PH301"].wrong(), encoding="utf-8")
    Path("good.py").write_text(RULES["PH301"].right(), encoding="utf-8")
    assert poet(*words)[0] == code
