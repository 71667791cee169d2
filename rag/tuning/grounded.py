"""Makes examples of grounded answers: `python -m rag.tuning.grounded --data FOLDER --out FILE`.

From SQuAD 2.0's articles that are not for testing, from the training part of SQuAD 1.1 where
`--squad-train` names it, and from the texts written for this project that the reader is not
measured on. Passages that are found together are given together, in sets of one to eight, and each
set is asked several questions: an answer is the sentence of a passage that holds it, word for word,
with the passage's number, since only what stands in a passage is let through; where the passages do
not answer, it is that they do not say. The same seed gives the same file, and with another
`--unanswered` the same questions that have an answer.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import UsageError
from rag.evidence import passage_sentences
from rag.prompting import NOT_SAID
from rag.reading.examples import Asked, Pool, holds, own_pool, squad_pool
from rag.reading.gather import own_libraries_of
from rag.reading.near_misses import near_misses
from rag.reading.nearest import Embed
from rag.records import Passage
from rag.tuning.examples import marks
from rag.words import content_terms

SEED = 20261126
# so many passages stand in a prompt, among them as many of these that are nearest to one of them
_PASSAGES = (1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 8, 8)
_NEAREST = 8
# a longer sentence is no answer to learn from
_LONGEST = 240
# how near passages are is told by their words, in vectors of so many numbers
_DIMENSIONS = 1024
# of the questions without an answer in their set so many are of passages that are not in it
_ELSEWHERE = 0.3
# a set of the own texts is asked so many times as many questions
_OWN_TIMES = 2

_ALL = 1_000_000

# where SQuAD 2.0 lies in the folder of the public sets
_SQUAD = Path("squad2", "dev-v2.0.json.gz")

Row = dict[str, Any]


def examples(
    pool: Pool, embed: Embed, most: int, rng: random.Random, unanswered: float
) -> Iterator[list[Row]]:
    """For each set of passages of a pool, at most so many questions with their answers.

    Beside them stand as many that have none as make `unanswered` of all, as far as there are any:
    those that people wrote, or near misses. A question is asked whose answer stands in one sentence
    of the set, or nowhere in it.
    """
    # apart, so that what has an answer is the same whatever the share of what has none
    apart = random.Random(rng.getrandbits(64))
    answered: dict[int, list[tuple[Asked, str]]] = defaultdict(list)
    of_document: dict[str, list[Asked]] = defaultdict(list)
    for one in pool.asked:
        if sentence := _sentence(pool.contexts[one.home], one):
            answered[one.home].append((one, sentence))
            of_document[pool.documents[one.home]].append(one)
    without = _without_answer(pool, apart)
    for chosen in _sets(embed(list(pool.contexts)), rng):
        some = [
            (one.question, f"{sentence.rstrip('.')} [{number}].")
            for number, home in enumerate(chosen, 1)
            for one, sentence in answered[home]
        ]
        some = rng.sample(some, min(len(some), most))
        wanted = int(len(some) * unanswered / (1 - unanswered) + apart.random())
        far = _elsewhere(pool, chosen, of_document, round(wanted * _ELSEWHERE), apart)
        near = [question for home in chosen for question in without[home]]
        near = apart.sample(near, min(len(near), wanted - len(far)))
        yield [
            {
                "question": question,
                "passages": [_titled(pool.contexts[index]) for index in chosen],
                "answer": answer,
                "document": pool.documents[chosen[0]],
            }
            for question, answer in (*some, *((q, NOT_SAID) for q in (*near, *far)))
        ]


def _without_answer(pool: Pool, rng: random.Random) -> dict[int, list[str]]:
    """Questions that their passage does not answer, by its number; else near misses."""
    found: dict[int, list[str]] = defaultdict(list)
    for one in pool.asked:
        if not one.answers:
            found[one.home].append(one.question)
    if not found:
        homes = {context: home for home, context in enumerate(pool.contexts)}
        for miss in near_misses(pool, rng):
            found[homes[miss.context]].append(miss.question)
    return found


def _elsewhere(
    pool: Pool,
    chosen: Sequence[int],
    of_document: Mapping[str, Sequence[Asked]],
    most: int,
    rng: random.Random,
) -> list[str]:
    """Questions of other passages of the same documents, whose answers these do not hold."""
    held = "\n".join(pool.contexts[index] for index in chosen)
    names = sorted({pool.documents[index] for index in chosen})
    others = [
        one.question
        for name in names
        for one in of_document.get(name, ())
        if most and one.home not in chosen and not holds(held, one.answers)
    ]
    return rng.sample(others, min(len(others), most))


def _sets(vectors: Any, rng: random.Random) -> Iterator[list[int]]:
    """All passages in sets of near ones, in random order; each is in one set."""
    left = set(range(len(vectors)))
    for first in rng.sample(range(len(vectors)), len(vectors)):
        if first not in left:
            continue
        left.remove(first)
        nearest = np.argsort(-(vectors @ vectors[first]), kind="stable")
        others = list(islice((int(i) for i in nearest if int(i) in left), _NEAREST))
        others = rng.sample(others, min(len(others), rng.choice(_PASSAGES) - 1))
        left.difference_update(others)
        yield rng.sample([first, *others], 1 + len(others))


def _sentence(context: str, asked: Asked) -> str | None:
    """The sentence of a context with the answer; empty without one, None for none to learn."""
    if not asked.answers:
        return ""
    title, _, text = context.partition("\n")
    start = asked.start - len(title) - 1
    end = start + len(asked.answers[0])
    passage = Passage("", "", title, "", 1, 0, len(text), text, 1.0)
    for span in passage_sentences(passage):
        if span.start <= start and end <= span.end:
            sentence = " ".join(span.text.split())
            fits = len(sentence) <= _LONGEST and "|" not in sentence and not marks(sentence)
            return sentence if fits else None
    return None


def _titled(context: str) -> dict[str, str]:
    title, _, text = context.partition("\n")
    return {"title": title, "text": text}


def word_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of the texts' content words, rare ones weighing more: near ones share words.

    A word's place among `_DIMENSIONS` is its CRC-32's; each vector is of length 1, or 0.
    """
    counts = [Counter(content_terms(text)) for text in texts]
    known = Counter(term for one in counts for term in one)
    rows = np.zeros((len(texts), _DIMENSIONS), dtype=np.float32)
    for row, one in zip(rows, counts, strict=True):
        for term, count in one.items():
            place = zlib.crc32(term.encode())
            sign = 1 if place & _DIMENSIONS else -1
            weight = math.sqrt(count) * math.log(1 + len(texts) / known[term])
            row[place % _DIMENSIONS] += sign * weight
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: NDArray[np.float32] = rows / np.maximum(lengths, 1e-9)
    return found


def _public(path: Path, option: str, rng: random.Random) -> Pool:
    """The pool of a file of SQuAD's. Raises UsageError where it cannot be read."""
    try:
        return squad_pool(path, rng)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or f"it is damaged ({error})"
        raise UsageError(f"{path} cannot be read: {reason}. Name {option}.") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--out", type=Path, required=True, help="JSONL file of the examples")
    parser.add_argument("--squad-train", type=Path, help="train-v1.1.json of SQuAD, if at hand")
    parser.add_argument(
        "--most", type=int, default=_ALL, help="so many with an answer at most (all)"
    )
    parser.add_argument("--questions", type=int, default=8, help="of a set (%(default)s)")
    parser.add_argument(
        "--unanswered", type=float, default=0.0, help="share without an answer (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    if not 0 <= given.unanswered < 1:
        parser.error("--unanswered must be at least 0 and less than 1.")
    return given


def _made(given: argparse.Namespace) -> list[Row]:
    """The examples, the sets of all pools mixed. Raises UsageError."""
    rng = random.Random(given.seed)
    pools = [
        (own_pool(library, f"own {number}"), _OWN_TIMES)
        for number, library in enumerate(own_libraries_of(held_out=False))
    ]
    pools.append((_public(given.data / _SQUAD, "its folder as --data", rng), 1))
    if given.squad_train:
        pools.append((_public(given.squad_train, "the file as --squad-train", rng), 1))
    sets: list[list[Row]] = []
    for pool, times in pools:
        sets += examples(pool, word_vectors, times * given.questions, rng, given.unanswered)
    rng.shuffle(sets)
    found, answered = [], 0
    for rows in sets:
        found += rows
        answered += sum(row["answer"] != NOT_SAID for row in rows)
        if answered >= given.most:
            break
    return found


def main() -> None:
    """Make the examples and write them, one a line."""
    given = _arguments()
    try:
        found = _made(given)
    except UsageError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error
    lines = (json.dumps(row, ensure_ascii=False) for row in found)
    with given.out.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    unanswered = sum(row["answer"] == NOT_SAID for row in found)
    print(f"{len(found):,} examples, {unanswered:,} without an answer: {given.out}")


if __name__ == "__main__":
    main()
