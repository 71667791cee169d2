"""Retrieval on public question sets, beside BM25 alone and the embedder alone.

    .venv/bin/python benchmarks/retrieval_quality.py --data FOLDER [--kept FILE] [--write]

FOLDER holds one folder for each set (`rag/evaluation/sets.py`). The documents of a set are taken
into a library as any folder is. Scores are of documents: nDCG@10 over the distinct documents of
what was found. *BM25* and *MiniLM* are each the better of two: over Cloister's chunks, a
document counting as its best one, and over whole documents, of which the embedder reads the
beginning. The *oracle* takes for each question the better of the two. *Fused* is Cloister without
the reader. `--kept` keeps the vectors for the next run, `--write` puts the table into
docs/quality.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from _common import ROOT, say, write_between
from _indexed import Indexed, indexed, lay_out, spread
from sqlalchemy import select

from rag.catalog.passages import live_chunks, live_passages
from rag.catalog.schema import contents, documents, pages
from rag.errors import CloisterError
from rag.evaluation.intervals import interval
from rag.evaluation.metrics import ndcg
from rag.evaluation.sets import SETS, Asked, QuestionSet, read_set
from rag.reranking import Reranker
from rag.retrieval import Retriever
from rag.settings import Settings
from rag.words import WordIndex, Words

PAGE = ROOT / "docs" / "quality.md"
_BEGIN, _END = "<!-- retrieval -->", "<!-- /retrieval -->"
# chunks or passages that are ranked for ten documents
_DEEP = 100

Search = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Scored:
    """The nDCG@10 of each question of a set, by the system that searched."""

    name: str
    documents: int
    values: Mapping[str, Sequence[float]]


def main() -> int:
    """Measure every set and print the table, or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--kept", type=Path, help="a file that keeps vectors for the next run")
    parser.add_argument("--set", dest="sets", choices=list(SETS), action="append", help="only this")
    parser.add_argument("--most", type=int, default=1000, help="at most so many questions of each")
    parser.add_argument("--write", action="store_true", help="put the table into docs/quality.md")
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="cloister-retrieval-") as folder:
            kept = given.kept or Path(folder) / "kept.sqlite"
            # all before the first is measured, which takes long
            known = [read_set(name, given.data) for name in given.sets or SETS]
            scored = []
            for one in known:
                scored.append(measured(one, Path(folder) / one.name, kept, max(1, given.most)))
                say(table(scored[-1:]).splitlines()[-1])
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    text = table(scored)
    if given.write:
        write_between(PAGE, _BEGIN, _END, text)
    else:
        print(text)
    return 0


def measured(known: QuestionSet, folder: Path, kept: Path, most: int) -> Scored:
    """Take a set's documents in and ask its questions, each system all of them."""
    files = folder / "files"
    lay_out(known.documents, files)
    asked = _some(known.asked, most)
    with indexed(folder / "home", files, kept, Settings().chunk_tokens, 0) as held:
        values = {
            name: _scores(asked, search, f"{known.name}, {name}")
            for name, search in _systems(held, folder)
        }
    return Scored(known.name, len(known.documents), values)


def _some(asked: Sequence[Asked], most: int) -> Sequence[Asked]:
    """The test questions where a set has such; of many every so-manieth."""
    asked = [a for a in asked if a.test] or asked
    return spread(asked, most)


def _scores(asked: Sequence[Asked], search: Search, label: str) -> Sequence[float]:
    values = [_ndcg(search(a.text), a.gold) for a in asked]
    say(f"{label}: {mean(values):.3f}")
    return values


def _ndcg(found: Sequence[str], gold: frozenset[str]) -> float:
    distinct = enumerate(dict.fromkeys(found), 1)
    return ndcg((rank for rank, name in distinct if name in gold), len(gold))


def _systems(held: Indexed, folder: Path) -> Iterator[tuple[str, Search]]:
    """Each system as a search for names of documents, best first, one as often as it is found."""
    _, ids, vectors = live_chunks(held.library.catalog, None, held.embedder.fingerprint)
    sources = {name: p.source for name, p in live_passages(held.library.catalog, ids).items()}
    chunk_words = held.library.indexes.words
    yield "BM25, chunks", lambda q: [sources[name] for name, _ in chunk_words.query(q, _DEEP)]
    yield "MiniLM, chunks", lambda q: [sources[ids[i]] for i in _nearest(held, vectors, q)]
    whole = _whole_texts(held)
    words = WordIndex(folder / "whole")
    words.add(Words(name, text) for name, text in whole.items())
    words.commit()
    yield "BM25, whole", lambda q: [name for name, _ in words.query(q, _DEEP)]
    words.close()
    names = list(whole)
    beginnings = held.embedder.texts([_beginning(held, text) for text in whole.values()])
    yield "MiniLM, whole", lambda q: [names[i] for i in _nearest(held, beginnings, q)]
    yield "fused", _cloister(held, lambda: None)
    yield "Cloister", _cloister(held, held.library.reader)


def _nearest(held: Indexed, vectors: Any, question: str) -> Any:
    return np.argsort(-(vectors @ held.embedder.query(question)), kind="stable")[:_DEEP]


def _beginning(held: Indexed, text: str) -> str:
    """What the embedder reads of a text."""
    read = held.embedder.offsets(text)[: held.embedder.limit]
    return text[: read[-1][1]] if len(read) else text


def _whole_texts(held: Indexed) -> dict[str, str]:
    """The text of each document by its source, its title first."""
    found: dict[str, list[str]] = {}
    statement = (
        select(documents.c.source, contents.c.title, pages.c.text)
        .join(contents, contents.c.key == documents.c.content_key)
        .join(pages, pages.c.content_key == contents.c.key)
        .order_by(documents.c.source, pages.c.number)
    )
    with held.library.catalog.read() as connection:
        for source, title, text in connection.execute(statement):
            found.setdefault(source, [title]).append(text)
    return {source: "\n".join(texts) for source, texts in found.items()}


def _cloister(held: Indexed, reader: Any) -> Search:
    library = held.library
    settings = library.settings
    embedder: Any = held.embedder
    reranker = Reranker(reader, library.indexes.words, settings.retrieval_rerank)
    retriever = Retriever(settings, library.catalog, embedder, library.indexes, reranker)
    limit = settings.retrieval_candidates
    return lambda question: [p.source for p in retriever.passages(question, None, limit)]


def table(scored: Sequence[Scored]) -> str:
    """The table in Markdown."""
    heads = ["set", "documents", "questions", "BM25", "MiniLM", "oracle", "fused", "Cloister"]
    lines = [f"| {' | '.join([*heads, 'against the better one'])} |"]
    lines.append("| --- |" + " ---: |" * len(heads))
    for one in scored:
        words, vectors = _better(one, "BM25"), _better(one, "MiniLM")
        alone = max(words, vectors, key=mean)
        oracle = [max(pair) for pair in zip(words, vectors, strict=True)]
        cloister = one.values["Cloister"]
        gain = interval([ours - theirs for ours, theirs in zip(cloister, alone, strict=True)])
        columns = [words, vectors, oracle, one.values["fused"], cloister]
        shown = " | ".join(f"{mean(column):.3f}" for column in columns)
        lines.append(
            f"| {one.name} | {one.documents:,} | {len(cloister)} | {shown} "
            f"| {gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) |"
        )
    return "\n".join(lines)


def _better(one: Scored, name: str) -> Sequence[float]:
    both = [values for key, values in one.values.items() if key.startswith(f"{name},")]
    return max(both, key=mean)


if __name__ == "__main__":
    sys.exit(main())
