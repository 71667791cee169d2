"""Makes examples of grounded answers: `python -m rag.tuning.grounded --data FOLDER --out FILE`.

From SQuAD 2.0's articles that are not for testing, and from the texts written for this project that
the reader is not measured on. An answer is the sentence of a passage that holds it, word for word,
with the passage's number, since only what stands in a passage is let through; where the passages do
not answer, it is that they do not say. The same seed gives the same file.
"""

from __future__ import annotations

import argparse
import json
import random
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import CloisterError
from rag.evidence import passage_sentences
from rag.prompting import NOT_SAID
from rag.reading.examples import Asked, Embed, Pool, holds, own_pool, squad_pool
from rag.reading.train import own_libraries_of
from rag.records import Passage
from rag.tuning.examples import marks

SEED = 20261126
# other passages of an example, drawn from so many that are nearest to the question
_OTHERS = (1, 2)
_NEAREST = 5
# a longer sentence is no answer to learn from
_LONGEST = 240
# so many of the examples have no answer in their passages
_UNANSWERED = 0.2

# where SQuAD 2.0 lies in the folder of the public sets
_SQUAD = Path("squad2", "dev-v2.0.json.gz")

Row = dict[str, Any]


def examples(pool: Pool, embed: Embed, rng: random.Random) -> Iterator[Row]:
    """An example for each question of a pool whose answer stands in one sentence, or nowhere."""
    near = embed([one.question for one in pool.asked]) @ embed(list(pool.contexts)).T
    for similarity, one in zip(near, pool.asked, strict=True):
        sentence = _sentence(pool.contexts[one.home], one)
        if sentence is None:
            continue
        chosen = _passages(pool.contexts, similarity, one, rng)
        number = chosen.index(one.home) + 1
        yield {
            "question": one.question,
            "passages": [_titled(pool.contexts[index]) for index in chosen],
            "answer": f"{sentence.rstrip('.')} [{number}]." if sentence else NOT_SAID,
            "document": pool.documents[one.home],
        }


def balanced(
    found: Sequence[dict[str, Any]], most: int, rng: random.Random
) -> list[dict[str, Any]]:
    """At most so many examples, in random order, a fifth of them without an answer."""
    none = [row for row in found if row["answer"] == NOT_SAID]
    some = [row for row in found if row["answer"] != NOT_SAID]
    count = min(len(some), len(none) * 4, int(most * (1 - _UNANSWERED)))
    kept = [*rng.sample(some, count), *rng.sample(none, min(len(none), count // 4))]
    rng.shuffle(kept)
    return kept


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


def _passages(
    contexts: Sequence[str], similarity: Any, one: Asked, rng: random.Random
) -> list[int]:
    """The question's own passage among near ones that do not hold the answer, in random order."""
    ranked = (int(index) for index in np.argsort(-similarity)[: 4 * _NEAREST])
    others = [i for i in ranked if i != one.home and not holds(contexts[i], one.answers)]
    others = others[:_NEAREST]
    chosen = [one.home, *rng.sample(others, min(len(others), rng.choice(_OTHERS)))]
    rng.shuffle(chosen)
    return chosen


def _titled(context: str) -> dict[str, str]:
    title, _, text = context.partition("\n")
    return {"title": title, "text": text}


def main() -> None:
    """Make the examples and write them, one a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--embedder", type=Path, required=True, help="folder of the embedder")
    parser.add_argument("--out", type=Path, required=True, help="JSONL file of the examples")
    parser.add_argument("--most", type=int, default=4000, help="so many at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    pools = [
        own_pool(library, f"own {number}")
        for number, library in enumerate(own_libraries_of(held_out=False))
    ]
    try:
        public = squad_pool(given.data / _SQUAD, rng, given.most)
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

    found = [
        balanced([row for pool in part for row in examples(pool, embed, rng)], most, rng)
        for part, most in ((pools, given.most * 2 // 3), ([public], given.most // 3))
    ]
    kept = [row for part in found for row in part]
    rng.shuffle(kept)
    lines = (json.dumps(row, ensure_ascii=False) for row in kept)
    given.out.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    unanswered = sum(row["answer"] == NOT_SAID for row in kept)
    print(f"{len(kept):,} examples, {unanswered:,} without an answer: {given.out}")


if __name__ == "__main__":
    main()
