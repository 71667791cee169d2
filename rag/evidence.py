"""Sentences of passages as evidence: for a question, and for a sentence of an answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.records import Passage
from rag.sentences import sentence_spans
from rag.words import WordIndex, content_terms, terms

# Evidence longer than this is no quote that a person would want to check.
LONGEST_QUOTE = 700
# where a longer sentence is cut, the first that is there: between clauses, or words
_CUTS = (re.compile(r"[;:]\s"), re.compile(r",\s"), re.compile(r"\s"))


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a passage: `passage.text[start:end] == text`."""

    passage: Passage
    start: int
    end: int

    @property
    def text(self) -> str:
        """The quoted text."""
        return self.passage.text[self.start : self.end]

    @property
    def on_page(self) -> tuple[int, int]:
        """Where it starts and ends in the text of the passage's page."""
        return self.passage.start + self.start, self.passage.start + self.end


def passage_sentences(passage: Passage) -> list[Span]:
    """The sentences (or lines of lists and tables) of a passage; a very long one in parts."""
    return [
        Span(passage, first, last)
        for start, end in sentence_spans(passage.text)
        for first, last in _parts(passage.text, start, end)
    ]


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONGEST_QUOTE:
        cut = start + LONGEST_QUOTE
        for mark in _CUTS:
            if found := list(mark.finditer(text, start + LONGEST_QUOTE // 2, cut)):
                cut = found[-1].end()
                break
        yield start, start + len(text[start:cut].rstrip())
        start = cut
    yield start, end


def find_quote(passage: Passage, text: str) -> Span | None:
    """Where a passage holds a text word for word, white space and case aside.

    Words and numbers are whole: “12” is not in “120”, “1.20” or “3.12”.
    """
    words = text.split()
    if not words:
        return None
    pattern = r"\s+".join(re.escape(word) for word in words)
    whole = rf"(?<!\w)(?<!\d[.,]){pattern}(?!\w)(?![.,]\d)"
    found = re.search(whole, passage.text, re.IGNORECASE)
    return Span(passage, found.start(), found.end()) if found else None


def is_cut(span: Span) -> bool:
    """Whether a stretch ends within a sentence that is too long for a quote."""
    text = span.passage.text
    return any(start < span.end < end for start, end in sentence_spans(text))


def whole_sentences(span: Span) -> Span | None:
    """The sentences that a stretch touches, from the first one's start to the last one's end.

    None where they are longer than a quote may be.
    """
    touched = [
        one
        for one in passage_sentences(span.passage)
        if one.start < span.end and span.start < one.end
    ]
    if not touched or touched[-1].end - touched[0].start > LONGEST_QUOTE:
        return None
    return Span(span.passage, touched[0].start, touched[-1].end)


class TermWeights:
    """How telling each word is in this library: inverse document frequency over its chunks."""

    def __init__(self, words: WordIndex) -> None:
        self._words = words

    def weights(self, text: str) -> Mapping[str, float]:
        """The content words of a text with a weight from 0.5 (everywhere) to 1.5 (nowhere).

        The spread is BM25's idf (Robertson & Spärck Jones) over that of a word in no chunk, so
        that weights mean the same in a library of three chunks and of three million.
        """
        unique = list(dict.fromkeys(content_terms(text)))
        total, frequencies = self._words.frequencies(unique)
        most = _idf(total, 0)
        return {
            term: 0.5 + _idf(total, count) / most
            for term, count in zip(unique, frequencies, strict=True)
        }

    def known(self, words: Iterable[str]) -> set[str]:
        """Those of these words (as `weights` names them) that some chunk holds."""
        listed = list(words)
        _, frequencies = self._words.frequencies(listed)
        return {word for word, count in zip(listed, frequencies, strict=True) if count}


def _idf(total: int, count: int) -> float:
    return math.log(1.0 + max(0.0, total - count + 0.5) / (count + 0.5))


def coverage(weights: Mapping[str, float], held: Iterable[str]) -> float:
    """The weighted share, 0 to 1, of words that `held` has."""
    total = sum(weights.values())
    if total <= 0:
        return 0.0
    there = set(held)
    return sum(weight for term, weight in weights.items() if term in there) / total


def held_terms(span_text: str, passage: Passage) -> set[str]:
    """The words of a stretch of a passage, with those of its title and headings."""
    return set(terms(f"{passage.title}\n{passage.context}\n{span_text}"))


def distinct_spans(spans: Sequence[Span]) -> list[Span]:
    """Without stretches that repeat, white space aside, an earlier one."""
    seen: set[str] = set()
    kept = []
    for span in spans:
        text = " ".join(span.text.split())
        if text and text not in seen:
            seen.add(text)
            kept.append(span)
    return kept
