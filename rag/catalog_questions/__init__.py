"""Questions about the library itself: which documents there are, how many, the newest, whether one.

They are told by their form alone, in English, German, French, Spanish and Italian, and the whole
question must be understood: “Which documents do you have on travel?” is one, “Which documents do
you have to hand in?” is not. To miss one costs an answer from passages; to take another question
for one costs its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache

from rag.catalog_questions.asked import CatalogQuestion, Wanted
from rag.catalog_questions.details import DetailReader, Details
from rag.catalog_questions.folding import folded, folded_words
from rag.catalog_questions.phrases import LANGUAGES, Frame, Phrases, kinds_of, read_phrases
from rag.catalog_questions.small import PREPOSITIONS
from rag.records import Turn

__all__ = ["CatalogQuestion", "Wanted", "catalog_question"]

_LONGEST = 300
_ENDS = " \t\n?!.,;:¿¡"
_MOST_BARE_WORDS = 4


def catalog_question(
    question: str, history: Sequence[Turn] = (), today: date | None = None
) -> CatalogQuestion | None:
    """What a question asks about the library; None where it is not about the library.

    A follow-up of one, as “and on leave?”, is one too. `today` is what “today” means, by default
    this day in UTC, by which the catalog dates.
    """
    if len(question) > _LONGEST:
        return None
    text = " ".join(question.split()).strip(_ENDS)
    day = today or datetime.now(UTC).date()
    for phrases in _languages():
        if found := _alone(text, phrases, day):
            return found
    if not history or not any(p.follow.fullmatch(folded(text)) for p in _languages()):
        return None
    before = catalog_question(history[-1].question, history[:-1], day)
    return _continued(before, text, day) if before else None


def _alone(text: str, phrases: Phrases, today: date) -> CatalogQuestion | None:
    """What a question asks in one language; None where it is not about the library."""
    readings = (_read(text, frame, phrases, today) for frame in phrases.frames)
    return next(filter(None, readings), None)


def _read(text: str, frame: Frame, phrases: Phrases, today: date) -> CatalogQuestion | None:
    """What a question asks by a frame; None where it is not of that frame."""
    matched = frame.pattern.fullmatch(folded(text))
    if not matched:
        return None
    groups = matched.groupdict()
    dated = bool(frame.needs & {"days", "day"})
    reader = DetailReader(phrases, today, period=dated, own=frame.own, bare=frame.bare)
    found = Details()
    for name in ("a", "b"):
        if groups.get(name):
            start, end = matched.span(name)
            understood = reader.read(text[start:end], found)
            if understood is None:
                return None
            found = understood
    if groups.get("title"):
        start, end = matched.span("title")
        title = reader.title(text[start:end])
        if not title or phrases.generic.match(folded(title)):
            return None
        found = replace(found, topic=title, titled=True)
    if frame.needs and not found.met & frame.needs:
        return None
    noun = groups.get("noun") or ""
    kinds, doubtful = kinds_of(noun, phrases)
    if doubtful and not frame.own and "place" not in found.met:
        return None
    many = not phrases.one.fullmatch(noun)
    asked = _of(found, frame.wanted, phrases.language)
    shorter = reader.shorter(found.topic) if found.titled else ""
    sure = frame.own or found.here
    return replace(asked, kinds=kinds, many=many, shorter=shorter, sure=sure)


def _of(found: Details, wanted: Wanted, language: str) -> CatalogQuestion:
    return CatalogQuestion(
        wanted=wanted,
        language=language,
        topic=found.topic,
        titled=found.titled,
        folder=found.folder,
        collection=found.collection,
        since=found.since,
        until=found.until,
    )


def _continued(before: CatalogQuestion, text: str, today: date) -> CatalogQuestion | None:
    """The question before, with what a follow-up says in its place; None where it does not."""
    phrases = next(p for p in _languages() if p.language == before.language)
    matched = phrases.follow.fullmatch(folded(text))
    if not matched:
        return None
    rest = text[matched.start("b") :]
    one = before.wanted == "exists" or before.titled
    # “and a document on leave?”
    if one and (again := _alone(f"{phrases.again} {rest}", phrases, today)):
        return again
    reader = DetailReader(phrases, today, period=True, own=True)
    found = reader.read(rest, Details())
    if found is None:
        topic = "" if one else _bare_topic(before, rest, reader)
        return replace(before, topic=topic, sure=False) if topic else None
    if not found.met or (one and not (found.folder or found.collection)):
        return None
    return replace(
        before,
        topic=found.topic or before.topic,
        titled=found.titled if found.topic else before.titled,
        folder=found.folder or before.folder,
        collection=found.collection or before.collection,
        since=found.since or before.since,
        until=found.until if found.since else before.until,
    )


def _bare_topic(before: CatalogQuestion, rest: str, reader: DetailReader) -> str:
    """The topic that “and leave?” asks for in place of the one before; empty where none is."""
    words = folded_words(rest)
    short = 0 < len(words) <= _MOST_BARE_WORDS and words[0] not in PREPOSITIONS
    listed = before.wanted in ("list", "count") and before.topic
    if not (short and listed) or reader.phrases.aside.match(folded(rest)):
        return ""
    return reader.topic(rest)


@lru_cache
def _languages() -> tuple[Phrases, ...]:
    return tuple(read_phrases(language) for language in LANGUAGES)
