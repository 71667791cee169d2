"""Questions with the passages that answer them, and others that do not, for an embedder to learn.

A line of the JSONL file is an example as an LLM's (`rag.tuning.examples`), whose cited passages
answer and whose other passages do not; or it is `{"question": …, "positive": …, "negatives": […],
"document": …}` with texts, of which the last two may be left out.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """The questions of a file that have an answer; raises as `rag.tuning.examples.read_rows`."""
    return read_rows(path, _asked)


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
