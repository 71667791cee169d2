"""What comparing only the likeliest sentences with the question by vectors saves, and costs.

    .venv/bin/python benchmarks/judging.py

The judge finds the best evidence for each `dev` question of the samples among the passages that
are found for it: once as it does, and once with every sentence compared. The reader has read the
passages before, as it has when they were put in order. AUC is of what the reader finds on average
in the sentences (`reader_mean`): how often it is higher for a question that has an answer than
for one that has none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from statistics import mean

from _common import (
    QUESTIONS,
    SAMPLES,
    Figure,
    Options,
    bench_settings,
    command,
    environment,
    run_benchmark,
    run_quietly,
    scratch,
)

from rag.answerability import COMPARED, Evidence, Judge
from rag.condensing import asked_last, condense
from rag.evaluation.questions import read_questions
from rag.evidence import TermWeights
from rag.library import Library

_ALL = 10**6


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    items = [item for item in read_questions(QUESTIONS) if item.split == "dev"]
    items = items[::20] if options.small else items
    found: dict[int, list[Evidence]] = {COMPARED: [], _ALL: []}
    seconds: dict[int, list[float]] = {COMPARED: [], _ALL: []}
    with scratch() as folder:
        settings = bench_settings(folder / "home", llm_model="none")
        run_quietly(command("ingest", "sync", str(SAMPLES), "--wait"), environment(settings))
        library = Library(settings)
        library.load(llm=False)
        weights = TermWeights(library.indexes.words)
        readers = library.reader(), library.second_reader()
        judges = {n: Judge(library.embedder, weights, *readers, n) for n in found}
        try:
            for item in items:
                question = condense(item.question, item.history)
                asked = asked_last(item.question, question)
                passages = library.search(question, None, settings.retrieval_passages)
                judges[_ALL].evidence(question, passages, asked)  # the reader reads tables' rows
                for compared, held in found.items():
                    started = time.perf_counter()
                    held.append(judges[compared].evidence(question, passages, asked))
                    seconds[compared].append(time.perf_counter() - started)
        finally:
            library.close()
    same = mean(a.spans[0] == b.spans[0] for a, b in zip(found[COMPARED], found[_ALL], strict=True))
    share = sum(seconds[COMPARED]) / sum(seconds[_ALL])
    answerable = [item.answerable for item in items]
    return [
        Figure("judging / judging with all compared", share, "×"),
        Figure("questions with the same best sentence", same, ""),
        Figure("AUC of the reader's mean", _auc(found[COMPARED], answerable), ""),
        Figure("AUC of the reader's mean, all compared", _auc(found[_ALL], answerable), ""),
        Figure("sentences of the passages", mean(len(one.spans) for one in found[COMPARED]), ""),
        Figure("questions", len(items), ""),
    ]


def _auc(found: Sequence[Evidence], answerable: Sequence[bool]) -> float:
    """The area under the curve (Mann and Whitney 1947) of `reader_mean`."""
    values = [one.features["reader_mean"] for one in found]
    yes = [value for value, has in zip(values, answerable, strict=True) if has]
    no = [value for value, has in zip(values, answerable, strict=True) if not has]
    return mean((a > b) + (a == b) / 2 for a in yes for b in no)


if __name__ == "__main__":
    sys.exit(run_benchmark("judging", __doc__ or "", measure))
