"""Questions about the library itself: which documents there are, how many, the newest, whether one.

They are told by their form alone, in English, German, French, Spanish and Italian, and the whole
question must be understood: “Which documents do you have on travel?” is one, “Which documents do
you have to hand in?” is not. To miss one costs an answer from passages; to take another question
for one costs its answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache

from rag.catalog_questions.asked import CatalogQuestion, Wanted
from rag.catalog_questions.details import DetailReader, Details
from rag.catalog_questions.folding import folded, folded_words
from rag.catalog_questions.phrases import (
    LANGUAGES,
    MAILS,
    Frame,
    Phrases,
    kinds_of,
    read_phrases,
)
from rag.catalog_questions.small import PREPOSITIONS
from rag.records import Turn

__all__ = ["CatalogQuestion", "Wanted", "catalog_question"]

_LONGEST = 300
_ENDS = " \t\n?!.,;:¿¡"
_MOST_BARE_WORDS = 4
_FROM = re.compile(r"(?:from|of|von|aus|de|del) ", re.IGNORECASE)
# of these no topic is understood
_WITHOUT_TOPIC = ("longest", "kinds", "purpose")


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
            return found if not (found.opens and _on_contents(history, day)) else None
    if not history or not any(p.follow.fullmatch(folded(text)) for p in _languages()):
        return None
    before = catalog_question(history[-1].question, history[:-1], day)
    if before is None or before.wanted == "purpose":
        return None
    return _continued(before, text, day)


def _on_contents(history: Sequence[Turn], day: date) -> bool:
    """Whether the last question asked was about contents."""
    return bool(history) and not catalog_question(history[-1].question, history[:-1], day)


def _alone(text: str, phrases: Phrases, today: date) -> CatalogQuestion | None:
    """What a question asks in one language; None where it is not about the library."""
    readings = (_read(text, frame, phrases, today) for frame in phrases.frames)
    return next(filter(None, readings), None)


def _read(text: str, frame: Frame, phrases: Phrases, today: date) -> CatalogQuestion | None:
    """What a question asks by a frame; None where it is not of that frame."""
    matched = frame.pattern.fullmatch(folded(text))
    if not matched:
        return None
    groups = {name: text for name, text in matched.groupdict().items() if text}
    noun = groups.get("noun", "")
    kinds, weak = kinds_of(noun, phrases)
    mails, timed = kinds == MAILS, bool(frame.needs & {"days", "day"})
    reader = DetailReader(phrases, today, timed, frame.own, frame.bare, mails)
    parts = {name: text[slice(*matched.span(name))].strip() for name in groups}
    found = _details(parts, reader, frame)
    if found is None or (found.topic and frame.wanted in _WITHOUT_TOPIC):
        return None
    met = found.met | ({"kind"} if kinds else set())
    if frame.needs and not met & frame.needs:
        return None
    placed = frame.own or "place" in met
    if weak and not (placed or mails):
        return None
    # mails may be those that are written about, and a document may have to be in German
    apart = found.written or found.sender or "dated" in groups
    doubtful = not placed and bool(weak or apart)
    if weak and "kind" in frame.needs and "place" not in met:
        doubtful = True
    return replace(
        _of(found, frame.wanted, phrases.language),
        kinds=kinds,
        many=not phrases.one.fullmatch(noun),
        shorter=reader.shorter(found.topic) if found.titled else "",
        dated="dated" in groups,
        sure=(frame.own or found.here) and not doubtful,
        doubtful=doubtful,
        opens=frame.opens,
    )


def _details(parts: Mapping[str, str], reader: DetailReader, frame: Frame) -> Details | None:
    """What the parts of a question beside its frame say; None where one is not understood."""
    found: Details | None = Details()
    for name in ("a", "b", "dated"):
        if name in parts and found is not None:
            found = reader.read(parts[name], found)
    if found is None:
        return None
    if "title" in parts:
        title = reader.title(parts["title"])
        if not title or reader.phrases.generic.match(folded(title)):
            return None
        # “Do we have a policy on gifts?” is about the library only if it has one of that name
        if not (frame.own or reader.tells(title)):
            return None
        found = replace(found, topic=title, titled=True)
    if "topic" in parts:
        found = replace(found, topic=reader.topic(parts["topic"]))
    if "sender" in parts:
        found = replace(found, sender=reader.sender(parts["sender"]))
    wanted = {"topic": found.topic, "sender": found.sender}
    return found if all(value for name, value in wanted.items() if name in parts) else None


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
        written=found.written,
        sender=found.sender,
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
    reader = DetailReader(phrases, today, period=True, own=True, mails=before.kinds == MAILS)
    # “and from 2024?”
    found = reader.read(_FROM.sub("", rest) if before.dated else rest, Details())
    if found is None:
        topic = "" if one else _bare_topic(before, rest, reader)
        return replace(before, topic=topic, sure=False) if topic else None
    if not found.met or (one and not (found.folder or found.collection)):
        return None
    # “and in French?” may ask for a translation of what was answered
    if found.written and not before.written:
        return None
    if found.topic and before.wanted in _WITHOUT_TOPIC:
        return None
    return replace(
        before,
        topic=found.topic or before.topic,
        titled=found.titled if found.topic else before.titled,
        folder=found.folder or before.folder,
        collection=found.collection or before.collection,
        since=found.since or before.since,
        until=found.until if found.since else before.until,
        written=found.written or before.written,
        sender=found.sender or before.sender,
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
