"""Gathers the reader's examples: `python -m rag.reading.gather --data FOLDER --embedder FOLDER`.

From the public sets and from the texts written for this project, into one file that
`rag.reading.train` learns from. Groups that begin with `held` are never learned from.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rag.reading.example import Example
from rag.reading.examples import (
    PARTS,
    Asked,
    Pool,
    covid,
    natural_questions_pool,
    own_libraries,
    own_pool,
    squad_pool,
    table_rows,
    with_distractors,
)
from rag.reading.gathered import write_examples
from rag.reading.near_misses import cut_passages, near_misses
from rag.reading.nearest import Embed, by_vectors, by_words

SEED = 20261121
_HELD_OUT_EVERY = 9
# the public articles that are held out, by name, so that they stay so whatever is added to the sets
HELD_SQUAD = frozenset(
    {
        "Ann_Arbor,_Michigan",
        "Armenia",
        "Carnival",
        "Central_Intelligence_Agency",
        "Child_labour",
        "Dell",
        "Human_Development_Index",
        "Namibia",
        "Queen_(band)",
        "Russian_Soviet_Federative_Socialist_Republic",
        "Slavs",
        "Web_browser",
    }
)
# and of those with people's near misses
HELD_SQUAD2 = frozenset({"Warsaw"})


def public_groups(
    data: Path, squad_train: Path | None, squad2: Sequence[Path], rng: random.Random
) -> dict[str, list[Example]]:
    """The examples of the public sets, in a folder with one folder for each set.

    `squad2` are files with more of SQuAD 2.0's questions.
    """
    groups: dict[str, list[Example]] = {}
    more = [squad_pool(path, rng) for path in squad2]
    if squad_train:
        learned, held = _parted(squad_pool(squad_train, rng), HELD_SQUAD)
        groups["squad"] = with_distractors(learned, by_words, rng)
        groups["squad near"] = near_misses(learned, rng)
        groups["squad cut"] = cut_passages(learned, rng)
        groups["held squad"] = with_distractors(held, by_words, rng)
        groups["held squad near"] = near_misses(held, rng)
        groups["held squad cut"] = cut_passages(held, rng)
    people = squad_pool(data / "squad2" / "dev-v2.0.json.gz", rng)
    learned, held = _parted(people, HELD_SQUAD2)
    more = [_parted(pool, HELD_SQUAD | HELD_SQUAD2)[0] for pool in more]
    groups["held squad2"] = with_distractors(held, by_words, rng)
    for number, pool in enumerate([learned, *more]):
        name = f"squad2 {number}" if number else "squad2"
        groups[name] = with_distractors(pool, by_words, rng)
        groups[f"{name} cut"] = cut_passages(pool, rng)
    nq = natural_questions_pool(data / "nq_oracle" / "nq-open-oracle.jsonl.gz", rng)
    groups["nq"] = with_distractors(nq, by_words, rng)
    groups["nq near"] = near_misses(nq, rng)
    groups["covid"] = covid(data / "covid_qa" / "200423_covidQA.json.gz", rng)
    return groups


def own_groups(embed: Embed, rng: random.Random, parts: str = PARTS) -> dict[str, list[Example]]:
    """The examples written for this project; `parts` says which of the files may be learned from.

    As a pattern of `fnmatch`. The rows of their tables stand alone with their labels.
    """
    groups: dict[str, list[Example]] = {}
    near = by_vectors(embed)
    for prefix, held_out, wanted in (("", False, parts), ("held ", True, PARTS)):
        libraries = own_libraries_of(held_out, wanted)
        pools = [own_pool(library) for library in libraries]
        rows = [row for library in libraries for row in library]
        groups[f"{prefix}own"] = [e for pool in pools for e in with_distractors(pool, near, rng)]
        groups[f"{prefix}rows"] = [e for row in rows for e in table_rows(row, rng)]
        groups[f"{prefix}own cut"] = [e for pool in pools for e in cut_passages(pool, rng)]
    return groups


def own_libraries_of(held_out: bool, parts: str = PARTS) -> list[list[dict[str, Any]]]:
    """The libraries of own texts that are held out of any training, or the others."""
    wanted = own_libraries(parts=parts)
    # counted among all, so that what is held out is held out of any part
    return [
        library
        for number, library in enumerate(own_libraries())
        if library in wanted and held_out == (number % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1)
    ]


def _parted(pool: Pool, held: Set[str]) -> tuple[Pool, Pool]:
    """A pool without these documents, and those of them that it has alone."""
    names = set(pool.documents)
    return _of(pool, names - held), _of(pool, names & held)


def _of(pool: Pool, documents: Set[str]) -> Pool:
    """What of a pool is of these documents."""
    kept = [i for i, name in enumerate(pool.documents) if name in documents]
    places = {old: new for new, old in enumerate(kept)}
    return Pool(
        [pool.contexts[i] for i in kept],
        list(_moved(pool, places)),
        [pool.documents[i] for i in kept],
    )


def _moved(pool: Pool, places: dict[int, int]) -> Iterator[Asked]:
    for one in pool.asked:
        if one.home in places:
            yield replace(one, home=places[one.home])


def main() -> None:
    """Gather the examples and write them to one file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--embedder", type=Path, required=True, help="folder of the embedder")
    parser.add_argument("--squad-train", type=Path, help="train-v1.1.json of SQuAD, if at hand")
    parser.add_argument(
        "--squad2", type=Path, nargs="*", default=(), help="more files in SQuAD 2.0's form"
    )
    parser.add_argument("--parts", default=PARTS, help="which of the own texts, as a file pattern")
    parser.add_argument("--out", type=Path, default=Path("reader-examples.jsonl.xz"))
    given = parser.parse_args()
    from rag.models.embedder import LocalEmbedding

    embedder = LocalEmbedding(given.embedder, "auto", "auto", 16)

    def embed(texts: list[str]) -> Any:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = embedder.get_text_embedding_batch([texts[i] for i in order])
        return np.asarray(vectors, dtype=np.float32)[np.argsort(order)]

    groups = public_groups(given.data, given.squad_train, given.squad2, random.Random(SEED))
    groups |= own_groups(embed, random.Random(SEED), given.parts)
    write_examples(given.out, groups)
    print(json.dumps({name: len(examples) for name, examples in groups.items()}))


if __name__ == "__main__":
    main()
