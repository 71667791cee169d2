"""The stretches of a passage that may answer a question, and which of them say something."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.evidence import LONGEST_QUOTE, Span, passage_sentences
from rag.records import Passage
from rag.sentences import sentences_from_start
from rag.tables import is_header_row

_NUMBERING = re.compile(r"^\W*\d+(?:[.)]\d+)*[.)]?\s+")
_LEAST_WORDS = 4
# a sentence may be as short as “Lunch is free.”; a heading has no full stop
_LEAST_OF_A_SENTENCE = 3
_SENTENCE_END = re.compile(r"[.!。！۔।][\"'”’»)\]*_]*$")
# no spaces stand between the words of these scripts: so many letters say as much as four words
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LEAST_LETTERS = 6
# “Excused: Tom Reilly” says something, with its label
_LABELLED = re.compile(r"^\W*[^\W\d_][^:|\n]{0,40}:\s+\S")
_ASKS = re.compile(r"[?？؟][\"'”’»)\]*_#\s]*$")
_ASKED = re.compile(r"[?？؟]")
_MARKUP = re.compile(r"(?:[#>*_\s•●▪◦‣–-]+|\d{1,3}[.)]\s+)+")
_HEADING = re.compile(r"\s*#{1,6}\s")
_BLANK = re.compile(r"\n[ \t]*\n")
# an answer to a question in the text is taken with it up to so many characters; what is longer is
# in sentences of its own
_ANSWER = 160


def stretches(passage: Passage) -> list[Span]:
    """The sentences of a passage, a question among them with what answers it.

    “Is it encrypted? Yes.” says something that neither of both does.
    """
    sentences = passage_sentences(passage)
    found: list[Span] = []
    place = 0
    while place < len(sentences):
        span, place = sentences[place], place + 1
        if _asks(span):
            end = _answered(sentences, place)
            if end > place:
                span = _joined(span, sentences[end - 1])
                place = end
        found.append(span)
    return found


def is_no_statement(span: Span) -> bool:
    """Whether a stretch can be no answer: a question alone, or what labels a table's columns."""
    return _asks(span) or is_header_row(span)


def stands_alone(span: Span) -> bool:
    """Whether a stretch says something by itself, as most headings do not.

    It has four words, a number or a label with what it labels, its own numbering aside; a heading
    that is marked as one must be a sentence or have a label.
    """
    if is_no_statement(span):
        return False
    text = span.text
    sentence = bool(_SENTENCE_END.search(text))
    if _LABELLED.match(text) or len(_UNSPACED.findall(text)) >= _LEAST_LETTERS:
        return True
    if _HEADING.match(text):
        return sentence
    bare = _NUMBERING.sub("", text)
    words = len(bare.split())
    if words >= _LEAST_WORDS or any(c.isdigit() for c in bare):
        return True
    return words >= _LEAST_OF_A_SENTENCE and sentence


def answer_start(span: Span) -> int:
    """Where a stretch begins to answer: behind the question that it begins with, if it does."""
    if _ASKED.search(span.text) is None:
        return span.start
    start, end = next(sentences_from_start(span.text), (0, 0))
    asks = end < len(span.text) and _ASKS.search(span.text, start, end)
    return span.start + end if asks else span.start


def _asks(span: Span) -> bool:
    return bool(_ASKS.search(span.text))


def _answered(sentences: Sequence[Span], first: int) -> int:
    """Where the answer ends, as a place in `sentences`, to the question that stands before `first`.

    It ends before a blank line (one may stand between the question and it), a heading or another
    question.
    """
    question, end = sentences[first - 1], first
    for place in range(first, len(sentences)):
        span, before = sentences[place], sentences[place - 1]
        blank = _BLANK.search(span.passage.text, before.end, span.start)
        if _asks(span) or _HEADING.match(span.text) or (blank and place > first):
            break
        if span.end - question.start > LONGEST_QUOTE:
            break
        if place > first and span.end - sentences[first].start > _ANSWER:
            break
        end = place + 1
    return end


def _joined(question: Span, answer: Span) -> Span:
    """A question, without what marks it as a heading or an item, up to the end of its answer."""
    markup = _MARKUP.match(question.text)
    start = question.start + (markup.end() if markup else 0)
    return Span(question.passage, min(start, question.end - 1), answer.end)
