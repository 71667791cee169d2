"""Fusion: one score for each candidate from its vector, its words and its document's words.

A chunk of a long document seldom names what the document is about: whose report it is, for which
year. So the words that its document's candidates have together count as well, and those most that
tell the found documents from one another.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from itertools import chain

# of the lexical part this share is the document's; chosen on the dev questions and the dev parts of
# public sets (docs/quality.md)
_DOCUMENT = 0.5
# BM25's own constants as tantivy and Lucene have them (Robertson & Zaragoza 2009)
_K1, _B = 1.2, 0.75


def fuse(
    similarity: Mapping[str, float],
    matches: Mapping[str, float],
    documents: Mapping[str, float],
    dense_weight: float,
) -> Mapping[str, float]:
    """Weighted sum of cosine similarity and BM25 scores, for each candidate of either half.

    Similarity is min-max normalised to 0..1 over the candidates, the BM25 of each chunk (`matches`)
    and of its document by the best of them. (Lee 1997, CombSUM; each candidate has all of its
    scores, whichever half found it, since counting what a half did not find as 0 there was worse
    on every set of docs/quality.md.)
    """
    low, high = min(similarity.values(), default=0.0), max(similarity.values(), default=0.0)
    best, best_document = (max(each.values(), default=0.0) for each in (matches, documents))
    return {
        name: dense_weight * ((near - low) / (high - low) if high > low else 1.0)
        + (1.0 - dense_weight)
        * (
            (1.0 - _DOCUMENT) * _share(matches[name], best)
            + _DOCUMENT * _share(documents[name], best_document)
        )
        for name, near in similarity.items()
    }


def document_matches(
    held: Mapping[str, Set[str]], document_of: Mapping[str, str]
) -> dict[str, float]:
    """The BM25 score of each candidate's document among those of the candidates.

    `held` are the question's words that each candidate holds. A document is what was found of it:
    its length the number of its candidates, a word's frequency how many of them hold it, and how
    telling a word is, in how few of these documents it stands.
    """
    counts: dict[str, Counter[str]] = {}
    sizes = Counter(document_of[name] for name in held)
    for name, words in held.items():
        counts.setdefault(document_of[name], Counter()).update(words)
    spread = Counter(chain.from_iterable(counts.values()))
    mean = len(held) / len(sizes) if sizes else 1.0
    scores = {
        document: sum(
            _idf(len(sizes), spread[word])
            * count
            * (_K1 + 1.0)
            / (count + _K1 * (1.0 - _B + _B * sizes[document] / mean))
            for word, count in found.items()
        )
        for document, found in counts.items()
    }
    return {name: scores[document_of[name]] for name in held}


def ranked(fused: Mapping[str, float], firsts: Sequence[str], most: int) -> list[str]:
    """The ids of `fused`, best first, but each of `firsts` among the first `most`, if that is more
    than there are of them.

    Where the other half finds many nearly alike, the one passage that has a rare word would
    else stand behind them all. The best of all stays the first.
    """
    order = sorted(fused, key=lambda name: (-fused[name], name))
    late = [name for name in order[most:] if name in firsts]
    early = [name for name in order if name not in late]
    at = max(1, most - len(late))
    return [*early[:at], *late, *early[at:]]


def _share(score: float, best: float) -> float:
    return score / best if best > 0 else 0.0


def _idf(total: int, count: int) -> float:
    return math.log(1.0 + (total - count + 0.5) / (count + 0.5))
