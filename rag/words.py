"""The lexical index: tantivy's BM25 over chunk texts, holding ids and no stored text.

Every chunk's words are indexed with English stems; those of a chunk in another language with that
language's stems as well. A word of a question is looked for in both ways; the better one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import tantivy

from rag.errors import StorageError, store_error
from rag.stemming import CUT, SNOWBALL, primary, segmented, stem, stems

_FIELD, _ID, _STEMS, _LANGUAGE = "words", "id", "stems", "language"
_Form = tuple[str, str]
_HEAP_BYTES = 50_000_000
_LONGEST_QUERY = 200
# languages whose stems are indexed; scripts without spaces need none
_OTHERS = sorted({*SNOWBALL, *CUT} - {"en"})
_BATCH = 1000
# up to so many ids are looked up one by one sooner than all of the index's are gone through
_FEW = 1000
# articles, pronouns, prepositions, auxiliaries and question words (“may” is also a month)
_FUNCTION_WORDS = (
    "a an the this that these those i me my we us our you your he him his she her it its they "
    "them their who whom whose which what when where why how and or but if so as of at by for "
    "with about into to from in on off out up than then there here is am are was were be been "
    "being have has had do does did can could will would shall should must might let s t"
).split()


def terms(text: str) -> list[str]:
    """The words of a text as the index knows them: lower case, no accents, English stems."""
    found: list[str] = _analyzer().analyze(segmented(text))
    return found


def content_terms(text: str) -> list[str]:
    """`terms` without English function words; all of them where nothing else is left."""
    return telling_terms(text) or terms(text)


def telling_terms(text: str) -> list[str]:
    """`terms` without English function words."""
    found: list[str] = _analyzer(stop=True).analyze(segmented(text))
    return found


def _surface(text: str) -> list[str]:
    """The words of a text as they stand, in lower case."""
    found: list[str] = _spaced(lower=True).analyze(segmented(text))
    return found


def _forms(text: str, languages: Sequence[str]) -> dict[str, set[_Form]]:
    """The first content words of a text, as many as are looked for, each with how it is indexed."""
    forms = {word: {(_FIELD, word)} for word in content_terms(text)}
    for surface in dict.fromkeys(_surface(text)) if languages else ():
        key = "".join(terms(surface)[:1])
        for language in languages:
            if found := stem(surface, language):
                forms.setdefault(key, set()).add((_STEMS, found))
    return dict(islice(forms.items(), _LONGEST_QUERY))


@lru_cache
def _spaced(lower: bool = False) -> tantivy.TextAnalyzer:
    """Splits what is stemmed already, or a text into its words."""
    if not lower:
        return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    return builder.filter(tantivy.Filter.lowercase()).build()


@lru_cache
def _analyzer(stop: bool = False) -> tantivy.TextAnalyzer:
    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(80))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
    )
    if stop:
        builder = builder.filter(tantivy.Filter.custom_stopword(_FUNCTION_WORDS))
    return builder.filter(tantivy.Filter.stemmer("english")).build()


@dataclass(frozen=True, slots=True)
class Words:
    """What the index is given of a chunk; `language` is empty where it is not known."""

    id: str
    text: str
    language: str = ""


def _own_stems(row: Words) -> Iterator[tuple[str, list[str]]]:
    """A chunk's language and the stems in it, where that is one whose stems are indexed."""
    if (language := primary(row.language)) in _OTHERS:
        yield language, stems(row.text, language)


class WordIndex:
    """The words of all chunks, found by BM25 (k1 = 1.2, b = 0.75, tantivy's own)."""

    def __init__(self, path: Path) -> None:
        """Open or make the index in folder `path`; one process at a time may."""
        path.mkdir(parents=True, exist_ok=True)
        builder = tantivy.SchemaBuilder()
        builder.add_text_field(_ID, stored=True, tokenizer_name="raw", index_option="basic")
        builder.add_text_field(_FIELD, stored=False, tokenizer_name="cloister", index_option="freq")
        builder.add_text_field(_STEMS, stored=False, tokenizer_name="stemmed", index_option="freq")
        builder.add_text_field(_LANGUAGE, stored=False, tokenizer_name="raw", index_option="basic")
        try:
            self._index = tantivy.Index(builder.build(), path=str(path))
            self._index.register_tokenizer("cloister", _analyzer())
            self._index.register_tokenizer("stemmed", _spaced())
            self._writer: Any = self._index.writer(_HEAP_BYTES, 1)
        except ValueError as error:
            raise StorageError(
                f"The lexical index cannot be opened: {error}. Restart Cloister: it is built anew "
                "from the catalog."
            ) from error
        self._schema = self._index.schema

    def __len__(self) -> int:
        return int(self._searcher().num_docs)

    def add(self, rows: Iterable[Words]) -> None:
        """Add chunks, each replacing what its id had; seen after `commit`.

        Raises StorageError, and then nothing since the last `commit` was done; `delete` too.
        """
        with self._writing() as writer:
            for row in rows:
                writer.delete_documents_by_term(_ID, row.id)
                document = tantivy.Document()
                document.add_text(_ID, row.id)
                document.add_text(_FIELD, segmented(row.text))
                for language, found in _own_stems(row):
                    document.add_text(_STEMS, " ".join(found))
                    document.add_text(_LANGUAGE, language)
                writer.add_document(document)

    def delete(self, ids: Iterable[str]) -> None:
        """Take ids out; seen after `commit`."""
        with self._writing() as writer:
            for name in ids:
                writer.delete_documents_by_term(_ID, name)

    def commit(self) -> None:
        """Make what was added and deleted durable and visible. Raises StorageError."""
        with self._writing() as writer:
            writer.commit()
            self._index.reload()

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """The writer, made anew after one that failed: such a one never works again."""
        try:
            if self._writer is None:
                self._writer = self._index.writer(_HEAP_BYTES, 1)
            yield self._writer
        except (ValueError, OSError) as error:
            self._writer = None
            raise store_error("The lexical index", error) from error

    def query(
        self, text: str, n: int, among: Sequence[str] | None = None, every: bool = False
    ) -> list[tuple[str, float]]:
        """The `n` best ids with their BM25 scores, best first; with `among` only of those.

        With `every`, only those that hold each word of the text, in one form or another.
        """
        searcher = self._searcher()
        occur = tantivy.Occur.Must if every else tantivy.Occur.Should
        clauses = self._clauses(text, self._languages(searcher), occur)
        if not clauses or n < 1 or among == []:
            return []
        query = tantivy.Query.boolean_query(clauses)
        if among is not None:
            unscored = tantivy.Query.const_score_query(self._one_of(among), 0.0)
            query = tantivy.Query.boolean_query(
                [(tantivy.Occur.Must, query), (tantivy.Occur.Must, unscored)]
            )
        hits = searcher.search(query, n, count=False).hits
        return [(searcher.doc(address)[_ID][0], float(score)) for score, address in hits]

    def _one_of(self, ids: Sequence[str]) -> tantivy.Query:
        """What has one of these ids."""
        if len(ids) > _FEW:
            return tantivy.Query.term_set_query(self._schema, _ID, list(ids))
        each = (tantivy.Query.term_query(self._schema, _ID, name) for name in ids)
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, one) for one in each])

    def scores(self, text: str, ids: Sequence[str]) -> dict[str, float]:
        """The BM25 score of each of these ids for a text, as `query` would give it; 0 for none."""
        found = dict(self.query(text, len(ids), ids))
        return {name: found.get(name, 0.0) for name in ids}

    def held(self, text: str, ids: Sequence[str]) -> dict[str, set[str]]:
        """Which content words of a text each of these ids holds, in one form or another."""
        searcher = self._searcher()
        held: dict[str, set[str]] = {name: set() for name in ids}
        if not held:
            return held
        among = tantivy.Query.const_score_query(self._one_of(ids), 0.0)
        # to fetch an id takes longer than to find that a word is there
        named: dict[tuple[int, int], str] = {}
        for word, forms in _forms(text, self._languages(searcher)).items():
            query = tantivy.Query.boolean_query(
                [(tantivy.Occur.Must, self._any_of(forms)), (tantivy.Occur.Must, among)]
            )
            for _, address in searcher.search(query, len(ids), count=False).hits:
                place = address.segment_ord, address.doc
                if place not in named:
                    named[place] = searcher.doc(address)[_ID][0]
                held[named[place]].add(word)
        return held

    def _clauses(
        self, text: str, languages: Sequence[str], occur: tantivy.Occur
    ) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        """One clause a content word: the best of its forms counts."""
        return [(occur, self._any_of(forms)) for forms in _forms(text, languages).values()]

    def _any_of(self, forms: Iterable[_Form]) -> tantivy.Query:
        """What has one of these forms; the best of them counts."""
        return tantivy.Query.disjunction_max_query(
            [tantivy.Query.term_query(self._schema, *form) for form in sorted(forms)]
        )

    def _languages(self, searcher: tantivy.Searcher) -> list[str]:
        """The languages of which some chunk has stems."""
        return [name for name in _OTHERS if searcher.doc_freq(_LANGUAGE, name)]

    def frequencies(self, words: Sequence[str]) -> tuple[int, list[int]]:
        """How many chunks there are, and how many hold each of these terms."""
        searcher = self._searcher()
        return searcher.num_docs, [searcher.doc_freq(_FIELD, word) for word in words]

    def ids(self) -> Iterator[str]:
        """All ids."""
        searcher = self._searcher()
        everything = tantivy.Query.all_query()
        for offset in range(0, searcher.num_docs, _BATCH):
            for _, address in searcher.search(everything, _BATCH, offset=offset, count=False).hits:
                yield searcher.doc(address)[_ID][0]

    def missing(self, rows: Iterable[Words]) -> list[str]:
        """The ids of those that are not found by their id and every word together."""
        searcher, lost = self._searcher(), []
        for row in rows:
            wanted = [(_ID, row.id), *((_FIELD, word) for word in dict.fromkeys(terms(row.text)))]
            for language, found in _own_stems(row):
                wanted += [
                    (_LANGUAGE, language),
                    *((_STEMS, word) for word in dict.fromkeys(found)),
                ]
            query = tantivy.Query.boolean_query(
                [
                    (tantivy.Occur.Must, tantivy.Query.term_query(self._schema, field, word))
                    for field, word in wanted
                ]
            )
            if len(searcher.search(query, 2, count=False).hits) != 1:
                lost.append(row.id)
        return lost

    def become(self, other: WordIndex) -> None:
        """Take over the files of `other`. A search that is under way ends in the old ones."""
        self._writer, self._index = other._writer, other._index
        self._schema = other._schema

    def close(self) -> None:
        """Let go of the files; what was not committed is lost."""
        self._writer = None

    def _searcher(self) -> tantivy.Searcher:
        return self._index.searcher()
