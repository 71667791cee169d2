"""Answers that people judged, as lines of a question file and as examples to learn from.

An answer to a follow-up is told by the question that it was looked up as, which stands alone: what
was said before is not recorded with an answer.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rag.catalog import Catalog
from rag.catalog.feedback import rated_answers
from rag.catalog.votes import votes
from rag.drafting import is_refusal
from rag.evaluation.metrics import holds_answer
from rag.evaluation.questions import known_by
from rag.evidence import passage_sentences
from rag.prompting import NOT_SAID
from rag.records import Passage
from rag.tuning.examples import without_marks

Row = dict[str, Any]
Record = Mapping[str, Any]

# why an answer is not taken
ABOUT_THE_LIBRARY = "about the library itself"
NO_CORRECT_ANSWER = "wrong, and no correct answer was given"
WRONG = "wrong"
ASKED_AGAIN = "an older answer to the same question"
CHOSEN_DOCUMENTS = "asked of chosen documents alone"
UNCITED = "without a passage to learn from"

_PLACES = ("source", "page", "quote")
_NOT_WORDS = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Rated:
    """An answer's record, and whether a person says it is right; else perhaps what would be."""

    record: Record
    right: bool
    correct_answer: str = ""


def rated(catalog: Catalog) -> Iterator[Rated]:
    """What people said of answers, the newest first, then answers of which both were voted right.

    One that is the better of two need not be right, so other votes tell nothing here; and a rating
    counts more than a vote.
    """
    known = set()
    for said, record in rated_answers(catalog):
        known.add(said.answer_id)
        yield Rated(record, said.rating == "right", said.correct_answer)
    for cast, first, second in votes(catalog):
        if cast.vote == "both" and known.isdisjoint((cast.first, cast.second)):
            yield Rated(_better_told(first, second), True)


def question_rows(judged: Iterable[Rated]) -> tuple[list[Row], Counter[str]]:
    """Lines of a question file from answers that are right, or for which a right one was given.

    Also how many answers were left out, by why. Half of the questions are of the split `dev`, by a
    hash of their words, so that a question stays in its split. One that was asked of a single
    collection names it.
    """
    rows: dict[str, Row] = {}
    left_out: Counter[str] = Counter()
    for one in judged:
        reason = _unfit(one.record)
        if not one.right and not one.correct_answer:
            reason = reason or NO_CORRECT_ANSWER
        question, asked_of = one.record["standalone_question"], one.record["collections"]
        collection = asked_of[0] if len(asked_of) == 1 else None
        name = known_by(question, collection=collection)
        if reason is None and name in rows:
            reason = ASKED_AGAIN
        if reason is not None:
            left_out[reason] += 1
            continue
        gold = _right(one.record) if one.right else _corrected(one.record, one.correct_answer)
        rows[name] = {"id": name, "question": question, "history": [], **gold}
        rows[name]["split"] = split_of(question)
        if collection is not None:
            rows[name]["collection"] = collection
    return list(rows.values()), left_out


def example_rows(judged: Iterable[Rated]) -> tuple[list[Row], Counter[str]]:
    """Examples to tune an LLM on, from answers that are right: see `rag.tuning.examples`.

    Also how many answers were left out, by why. The passages are those of the answer, in their
    order in its prompt.
    """
    rows: dict[str, Row] = {}
    left_out: Counter[str] = Counter()
    for one in judged:
        question = one.record["standalone_question"]
        name = known_by(question)
        reason = _unfit(one.record, filtered=True)
        if not one.right:
            reason = reason or WRONG
        if reason is None and name in rows:
            reason = ASKED_AGAIN
        row = None if reason else _example(one.record)
        if row is None:
            left_out[reason or UNCITED] += 1
        else:
            rows[name] = row
    return list(rows.values()), left_out


def split_of(question: str) -> str:
    """The split of a question: by a hash of its words, whatever stands between them."""
    words = " ".join(_NOT_WORDS.split(question.casefold()))
    return ("dev", "test")[hashlib.sha256(words.strip().encode()).digest()[0] % 2]


def marked_sentence(text: str, numbers: Sequence[int]) -> str:
    """A sentence with the numbers of its passages before its full stop, as an LLM learns it."""
    marks = "".join(f" [{number}]" for number in numbers)
    bare = without_marks(text)
    return f"{bare[:-1].rstrip()}{marks}." if bare.endswith(".") else f"{bare}{marks}"


def _better_told(first: Record, second: Record) -> Record:
    """Of two answers that are right, the one that has a short answer, else the first."""
    return second if second["short_answer"] and not first["short_answer"] else first


def _unfit(record: Record, filtered: bool = False) -> str | None:
    """Why nothing can be made of an answer, whatever was said of it."""
    if record.get("answered_from") == "catalog":
        return ABOUT_THE_LIBRARY
    if not filtered and any(record.get("filters", {}).values()):
        return CHOSEN_DOCUMENTS
    return None


def _right(record: Record) -> Row:
    if record["abstained"]:
        return _unanswerable()
    quotes = [" ".join(citation["quote"].split()) for citation in record["citations"]]
    found = [record["short_answer"]] if record["short_answer"] else quotes or [record["text"]]
    places = [{name: citation[name] for name in _PLACES} for citation in record["citations"]]
    return _answerable(list(dict.fromkeys(found)), places)


def _corrected(record: Record, answer: str) -> Row:
    """With the sentences as evidence that hold the correct answer, among those that were read."""
    if answer == NOT_SAID or is_refusal(answer):
        return _unanswerable()
    places = [
        {"source": span.passage.source, "page": span.passage.page, "quote": span.text}
        for passage in _passages(record)
        for span in passage_sentences(passage)
        if holds_answer(span.text, [answer])
    ]
    return _answerable([answer], places[:1])


def _answerable(answers: Sequence[str], places: Sequence[Row]) -> Row:
    evidence = [place for n, place in enumerate(places) if place not in places[:n]]
    return {"answerable": True, "answers": list(answers), "evidence": evidence}


def _unanswerable() -> Row:
    return {"answerable": False, "answers": [], "evidence": []}


def _example(record: Record) -> Row | None:
    """The example of an answer; None where it cites nothing that it was given."""
    passages = _passages(record)
    order = (record.get("made_with") or {}).get("prompt_passages") or range(len(passages))
    given = [passages[place] for place in order if place < len(passages)]
    if not given:
        return None
    numbers = {passage.chunk_id: number for number, passage in enumerate(given, 1)}
    answer, first = NOT_SAID, 1
    if not record["abstained"]:
        cited = {
            citation["n"]: numbers.get(citation["chunk_id"]) for citation in record["citations"]
        }
        sentences, used = [], []
        for sentence in record["sentences"]:
            marks = [number for n in sentence["citations"] if (number := cited.get(n))]
            if marks:
                sentences.append(marked_sentence(sentence["text"], marks))
                used += marks
        if not used:
            return None
        answer, first = " ".join(sentences), used[0]
    return {
        "question": record["standalone_question"],
        "passages": [{"title": passage.title, "text": passage.text} for passage in given],
        "answer": answer,
        "document": given[first - 1].source,
    }


def _passages(record: Record) -> list[Passage]:
    known = {field.name for field in fields(Passage)} - {"twins"}
    return [
        Passage(**{name: value for name, value in stored.items() if name in known})
        for stored in record["passages"]
    ]
