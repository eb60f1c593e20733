"""What is taken from a model's reply, and what is not."""

from __future__ import annotations

import ast
import json
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from conftest import PACKAGE
from hypothesis import given, settings
from hypothesis import strategies as st

from poet_hook.cli.main import main
from poet_hook.isolation.policy import Original, vet
from poet_hook.llm.extract import MAX_CODE, Extracted, NotExtracted, extract_code, extract_object
from poet_hook.llm.reply import MAX_REPLY, content_of

CORPORA = Path(os.environ.get("SAFETY_CORPORA") or PACKAGE.parent / "shared" / "corpora")
CODE = "def limit(xs: list[float], k: float) -> float:\n    if not xs:\n        return 0.0\n    return max(xs) * k\n"
OTHER = CODE.replace("max(xs)", "min(xs)")
ORIGINAL = CODE.replace("max(xs)", "sum(xs)")


class Reading(msgspec.Struct, forbid_unknown_fields=True):
    verdict: Literal["right", "wrong", "unclear"]
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]
    quote: str = ""


def fenced(code: str, info: str = "python", fence: str = "```") -> str:
    return f"{fence}{info}\n{code}{fence}\n"


def prefixed(text: str, prefix: str) -> str:
    return "".join(prefix + line for line in text.splitlines(keepends=True))


def numbered(form: str) -> str:
    return "".join(form.format(number) + line for number, line in enumerate(CODE.splitlines(keepends=True), 1))


def taken(reply: str) -> str:
    found = extract_code(reply, "limit", original=ORIGINAL)
    return found.source if isinstance(found, Extracted) else found.reason


GOOD = {
    "a block": fenced(CODE),
    "without a language": fenced(CODE, ""),
    "with attributes": fenced(CODE, 'python title="limit.py"'),
    "py": fenced(CODE, "py"),
    "in capitals": fenced(CODE, "Python3"),
    "tildes": fenced(CODE, fence="~~~"),
    "five backticks": fenced(CODE, fence="`````"),
    "longer at the end": f"```python\n{CODE}`````\n",
    "prose around it": f"Sure! I'd use `max(xs)` {{here}}.\n\n{fenced(CODE)}\nThis is *better*, isn't it?",
    "quoted": prefixed(fenced(CODE), "> "),
    "quoted without a space": prefixed(fenced(CODE), ">"),
    "in a list": "1. First:\n\n" + prefixed(fenced(CODE), "   "),
    "in a quoted list": prefixed("- so:\n" + prefixed(fenced(CODE), "  "), "> "),
    "indented inside": fenced(prefixed(CODE, "    ")),
    "tabs before it": prefixed(fenced(CODE), "\t"),
    "no line feed after the language": f"```python{CODE}```",
    "carriage returns": fenced(CODE).replace("\n", "\r"),
    "both line ends": fenced(CODE).replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + fenced(CODE),
    "hard spaces": fenced(CODE.replace("    ", "\u00a0   ")),
    "line numbers": fenced(numbered("{:4} | ")),
    "line numbers with a colon": fenced(numbered("{}: ")),
    "a prompt": fenced(">>> " + CODE.rstrip().replace("\n", "\n... ") + "\n"),
    "escaped underscores": fenced(CODE.replace("xs", "x\\_s")),
    "bare": CODE,
    "bare and indented": prefixed(CODE, "  "),
    "bare in prose": f"Here you are:\n\n{CODE}\nThat's all.",
    "an example of its use": fenced(CODE) + "Use it so:\n" + fenced("print(limit([1.0], 2.0))\n"),
    "a helper apart": fenced("def other(x):\n    return x\n") + fenced(CODE),
    "the same twice": fenced(CODE) + "Again:\n" + fenced("# here\n" + CODE),
    "before and after": f"Before:\n{fenced(ORIGINAL)}After:\n{fenced(CODE)}",
    "the original function first": f"The **original** function was\n\n{fenced(OTHER)}\nI propose\n\n{fenced(CODE)}",
    "thoughts": f"<think>\n{fenced(OTHER)}no, too low</think>\n{fenced(CODE)}",
    "several thoughts": f"<thinking>a</thinking><thinking>{fenced(OTHER)}</thinking>{fenced(CODE)}",
    "thoughts without a beginning": f"So we raise it.</think>\n{fenced(CODE)}",
    "thoughts in capitals": f"<THINK>{fenced(OTHER)}</THINK>{fenced(CODE)}",
    "an open thought at the end": f"{fenced(CODE)}<think>or should I",
    "a block in a block": f"```markdown\n{fenced(CODE)}```\n",
    "other languages too": fenced("SELECT 1;\n", "sql") + fenced(CODE) + fenced("- a\n+ b\n", "diff"),
    "a main guard": fenced(CODE + "\nif __name__ == '__main__':\n    print(limit([], 1))\n"),
    "imports": fenced("import math\n\n\n" + CODE),
    "a backslash": fenced(CODE.replace("0.0", "float('\\d' == 1)")),
}


@pytest.mark.parametrize("name", GOOD)
def test_how_it_is_written_down_does_not_matter(name: str) -> None:
    source = taken(GOOD[name])
    tree = ast.parse(source.replace("x_s", "xs").replace("'\\d'", "''"))
    own = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    expected = ast.parse(CODE.replace("0.0", "float('' == 1)") if "'\\d'" in source else CODE)
    assert ast.dump(own[0]) == ast.dump(expected.body[0])
    assert len(own) == 1
    assert "print" not in source


BAD = {
    "": "empty",
    "   \n\n": "empty",
    "<think>hm": "empty",
    "No change is needed.": "no-code",
    "True": "no-code",
    "<html><body>502</body></html>": "no-code",
    "I'm sorry, but I can't help with that.": "no-code",
    fenced(""): "no-code",
    fenced("x = 1\n"): "no-code",
    fenced("limit = lambda xs, k: max(xs) * k\n"): "no-code",
    fenced(f"class A:\n{prefixed(CODE, '    ')}"): "no-code",
    fenced("SELECT 1;\n", "sql"): "no-code",
    fenced("-    return 1\n+    return 2\n", "diff"): "no-code",
    fenced("    return max(xs)\n"): "no-code",
    fenced("function limit(xs) { return 1; }\n", "javascript"): "no-code",
    fenced(CODE.replace("limit", "limit_v2")): "wrong-name",
    fenced(CODE.replace(":\n", "\n", 1)): "not-python",
    fenced(CODE.replace("    return max", "\treturn max")): "not-python",
    fenced(CODE.replace("xs", "**xs**")): "not-python",
    fenced(f"def limit(xs, k):\n    return {'(' * 100}xs{')' * 100}\n"): "not-python",
    fenced(f"def limit(xs, k):\n    return {'not ' * 500}xs\n"): "not-python",
    fenced(f"def limit(xs, k):\n    return {'-' * 5000}k\n"): "not-python",
    fenced("def limit(xs, k):\n    pass\n"): "placeholder",
    fenced('def limit(xs, k):\n    """Do."""\n    ...\n'): "placeholder",
    fenced('def limit(xs, k):\n    """Do."""\n'): "placeholder",
    fenced("def limit(xs, k):\n    raise NotImplementedError('later')\n"): "placeholder",
    fenced("def limit(xs, k):\n    if k:\n        ...\n    return 1\n"): "placeholder",
    fenced("def limit(xs, k):\n    # ... existing code ...\n    return 1\n"): "placeholder",
    fenced("def limit(xs, k):\n    return 1\n    # rest of the function unchanged\n"): "placeholder",
    fenced(CODE) + fenced(OTHER): "several",
    CODE + "or\n" + OTHER: "several",
    fenced(CODE).removesuffix("```\n"): "cut-off",
    fenced(CODE[:60]).removesuffix("```\n"): "cut-off",
    fenced(ORIGINAL): "unchanged",
    fenced("# better\n" + ORIGINAL.replace("0.0", "(0.0)")): "unchanged",
    f"You are an optimiser. Original:\n{fenced(CODE)}Return only code.": "unchanged",
    fenced(CODE).replace("", "\0"): "characters",
    fenced(CODE) + "\x1b[2J": "characters",
    fenced(CODE) + "\udcff": "characters",
    fenced(CODE + "    # padding\n" * 2_000): "too-long",
    fenced(CODE + "    # padding padding\n" * 5_000): "too-long",
    "```" * 500_000: "too-long",
    "\n" * 1_000_000: "too-long",
    "é" * (MAX_REPLY // 2 + 1): "too-long",
}


@pytest.mark.parametrize("reply", BAD, ids=lambda reply: repr(reply[:40]))
def test_what_is_no_candidate_has_a_reason(reply: str) -> None:
    assert taken(reply) == BAD[reply]


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls", "missing", ""])
def test_a_reply_that_did_not_stop_by_itself_is_not_taken(reason: str) -> None:
    found = extract_code(fenced(CODE), "limit", reason)
    assert isinstance(found, NotExtracted)
    assert found.reason == "cut-off"


def test_a_method_is_found_by_its_name() -> None:
    assert isinstance(extract_code(fenced(CODE), "Scale.limit"), Extracted)


# --------------------------------------------------------------------------- objects

OBJECT = '{"verdict": "wrong", "confidence": 0.9, "quote": "a {brace} and \\"quotes\\""}'


@pytest.mark.parametrize(
    "reply",
    [
        OBJECT,
        f"\n {OBJECT} \n",
        fenced(OBJECT + "\n", "json"),
        f"Here: {OBJECT}. Is that right?",
        f'<think>{{"verdict": "right"}}</think>{OBJECT}',
        f"It's {{not json}} but\n{fenced(OBJECT, 'json').replace('```json', '```json ')}",
    ],
)
def test_one_object_is_read(reply: str) -> None:
    assert extract_object(reply, Reading) == Reading("wrong", 0.9, 'a {brace} and "quotes"')


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty"),
        ("wrong", "no-json"),
        ("[]", "no-json"),
        ("{", "no-json"),
        ('{"a": "', "no-json"),
        ("{}", "wrong-shape"),
        (OBJECT.replace("wrong", "promote"), "wrong-shape"),
        (OBJECT.replace("0.9", "1.5"), "wrong-shape"),
        (OBJECT.replace("0.9", '"0.9"'), "wrong-shape"),
        (OBJECT.replace("0.9", "null"), "wrong-shape"),
        (OBJECT.replace("0.9", "NaN"), "no-json"),
        (OBJECT.replace("0.9", "1e999"), "no-json"),
        (OBJECT.replace("0.9", "9" * 6000), "no-json"),
        (OBJECT.replace("0.9", "[" * 5000 + "]" * 5000), "no-json"),
        (OBJECT.replace('"quote"', '"threshold"'), "wrong-shape"),
        (OBJECT.replace('"quote"', '"verdict"'), "ambiguous"),
        (OBJECT.replace("}", ",}"), "no-json"),
        (OBJECT + "\n" + OBJECT, "several"),
        ('{"a": ' * 9000 + "1" + "}" * 9000, "no-json"),
        ("{" * 60_000, "no-json"),
        ("{}" * 30_000, "several"),
        ('{"verdict": "\ud800"}', "characters"),
    ],
)
def test_what_is_no_such_object_has_a_reason(reply: str, reason: str) -> None:
    found = extract_object(reply, Reading)
    assert isinstance(found, NotExtracted)
    assert found.reason == reason
    assert len(found.message) < 400


# --------------------------------------------------------------------------- the answer of a server


def completion(**choice: object) -> str:
    return json.dumps({"object": "chat.completion", "choices": [choice]})


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ("plain", ("plain", "stop")),
        (completion(message={"content": "hi"}, finish_reason="stop"), ("hi", "stop")),
        (completion(message={"content": "hi"}, finish_reason="length"), ("hi", "length")),
        (completion(message={"content": "hi"}), ("hi", "missing")),
        (
            completion(
                message={"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                finish_reason="stop",
            ),
            ("ab", "stop"),
        ),
    ],
)
def test_the_text_of_a_completion(body: str, content: tuple[str, str]) -> None:
    assert content_of(body) == content


@pytest.mark.parametrize(
    "body",
    [
        '{"choices": []}',
        '{"choices": null}',
        '{"choices": [1]}',
        '{"choices": [{"message": null}]}',
        completion(message={"content": None, "tool_calls": []}),
        completion(message={"content": ""}),
        completion(message={"content": 3}),
        completion(message={"refusal": "no"}),
        '{"choices": ',
        '{"choices": ' + "[" * 10_000,
    ],
)
def test_a_completion_without_text(body: str) -> None:
    found = content_of(body)
    assert isinstance(found, NotExtracted)
    assert found.reason == "no-reply"


# --------------------------------------------------------------------------- any text

PIECES = st.sampled_from(
    [*"`~>{}[]()\"'\\#:@-=", "```", "~~~", "````", "```python\n", "\n", "\n\n", " ", "    ", "\t", "> ", "<think>", "</think>", "def limit(", "def limit(xs, k):\n", "return", "xs", "...", "\r", "\0", "é", "\ud800", "1 | ", ">>> ", '{"verdict":', '"wrong"', "choices", "if __name__ == '__main__':", CODE, fenced(CODE)]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=40).map("".join)))
def test_no_reply_raises(reply: str) -> None:
    found = extract_code(reply, "limit", original=ORIGINAL)
    if isinstance(found, Extracted):
        functions = [n for n in ast.parse(found.source).body if isinstance(n, ast.FunctionDef)]
        assert "limit" in {f.name for f in functions}
    assert isinstance(extract_object(reply, Reading), (Reading, NotExtracted))
    assert isinstance(content_of(reply), (tuple, NotExtracted))


@pytest.mark.parametrize("unit", ["```\n", "```a\n", "~~~", "> ", ">", " ", "\t", "`", "{", "}", '{"', "\\", "<think>", "</think>", "def limit(\n", "1 | x\n", "```python\ndef limit(\n```\n", fenced(CODE)], ids=repr)  # fmt: skip
def test_the_work_grows_with_the_length(unit: str) -> None:
    """Lines of Python that run, for a reply and for one four times as long: at most about four times as many."""

    def steps(reply: str) -> int:
        count = 0

        def trace(_frame: object, event: str, _argument: object) -> object:
            nonlocal count
            count += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            extract_code(reply, "limit", original=ORIGINAL)
            extract_object(reply, Reading)
        finally:
            sys.settrace(before)
        return count

    short = unit * (2_000 // len(unit))
    assert steps(short * 4) < 6 * steps(short) + 2_000


def test_the_longest_replies_need_little_memory() -> None:
    tracemalloc.start()
    for unit in ("x = [", "a.b(c) + ", "1,", "if x:\n", fenced("x=1\n"), "{", "[0],"):
        code = f"def limit(xs, k):\n    return [{unit * (MAX_CODE // len(unit) - 9)}]\n"
        taken(fenced(code))
        extract_object(unit * (MAX_REPLY // len(unit)), Reading)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


# --------------------------------------------------------------------------- the command


def test_vet_reads_a_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.py").write_text(ORIGINAL, encoding="utf-8")
    common = ["vet", "--original", "m.py", "--function", "limit", "--reply", "reply.txt"]
    Path("reply.txt").write_text(fenced(CODE), encoding="utf-8")
    assert main(common) == 0
    assert capsys.readouterr().out == CODE
    assert main([*common, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"accepted": True, "extracted": CODE, "reason": None, "refusals": []}

    Path("reply.txt").write_text(fenced("import os\n" + CODE), encoding="utf-8")
    assert main(common) == 1
    assert "extracted:1: it imports os as os" in capsys.readouterr().out

    Path("reply.txt").write_text("No change is needed.", encoding="utf-8")
    assert main(common) == 1
    assert capsys.readouterr().out == "reply.txt: the reply does not define limit [no-code]\n"
    assert main([*common, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["accepted"], told["extracted"], told["reason"]["reason"]) == (False, None, "no-code")

    Path("reply.txt").write_text(
        completion(message={"content": fenced(CODE)}, finish_reason="length"), encoding="utf-8"
    )
    assert main(common) == 1
    assert "[cut-off]" in capsys.readouterr().out
    assert main([*common, "candidate.py"]) == 2
    assert main(common[:-2]) == 2
    assert main([*common[:-1], "nowhere.txt"]) == 2


# --------------------------------------------------------------------------- the shared samples


class Label(msgspec.Struct, forbid_unknown_fields=True):
    label: str
    expected: bool | None
    confidence: float
    reason: str


def test_the_shared_corpus() -> None:
    if not CORPORA.is_dir():
        pytest.skip(f"{CORPORA} is not on this machine")
    context = json.loads((CORPORA / "corpus_context.json").read_text(encoding="utf-8"))
    original = Original(context["source"], context["function"])
    wrong = []
    for item in json.loads((CORPORA / "bad_llm_replies.json").read_text(encoding="utf-8")):
        expand = item.get("expand", {"unit": "", "times": 0})
        reply = item["reply"].replace("@@", expand["unit"] * expand["times"])
        if item["id"].startswith("json"):
            accepted = isinstance(extract_object(reply, Label), Label)
        else:
            read = content_of(reply)
            found = read if isinstance(read, NotExtracted) else extract_code(read[0], context["function"], read[1])
            accepted = isinstance(found, Extracted) and not vet(found.source, original).refusals
        if accepted and item["expect"] == "reject":
            wrong.append(item["id"])
    if sys.version_info >= (3, 12):
        wrong = [name for name in wrong if name != "code-lang-04"]  # quotes reused in an f-string are Python there
    assert wrong == []
