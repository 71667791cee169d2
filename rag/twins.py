"""Passages that say nearly the same: copies, and versions of one text, told by their age.

Two passages of different documents are *similar* where they share most of their word pairs
(Jaccard similarity of shingles, Broder 1997).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from rag.editions import age
from rag.records import Passage, Twin

# share of word pairs that two passages have in common: of any two documents, and of two whose
# names differ in figures only (“policy 2024”, “policy 2025”). Chosen on the sample library, where
# the sections of its two travel policies and two backup policies lie above the latter and no
# others above the former
SIMILAR, SIMILAR_NAMESAKES = 0.4, 0.17
# shorter texts, such as headings, are alike by chance
_LEAST_WORDS = 12
_WORD = re.compile(r"\w+")
# what of ASCII is no part of a word, as white space
_SPACED = bytes(at if at > 127 or _WORD.match(chr(at)) else 32 for at in range(256))
# so many words tell most texts apart
_BEGINNING = 8

_Shingles = frozenset[tuple[str, str]]


def distinct(passages: Sequence[Passage]) -> list[Passage]:
    """Without passages whose text, white space aside, a better one has; it names them as twins."""
    kept: dict[str, Passage] = {}
    beginnings = [_beginning(passage.text) for passage in passages]
    counts = Counter(beginnings)
    for passage, beginning in zip(passages, beginnings, strict=True):
        # what begins as nothing else does is the same as nothing else
        text = beginning if counts[beginning] == 1 else " ".join(passage.text.split())
        first = kept.setdefault(text, passage)
        known = {first.document_id, *(twin.document_id for twin in first.twins)}
        if passage.document_id not in known:
            more = (twin(first, passage, "same"), *passage.twins)
            kept[text] = replace(
                first, twins=first.twins + tuple(t for t in more if t.document_id not in known)
            )
    return list(kept.values())


def with_similar(passages: Sequence[Passage], others: Sequence[Passage]) -> list[Passage]:
    """The passages, each with those of `others` that are similar, of other documents, as twins."""
    pairs = {passage.chunk_id: _pairs(_words(passage.text)) for passage in passages}
    asked = _NONE.union(*pairs.values())
    near: list[Passage] = []
    for other in others:
        words = _words(other.text)
        # there are at least as many pairs as words but one, each counted once: what shares too
        # few of its pairs with all passages shares too few with each
        shared = len(asked.intersection(pairwise(words)))
        if shared and shared / max(1, len(set(words)) - 1) >= SIMILAR_NAMESAKES:
            near.append(other)
            pairs.setdefault(other.chunk_id, _pairs(words))
    return [_with_similar(passage, near, pairs) for passage in passages]


def twin(passage: Passage, other: Passage, relation: Literal["same", "similar"]) -> Twin:
    """What `other` is to `passage`."""
    return Twin(
        document_id=other.document_id,
        title=other.title,
        source=other.source,
        page=other.page,
        start=other.start,
        end=other.end,
        relation=relation,
        age=age(passage, other),
    )


def _with_similar(
    passage: Passage, others: Sequence[Passage], pairs: Mapping[str, _Shingles]
) -> Passage:
    known = {passage.document_id, *(twin.document_id for twin in passage.twins)}
    found: dict[str, tuple[float, Twin]] = {}
    for other in others:
        if other.document_id in known:
            continue
        alike = _jaccard(pairs[passage.chunk_id], pairs[other.chunk_id])
        if alike < SIMILAR_NAMESAKES:
            continue
        least = SIMILAR_NAMESAKES if _names(passage) & _names(other) else SIMILAR
        if alike >= max(least, found.get(other.document_id, (0.0,))[0]):
            found[other.document_id] = (alike, twin(passage, other, "similar"))
    if not found:
        return passage
    ranked = sorted(found.values(), key=lambda pair: -pair[0])
    return replace(passage, twins=(*passage.twins, *(one for _, one in ranked)))


def _beginning(text: str) -> str:
    """Its first words, white space aside, and the beginning of `" ".join(text.split())`."""
    return " ".join(text.split(None, _BEGINNING)[:_BEGINNING])


def _pairs(words: Sequence[str]) -> _Shingles:
    return frozenset(pairwise(words)) if len(words) >= _LEAST_WORDS else _NONE


def _words(text: str) -> list[str]:
    folded = text.casefold()
    if not folded.isascii():
        return _WORD.findall(folded)
    # the same words, in a fraction of the time
    return folded.encode().translate(_SPACED).decode().split()


_NONE: _Shingles = frozenset()


def _jaccard(one: _Shingles, other: _Shingles) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def _names(passage: Passage) -> set[str]:
    """What the document is called, by its title and by its path, without figures."""
    path = passage.source.rpartition(".")[0] or passage.source
    bare = {re.sub(r"[\d\W_]+", " ", name).strip().casefold() for name in (passage.title, path)}
    return bare - {""}
