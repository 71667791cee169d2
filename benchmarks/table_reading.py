"""What reading a table's rows with their labels is worth, on texts the reader never learned from.

    .venv/bin/python benchmarks/table_reading.py

Questions of `rag/reading/training` (the organisations that are held out of any training) over their
own passage, where it holds a table: half are answered by it, half nearly. For several
shares of the labelled reading: how well the best score tells the two apart (AUC; .5 is chance),
and how often the best stretch is the answer.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from _common import Figure, Options, bench_settings, run_benchmark, scratch

from rag.evidence import passage_sentences
from rag.records import Passage
from rag.tables import best_cell, labelled_row

if TYPE_CHECKING:
    from rag.reading.reader import Reader

_SHARES = (0.0, 0.3, 0.6, 1.0)
# of each passage so many questions with an answer, and as many without
_EACH = 4
_PASSAGES = 120
_SEED = 5


@dataclass(frozen=True, slots=True)
class _Read:
    """A sentence as the reader read it: in its passage, and in words where it is a row."""

    plain: tuple[float, str]
    labelled: tuple[float, str] | None

    def mixed(self, share: float) -> tuple[float, str]:
        if self.labelled is None or not share:
            return self.plain
        score = self.plain[0] + share * (self.labelled[0] - self.plain[0])
        return score, self.labelled[1]


def measure(options: Options) -> Sequence[Figure]:
    """AUC and share of exact answers for each share of the labelled reading."""
    from rag.reading import load_reader

    with scratch() as home:
        reader = load_reader(bench_settings(home))
    if reader is None:
        return []
    read = [
        (answer, _read(reader, question, passage))
        for passage, question, answer in _questions(4 if options.small else _PASSAGES)
    ]
    figures = [Figure("questions about passages with tables", len(read), "")]
    for share in _SHARES:
        best = [(answer, max(r.mixed(share) for r in sentences)) for answer, sentences in read]
        yes = np.array([score for answer, (score, _) in best if answer is not None])
        no = np.array([score for answer, (score, _) in best if answer is None])
        exact = [text.strip() == answer for answer, (_, text) in best if answer is not None]
        figures += [
            Figure(f"AUC, {share:g} of it labelled", float((yes[:, None] > no).mean()), ""),
            Figure(f"exact answers, {share:g} of it labelled", float(np.mean(exact)), ""),
        ]
    return figures


def _questions(most: int) -> Iterator[tuple[Passage, str, str | None]]:
    """Passages with tables, each with questions and their answers, None where it has none."""
    from rag.reading.gather import own_libraries_of

    rng = random.Random(_SEED)
    rows = [row for library in own_libraries_of(held_out=True) for row in library]
    for row in rng.sample(rows, len(rows)):
        passage = _passage(row)
        if not any(map(labelled_row, passage_sentences(passage))):
            continue
        for pair in rng.sample(row["qa"], min(_EACH, len(row["qa"]))):
            yield passage, pair["q"], pair["a"].strip()
        for question in rng.sample(row["un"], min(_EACH, len(row["un"]))):
            yield passage, question, None
        most -= 1
        if not most:
            return


def _passage(row: dict[str, Any]) -> Passage:
    text, title = row["context"], row["title"]
    return Passage("c", "d", title, "", 1, 0, len(text), text, 1.0, context=title)


def _read(reader: Reader, question: str, passage: Passage) -> list[_Read]:
    spans = passage_sentences(passage)
    rows = [labelled_row(span) for span in spans]
    page = reader.read(question, [passage.text_in_context])[0]
    pages = iter(reader.read(question, [row.text for row in rows if row]))
    shift = len(passage.text_in_context) - len(passage.text)
    found = []
    for span, row in zip(spans, rows, strict=True):
        plain = page.within(shift + span.start, shift + span.end)
        labelled = None
        if row and (cell := best_cell(row, next(pages))):
            score, start, end = cell
            labelled = score, passage.text[start:end]
        text = passage.text[plain.start - shift : plain.end - shift]
        found.append(_Read((plain.score, text), labelled))
    return found


if __name__ == "__main__":
    sys.exit(run_benchmark("table_reading", __doc__, measure))
