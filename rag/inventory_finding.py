"""Finds the documents with a topic: by their titles and sources, and by the words' index."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.catalog import Catalog
from rag.catalog.holdings import Scope, chunks_within, holdings_spelt, holdings_with
from rag.catalog_questions import CatalogQuestion
from rag.retrieval import EXACT_LIMIT
from rag.stemming import stem, stems
from rag.words import terms

if TYPE_CHECKING:
    from rag.indexes import Indexes

# so many passages with a topic's words are looked at where more than EXACT_LIMIT are meant
MOST_PASSAGES = 10_000
_WORD_START = 4


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of documents with a topic, best first, with their best chunks.

    The first `titled` have it in their titles. There may be `more` than were looked at.
    """

    ids: tuple[str, ...]
    chunks: Mapping[str, str]
    titled: int
    more: bool = False


class TopicFinder:
    """Finds in one library. Safe to use from several threads."""

    def __init__(self, catalog: Catalog, indexes: Callable[[], Indexes]) -> None:
        """`indexes` is called when words are looked for."""
        self._catalog = catalog
        self._indexes = indexes

    def with_topic(self, words: Sequence[str], asked: CatalogQuestion, scope: Scope) -> Found:
        """The documents with all of these words in their title or source, then in a passage."""
        among = chunks_within(self._catalog, scope, EXACT_LIMIT) if scope.narrow else None
        most = MOST_PASSAGES if among is None else len(among)
        hits = self._indexes().words.query(" ".join(words), most, among, every=True)
        rank = {name: place for place, (name, _) in enumerate(hits)}
        best = self.best_chunks(scope, rank)
        titled = self.titled(words, asked, scope)
        ids = list(dict.fromkeys((*titled, *best)))
        last, named = len(rank), set(titled)
        ids.sort(key=lambda name: (name not in named, rank.get(best.get(name, ""), last)))
        more = among is None and len(hits) == MOST_PASSAGES
        return Found(tuple(ids), best, len(named), more)

    def titled(self, words: Sequence[str], asked: CatalogQuestion, scope: Scope) -> list[str]:
        """The documents with all of these words in their title or source."""
        starts = {_start(word) for word in terms(" ".join(words))}
        spelt = holdings_spelt(self._catalog, scope, starts)
        return [name for name, text in spelt if _has_all(text, words, asked.language)]

    def best_chunks(self, scope: Scope, rank: Mapping[str, int]) -> dict[str, str]:
        """The first of these chunks of each document that has one, by the documents' ids."""
        pairs = holdings_with(self._catalog, scope, rank)
        best: dict[str, str] = {}
        for document_id, chunk_id in sorted(pairs, key=lambda pair: (rank[pair[1]], pair[0])):
            best.setdefault(document_id, chunk_id)
        return best


def telling_words(topic: str, language: str) -> list[str]:
    """The words of a topic that say something in its language; all where none does."""
    words = re.findall(r"[^\W_]+", topic)
    return [word for word in words if stem(word, language) and stem(word, "en")] or words


def _start(word: str) -> str:
    """The beginning of a stem that every form of the word has."""
    return word[: max(2, min(_WORD_START, len(word) - 1))]


def _has_all(text: str, words: Sequence[str], language: str) -> bool:
    """Whether a document's title and source have all of these words, in some form."""
    text, wanted = text.replace("_", " "), " ".join(words)
    if set(terms(wanted)) <= set(terms(text)):
        return True
    return language != "en" and set(stems(wanted, language)) <= set(stems(text, language))
