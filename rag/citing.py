"""Verifies sentences against passages and turns their support into citations.

A sentence is `quoted` where a passage holds it word for word, `supported` where a sentence or
two of a passage hold its content words and all of its numbers, names and negations, and
`unsupported` otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote as percent_encode

from rag.catalog import Catalog
from rag.catalog.pages import boxes_of, read_page
from rag.evidence import Span, TermWeights, coverage, find_quote, held_terms, windows
from rag.facts import names, negated, numbers
from rag.records import Citation, Passage, Support
from rag.sentences import sentence_spans
from rag.words import content_terms, terms

# Share of a sentence's weighted content words that its evidence must hold. At .75 “sold for 740
# euros” passed as support of “bought for 740 euros”; at .9 only a long sentence may change a word.
COVERAGE_NEEDED = 0.9
_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a sentence is supported, how well (0 to 1), and by which stretch of a passage."""

    support: Support
    score: float
    evidence: Span | None = None


class Verifier:
    """Checks sentences of answers against the passages that the LLM was given."""

    def __init__(self, weights: TermWeights) -> None:
        self._weights = weights

    def verify(self, sentence: str, passages: Sequence[Passage]) -> Verdict:
        """The best support that the passages give a sentence."""
        if len(content_terms(sentence)) < _SHORTEST and not numbers(sentence):
            return Verdict("unsupported", 0.0)
        for passage in passages:
            span = find_quote(passage, sentence.rstrip(".!?… ").strip('"“”'))
            if span is not None:
                return Verdict("quoted", 1.0, span)
        # numbers are compared by value in `_judge`: “5” is “five” and “1800” is “1,800”
        weights = {
            term: weight
            for term, weight in self._weights.weights(sentence).items()
            if not term.isdigit()
        }
        best = Verdict("unsupported", 0.0)
        for passage in passages:
            for window in windows(passage):
                covered = coverage(weights, held_terms(window.text, passage))
                if covered > best.score + 1e-9:
                    kind = self._judge(sentence, window, covered)
                    better = kind == "supported" or best.support == "unsupported"
                    if better:
                        best = Verdict(kind, round(covered, 4), window)
        return best if best.support == "supported" else Verdict("unsupported", best.score)

    def _judge(self, sentence: str, window: Span, covered: float) -> Support:
        passage = window.passage
        around = f"{passage.title}\n{passage.context}\n{window.text}"
        same = (
            covered >= COVERAGE_NEEDED
            and numbers(sentence) <= numbers(around)
            and names(sentence) <= set(_words(around))
            and negated(sentence) == negated(self._nearest(sentence, window))
        )
        return "supported" if same else "unsupported"

    def _nearest(self, sentence: str, window: Span) -> str:
        """The one sentence of the window that says most of what the sentence says."""
        weights = self._weights.weights(sentence)
        parts = [window.text[start:end] for start, end in sentence_spans(window.text)]
        return max(parts, key=lambda part: coverage(weights, terms(part)), default=window.text)


def _words(text: str) -> list[str]:
    found = re.findall(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*", text.lower())
    return [*found, *(word.removesuffix("'s").removesuffix("’s") for word in found)]


class Citations:
    """The numbered citations of one answer; the same evidence has one number."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.all: list[Citation] = []

    def cite(self, span: Span) -> Citation:
        """The citation of a stretch of a passage, new or already there."""
        passage = span.passage
        start, end = passage.start + span.start, passage.start + span.end
        for citation in self.all:
            if (citation.document_id, citation.page, citation.start, citation.end) == (
                passage.document_id,
                passage.page,
                start,
                end,
            ):
                return citation
        page = read_page(self._catalog, passage.document_id, passage.page)
        citation = Citation(
            n=len(self.all) + 1,
            document_id=passage.document_id,
            title=passage.title,
            source=passage.source,
            page=passage.page,
            start=start,
            end=end,
            quote=page.text[start:end],
            chunk_id=passage.chunk_id,
            url=passage_url(passage.document_id, passage.page, start, end),
            boxes=boxes_of(page, start, end),
        )
        self.all.append(citation)
        return citation


def passage_url(document_id: str, page: int, start: int, end: int) -> str:
    """Where the web pages show a stretch of a document's page, marked."""
    name = percent_encode(document_id)
    return f"/documents/{name}?page={page}&start={start}&end={end}#passage"
