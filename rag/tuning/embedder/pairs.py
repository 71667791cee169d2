"""Questions with the passages that answer them, and others that do not, for an embedder to learn.

A line of the JSONL file is an example as an LLM's (`rag.tuning.examples`), whose cited passages
answer and whose other passages do not; or it is `{"question": …, "positive": …, "negatives": […],
"document": …}` with texts, of which the last two may be left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag.records import with_context
from rag.tuning.examples import Source, document_of, encodable, example_of, read_rows, text_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the passages that answer it and those near it that do not, and its document."""

    question: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    document: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, one passage that answers it, and passages that do not."""

    question: str
    positive: str
    negatives: tuple[str, ...]
    all_positives: tuple[str, ...]


def read_asked(path: Path) -> list[Asked]:
    """The questions of a file that have an answer; raises as `rag.tuning.examples.read_rows`.

    One that stands in several lines is one, of the first's document: what answers it in any of them
    is no negative of it.
    """
    same: dict[str, list[Asked]] = defaultdict(list)
    for one in read_rows(path, _asked):
        same[" ".join(one.question.split())].append(one)
    return [_merged(rows) for rows in same.values()]


def pairs(asked: list[Asked]) -> list[Pair]:
    """Each question with each passage that answers it."""
    return [
        Pair(one.question, positive, one.negatives, one.positives)
        for one in asked
        for positive in one.positives
    ]


def passages(asked: list[Asked]) -> list[str]:
    """All passages of the questions, each once, in their order."""
    return list(dict.fromkeys(text for one in asked for text in (*one.positives, *one.negatives)))


def _merged(rows: list[Asked]) -> Asked:
    """The rows of one question as one."""
    positives = dict.fromkeys(text for row in rows for text in row.positives)
    negatives = dict.fromkeys(text for row in rows for text in row.negatives)
    return replace(
        rows[0],
        positives=tuple(positives),
        negatives=tuple(text for text in negatives if text not in positives),
    )


def _asked(row: Any) -> Asked | None:
    """A row as a question; None where it has no answer. Raises ValueError."""
    if isinstance(row, dict) and "positive" in row:
        question, positive = text_of(row, "question"), text_of(row, "positive")
        given = row.get("negatives", [])
        if not isinstance(given, list):
            raise ValueError("“negatives” must be a list of texts")
        texts = [encodable(text, "a negative").strip() for text in given]
        kept = dict.fromkeys(text for text in texts if text and text != positive)
        return Asked(question, (positive,), tuple(kept), document_of(row) or positive)
    example = example_of(row)
    if not example.answerable:
        return None
    texts = [_embedded(source) for source in example.passages]
    positives = dict.fromkeys(text for n, text in enumerate(texts, 1) if n in example.cited)
    negatives = dict.fromkeys(text for text in texts if text not in positives)
    return Asked(example.question, tuple(positives), tuple(negatives), example.document)


def _embedded(source: Source) -> str:
    """A passage as the library gives its chunks to an embedder: below its title."""
    return with_context(source.title, source.text)
