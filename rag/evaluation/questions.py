"""Question files: one JSON object a line, or a table of questions and answers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import NotFound, UsageError
from rag.records import Turn


@dataclass(frozen=True, slots=True)
class Gold:
    """Where an answer stands: a file, a page of it, and the words."""

    source: str
    page: int
    quote: str


@dataclass(frozen=True, slots=True)
class Item:
    """A question with what is right."""

    id: str
    question: str
    answerable: bool
    answers: tuple[str, ...]
    evidence: tuple[Gold, ...]
    split: str
    kind: str
    history: tuple[Turn, ...]


def read_questions(path: Path) -> list[Item]:
    """The questions of a file: JSON lines, or a table (CSV, TSV) with a line of column names.

    A table has the columns question and answer, and may have source, page, quote, id and split.
    An empty answer is a question that the documents do not answer; several that are right stand
    with a bar between them. Raises NotFound and UsageError, naming the line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise NotFound(f"{path} cannot be read: {reason}.") from error
    separator = {".csv": ",", ".tsv": "\t"}.get(path.suffix.lower())
    if separator:
        lines = _rows(path, text, separator)
    else:
        lines = ((n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip())
    items = []
    for number, line in lines:
        try:
            items.append(_item(line if separator else json.loads(line), number))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path}, line {number} is not a question: {error!r}.") from error
    if not items:
        raise UsageError(f"{path} holds no questions.")
    return items


def _rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, Any]]:
    """The rows of a table in the form of JSON lines, each with its line. Raises UsageError."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names = [name.strip().lower() for name in next(rows, ())]
    if not {"question", "answer"} <= set(names):
        raise UsageError(
            f"The first line of {path} must name its columns, question and answer among them."
        )
    for row in rows:
        cells = {name: cell.strip() for name, cell in zip(names, row, strict=False) if cell.strip()}
        if not cells:
            continue
        answers = [answer.strip() for answer in cells.get("answer", "").split("|")]
        given: dict[str, Any] = {k: cells[k] for k in ("id", "split") if k in cells}
        given |= {"answerable": answers != [""], "answers": [a for a in answers if a]}
        if "source" in cells:
            place = {k: cells[k] for k in ("source", "page") if k in cells}
            given["evidence"] = [place | {"quote": cells.get("quote", answers[0])}]
        # a row without a question is told with its line
        if "question" in cells:
            given["question"] = cells["question"]
        yield rows.line_num, given


def _item(line: Mapping[str, Any], number: int) -> Item:
    evidence = tuple(
        Gold(str(gold["source"]), int(gold.get("page", 1)), str(gold["quote"]))
        for gold in line.get("evidence", ())
    )
    history = tuple(
        Turn(str(turn["question"]), str(turn.get("answer", ""))) for turn in line.get("history", ())
    )
    return Item(
        id=str(line.get("id", number)),
        question=str(line["question"]),
        answerable=bool(line.get("answerable", True)),
        answers=tuple(str(answer) for answer in line.get("answers", ())),
        evidence=evidence,
        split=str(line.get("split", "all")),
        kind=str(line.get("kind", "fact")),
        history=history,
    )
