from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poet_hook.cli.rules import RULES
from poet_hook.model import Diagnostic, Fallback, Pragma, Tune
from poet_hook.pragma import diagnose, grammar
from poet_hook.pragma.diagnose import render, suggest
from poet_hook.pragma.options import DOMAINS, OBJECTIVES, OPTIONS, PLANNED
from poet_hook.pragma.scan import Found, find


def above(options: str) -> Found:
    return find(f"# poet:{options}\ndef f(x):\n    return x\n")


def one(options: str) -> Pragma:
    found = above(options)
    assert found.diagnostics == ()
    (pragma,) = found.pragmas
    return pragma


def marked(diagnostic: Diagnostic) -> str:
    return diagnostic.source_line[diagnostic.column : diagnostic.end_column]


def wrong(found: Found) -> list[tuple[str, str]]:
    return [(d.code, marked(d)) for d in found.diagnostics]


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ("", {}),
        (" domain=ml_monitoring", {"domain": "ml_monitoring"}),
        (" domain='generic'", {"domain": "generic"}),
        (" optimize_for=alert_quality", {"optimize_for": "alert_quality"}),
        (" retries=2", {"retries": 2}),
        (" retries = 2 ,, timeout = 5s", {"retries": 2, "timeout": 5.0}),
        (" timeout=500ms", {"timeout": 0.5}),
        (" timeout=2m", {"timeout": 120.0}),
        (" timeout=1h", {"timeout": 3600.0}),
        (" timeout=0.25", {"timeout": 0.25}),
        (" fallback=None", {"fallback": Fallback(value=None)}),
        (" fallback=True", {"fallback": Fallback(value=True)}),
        (" fallback=-1", {"fallback": Fallback(value=-1)}),
        (' fallback="a, b\\t\\"c\\""', {"fallback": Fallback(value='a, b\t"c"')}),
        (" fallback=[]", {"fallback": Fallback(value=[])}),
        (' fallback={"a": [1, (2,)], "]": 3}', {"fallback": Fallback(value={"a": [1, (2,)], "]": 3})}),
        (" fallback=safe", {"fallback": Fallback(function="safe")}),
        (' ensure="result >= 0"', {"ensure": "result >= 0"}),
        (" ensure=\"result != 'it\\\\'s'\"", {"ensure": "result != 'it\\'s'"}),
        (" require=' x # y in \\'a\\''", {"require": "x # y in 'a'"}),
        (" coerce=off", {"coerce": "off"}),
        (" optimize_for=f1 record=hash", {"optimize_for": "f1", "record": "hash"}),
        (
            " optimize_for=f1 record.password=none record.x=shape",
            {"optimize_for": "f1", "record_arguments": {"password": "none", "x": "shape"}},
        ),
        (" optimize_for=f1 key=order_id", {"optimize_for": "f1", "key": "order_id"}),
        (" optimize_for=f1 key='order.id'", {"optimize_for": "f1", "key": "order.id"}),
        (" optimize_for=my.module:score", {"optimize_for": "my.module:score"}),
        (" optimize_for=error learn=propose", {"optimize_for": "error", "learn": "propose"}),
        (" optimize_for=accuracy after=1", {"optimize_for": "accuracy", "after": 1}),
        (" optimize_for=accuracy group=30m", {"optimize_for": "accuracy", "group": 1800.0}),
        (" optimize_for=accuracy group=5", {"optimize_for": "accuracy", "group": 5}),
        (" optimize_for=accuracy group=ticket", {"optimize_for": "accuracy", "group": "ticket"}),
        (" optimize_for=accuracy group='a or b'", {"optimize_for": "accuracy", "group": "a or b"}),
        (" optimize_for=accuracy assume_ok_after=2d", {"optimize_for": "accuracy", "assume_ok_after": 172800.0}),
        (" optimize_for=accuracy half_life=50", {"optimize_for": "accuracy", "half_life": 50}),
        (" optimize_for=accuracy half_life=1.5d", {"optimize_for": "accuracy", "half_life": 129600.0}),
        (" optimize_for=accuracy alpha=0.2", {"optimize_for": "accuracy", "alpha": 0.2}),
        (" optimize_for=accuracy cost=1:5", {"optimize_for": "accuracy", "cost": (1.0, 5.0)}),
        (" retries=1  # noqa: E501, timeout=3", {"retries": 1}),
    ],
)
def test_each_option_is_read(options: str, fields: dict[str, Any]) -> None:
    assert one(options) == Pragma(line=1, target_line=2, **fields)


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ("retreis=2", "PH201", "retreis"),
        ("optimize-for=f1", "PH201", "optimize-for"),
        ("retries:2", "PH201", "retries:2"),
        ("record.=none", "PH201", "record."),
        ("ensure.x=none", "PH201", "ensure.x"),
        ("retry_on=ValueError", "PH202", "retry_on"),
        ("canary", "PH102", "canary"),
        ("optimize_for=f1 canary=5", "PH204", "5"),
        ("optimize_for=f1 canary=51%", "PH204", "51%"),
        ("optimize_for=f1 canary=0.5%", "PH204", "0.5%"),
        ("optimize_for=f1 canary=nan%", "PH204", "nan%"),
        ("optimize_for=my.module:0", "PH203", "my.module:0"),
        ("optimize_for=:score", "PH203", ":score"),
        ("optimize_for=f2", "PH203", "f2"),
        ("domain=ml", "PH203", "ml"),
        ("coerce=", "PH102", "coerce="),
        ("coerce = , retries=1", "PH102", "coerce ="),
        ("timeout", "PH102", "timeout"),
        ("=3", "PH101", "=3"),
        ("'retries' retries=1", "PH101", "'retries'"),
        ("ensure='x", "PH103", "'x"),
        ("fallback=[1, (2]", "PH104", "[1, (2]"),
        ("fallback=[1", "PH104", "[1"),
        ("retries=-1", "PH204", "-1"),
        ("retries=101", "PH204", "101"),
        ("retries=²", "PH204", "²"),
        ("retries=1.5", "PH204", "1.5"),
        ("retries=" + "9" * 400, "PH204", "9" * 400),
        ("timeout=0", "PH204", "0"),
        ("timeout=-5s", "PH204", "-5s"),
        ("timeout=inf", "PH204", "inf"),
        ("timeout=" + "9" * 400, "PH204", "9" * 400),
        ("timeout=5w", "PH204", "5w"),
        ("timeout=12d", "PH204", "12d"),
        ("optimize_for=f1 after=0", "PH204", "0"),
        ("optimize_for=f1 group=0", "PH204", "0"),
        ("optimize_for=f1 group=1.5", "PH204", "1.5"),
        ("optimize_for=f1 group=9999d", "PH204", "9999d"),
        ("optimize_for=f1 group='a b'", "PH206", "'a b'"),
        ("optimize_for=f1 assume_ok_after=soon", "PH204", "soon"),
        ("optimize_for=f1 half_life=1", "PH204", "1"),
        ("optimize_for=f1 alpha=0", "PH204", "0"),
        ("optimize_for=f1 alpha=0.51", "PH204", "0.51"),
        ("optimize_for=f1 alpha=5%", "PH204", "5%"),
        ("optimize_for=f1 cost=1", "PH204", "1"),
        ("optimize_for=f1 cost=0:5", "PH204", "0:5"),
        ("optimize_for=f1 cost=1:nan", "PH204", "1:nan"),
        ("fallback=a.b", "PH205", "a.b"),
        ("fallback=none", "PH205", "none"),
        ("fallback=lambda", "PH205", "lambda"),
        ("fallback={[]:1}", "PH205", "{[]:1}"),
        ("fallback=" + "[" * 230 + "]" * 230, "PH205", "[" * 230 + "]" * 230),
        ("ensure=x>0", "PH206", "x>0"),
        ("ensure='x ='", "PH206", "'x ='"),
        ("ensure=''", "PH206", "''"),
        ("ensure='a''b'", "PH206", "'a''b'"),
        ("ensure='(yield)'", "PH206", "'(yield)'"),
        ("ensure='await x'", "PH206", "'await x'"),
        ("ensure='[y for y in x if (z := y)]'", "PH206", "'[y for y in x if (z := y)]'"),
        ("ensure='f(a=1, a=2)'", "PH206", "'f(a=1, a=2)'"),
        ("optimize_for=f1 key=order.id", "PH206", "order.id"),
        ("off=true", "PH207", "true"),
        ("tune", "PH005", "# poet: tune"),
        ("retries=1, tune", "PH005", "tune"),
        ("retries=1, retries=2", "PH301", "retries"),
        ("learn=auto", "PH302", "learn"),
        ("key=x", "PH302", "key"),
        ("record.x=none", "PH302", "record.x"),
        ("record=none", "PH302", "record"),
        ("cost=1:2", "PH302", "cost"),
        ("after=3", "PH302", "after"),
        ("alpha=0.1", "PH302", "alpha"),
        ("canary=5%", "PH302", "canary"),
        ("group=5", "PH302", "group"),
        ("half_life=50", "PH302", "half_life"),
        ("assume_ok_after=2d", "PH302", "assume_ok_after"),
        ("off retries=2", "PH303", "retries"),
    ],
)
def test_each_mistake_is_one_diagnostic_at_its_place(options: str, code: str, text: str) -> None:
    assert wrong(above(" " + options)) == [(code, text)]


@pytest.mark.parametrize("value", ["\x00", "'\x00'", "'\ud800'", "[\ud800]"])
@pytest.mark.parametrize("option", ["fallback", "ensure", "retries", "domain"])
def test_options_that_no_source_can_hold(option: str, value: str) -> None:
    line = f"{option}={value}"
    fields, diagnostics = grammar.read_options([diagnose.Place(1, line, 0, len(line))])
    assert fields == {"origins": {}}
    assert [marked(d) for d in diagnostics] == [value]


def test_a_mistake_costs_only_its_own_option() -> None:
    found = above(" retries=2, timeout=never, retreis=3, coerce=off")
    assert wrong(found) == [("PH204", "never"), ("PH201", "retreis")]
    assert found.pragmas == (Pragma(line=1, target_line=2, retries=2, coerce="off"),)


def test_a_mistyped_optimize_for_is_the_only_complaint() -> None:
    assert wrong(above(" optimize_for=acuracy, learn=auto, after=3")) == [("PH203", "acuracy")]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ("retreis=2", "did you mean 'retries'?"),
        ("Optimize-For=f1", "did you mean 'optimize_for'?"),
        ("retries:2", "write retries=2"),
        ("optimize_for=acuracy", "did you mean 'accuracy'?"),
        ("domain=zzz", "one of generic, ml_monitoring"),
        ("ensure=x>0", 'write ensure="x>0"'),
        ("fallback=null", "did you mean 'None'?"),
        ("optimize_for=precision, optimize_for=recall", "join objectives by +: optimize_for=precision+recall"),
        ("sample", ""),
    ],
)
def test_hints(options: str, hint: str) -> None:
    (diagnostic,) = above(" " + options).diagnostics
    assert diagnostic.hint == hint


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("# poet: modul retries=1\ndef f(): ...\n", "did you mean 'module'?"),
        ("# poet: Module, retries=1\nclass C: ...\n", "did you mean 'module'?"),
        ("'doc'\n# poet: modul retries=1\n\nimport os\n", "did you mean 'module'?"),
        ("# poet: mdoule\n", "did you mean 'module'?"),
        ("# poet: retries=1 module\ndef f(): ...\n", "it is the first word of a pragma at the top of the file"),
        ("# poet: modul=2\ndef f(): ...\n", ""),  # no option is like that
        ("# poet: module modul\ndef f(): ...\n", ""),
    ],
)
def test_a_misspelt_module_is_an_unknown_option_with_a_hint(source: str, hint: str) -> None:
    (diagnostic,) = find(source).diagnostics
    assert (diagnostic.code, diagnostic.hint) == ("PH201", hint)
    assert marked(diagnostic).lower() in ("modul", "module", "mdoule")


def test_at_most_32_options_and_500_characters() -> None:
    many = ", ".join(f"record.a{i}=none" for i in range(14))
    found = find(f"# poet: optimize_for=f1, {many}\n# poet: {many} {many} retries=2\ndef f(): ...\n")
    assert found.pragmas[0].retries == 0
    assert [d.code for d in found.diagnostics] == ["PH301"] * 14 + ["PH301"] * 3 + ["PH106"]
    fits = "# poet: retries=2".ljust(499) + "x"
    assert find(f"{fits}\ndef f(): ...\n").pragmas[0].retries == 2
    too_long = find(f"{fits}x\ndef f(): ...\n")
    assert too_long.pragmas == ()
    assert wrong(too_long) == [("PH105", fits + "x")]


def targets(source: str) -> list[tuple[int, int]]:
    found = find(source)
    assert found.diagnostics == ()
    return [(p.line, p.target_line) for p in found.pragmas]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# poet:\ndef f(): ...", [(1, 2)]),
        ("#poet:\nasync def f(): ...", [(1, 2)]),
        ("#\t poet:retries=1\ndef f(): ...", [(1, 2)]),
        ("\ufeff# poet:\ndef f(): ...", [(1, 2)]),
        ("# poet:\r\n# more\r\n\x0cdef f(): ...\r\n", [(1, 3)]),
        ("x = 1\r# poet:\rdef f(): ...\r", [(2, 3)]),
        ("# poet:\n# why\n@a\n\n@b(\n 1)\ndef f(): ...", [(1, 3)]),
        ("@a\n# poet:\ndef f(): ...", [(2, 3)]),
        ("# poet: retries=1\n@a\n# poet: timeout=1s\ndef f(): ...", [(1, 2)]),
        ("class C:\n  # poet:\n  def f(self): ...\n# poet:\ndef g(): ...", [(2, 3), (4, 5)]),
        ("def f():\n    # poet:\n    async def g(): ...\n", [(2, 3)]),
        ("col·lector = 1\n# poet:\ndef f(): ...", [(2, 3)]),
        ("s = '''\n# poet:\ndef f(): ...\n'''\n", []),
        ("# see `# poet: retries=2`\ndef f(): ...", []),
        ("# # poet: retries=2\ndef f(): ...", []),
        ("x = 1  ## poet: tune\n", []),
        ("x = 1  # write '# poet: tune' here\n", []),
        ("# poetry\n# Poet: Wystan Hugh Auden\n# a poet after all\n# poet key of all\ndef f(): ...", []),
    ],
)
def test_where_a_pragma_belongs(source: str, expected: list[tuple[int, int]]) -> None:
    assert targets(source) == expected


def test_lines_merge_and_the_later_wins() -> None:
    found = find("# poet: retries=1, timeout=1s\n# why\n# poet: retries=3\n@a\n# poet: coerce=off\ndef f(): ...")
    assert found.pragmas == (Pragma(1, 4, retries=3, timeout=1.0, coerce="off"),)
    assert [(d.code, d.line, d.column) for d in found.diagnostics] == [("PH301", 3, 8)]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("# poet: retries=1\n\ndef f(): ...", "PH002"),
        ("# poet: retries=1\n# why\n \t\n# not\ndef f(): ...", "PH002"),
        ("# poet: retries=1\n\nclass C: ...", "PH002"),
        ("# poet: retries=1\n\nimport os", "PH003"),
        ("# poet: retries=1\nf = lambda: 1", "PH003"),
        ("# poet: retries=1", "PH003"),
        ("async def f():\n  # poet: retries=1\n  async with x: ...", "PH003"),
        ("x = (a\n# poet: retries=1\n@ b)\ndef f(): ...", "PH003"),
        ("@a(\n# poet: retries=1\n1)\ndef f(): ...", "PH003"),
        ("import os\n# poet: module retries=1\ndef f(): ...", "PH003"),
        ("'doc'\n'more'\n# poet: module retries=1\ndef f(): ...", "PH003"),
        ("'doc'.lower()\n# poet: module retries=1\ndef f(): ...", "PH003"),
        ("x = (\n# poet: module retries=1\n1)", "PH003"),
        ("import os  # poet: module retries=1\n", "PH004"),
        ("def f(x):  # poet: retries=1\n    return x", "PH004"),
        ("x = 1  # poet: off", "PH004"),
        ("x = 1  # poet:", "PH004"),
        ("# POET: retries=1\ndef f(): ...", "PH001"),
        ("# Poet : retries = 1\ndef f(): ...", "PH001"),
        ("# poet retries=1\ndef f(): ...", "PH001"),
        ("# poet off\ndef f(): ...", "PH001"),
        ("x = 1  # POET: tune\n", "PH001"),
        ("x = 1  # poet tune 0..2\n", "PH001"),
    ],
)
def test_misplaced_pragmas_are_dropped_and_reported(source: str, code: str) -> None:
    found = find(source)
    assert [d.code for d in found.diagnostics] == [code]
    assert (found.pragmas, found.tunes, found.off) == ((), (), frozenset())
    assert "poet" in marked(found.diagnostics[0]).lower()


def test_a_loose_line_does_not_take_the_next_one_with_it() -> None:
    found = find("# poet: retries=1\n\n# poet: timeout=1s\ndef f(): ...")
    assert found.pragmas == (Pragma(3, 4, timeout=1.0),)
    assert wrong(found) == [("PH002", "# poet: retries=1")]


def test_off_names_the_target_line() -> None:
    assert find("# poet: off\n@a\ndef f(): ...\n# poet:\ndef g(): ...\n") == Found(
        pragmas=(Pragma(4, 5),), off=frozenset({2})
    )


@pytest.mark.parametrize(
    ("text", "tune"),
    [
        ("tune", Tune(1)),
        ("tune 0.5..8", Tune(1, 0.5, 8.0)),
        ("tune\t0.5 .. 8  as  limit", Tune(1, 0.5, 8.0, "limit")),
        ("tune as limit", Tune(1, name="limit")),
        ("tune 0.5..", Tune(1, lower=0.5)),
        ("tune ..8", Tune(1, upper=8.0)),
        ("tune -1e-3..-1E-4,", Tune(1, -0.001, -0.0001)),
        ("tune 1..2  # type: ignore", Tune(1, 1.0, 2.0)),
    ],
)
@pytest.mark.parametrize("before", ["", "# noqa: E501  "])
def test_tunes(before: str, text: str, tune: Tune) -> None:
    assert find(f"limit = 2.0  {before}# poet: {text}\n") == Found(tunes=(tune,))


@pytest.mark.parametrize(
    ("text", "code", "span"),
    [
        ("tune ks|", "PH208", "ks|"),
        ("tune ks|ks", "PH208", "ks|ks"),
        ("tune ks|p-i", "PH208", "ks|p-i"),
        ("tune ks|'psi", "PH103", "ks|'psi"),
        ("tune ks|psi as 9z", "PH208", "9z"),
        ("tune 5", "PH208", "5"),
        ("tune ..", "PH208", ".."),
        ("tune a..b", "PH208", "a..b"),
        ("tune nan..1", "PH208", "nan..1"),
        ("tune 1..1e999", "PH208", "1..1e999"),
        ("tune 8..0.5", "PH208", "8..0.5"),
        ("tune 1..2 as", "PH208", "as"),
        ("tune 1..2 as 9z", "PH208", "9z"),
        ("tune 1..2 as if", "PH208", "if"),
        ("tune=1..2", "PH208", "# poet: tune=1..2"),
    ],
)
def test_wrong_tunes(text: str, code: str, span: str) -> None:
    found = find(f"limit = 2.0  # poet: {text}\n")
    assert found.tunes == ()
    assert wrong(found) == [(code, span)]


def test_a_tune_keeps_its_range_beside_a_misplaced_option() -> None:
    found = find("x = 2  # poet: tune 1..3, retries=2\n")
    assert found.tunes == (Tune(1, 1.0, 3.0),)
    assert wrong(found) == [("PH004", "retries=2")]


def test_a_tune_needs_a_number_on_its_line() -> None:
    found = find("y = x  # poet: tune\nz = 1\n")
    assert wrong(found) == [("PH005", "# poet: tune")]
    assert found.diagnostics[0].hint.startswith("put it on the line of the number")


@pytest.mark.parametrize(
    "source",
    [
        "# poet: retries=1\nx = (\n",
        "# poet: retries=1\nx = '''\n",
        "# poet: retries=1\nif x:\n    y\n  z\n",
        "# poet: retries=1\nx = \x00\n",
        "# poet: retries=1\nx = \ud800\n",
        "# poet: retries=1\nx = 'a\n",
        "def f(): ...\n# poet: fallback='\x00'\n",
        "def f(): ...\n# poet: fallback='\ud800'\n",
    ],
)
def test_a_source_without_tokens_is_one_diagnostic(source: str) -> None:
    found = find(source)
    assert found == Found(diagnostics=found.diagnostics)
    assert [d.code for d in found.diagnostics] == ["PH000"]
    assert found.diagnostics[0].line >= 2


@pytest.mark.parametrize("text", ["(", "'", '"\\', "[{", "a=", "=", ",", "record.a=full ", "#", "tune "])
def test_a_megabyte_on_one_line_or_in_many(text: str) -> None:
    size = 1_000_000 // len(text)
    assert [d.code for d in find(f"# poet: {text * size}\ndef f(): ...").diagnostics] == ["PH105"]
    lines = f"# poet: {text * (400 // len(text))}\n" * 2_000
    found = find(f"{lines}def f(): ...\n")
    assert len(found.diagnostics) <= 2 * 2_000 + 1
    assert len(found.pragmas) <= 1


def test_render_shows_the_place() -> None:
    (diagnostic,) = above(" retreis=2").diagnostics
    assert render(diagnostic, "app.py") == (
        "app.py:1:9: PH201 unknown option 'retreis'\n"
        "    # poet: retreis=2\n"
        "            ^^^^^^^\n"
        "    did you mean 'retries'?"
    )


def test_render_aligns_tabs_and_wide_characters() -> None:
    found = find("if x:\n\ty = '日本e\u0301' + 1  # poet: tune 警..2\n")
    head, line, carets, hint = render(found.diagnostics[0], "app.py").split("\n")
    assert head == "app.py:2:31: PH208 '警..2' is not a range"
    assert line == "    \ty = '日本e\u0301' + 1  # poet: tune 警..2"
    # 29 characters, of which two are two columns wide and one has none
    assert carets == "    \t" + " " * (29 + 2 - 1) + "^" * 5
    assert hint == "    write tune 0.5..8, 0.5.. or ..8"


def test_render_can_always_be_printed() -> None:
    (diagnostic,) = above(" a\ud800\x1b\u202eb").diagnostics
    text = render(diagnostic, "a\udcff.py")
    text.encode()
    assert all(c.isprintable() or c == "\n" for c in text)
    (long,) = find("# poet: " + "(" * 1_000_000).diagnostics
    assert max(map(len, render(long, "app.py").split("\n"))) < 200


def test_suggest() -> None:
    assert suggest("Retreis", OPTIONS) == "did you mean 'retries'?"
    assert suggest("qqq", OPTIONS) == ""
    assert suggest("retries" * 100_000, OPTIONS) == ""


def test_the_names_do_not_overlap() -> None:
    assert not set(OPTIONS) & set(PLANNED)


NAMES = st.sampled_from(["x", "y_1", "passwort", "größe", "_"])
EXPRESSIONS = st.sampled_from(
    ["result >= 0", "x['a'] != \"b\"", r"re.match(r'\d+\'', x)", "x # '", r"x == 'a\\b\n'", "len(x) < 3, y"]
)
LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # line breaks are escaped by repr; the rest of the text stands in a comment as it is
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
).filter(lambda value: len(repr(value)) < 200)
POSITIVE = st.floats(0, 1e6, exclude_min=True)
MODES = st.sampled_from(["full", "hash", "shape", "none"])


@st.composite
def pragmas(draw: st.DrawFn) -> Pragma:
    optional: dict[str, st.SearchStrategy[Any]] = {
        "domain": st.sampled_from(DOMAINS),
        "retries": st.integers(0, 100),
        "timeout": POSITIVE,
        "fallback": st.builds(Fallback, value=LITERALS) | st.builds(Fallback, function=NAMES),
        "ensure": EXPRESSIONS,
        "require": EXPRESSIONS,
        "coerce": st.sampled_from(["lax", "strict", "off"]),
    }
    trains = {
        "optimize_for": st.sampled_from(OBJECTIVES),
        "record": MODES,
        "record_arguments": st.dictionaries(NAMES, MODES, min_size=1),
        "key": NAMES | EXPRESSIONS,
        "learn": st.sampled_from(["auto", "proven", "propose", "shadow", "off"]),
        "after": st.integers(1, 1_000_000),
        "cost": st.tuples(POSITIVE, POSITIVE),
        "alpha": st.floats(0.001, 0.5),
        "half_life": st.integers(2, 1_000_000) | st.floats(0.001, 1e8),
        "assume_ok_after": POSITIVE,
        "canary": st.integers(1, 50).map(lambda percent: percent / 100),
        "group": st.integers(1, 1_000_000) | st.floats(0.001, 1e8) | NAMES | EXPRESSIONS,
    }
    if draw(st.booleans()):
        fields = draw(st.fixed_dictionaries({"optimize_for": trains.pop("optimize_for")}, optional=optional | trains))
    else:
        fields = draw(st.fixed_dictionaries({}, optional=optional))
    return Pragma(line=1, target_line=0, **fields)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _group(group: int | float | str) -> str:
    return quoted(group) if isinstance(group, str) else f"{group!r}s" if isinstance(group, float) else str(group)


def canonical(p: Pragma) -> list[str]:
    fallback = p.fallback and (p.fallback.function or repr(p.fallback.value))
    out = [f"retries={p.retries}", f"coerce={p.coerce}"]
    out += [f"domain={p.domain}"] if p.domain else []
    out += [f"timeout={p.timeout!r}s"] if p.timeout else []
    out += [f"fallback={fallback}"] if fallback else []
    out += [f"ensure={quoted(p.ensure)}"] if p.ensure else []
    out += [f"require={quoted(p.require)}"] if p.require else []
    if p.optimize_for:
        out += [
            f"optimize_for={p.optimize_for}",
            f"record={p.record}",
            f"learn={p.learn}",
            f"after={p.after}",
            f"alpha={p.alpha!r}",
        ]
        out += [f"record.{name}={mode}" for name, mode in p.record_arguments.items()]
        out += [f"cost={p.cost[0]!r}:{p.cost[1]!r}"]
        out += [f"key={quoted(p.key)}"] if p.key else []
        out += [f"half_life={_group(p.half_life)}"] if p.half_life else []
        out += [f"assume_ok_after={p.assume_ok_after!r}s"] if p.assume_ok_after else []
        out += [f"canary={round(p.canary * 100)}%"] if p.canary else []
        out += [f"group={_group(p.group)}"] if p.group else []
    return out


@settings(max_examples=300, deadline=None)
@given(pragmas(), st.randoms(use_true_random=False))
def test_a_pragma_printed_and_read_again_is_the_same(pragma: Pragma, random: Any) -> None:
    items = canonical(pragma)
    random.shuffle(items)
    source = "".join(f"# poet: {item}\n" for item in items) + "def f(): ...\n"
    found = find(source)
    assert found.diagnostics == ()
    assert found.pragmas == (Pragma(1, len(items) + 1, **{name: getattr(pragma, name) for name in FIELDS}),)


FIELDS = [name for name in Pragma.__slots__ if name not in ("line", "target_line")]

FRAGMENTS = st.sampled_from(
    [
        *OPTIONS, *PLANNED, "tune", "module", "as", "..", "record.x", "=", ",", " ", "\t", "#", "'", '"',
        "\\", "(", "[", "{", "}", "]", ")", "1", "5s", "-", "e", "1e999", ":", "|", "None", "f1",
        "full", "# poet:", "\x00", "\x0c", "\x1c", "\ud800", "\u2028", "日", "9" * 60,
    ]
)  # fmt: skip
HOSTILE = st.lists(FRAGMENTS, max_size=14).map("".join) | st.text(max_size=60)


def check_places(source: str, found: Found) -> None:
    lines = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for d in found.diagnostics:
        assert d.code in RULES
        assert d.message
        assert d.source_line == lines[d.line - 1]
        assert 0 <= d.column <= d.end_column <= len(d.source_line)
        assert d.column < d.end_column or d.code == "PH000"
        render(d, "app.py").encode()


@settings(max_examples=400, deadline=None)
@given(HOSTILE)
def test_any_text_after_the_mark(text: str) -> None:
    for source in (
        f"# poet:{text}\ndef f(): ...\n",
        f"x = 1  # poet:{text}\n",
        f"x = 1  # poet: tune {text}\n",
    ):
        check_places(source, find(source))


CODE = st.sampled_from(
    [
        "def f(x):", "async def f():", "class C:", "@a", "@a(", ")", "    return 1", "  x = '''", "'''", "",
        "  ", "\\", "async", "if x:", "x = [1,", "]", "    pass", "\ufeff", "\x0c", "x = f'{", "}'", "\x00",
        "$", "x = 1\\",
    ]
)  # fmt: skip
COMMENT = st.sampled_from(
    ["# poet:", "#poet:", "# POET:", "# poet", "  # poet: ", "    # poet:", "x = 1  # poet: tune "]
)
LINES = st.lists(CODE | st.builds(str.__add__, COMMENT, HOSTILE) | HOSTILE, max_size=12)


@settings(max_examples=400, deadline=None)
@given(LINES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_source(lines: list[str], end: str) -> None:
    source = end.join(lines)
    found = find(source)
    check_places(source, found)
    for pragma in found.pragmas:
        assert pragma.line < pragma.target_line


SOURCE = (
    "import os\n\n"
    "# poet: retries=2\n# poet: timeout=5s\n@a\n@b(\n    1,\n)\ndef f(x):\n"
    "    return x > 2.0  # poet: tune 1..8\n\n"
    "class C:\n    # poet: off\n    def m(self):\n        s = '''\n# poet: retries=9\n'''\n        return s\n"
)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=40), st.data())
def test_an_ordinary_comment_moves_lines_and_changes_nothing_else(text: str, data: st.DataObject) -> None:
    comment = "#!" + text
    before = find(SOURCE)
    (pragma,), (tune,), (off,) = before.pragmas, before.tunes, before.off
    lines = SOURCE.split("\n")
    # not among the lines of the text, where it would be no comment
    at = data.draw(st.sampled_from([i for i in range(len(lines)) if not 15 <= i <= 16]))
    found = find("\n".join([*lines[:at], comment, *lines[at:]]))

    def moved(line: int) -> int:
        return line + (line > at)

    fields = {name: getattr(pragma, name) for name in FIELDS}
    assert found.diagnostics == ()
    assert found.pragmas == (Pragma(moved(pragma.line), moved(pragma.target_line), **fields),)
    assert found.tunes == (Tune(moved(tune.line), tune.lower, tune.upper, tune.name),)
    assert found.off == {moved(off)}


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=40))
def test_a_pragma_changes_nothing_outside_its_function(text: str) -> None:
    found = find(SOURCE + f"    # poet:{text}\n    def n(self): ...\n")
    before = find(SOURCE)
    assert found.pragmas[:1] == before.pragmas
    assert found.tunes == before.tunes
    assert found.off >= before.off
    assert all(d.line == SOURCE.count("\n") + 1 for d in found.diagnostics)


def test_a_source_without_the_mark_is_not_even_split() -> None:
    assert find("x = (\n# poetry\n") == Found()
