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
from _common import QUESTIONS, ROOT, SAMPLES, say
from _indexed import Indexed, indexed
from _spans import Place, Span, scores

from rag.catalog.passages import live_passages, live_vectors
from rag.condensing import condense
from rag.errors import CloisterError, NotFound
from rag.evaluation.metrics import retrieval_scores
from rag.evaluation.questions import Item, read_questions
from rag.library import Library
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


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: how it was cut and searched, and the mean scores."""

    method: str
    search: str
    chunks: int
    characters: float
    values: Mapping[str, float]


Search = Callable[[str], Sequence[Passage]]


def main() -> int:
    """Measure every case and print the tables, or write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the evaluation's data")
    parser.add_argument("--kept", type=Path, help="a file that keeps vectors for the next run")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/quality.md")
    parser.add_argument("--only", type=int, help="only the cases of this chunk size")
    given = parser.parse_args()
    try:
        cases = [case for case in CASES if given.only in (None, case.tokens)]
        text = _tables(given.data, given.kept, cases)
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if not given.write:
        print(text)
        return 0
    before, _, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", "utf-8")
    return 0


def _tables(data: Path, kept: Path | None, cases: Sequence[Case]) -> str:
    asked = read_evaluation(data / "questions_df.csv")
    dev = [i for i in read_questions(QUESTIONS) if i.split == "dev" and i.evidence]
    outer, own = [], []
    with tempfile.TemporaryDirectory(prefix="cloister-chunking-") as folder:
        for number, case in enumerate(cases):
            file = kept or Path(folder) / "vectors.sqlite"
            cut = (case.tokens, case.overlap)
            home = Path(folder) / f"evaluation{number}"
            with indexed(home, data / "corpora", file, *cut) as held:
                outer += list(_evaluated(held, case, asked))
            if case.whole:
                with indexed(Path(folder) / f"samples{number}", SAMPLES, file, *cut) as held:
                    own += list(_on_samples(held, case, dev))
    names = {"recall": "recall", "precision": "precision", "omega": "precision Ω", "iou": "IoU"}
    return (
        f"{len(asked)} questions, {_FOUND} passages each.\n\n{_table(outer, names)}\n\n"
        f"{len(dev)} `dev` questions of `sample_docs/questions.jsonl`, whole retrieval:\n\n"
        f"{_table(own, {name: name for name in ('hit@1', 'hit@5', 'recall@5', 'mrr@10')})}"
    )


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


def _evaluated(held: Indexed, case: Case, asked: Sequence[Asked]) -> Iterator[Row]:
    library = held.library
    ids, vectors = live_vectors(library.catalog, None, library.embedder.fingerprint)
    chunks = list(live_passages(library.catalog, ids).values())
    dense = dense_search(held, ids, vectors)
    for around in case.dense:
        yield _row(case, around, "dense", chunks, asked, _widening(library, dense, around))
    for around in case.whole:
        yield _row(case, around, "whole", chunks, asked, _whole(held, around))


def dense_search(held: Indexed, ids: Sequence[str], vectors: np.ndarray) -> Search:
    """The nearest chunks of a question, best first, searched exactly; each question once."""
    known: dict[str, list[Passage]] = {}

    def search(question: str) -> list[Passage]:
        if question not in known:
            order = np.argsort(-(vectors @ held.embedder.query(question)), kind="stable")
            near = [ids[i] for i in order[:_NEAREST]]
            found = live_passages(held.library.catalog, near)
            known[question] = [found[name] for name in near]
        return known[question]

    return search


def _widening(library: Library, search: Search, around: int) -> Search:
    return lambda question: widened(library.catalog, search(question), around, _FOUND)


def _whole(held: Indexed, around: int) -> Search:
    library = held.library
    settings = replace(library.settings, retrieval_around=around)
    reranker = Reranker(library.reader, settings.retrieval_rerank)
    embedder: Any = held.embedder
    retriever = Retriever(settings, library.catalog, embedder, library.indexes, reranker)
    return lambda question: retriever.passages(question, None, 10)


def _row(
    case: Case,
    around: int,
    name: str,
    chunks: Sequence[Passage],
    asked: Sequence[Asked],
    search: Search,
) -> Row:
    spans: dict[str, list[Span]] = {}
    for chunk in chunks:
        spans.setdefault(chunk.source, []).append((chunk.start, chunk.end))
    found = []
    for question in asked:
        passages = search(question.text)[:_FOUND]
        places = [Place(p.source, (p.start, p.end)) for p in passages]
        corpus = question.corpus
        found.append(asdict(scores(corpus, question.references, places, spans[corpus])))
    say(f"{_method(case, around)}, {name}: recall {mean(row['recall'] for row in found):.3f}")
    values = {key: 100 * mean(row[key] for row in found) for key in found[0]}
    return Row(_method(case, around), name, len(chunks), _mean_length(chunks), values)


def _on_samples(held: Indexed, case: Case, dev: Sequence[Item]) -> Iterator[Row]:
    library = held.library
    ids, _ = live_vectors(library.catalog, None, library.embedder.fingerprint)
    chunks = list(live_passages(library.catalog, ids).values())
    for around in case.whole:
        search = _whole(held, around)
        found = []
        for item in dev:
            passages = search(condense(item.question, item.history))
            found.append(retrieval_scores(item, [to_json(passage) for passage in passages]))
        values = {key: 100 * mean(row[key] for row in found) for key in found[0]}
        say(f"{_method(case, around)}, samples: hit@5 {values['hit@5']:.1f}")
        yield Row(_method(case, around), "whole", len(chunks), _mean_length(chunks), values)


def _mean_length(chunks: Sequence[Passage]) -> float:
    return mean(chunk.end - chunk.start for chunk in chunks)


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
