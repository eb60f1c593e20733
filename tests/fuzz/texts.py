"""Any text -> pragmas and diagnostics; any reply of a model -> a candidate, an object, or a reason."""

from __future__ import annotations

import ast
from typing import Any

import test_extract
import test_pragma
from hypothesis import strategies as st

from fuzz import Target, plainly, within
from poet_hook.llm.extract import MAX_CODE, Extracted, NotExtracted, extract_code, extract_object
from poet_hook.llm.reply import content_of
from poet_hook.pragma.scan import find
from poet_hook.signals.verified import Said, found_in, numbers_in
from poet_hook.transform.plan import plan_module

_SECONDS = 2.0  # of computing, for one text: far more than any takes, and far less than what never ends

_some = st.integers(1, 5_000)
_repeated = st.builds(str.__mul__, st.lists(test_pragma.FRAGMENTS, min_size=1, max_size=3).map("".join), _some)
_PRAGMAS = st.one_of(
    st.builds("# poet:{}\ndef f(x):\n    return x > 1.0\n".format, test_pragma.HOSTILE | _repeated),
    st.builds("def f(x):\n    return x > 1.0  # poet: tune {}\n".format, test_pragma.HOSTILE | _repeated),
    st.builds(str.join, st.sampled_from(["\n", "\r\n", "\r"]), test_pragma.LINES),
    st.text(max_size=300).map("# poet: ".__add__),
    _repeated,
)


def _check_pragma(source: str) -> None:
    with within(_SECONDS):
        found = find(source)
    test_pragma.check_places(source, found)
    for pragma in found.pragmas:
        assert pragma.line < pragma.target_line
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # no import gets that far
    with within(_SECONDS):
        plan_module(source, "m.py", "m")


PRAGMA = Target("pragma grammar", _PRAGMAS, plainly(_check_pragma))

_pieces = st.lists(test_extract.PIECES, max_size=40).map("".join)
_REPLIES = st.one_of(
    st.text(max_size=300),
    _pieces,
    st.builds(str.__mul__, st.lists(test_extract.PIECES, min_size=1, max_size=3).map("".join), _some),
    st.builds("".join, st.tuples(_pieces, st.just(test_extract.fenced(test_extract.CODE)), _pieces)),
)


def _check_reply(reply: str) -> None:
    with within(_SECONDS):
        code = extract_code(reply, "limit", original=test_extract.ORIGINAL)
        read: list[Any] = [extract_object(reply, kind) for kind in (test_extract.Reading, Said)]
        content = content_of(reply)
    if isinstance(code, Extracted):
        assert len(code.source.encode()) <= MAX_CODE
        functions = [n for n in ast.parse(code.source).body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        assert "limit" in {function.name for function in functions}
    else:
        assert code.reason
        assert code.message
    assert all(isinstance(each, (test_extract.Reading, Said, NotExtracted)) for each in read)
    assert isinstance(content, (tuple, NotExtracted))
    with within(_SECONDS):
        assert found_in(reply[:200], reply[100:4_100]) in reply
        for _ in numbers_in(reply[:4_000], 0.5):
            pass


EXTRACTOR = Target("extractor", _REPLIES, plainly(_check_reply))
