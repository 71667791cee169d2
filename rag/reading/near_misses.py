"""Questions that a passage nearly answers, made from questions that it answers.

Where a set has none that people wrote: either the question is changed a little, or the sentence
that answers it is taken out of the passage.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from rag.evaluation.corruptions import Stated, changes
from rag.evidence import passage_sentences
from rag.reading.example import Example
from rag.reading.examples import Pool, holds
from rag.records import Passage
from rag.words import telling_terms

# so many of the questions are changed, and so many lose the sentence that answers them
_CHANGED, _CUT = 0.5, 0.3
_NEARLY = frozenset(
    {
        "another number",
        "number of another place",
        "name of another place",
        "two names exchanged",
        "another unit",
        "the opposite",
    }
)
_WORD = re.compile(r"(?<= )[a-z]{5,}(?= )")
# a passage of fewer sentences is not cut
_LEAST_SENTENCES = 3


def near_misses(pool: Pool, rng: random.Random, share: float = _CHANGED) -> list[Example]:
    """A share of the answered questions, changed a little, so that their passage answers none.

    As those that people wrote for SQuAD 2.0 are (Rajpurkar et al. 2018, table 1): another name,
    number or word, or the opposite of one.
    """
    words: dict[str, set[str]] = {}
    for one in pool.asked:
        words.setdefault(pool.documents[one.home], set()).update(_WORD.findall(one.question))
    ordered = {document: sorted(found) for document, found in words.items()}
    found: list[Example] = []
    for one in pool.asked:
        if not one.answers or rng.random() >= share:
            continue
        context = pool.contexts[one.home]
        made = changes(Stated(one.question, context), rng.randrange(2**32))
        changed = [text for kind, text in made if kind in _NEARLY]
        if other := _another_word(one.question, context, ordered[pool.documents[one.home]], rng):
            changed.append(other)
        if changed:
            found.append(Example(rng.choice(changed), context))
    return found


def cut_passages(pool: Pool, rng: random.Random, share: float = _CUT) -> list[Example]:
    """A share of the answered questions over their passage without the sentence that answers.

    Only where what is left does not hold the answer, and is at least two sentences.
    """
    found: list[Example] = []
    for one in pool.asked:
        if not one.answers or rng.random() >= share:
            continue
        title, _, text = pool.contexts[one.home].partition("\n")
        start = one.start - len(title) - 1
        end = start + len(one.answers[0])
        spans = passage_sentences(Passage("", "", title, "", 1, 0, len(text), text, 1.0))
        if len(spans) < _LEAST_SENTENCES:
            continue
        gone = next((s for s in spans if s.start <= start and end <= s.end), None)
        if gone is None:
            continue
        left = f"{text[: gone.start]}{text[gone.end :].lstrip()}".rstrip()
        if not holds(left, one.answers):
            found.append(Example(one.question, f"{title}\n{left}"))
    return found


def _another_word(
    question: str, context: str, words: Sequence[str], rng: random.Random
) -> str | None:
    """A question with one of its words exchanged for one that ends alike and is not in its context.

    Words that end alike are mostly of one kind, so that the question reads as one still.
    """
    known = set(telling_terms(f"{question} {context}"))
    found = list(_WORD.finditer(question))
    for word in rng.sample(found, len(found)):
        alike = [w for w in words if w[-2:] == word.group()[-2:] and telling_terms(w)]
        others = [w for w in alike if not known & set(telling_terms(w))]
        if others and telling_terms(word.group()):
            return question[: word.start()] + rng.choice(others) + question[word.end() :]
    return None
