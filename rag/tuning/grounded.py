"""Makes examples of grounded answers: `python -m rag.tuning.grounded --data FOLDER --out FILE`.

From SQuAD 2.0's articles that are not for testing, and from the texts written for this project that
the reader is not measured on. Passages that are found together are given together, in sets of one
to five, and each set is asked several questions: an answer is the sentence of a passage that holds
it, word for word, with the passage's number, since only what stands in a passage is let through;
where the passages do not answer, it is that they do not say. The same seed gives the same file.
"""

from __future__ import annotations

import argparse
import json
import random
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import CloisterError
from rag.evidence import passage_sentences
from rag.prompting import NOT_SAID
from rag.reading.examples import Asked, Pool, holds, own_pool, squad_pool
from rag.reading.gather import own_libraries_of
from rag.reading.nearest import Embed
from rag.records import Passage
from rag.tuning.examples import marks

SEED = 20261126
# so many passages stand in a prompt, among them as many of these that are nearest to one of them
_PASSAGES = (1, 2, 3, 3, 4, 5)
_NEAREST = 6
# a longer sentence is no answer to learn from
_LONGEST = 240
# so many of the questions have no answer in their set; so many of those are of other passages
_UNANSWERED, _ELSEWHERE = 0.08, 0.3

_ALL = 1_000_000

# where SQuAD 2.0 lies in the folder of the public sets
_SQUAD = Path("squad2", "dev-v2.0.json.gz")

Row = dict[str, Any]


def examples(pool: Pool, embed: Embed, most: int, rng: random.Random) -> Iterator[list[Row]]:
    """For each set of passages of a pool, at most so many questions with what to answer.

    A question is asked whose answer stands in one sentence of the set, or nowhere in it.
    """
    vectors = embed(list(pool.contexts))
    answers = [_sentence(pool.contexts[one.home], one) for one in pool.asked]
    for chosen in _sets(vectors, rng):
        held = "\n".join(pool.contexts[index] for index in chosen)
        some, none, elsewhere = [], [], []
        for one, sentence in zip(pool.asked, answers, strict=True):
            if one.home not in chosen:
                if sentence and not holds(held, one.answers):
                    elsewhere.append((one, NOT_SAID))
            elif sentence:
                number = chosen.index(one.home) + 1
                some.append((one, f"{sentence.rstrip('.')} [{number}]."))
            elif sentence is not None:
                none.append((one, NOT_SAID))
        some = rng.sample(some, min(len(some), round((1 - _UNANSWERED) * most)))
        wanted = round(len(some) * _UNANSWERED / (1 - _UNANSWERED))
        far = rng.sample(elsewhere, min(len(elsewhere), round(wanted * _ELSEWHERE)))
        near = rng.sample(none, min(len(none), wanted - len(far)))
        passages = [_titled(pool.contexts[index]) for index in chosen]
        yield [
            {
                "question": one.question,
                "passages": passages,
                "answer": answer,
                "document": pool.documents[chosen[0]],
            }
            for one, answer in (*some, *near, *far)
        ]


def _sets(vectors: Any, rng: random.Random) -> Iterator[list[int]]:
    """All passages in sets of near ones, in random order; each is in one set."""
    near = vectors @ vectors.T
    left = set(range(len(vectors)))
    for first in rng.sample(range(len(vectors)), len(vectors)):
        if first not in left:
            continue
        left.remove(first)
        others = [int(i) for i in np.argsort(-near[first]) if int(i) in left][:_NEAREST]
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


def main() -> None:
    """Make the examples and write them, one a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--embedder", type=Path, required=True, help="folder of the embedder")
    parser.add_argument("--out", type=Path, required=True, help="JSONL file of the examples")
    parser.add_argument("--most", type=int, default=1800, help="so many at most (%(default)s)")
    parser.add_argument("--questions", type=int, default=24, help="of a set (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    pools = [
        own_pool(library, f"own {number}")
        for number, library in enumerate(own_libraries_of(held_out=False))
    ]
    try:
        public = squad_pool(given.data / _SQUAD, rng, _ALL)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or f"it is damaged ({error})"
        parser.error(f"{given.data / _SQUAD} cannot be read: {reason}. Name its folder as --data.")
    from rag.models.embedder import LocalEmbedding

    try:
        embedder = LocalEmbedding(given.embedder, "auto", "auto", 16)
    except CloisterError as error:
        parser.error(str(error))

    def embed(texts: list[str]) -> Any:
        return np.asarray(embedder.get_text_embedding_batch(texts), dtype=np.float32)

    found = []
    for part, most in ((pools, given.most * 2 // 3), ([public], given.most // 3)):
        sets = [rows for pool in part for rows in examples(pool, embed, given.questions, rng)]
        rng.shuffle(sets)
        found += list(islice((row for rows in sets for row in rows), most))
    lines = (json.dumps(row, ensure_ascii=False) for row in found)
    given.out.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    unanswered = sum(row["answer"] == NOT_SAID for row in found)
    print(f"{len(found):,} examples, {unanswered:,} without an answer: {given.out}")


if __name__ == "__main__":
    main()
