"""Answers questions about the library itself from its catalog, without any model.

The answer is one like any other, streamed by the same events; each document that it lists is cited.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rag.answer_events import AnswerStream, marked, sentence_event
from rag.catalog import Catalog
from rag.catalog.answers import new_answer_id, record_answer
from rag.catalog.collections import collection_names
from rag.catalog.holdings import Scope, has_folder, some_holdings
from rag.catalog.passages import passages_of
from rag.catalog_questions import CatalogQuestion, catalog_question
from rag.citing import Citations
from rag.condensing import condense
from rag.errors import StorageError
from rag.evidence import Span, passage_sentences
from rag.inventory_finding import MOST_PASSAGES, Found, TopicFinder, telling_words
from rag.inventory_reply import FEW, MOST_LISTED, Listed, Reply
from rag.inventory_whole import said_of_all
from rag.inventory_wording import in_titles, mentioning, noun_of, number_of, where_of
from rag.records import NO_MODEL, Answer, Event, Passage, Question, Sentence, to_json
from rag.settings import Settings
from rag.stretches import stands_alone
from rag.words import terms

if TYPE_CHECKING:
    from rag.embedding import Embedder
    from rag.indexes import Indexes

log = logging.getLogger("cloister.library")

# so many documents are listed of those nearest in meaning
_NEAREST = 3
# among so many passages the nearest in meaning are sought
_NEAR = 200
# of what was listed some may go before it is cited
_TRIES = 3


class Inventory:
    """Answers from one library's catalog. Safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        indexes: Callable[[], Indexes],
        embedder: Callable[[], Embedder],
    ) -> None:
        """`indexes` and `embedder` are called where a question has a topic only."""
        self._settings = settings
        self._catalog = catalog
        self._indexes = indexes
        self._embedder = embedder
        self._finder = TopicFinder(catalog, indexes)

    def ask(self, question: Question, asked: CatalogQuestion) -> AnswerStream | None:
        """The events of an answer: `sources`, a `sentence` for each line, `done`.

        None where it is not sure that the library was asked about, and nothing is found in it.
        """
        started = time.perf_counter()
        scope = _scope(question, asked)
        if asked.sure:
            return AnswerStream(self._events(question, asked, scope, started), threading.Event())
        if asked.folder and not has_folder(self._catalog, scope):
            return None
        reply = self._reply(asked, scope)
        if reply.empty:
            return None
        return AnswerStream(self._events(question, asked, scope, started, reply), threading.Event())

    def _events(
        self,
        question: Question,
        asked: CatalogQuestion,
        scope: Scope,
        started: float,
        reply: Reply | None = None,
    ) -> Iterator[Event]:
        for left in reversed(range(_TRIES)):
            reply = reply or self._reply(asked, scope)
            passages, sentences, citations, whole = self._cited(reply)
            if whole or not left:
                break
            reply = None
        assert reply is not None
        short = reply.short
        if not whole and not citations.all:
            text = "What was found has been taken out of the library in the meantime; ask again."
            short, sentences = None, [Sentence(text, "catalog", 1.0, ())]
        timings = {"retrieve": _since(started)}
        yield Event("sources", {"passages": to_json(passages)})
        known = 0
        for index, sentence in enumerate(sentences):
            last = max(sentence.citations, default=known)
            yield sentence_event(index, sentence, citations.all[known:last])
            known = max(known, last)
        answer = Answer(
            id=new_answer_id(),
            question=question.text,
            standalone_question=self._standalone(question),
            collections=question.collections or (),
            text="\n".join(marked(sentences)),
            short_answer=short,
            abstained=False,
            confidence=1.0,
            answerable=1.0,
            sentences=tuple(sentences),
            citations=tuple(citations.all),
            passages=tuple(passages),
            model=NO_MODEL,
            prompt_version="",
            timings_ms={**timings, "total": _since(started)},
            filters=question.filters,
            answered_from="catalog",
        )
        record_answer(self._catalog, answer)
        yield Event("done", to_json(answer))

    def _standalone(self, question: Question) -> str:
        if catalog_question(question.text) is not None:
            return question.text
        return condense(question.text, question.history, self._settings.question_max_chars)

    def _cited(self, reply: Reply) -> tuple[list[Passage], list[Sentence], Citations, bool]:
        """The lines with what they are cited to; and whether every document was still there."""
        chosen = {one.held.id: one.chunk_id for _, listed in reply.lines for one in listed}
        passages = passages_of(self._catalog, chosen)
        citations, sentences, whole = Citations(self._catalog), [], True
        for text, listed in reply.lines:
            numbers = []
            for one in listed:
                passage = passages.get(one.held.id)
                citation = citations.cite(_best_span(passage, reply.words)) if passage else None
                if citation is None:
                    whole = False
                else:
                    numbers.append(citation.n)
            # a document that has gone is not named any more
            if numbers or not listed:
                sentences.append(Sentence(text, "catalog", 1.0, tuple(numbers)))
        cited = {citation.document_id for citation in citations.all}
        read = [passages[name] for name in chosen if name in cited]
        return read, sentences, citations, whole

    def _reply(self, asked: CatalogQuestion, scope: Scope) -> Reply:
        if scope.collection and scope.collection.lower() not in collection_names(self._catalog):
            reply = Reply(short="0" if asked.wanted == "count" else None)
            reply.say(f"There is no collection “{scope.collection}”.")
            return reply
        if asked.topic:
            return self._on_topic(asked, scope)
        return said_of_all(self._catalog, asked, scope)

    def _on_topic(self, asked: CatalogQuestion, scope: Scope) -> Reply:
        """The answer to a question about the documents with a topic, or of a name."""
        words = telling_words(asked.topic, asked.language)
        reply = Reply(words=tuple(terms(" ".join(words))))
        found = self._finder.with_topic(words, asked, scope)
        missing = asked.titled and not found.titled
        if missing and asked.sure and self._say_shorter(reply, asked, scope):
            return reply
        if not found.ids or missing:
            reply.empty = True
            # what is nearest in meaning need not be looked for where nothing will be said
            if asked.sure:
                self._say_none(reply, asked, scope, found)
        elif asked.titled:
            self._say_titled(reply, asked, scope, found)
        else:
            self._say_topic(reply, asked, scope, found)
        return reply

    def _say_topic(self, reply: Reply, asked: CatalogQuestion, scope: Scope, found: Found) -> None:
        """The documents that have a topic."""
        n = len(found.ids)
        does = mentioning(asked.topic, n) + in_titles(found.titled, n)
        head = f"{number_of(n, scope, found.more)} {does}"
        if asked.wanted == "count":
            reply.short = None if found.more else str(n)
            reply.say(f"{_capital(head)}.", *self._listed(scope, found, found.ids[:MOST_LISTED]))
            return
        dated = asked.wanted in ("newest", "oldest")
        if dated:
            listed = self._listed(scope, found, found.ids)
            listed.sort(key=lambda one: one.held.changed, reverse=asked.wanted == "newest")
            listed = listed[: FEW if asked.many else 1]
            reply.short = listed[0].held.title if listed else None
            which = f" {len(listed)} are" if len(listed) > 1 else " is"
            head += f"; the {asked.wanted}{which}:"
        else:
            listed = self._listed(scope, found, found.ids[:MOST_LISTED])
            head += f"; the first {MOST_LISTED} are:" if n > MOST_LISTED else ":"
        if asked.wanted == "exists":
            reply.short = "yes"
        reply.say(f"Yes: {head}" if reply.short == "yes" else _capital(head))
        reply.say_each(listed, dated)

    def _say_titled(self, reply: Reply, asked: CatalogQuestion, scope: Scope, found: Found) -> None:
        """The documents that are called what was asked for."""
        n, exists = found.titled, asked.wanted == "exists"
        reply.short = "yes" if exists else str(n) if asked.wanted == "count" else None
        has = f"has “{asked.topic}” in its" if n == 1 else f"have “{asked.topic}” in their"
        more = f"; the first {MOST_LISTED} are" if n > MOST_LISTED else ""
        number = number_of(n, scope)
        head = f"Yes: {number}" if exists else _capital(number)
        reply.say(f"{head} {has} title or file name{more}:")
        reply.say_each(self._listed(scope, found, found.ids[: min(n, MOST_LISTED)]))

    def _say_shorter(self, reply: Reply, asked: CatalogQuestion, scope: Scope) -> bool:
        """The documents called what was asked for but its last addition, if there are any."""
        if not asked.shorter:
            return False
        words = telling_words(asked.shorter, asked.language)
        titled = self._finder.titled(words, asked, scope)
        n = len(titled)
        if not n:
            return False
        has = "has" if n == 1 else "have"
        more = f"; the first {MOST_LISTED} are" if n > MOST_LISTED else ""
        reply.say(
            f"No {noun_of(scope)[0]}{where_of(scope)} has “{asked.topic}” in its title or file "
            f"name, but {number_of(n, scope)} {has} “{asked.shorter}” there{more}:"
        )
        reply.say_each(self._listed(scope, Found((), {}, n), titled[:MOST_LISTED]))
        return True

    def _say_none(self, reply: Reply, asked: CatalogQuestion, scope: Scope, found: Found) -> None:
        """That no document has the topic, or is called so, and what comes nearest to it."""
        # a title is looked for in all documents, words in so many passages only
        if asked.titled or not found.more:
            reply.short = {"exists": "no", "count": "0"}.get(asked.wanted)
        no, n = f"No {noun_of(scope)[0]}{where_of(scope)}", len(found.ids)
        if asked.titled and n:
            does = f"{number_of(n, scope, found.more)} {mentioning(asked.topic, n)}"
            reply.say(f"{no} has “{asked.topic}” in its title or file name, but {does}:")
            reply.say_each(self._listed(scope, found, found.ids[:FEW]))
            return
        if asked.titled:
            no += f" has “{asked.topic}” in its title or file name, and none"
        if found.more:
            no += (
                f" of those asked has any of the first {MOST_PASSAGES:,} passages with all words of"
            )
            reply.say(f"{no} “{asked.topic}”; there may be more, which were not looked at.")
        else:
            reply.say(f"{no} {mentioning(asked.topic, 1)}.")
        if near := [] if asked.narrowed else self._nearest(asked, scope):
            reply.say(f"The nearest in meaning {'is' if len(near) == 1 else 'are'}:")
            reply.say_each(near)

    def _listed(self, scope: Scope, found: Found, ids: Sequence[str]) -> list[Listed]:
        """These documents, in this order, as far as they answer still."""
        held = {one.id: one for one in some_holdings(self._catalog, scope, ids)}
        return [Listed(held[name], found.chunks.get(name, "")) for name in ids if name in held]

    def _nearest(self, asked: CatalogQuestion, scope: Scope) -> list[Listed]:
        """The documents whose passages are nearest to the topic, whatever their words."""
        try:
            hits = self._indexes().vectors.query(self._embedder().query(asked.topic), _NEAR)
        except StorageError as error:  # a full disk; what was said is true without it
            log.warning("what is nearest in meaning is left out: %s", error)
            return []
        rank = {name: place for place, (name, _) in enumerate(hits)}
        best = self._finder.best_chunks(scope, rank)
        return self._listed(scope, Found((), best, 0), list(best)[:_NEAREST])


def _scope(question: Question, asked: CatalogQuestion) -> Scope:
    return Scope(
        asked=question.collections,
        filters=question.filters,
        kinds=asked.kinds,
        folder=asked.folder,
        collection=asked.collection,
        since=asked.since,
        until=asked.until,
        dated=asked.dated,
        language=asked.written,
        sender=asked.sender,
    )


def _best_span(passage: Passage, words: Sequence[str]) -> Span:
    """The sentence of a passage that has most of these words; the first that says something."""
    sentences = passage_sentences(passage)
    spans = list(filter(stands_alone, sentences)) or [Span(passage, 0, len(passage.text))]
    wanted = set(words)
    return max(spans, key=lambda span: len(wanted & set(terms(span.text))))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
