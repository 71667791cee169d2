"""What a question may be asked about: sentences of the library, with the answer in each."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from sqlalchemy import select

from rag.catalog import Catalog
from rag.catalog.filtering import allowed
from rag.catalog.passages import live_passages
from rag.catalog.schema import chunks, documents
from rag.evidence import Span, passage_sentences
from rag.numbers import WORD_NUMBERS
from rag.records import NO_FILTERS, Passage

# characters of a sentence that can be asked about
_SHORTEST, _LONGEST = 40, 240
_MONTHS = (
    "January|February|March|April|May|June|July|August|September|October|November|December|"
    "Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember|"
    "janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"
)
_NUMBER = rf"(?:\d+(?:[.,]\d+)*|(?:{'|'.join(WORD_NUMBERS)}))(?: (?:million|thousand|hundred))?"
_CURRENCY = r"(?:€|£|\$|EUR|USD|GBP|CHF)"
# what an answer is and how a question for it begins, the most telling first; a sentence that has
# two of a kind is ambiguous in it
_ANSWERS = tuple(
    (re.compile(pattern), begins)
    for pattern, begins in (
        (
            rf"{_CURRENCY}\s?{_NUMBER}(?!\w)|"
            rf"(?<!\w){_NUMBER}\s?(?:{_CURRENCY}|euros?|dollars?|pounds?)(?!\w)",
            "How much",
        ),
        (
            rf"(?<!\w){_NUMBER}\s?(?:%|per ?cent(?!\w)|Prozent(?!\w)|pour cent(?!\w))",
            "What percentage",
        ),
        (
            rf"(?<!\w)\d{{1,2}}\.? (?:{_MONTHS})(?: \d{{4}})?(?!\w)|"
            r"(?<!\w)\d{4}-\d\d-\d\d(?!\w)",
            "On what date",
        ),
        (r"(?<!\w)\d{1,2}[:.]\d\d(?: ?[ap]\.?m\.?)?(?!\w)(?=\s|[,;.)]|$)", "At what time"),
        (
            rf"(?<![\w.,]){_NUMBER} (?!has\b|was\b|is\b|does\b|plus\b)[a-zäöüé]{{2,}}s(?!\w)",
            "How many",
        ),
        (r"(?<!^)(?<!\w)[A-ZÀ-Þ][a-zà-ÿ]+(?: [A-ZÀ-Þ][a-zà-ÿ]+)+(?!\w)", "Who"),
    )
)
# a sentence that begins so says of what only together with what stands before it
_LEANS = re.compile(
    r"(?:it|this|that|these|those|they|he|she|there|such|both|here|also|but|and|or|then|es|dies\w*|"
    r"sie|er|il|elle|ils|elles|cela|ce|cette|ces)\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"[A-ZÀ-Þ0-9].*[.!][\"”’)]?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """A sentence, `passage.text[start:end]`, and the stretch of it that is to be the answer.

    `begins` is how an English question for such an answer begins.
    """

    passage: Passage
    start: int
    end: int
    answer: str
    begins: str = ""

    @property
    def sentence(self) -> str:
        """The sentence as it stands in its passage."""
        return self.passage.text[self.start : self.end]


def draw(
    catalog: Catalog, collections: Sequence[str] | None = None, seed: int = 0
) -> Iterator[Target]:
    """Sentences to ask about, spread over the documents, in an order that hangs on the seed alone.

    One of each document comes before a second of any, each of another chunk. Raises
    UnknownCollection.
    """
    for some in _batched(_chunks(catalog, collections, seed)):
        found = live_passages(catalog, some, collections)
        for chunk_id in some:
            if chunk_id in found and (targets := targets_of(found[chunk_id])):
                yield min(targets, key=lambda t: _hashed(seed, f"{chunk_id} {t.start}"))


def targets_of(passage: Passage) -> list[Target]:
    """The sentences of a passage that can be asked about, each with its answer."""
    return [
        Target(passage, span.start, span.end, *found)
        for span in passage_sentences(passage)
        if _stands_alone(span) and (found := _answer(" ".join(span.text.split())))
    ]


def _stands_alone(span: Span) -> bool:
    text = span.text.strip()
    if not _SHORTEST <= len(text) <= _LONGEST or "|" in text or "\n\n" in text:
        return False
    return bool(_WHOLE.match(text)) and not _LEANS.match(text)


def _answer(sentence: str) -> tuple[str, str] | None:
    """The one thing of the first kind that a sentence has, and how a question for it begins.

    None where it has none, or two.
    """
    for pattern, begins in _ANSWERS:
        found = {match.group().strip() for match in pattern.finditer(sentence)}
        if found:
            answer = found.pop()
            unit = f" {answer.split()[-1]}" if begins == "How many" else ""
            return None if found else (answer, f"{begins}{unit}")
    return None


def _chunks(catalog: Catalog, collections: Sequence[str] | None, seed: int) -> Iterator[str]:
    """The ids of the chunks, one of each content in turn, both in the order of their hashes."""
    with catalog.read() as connection:
        statement = (
            select(documents.c.content_key, chunks.c.id)
            .distinct()
            .join(chunks, chunks.c.content_key == documents.c.content_key)
            .where(allowed(connection, collections, NO_FILTERS))
        )
        rows = connection.execute(statement).all()
    of_content: dict[str, list[str]] = defaultdict(list)
    for content_key, chunk_id in rows:
        of_content[content_key].append(chunk_id)
    columns = [
        sorted(of_content[key], key=lambda name: _hashed(seed, name))
        for key in sorted(of_content, key=lambda name: _hashed(seed, name))
    ]
    rounds = zip_longest(*columns)
    return (name for name in chain.from_iterable(rounds) if name is not None)


def _batched(names: Iterator[str], size: int = 50) -> Iterator[list[str]]:
    some: list[str] = []
    for name in names:
        some.append(name)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


def _hashed(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()
