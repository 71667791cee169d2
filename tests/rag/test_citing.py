"""Which sentences a passage supports, and that a changed fact is never supported."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.citing import Verifier, passage_url
from rag.evidence import TermWeights, find_quote
from rag.records import Passage
from rag.words import WordIndex, Words

TEXT = (
    "The managing director is Niamh Carrow. Up to five unused days of leave may be carried over "
    "until 31 March.\nVisitors must not enter the workshop without a guide. "
    "A hotel night in Oslo may cost 1,800 kroner."
)
PASSAGE = Passage("c1", "d1", "Handbook", "handbook.pdf", 1, 100, 400, TEXT, 1.0)


@pytest.fixture
def verifier(tmp_path: Path) -> Verifier:
    words = WordIndex(tmp_path)
    words.add([Words("c1", TEXT)])
    words.add(Words(f"x{n}", "Something about other things.") for n in range(20))
    words.commit()
    return Verifier(TermWeights(words))


@pytest.mark.parametrize(
    ("sentence", "support"),
    [
        ("Up to five unused days of leave may be carried over until 31 March.", "quoted"),
        ("up to five unused  days of leave may be carried over until 31 March", "quoted"),
        ("You may carry over up to five unused days of leave until 31 March.", "supported"),
        ("5 unused days of leave may be carried over until 31 March.", "supported"),
        ("A night in a hotel in Oslo may cost 1800 kroner.", "supported"),
        ("You may carry over up to six unused days of leave until 31 March.", "unsupported"),
        ("Up to five unused days of leave may be carried over until 30 April.", "unsupported"),
        ("Unused days of leave may not be carried over until 31 March, up to five.", "unsupported"),
        ("Visitors must enter the workshop without any guide of their own.", "unsupported"),
        ("The managing director is Bridget Carrow.", "unsupported"),
        ("A hotel night in Oslo may earn 1,800 kroner.", "unsupported"),
        ("The CEO's salary is 200,000 EUR.", "unsupported"),
        ("Tea is served in the kitchen at noon.", "unsupported"),
        ("Yes.", "unsupported"),
        ("", "unsupported"),
    ],
)
def test_support(verifier: Verifier, sentence: str, support: str) -> None:
    verdict = verifier.verify(sentence, [PASSAGE])
    assert verdict.support == support
    assert (verdict.evidence is None) == (support == "unsupported")


def test_the_evidence_is_the_sentence_that_supports(verifier: Verifier) -> None:
    verdict = verifier.verify("You may carry over five unused leave days to 31 March.", [PASSAGE])
    assert verdict.evidence is not None
    assert verdict.evidence.text == (
        "Up to five unused days of leave may be carried over until 31 March."
    )


def test_a_quote_is_found_across_line_breaks_and_never_as_a_pattern() -> None:
    found = find_quote(PASSAGE, "31 March. Visitors must")
    assert found is not None
    assert found.text == "31 March.\nVisitors must"
    assert find_quote(PASSAGE, "31.March") is None
    assert find_quote(PASSAGE, "") is None


def test_a_citation_opens_at_its_place() -> None:
    assert passage_url("doc_1", 2, 3, 4) == "/documents/doc_1?page=2&start=3&end=4#passage"


def test_two_rows_of_a_table_do_not_support_a_sentence_together(verifier: Verifier) -> None:
    table = "Managing director Niamh Carrow 100\nHead of Finance Tomasz Wierzbin 120"
    passage = Passage("c2", "d1", "Staff", "staff.pdf", 1, 0, len(table), table, 1.0)
    wrong = "The managing director is Niamh Carrow, the head of finance."
    assert verifier.verify(wrong, [passage]).support == "unsupported"
    right = "The managing director is Niamh Carrow."
    assert verifier.verify(right, [passage]).support == "supported"
