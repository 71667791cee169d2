"""Where other versions of a cited document say something else, and which one is to be believed.

Only documents that retrieval found to be nearly the same as a passage of the answer, or that are
among its passages under the same name, are looked at. The newer version counts, or the one of the
year that the question names; where nothing tells which that is, neither is preferred.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from typing import Literal

from rag.answerability import Evidence
from rag.catalog import Catalog
from rag.catalog.pages import read_page
from rag.catalog.passages import passage_at
from rag.citing import page_now
from rag.editions import (
    Age,
    age,
    date_in_name,
    of_another_time,
    same_subject,
    same_work,
    years_asked,
    years_in_name,
)
from rag.errors import NotFound
from rag.evidence import Span, passage_sentences
from rag.records import Citation, Disagreement, Passage
from rag.statements import Statement, conflict, likeness
from rag.tables import labelled_row
from rag.twins import twin
from rag.widening import widened

# characters around a near-duplicate in which the sentence that corresponds is sought
_AROUND = 800
# so many places of other versions are looked at for a sentence
_MOST_PLACES = 8
# the beginning of a document, which names its parties
_BEGINNING = 3000
_ASKS_FOR_OLD = re.compile(
    r"\b(?:old|older|previous(?:ly)?|former(?:ly)?|earlier|superseded|used to|back then|at that "
    r"time|alte[nrs]?|frühere?[nrs]?|vorige[nrs]?|bisher\w*|damals|ancien\w*|précédent\w*|"
    r"antigu\w+|anterior\w*|preceden\w+|vecchi\w)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Other:
    """What another version says in the place of a sentence: it is the `older` or `newer` one.

    `asked` tells whether the question names the year of one of both: of `this`, or of the `other`.
    """

    span: Span
    age: Age | None
    asked: Literal["this", "other"] | None = None


@dataclass(frozen=True, slots=True)
class Newest:
    """The evidence led by the version to be preferred, and the passages with that version's.

    That one is at the place (from 0) `added` where retrieval had not found it so. `left_out` are
    the passages that no LLM is to read: what an outdated version says, and what `added` repeats.
    """

    evidence: Evidence
    passages: tuple[Passage, ...]
    left_out: frozenset[Passage]
    added: int | None


class Versions:
    """The other versions of what one answer rests on. `passages` are those of the answer.

    Without `looking` there are none, as for answers of before other versions were looked at.
    """

    def __init__(
        self,
        catalog: Catalog,
        question: str,
        passages: Sequence[Passage],
        looking: bool = True,
    ) -> None:
        self._catalog = catalog
        self._looking = looking
        self._years = years_asked(question)
        self._wants_old = bool(_ASKS_FOR_OLD.search(question))
        self._passages = tuple(passages)
        self._found: dict[tuple[str, int, int], tuple[Other, ...]] = {}
        self._beginnings: dict[str, str] = {}

    def preferred(self, span: Span) -> Span:
        """The sentence that is to be believed: this one, or that of a version to be preferred."""
        best = span
        for other in self.others(span):
            if self._rather(best.passage, other.span.passage):
                best = other.span
        return best

    def outdated(self, span: Span) -> bool:
        """Whether another version that is to be preferred says something else."""
        return self.preferred(span) is not span

    def newest(self, evidence: Evidence, judge: Callable[[Sequence[Passage]], Evidence]) -> Newest:
        """The evidence and the passages, led by the version to be preferred.

        `judge` finds the evidence of passages. How likely there is an answer stays as it was found.
        """
        best = evidence.spans[0]
        newest = self.preferred(best)
        passages, added = self._passages, None
        narrower: list[Passage] = []
        if newest is not best:
            evidence = _led_by(newest, evidence, judge([newest.passage]), best)
            if newest.passage not in passages:
                added = passages.index(best.passage)
                narrower = [p for p in passages if p.chunk_id == newest.passage.chunk_id]
                passages = (*passages[:added], newest.passage, *passages[added:])
        beaten = [
            o.span for o in self.others(newest) if self._rather(o.span.passage, newest.passage)
        ]
        outdated = [p for p in passages if any(_overlaps(p, other) for other in beaten)]
        return Newest(evidence, passages, frozenset((*outdated, *narrower)), added)

    def told_of(
        self, citations: Sequence[Citation], cited: Mapping[int, Span]
    ) -> tuple[Disagreement, ...]:
        """What other versions say instead of what is cited, each once; `cited` has the stretch
        behind each citation's number. Where the year that was asked for decides, only a newer
        version is told of."""
        told: dict[tuple[str, int, int], Disagreement] = {}
        for citation in citations:
            span = cited[citation.n]
            for other in self.others(span):
                if not _untold(span, other) and (one := self._told(other, citation.n)) is not None:
                    told.setdefault((one.document_id, one.page, one.start), one)
        return tuple(told.values())

    def later(self, span: Span) -> list[list[Passage]]:
        """The passages of later documents of the series that a stretch's is of, the newest first.

        So minutes of the next meeting are later than these, and a mail than the one that it
        answers. None where the question names a year or asks how it was before.
        """
        if not self._looking or self._years or self._wants_old:
            return []
        mine = span.passage
        by_document: dict[str, list[Passage]] = {}
        for its in self._passages:
            if same_work(mine, its) and of_another_time(mine, its) and age(mine, its) == "newer":
                by_document.setdefault(its.document_id, []).append(its)
        return sorted(by_document.values(), key=cmp_to_key(_newer_first))

    def told_later(self, span: Span, citation: int) -> Disagreement | None:
        """What a later document of the series says, as it has it now; None where it has not."""
        told = self._told(Other(span, "newer"), citation)
        return replace(told, later=True) if told else None

    def _told(self, other: Other, citation: int) -> Disagreement | None:
        """What a version says, as its document has it now; None where it has not."""
        if page_now(self._catalog, other.span) is None:
            return None
        passage, (start, end) = other.span.passage, other.span.on_page
        return Disagreement(
            citation=citation,
            document_id=passage.document_id,
            title=passage.title,
            source=passage.source,
            page=passage.page,
            start=start,
            end=end,
            quote=other.span.text,
            older=None if other.age is None else other.age == "older",
            dated=date_in_name(passage) or passage.dated,
        )

    def others(self, span: Span) -> tuple[Other, ...]:
        """The sentences of other versions that say something else, one a document."""
        if not self._looking:
            return ()
        key = (span.passage.chunk_id, span.start, span.end)
        if key not in self._found:
            self._found[key] = tuple(self._look(span))
        return self._found[key]

    def _rather(self, mine: Passage, its: Passage) -> bool:
        """Whether the other passage's document is to be believed rather than this one's."""
        if (asked := self._asked(mine, its)) is not None:
            return asked == "other"
        if self._wants_old or of_another_time(mine, its):
            return False
        return age(mine, its) == "newer"

    def _asked(self, mine: Passage, its: Passage) -> Literal["this", "other"] | None:
        fits = [bool(self._years & years_in_name(passage)) for passage in (mine, its)]
        if fits[0] == fits[1]:
            return None
        return "this" if fits[0] else "other"

    def _look(self, span: Span) -> Iterator[Other]:
        passage = span.passage
        by_document: dict[str, list[Passage]] = {}
        for place in self._places(passage):
            by_document.setdefault(place.document_id, []).append(place)
        for places in by_document.values():
            asked = self._asked(passage, places[0])
            if asked is None and of_another_time(passage, places[0]):
                continue
            other = counterpart(span, places)
            if other is not None and self._same_subject(passage, places[0]):
                yield Other(other, age(passage, places[0]), asked)

    def _places(self, passage: Passage) -> list[Passage]:
        """Passages of other versions that may say what this passage says, the likest first."""
        found = [
            other
            for other in self._passages
            if other.document_id != passage.document_id and same_work(passage, other)
        ]
        for near in passage.twins:
            if near.relation == "similar" and len(found) < _MOST_PLACES:
                named = replace(
                    passage, document_id=near.document_id, title=near.title, source=near.source
                )
                if not same_work(passage, named):
                    continue
                place = passage_at(self._catalog, near.document_id, near.page, near.start)
                if place is not None:
                    (wide,) = widened(self._catalog, [place], _AROUND, 1)
                    found.append(_as_found(wide, passage))
        return found

    def _same_subject(self, passage: Passage, other: Passage) -> bool:
        return same_subject(passage, self._beginning(passage), other, self._beginning(other))

    def _beginning(self, passage: Passage) -> str:
        if passage.document_id not in self._beginnings:
            try:
                text = read_page(self._catalog, passage.document_id, 1).text[:_BEGINNING]
            except NotFound:
                text = ""
            self._beginnings[passage.document_id] = text
        return self._beginnings[passage.document_id]


def _led_by(best: Span, evidence: Evidence, more: Evidence, instead_of: Span) -> Evidence:
    """The evidence with `best`, a sentence of `more`, first, and without what it stands for.

    What was found says how likely there is an answer, so the features stay.
    """
    place = (best.passage.chunk_id, best.start, best.end)
    pairs = zip(more.spans, more.answers, strict=True)
    answer = next((a for s, a in pairs if (s.passage.chunk_id, s.start, s.end) == place), "")
    rest = [
        (s, a)
        for s, a in zip(evidence.spans, evidence.answers, strict=True)
        if s != instead_of and (s.passage.chunk_id, s.start, s.end) != place
    ]
    spans, answers = [best, *(s for s, _ in rest)], [answer, *(a for _, a in rest)]
    return Evidence(tuple(spans), tuple(answers), evidence.features)


def counterpart(span: Span, places: Sequence[Passage]) -> Span | None:
    """The sentence of another document's passages that gives another value for what `span` says.

    None where one of them says the same, where none or more than one is likest, or where that one
    is more like another sentence of this passage. Rows of many figures are not compared.
    """
    mine = Statement(_told(span))
    if not mine.comparable:
        return None
    sentences = [one for place in places for one in passage_sentences(place)]
    told = [(Statement(_told(one)), one) for one in sentences]
    scored = [(likeness(mine, its), one) for its, one in told if its.comparable]
    alike = [(score, one) for score, one in scored if score > 0]
    if not alike or any(conflict(mine.text, _told(one)) is None for _, one in _best(alike)):
        return None
    best = _best(alike)
    if len({_plain(one.text) for _, one in best}) > 1:
        return None
    score, found = best[0]
    if any(_plain(one.text) == _plain(span.text) for one in sentences):
        return None
    its = Statement(_told(found))
    rivals = (
        Statement(_told(one)) for one in passage_sentences(span.passage) if not _covers(span, one)
    )
    beaten = any(likeness(its, one) >= score for one in rivals if one.comparable)
    return None if beaten else found


def _newer_first(mine: Sequence[Passage], its: Sequence[Passage]) -> int:
    return {"newer": 1, "older": -1, None: 0}[age(mine[0], its[0])]


def _untold(span: Span, other: Other) -> bool:
    """Whether the year that was asked for makes another version one of no matter."""
    if other.asked is None:
        return False
    return other.age != "newer" or of_another_time(span.passage, other.span.passage)


def _as_found(place: Passage, near: Passage) -> Passage:
    """A passage beside one that a question found, with that one and its twins as its own."""
    twins = [twin(place, near, "similar")]
    for one in near.twins:
        if one.document_id != place.document_id:
            there = replace(near, title=one.title, source=one.source, dated="")
            twins.append(replace(one, age=age(place, there)))
    return replace(place, score=near.score, twins=tuple(twins))


def _best(scored: Sequence[tuple[float, Span]]) -> list[tuple[float, Span]]:
    most = max(score for score, _ in scored)
    return [pair for pair in scored if pair[0] == most]


def _told(span: Span) -> str:
    row = labelled_row(span)
    return row.told if row else span.text


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _covers(span: Span, one: Span) -> bool:
    """Whether a stretch holds some of a sentence, or repeats it."""
    return (one.start < span.end and span.start < one.end) or _plain(one.text) == _plain(span.text)


def _overlaps(passage: Passage, span: Span) -> bool:
    start, end = span.on_page
    return (
        passage.document_id == span.passage.document_id
        and passage.page == span.passage.page
        and passage.start < end
        and start < passage.end
    )
