"""How the sentences of operators.txt are read; the half that rules were not changed by tells how well that carries."""

from __future__ import annotations

import pytest
from operators import outcome, score, sentences

from poet_hook.domains.base import load

DOMAIN = load("ml_monitoring")


def test_no_sentence_that_was_looked_at_is_misread() -> None:
    wrong = [one.said for one in sentences() if not one.held_out and outcome(one, DOMAIN) == "wrong"]
    assert wrong in ([], ["bad"])


@pytest.mark.parametrize(("held_out", "correct", "wrong"), [(False, 148, 1), (True, 130, 6)])
def test_most_sentences_are_read_and_few_are_misread(held_out: bool, correct: int, wrong: int) -> None:
    counted = score(held_out, DOMAIN)
    assert counted["correct"] >= correct
    assert counted["wrong"] <= wrong
    assert counted.total() > 180
