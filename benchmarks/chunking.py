"""Chunk sizes and methods, measured by Chroma's chunking evaluation and on the sample questions.

    .venv/bin/python benchmarks/chunking.py --data FOLDER [--kept FILE] [--write]

FOLDER holds `questions_df.csv` and `corpora/` of github.com/brandonstarxel/chunking_evaluation
(MIT). Its five corpora are taken into one library, each as the Markdown file that it is; each of
its 472 questions gets five passages. *Dense*: the nearest chunks by cosine, searched exactly.
*Whole*: Cloister's retrieval. `_spans.py` has the definitions of the scores. The sample library's
`dev` questions are searched in the same way, without the LLM. `--kept` keeps the vectors for the
next run. `--write` puts the tables into docs/quality.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from _common import QUESTIONS, ROOT, SAMPLES, write_between
from _indexed import Indexed, indexed
from _rows import KeptRows, Row
from _spans import Place, Span, scores

from ingest.chunking import CHUNKER_VERSION
from rag.catalog.passages import live_chunks, live_passages
from rag.condensing import condense
from rag.errors import CloisterError, NotFound
from rag.evaluation.metrics import gold_ranks, retrieval_scores
from rag.evaluation.questions import Item, read_questions
from rag.records import Passage, to_json
from rag.reranking import Reranker
from rag.retrieval import Retriever
from rag.widening import widened

PAGE = ROOT / "docs" / "quality.md"
_BEGIN, _END = "<!-- chunking -->", "<!-- /chunking -->"
_FOUND = 5
# more than that many of the nearest chunks are never needed for five passages
_NEAREST = 40


@dataclass(frozen=True, slots=True)
class Case:
    """A way to cut and to show; `whole` are the characters around for which both are measured."""

    tokens: int
    overlap: int
    dense: tuple[int, ...]
    whole: tuple[int, ...] = ()


CASES = (
    Case(100, 0, (0, 250, 300, 350, 380, 420, 500), (380,)),
    Case(200, 0, (0,), (0,)),
    Case(236, 118, (0,)),
    Case(128, 0, (0, 250, 300, 380), (300,)),
    Case(75, 0, (0, 500)),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the evaluation and where its answers stand."""

    text: str
    corpus: str
    references: tuple[Span, ...]


Search = Callable[[str], Sequence[Passage]]


def main() -> int:
    """Measure every case and print the tables, or write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the evaluation's data")
    parser.add_argument("--kept", type=Path, help="a file that keeps vectors for the next run")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/quality.md")
    parser.add_argument("--only", type=int, help="only the cases of this chunk size")
    parser.add_argument("--part", choices=["evaluation", "samples"], help="only one of the tables")
    parser.add_argument("--known", action="store_true", help="only what --kept holds already")
    parser.add_argument("--search", choices=["dense", "whole"], help="only one of the searches")
    parser.add_argument(
        "--every", type=int, default=1, help="whole retrieval gets each so-manieth question alone"
    )
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="cloister-chunking-") as folder:
            kept = given.kept or Path(folder) / "kept.sqlite"
            cases = [case for case in CASES if given.only in (None, case.tokens)]
            if given.search == "dense":
                cases = [replace(case, whole=()) for case in cases]
            elif given.search == "whole":
                cases = [replace(case, dense=()) for case in cases]
            run = Run(Path(folder), kept, given.data, given.every, cases, given.known)
            text = "\n\n".join(run.tables(given.part))
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if not given.write:
        print(text)
        return 0
    write_between(PAGE, _BEGIN, _END, text)
    return 0


@dataclass(frozen=True, slots=True)
class Run:
    """Where to work, what to measure; rows that were measured before are kept like vectors."""

    folder: Path
    kept: Path
    data: Path
    every: int
    cases: Sequence[Case]
    known: bool

    def tables(self, part: str | None) -> Iterator[str]:
        """The tables in Markdown, below what each is about."""
        if part != "samples":
            asked = read_evaluation(self.data / "questions_df.csv")
            rows = [row for case in self.cases for row in self._evaluated(case, asked)]
            some = f"; whole retrieval gets one in {self.every} of them" * (self.every > 1)
            yield f"{len(asked)} questions, {_FOUND} passages each{some}."
            names = {"recall": "recall", "precision": "precision"}
            yield _table(rows, names | {"omega": "precision Ω", "iou": "IoU"})
        if part != "evaluation":
            dev = [i for i in read_questions(QUESTIONS) if i.split == "dev" and i.evidence]
            rows = [row for case in self.cases for row in self._on_samples(case, dev)]
            yield f"{len(dev)} `dev` questions of `sample_docs/questions.jsonl`, whole retrieval:"
            yield _table(rows, {name: name for name in ("hit@1", "hit@5", "recall@5", "mrr@10")})

    def _evaluated(self, case: Case, asked: Sequence[Asked]) -> Iterator[Row]:
        searches = [("whole", around) for around in case.whole]
        searches += [("dense", around) for around in case.dense]
        yield from self._rows("evaluation", self.data / "corpora", case, searches, asked)

    def _on_samples(self, case: Case, dev: Sequence[Item]) -> Iterator[Row]:
        searches = [("whole", around) for around in case.whole]
        yield from self._rows("samples", SAMPLES, case, searches, dev)

    def _rows(
        self,
        part: str,
        source: Path,
        case: Case,
        searches: Sequence[tuple[str, int]],
        items: Sequence[Any],
    ) -> Iterator[Row]:
        rows = KeptRows(self.kept, f"{part} {CHUNKER_VERSION} every {self.every}")
        missing = [one for one in searches if not rows.get(_method(case, one[1]), one[0])]
        if missing and not self.known:
            home = self.folder / f"{part}-{case.tokens}-{case.overlap}"
            with indexed(home, source, self.kept, case.tokens, case.overlap) as held:
                chunks = all_chunks(held)
                dense = dense_search(held)
                for name, around in missing:
                    search = _whole(held, around)
                    if name == "dense":
                        search = _widening(held, dense, around)
                    few = items[:: self.every] if (part, name) == ("evaluation", "whole") else items
                    score = _score_evaluation if part == "evaluation" else _score_samples
                    values = score(few, chunks, search)
                    length = mean(chunk.end - chunk.start for chunk in chunks)
                    rows.put(Row(_method(case, around), name, len(chunks), length, values))
        for name, around in searches:
            if row := rows.get(_method(case, around), name):
                yield row


def read_evaluation(path: Path) -> list[Asked]:
    """The questions of the evaluation. Raises NotFound."""
    csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}. See --data.") from error
    return [
        Asked(
            row["question"],
            f"{row['corpus_id']}.md",
            tuple(
                (int(part["start_index"]), int(part["end_index"]))
                for part in json.loads(row["references"])
            ),
        )
        for row in rows
    ]


def all_chunks(held: Indexed) -> list[Passage]:
    """Every chunk of the library."""
    catalog = held.library.catalog
    _, ids, _ = live_chunks(catalog, None, held.embedder.fingerprint)
    return list(live_passages(catalog, ids).values())


def dense_search(held: Indexed) -> Search:
    """The nearest chunks of a question, best first, searched exactly; each question once."""
    catalog = held.library.catalog
    _, ids, vectors = live_chunks(catalog, None, held.embedder.fingerprint)
    known: dict[str, list[Passage]] = {}

    def search(question: str) -> list[Passage]:
        if question not in known:
            order = np.argsort(-(vectors @ held.embedder.query(question)), kind="stable")
            near = [ids[i] for i in order[:_NEAREST]]
            found = live_passages(catalog, near)
            known[question] = [found[name] for name in near]
        return known[question]

    return search


def _widening(held: Indexed, search: Search, around: int) -> Search:
    return lambda question: widened(held.library.catalog, search(question), around, _FOUND)


def _whole(held: Indexed, around: int) -> Search:
    library = held.library
    settings = replace(library.settings, retrieval_around=around)
    reranker = Reranker(library.reader, library.indexes.words, settings.retrieval_rerank)
    embedder: Any = held.embedder
    retriever = Retriever(settings, library.catalog, embedder, library.indexes, reranker)
    return lambda question: retriever.passages(question, None, 10)


def _score_evaluation(
    asked: Sequence[Asked], chunks: Sequence[Passage], search: Search
) -> Mapping[str, float]:
    spans: dict[str, list[Span]] = {}
    for chunk in chunks:
        spans.setdefault(chunk.source, []).append((chunk.start, chunk.end))
    found = []
    for question in asked:
        passages = search(question.text)[:_FOUND]
        places = [Place(p.source, (p.start, p.end)) for p in passages]
        corpus = question.corpus
        found.append(asdict(scores(corpus, question.references, places, spans[corpus])))
    return {key: 100 * mean(row[key] for row in found) for key in found[0]}


def _score_samples(
    dev: Sequence[Item], _chunks: Sequence[Passage], search: Search
) -> Mapping[str, float]:
    found = []
    for item in dev:
        passages = search(condense(item.question, item.history))
        ranks = gold_ranks(item, [to_json(passage) for passage in passages])
        found.append(retrieval_scores(ranks, len(item.evidence)))
    return {key: 100 * mean(row[key] for row in found) for key in found[0]}


def _method(case: Case, around: int) -> str:
    return f"{case.tokens} / {case.overlap}" + (f", {around} around" if around else "")


def _table(rows: Sequence[Row], names: Mapping[str, str]) -> str:
    heads = ["tokens / overlap", "search", "chunks", "characters", *names.values()]
    lines = [f"| {' | '.join(heads)} |", "| --- | --- |" + " ---: |" * (len(heads) - 2)]
    for row in rows:
        values = " | ".join(f"{row.values[name]:.1f}" for name in names)
        first = f"{row.method} | {row.search} | {row.chunks:,} | {row.characters:.0f}"
        lines.append(f"| {first} | {values} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
