"""Sentences are exact spans, cut where a reader would cut them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.sentences import sentence_spans


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["The fee is 3.5 percent.", "It is due on 1 March."],
        ["See e.g. Annex B, i.e. the list.", "It is long."],
        ["Ask Dr. J. Smith or Ms. Lee.", "They know."],
        ["Is it so?", "Yes!", "It is…", "Or not."],
        ["He said “Stop.”", "Then he left."],
        ["“Why?” he asked.", "Nobody knew."],
        ["It takes 5 min.", "The rest is easy."],
        ["The answer is no.", "See No. 5 and Art. 7 of it."],
        ["Apple Inc. filed it.", "So did Google Ltd.", "The court agreed."],
        ["Das gilt ab dem 31. März, z.B. für Reisen.", "Danach nicht."],
        ["In 2022.", "The year after was better."],
        ["Work ends at 5 p.m. on Fridays.", "It begins at 9 a.m.", "The office is open."],
        ["They have 700 million users.1", "The others have fewer."],
        ["Visit www.example.org or a.b@c.de now.", "Version 2.0.1 is out."],
        ["Costs are paid (see above).", "[Note.]", "End."],
    ],
)
def test_sentences(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences


def test_languages_without_spaces() -> None:
    assert cut("これは文です。次の文？「はい。」終わり") == [
        "これは文です。",
        "次の文？",
        "「はい。」",
        "終わり",
    ]


def test_wrapped_lines_are_one_sentence() -> None:
    text = (
        "Up to five unused days may be\ncarried over until 31 March\n"
        "of the next year. The rest\nis lost."
    )
    assert cut(text) == [
        "Up to five unused days may be\ncarried over until 31 March\nof the next year.",
        "The rest\nis lost.",
    ]


def test_items_rows_and_paragraphs_stand_alone() -> None:
    text = "We need:\n- a pump\n- a gate\n1. First\n2. Second\n\na | b\nc | d\n\nlast"
    assert cut(text) == [
        "We need:",
        "- a pump",
        "- a gate",
        "1. First",
        "2. Second",
        "a | b",
        "c | d",
        "last",
    ]


@given(st.text(st.sampled_from("aB. !?\n1。”|-\t\u2028é"), max_size=200))
def test_nothing_is_lost(text: str) -> None:
    spans = sentence_spans(text)
    at = 0
    for start, end in spans:
        assert at <= start < end
        assert not text[at:start].strip()
        assert text[start:end] == text[start:end].strip()
        at = end
    assert not text[at:].strip()


@pytest.mark.parametrize("unit", ["a. ", "A.\n", "...", ".”", "\n ", "x", "1. ", "B) ", "| a "])
def test_time_is_linear(unit: str) -> None:
    begun = time.process_time()
    sentence_spans(unit * 100_000)
    assert time.process_time() - begun < 5
