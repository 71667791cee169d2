"""Question files: one JSON object a line, or a table of questions and answers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import NotFound, UsageError
from rag.records import Turn

_SEPARATORS = (",", ";", "\t")
_NEEDED = {"question", "answer"}
# what a cell of a table says as a line's own value does
_AS_THEY_ARE = ("question", "id", "split", "collection")
# what a line that is no question may raise
_WRONG = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Gold:
    """Where an answer stands: a file, a page of it (None: any), and the words.

    Without words any that hold an answer will do.
    """

    source: str
    page: int | None
    quote: str


@dataclass(frozen=True, slots=True)
class Item:
    """A question with what is right, and the collection that it is asked of, if it names one."""

    id: str
    question: str
    answerable: bool
    answers: tuple[str, ...]
    evidence: tuple[Gold, ...]
    split: str
    kind: str
    history: tuple[Turn, ...]
    collection: str | None = None

    def asked_of(self, given: Sequence[str] | None) -> tuple[str, ...] | None:
        """The collections that it is asked of: its own, else those given (None: all)."""
        if self.collection is not None:
            return (self.collection,)
        return None if given is None else tuple(given)


def read_questions(path: Path, left_out: Callable[[int], None] | None = None) -> list[Item]:
    """The questions of a file: JSON lines, or a table (CSV, TSV) with a line of column names.

    A table has the columns question and answer, and may have source, page, quote, id, split and
    collection. An empty answer is a question that the documents do not answer; several that are
    right stand with a bar between them. A question without an id is known by its words and its
    collection. Drafts that nobody approved are left out, and `left_out` is told how many. Raises
    NotFound and UsageError, naming the line.
    """
    return parse_questions(_text_of(path), path, left_out)


def parse_questions(
    text: str, path: Path, left_out: Callable[[int], None] | None = None
) -> list[Item]:
    """As `read_questions`, of the text of a file that is called so. Raises UsageError."""
    table = path.suffix.lower() in (".csv", ".tsv")
    items: dict[str, Item] = {}
    drafts = 0
    for number, line in _rows(path, text) if table else _objects(path, text):
        try:
            item = item_of(line)
        except _WRONG as error:
            raise _refused(path, number, error) from error
        if not line.get("approved", True):
            drafts += 1
            continue
        if item.id in items:
            raise _refused(path, number, ValueError(f"“{item.id}” is there already"))
        items[item.id] = item
    if drafts and not items:
        raise UsageError(
            f"{path} holds drafts alone. Approve some: cloister questions approve {path}"
        )
    if not items:
        raise UsageError(f"{path} holds no questions.")
    if drafts and left_out:
        left_out(drafts)
    return list(items.values())


def read_lines(path: Path) -> list[Mapping[str, Any]]:
    """The lines of a file of JSON lines, each of which is a question or a draft of one.

    Raises NotFound and UsageError, naming the line.
    """
    lines = []
    for number, line in _objects(path, _text_of(path)):
        try:
            item_of(line)
        except _WRONG as error:
            raise _refused(path, number, error) from error
        lines.append(line)
    return lines


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise NotFound(f"{path} cannot be read: {reason}.") from error


def _refused(path: Path, number: int, error: Exception) -> UsageError:
    reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return UsageError(f"{path}, line {number} is not a question: {reason}.")


def _objects(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """The objects of JSON lines, each with its line. Raises UsageError."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _refused(path, number, error) from error


def _rows(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """The rows of a table in the form of JSON lines, each with its line. Raises UsageError."""
    header, _, _ = text.partition("\n")
    separator = next((s for s in _SEPARATORS if set(_names(header, s)) >= _NEEDED), None)
    if separator is None:
        raise UsageError(
            f"The first line of {path} must name its columns, question and answer among them."
        )
    names = _names(header, separator)
    if twice := {name for name in names if name and names.count(name) > 1}:
        raise UsageError(f"The first line of {path} names “{min(twice)}” twice.")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    next(rows)
    try:
        for row in rows:
            if any(row[len(names) :]):
                advice = f"put a text with “{separator}” in it into quotes"
                error = ValueError(f"it has more cells than there are columns; {advice}")
                raise _refused(path, rows.line_num, error)
            cells = {
                name: cell.strip() for name, cell in zip(names, row, strict=False) if cell.strip()
            }
            if cells:
                yield rows.line_num, _object(cells)
    except csv.Error as error:
        raise _refused(path, rows.line_num, error) from error


def _names(header: str, separator: str) -> list[str]:
    """The names of columns in the first line of a table."""
    try:
        cells = next(csv.reader([header], delimiter=separator), [])
    except csv.Error:  # a cell of a hundred thousand characters
        return []
    return [name.strip().lower() for name in cells]


def _object(cells: Mapping[str, str]) -> Mapping[str, Any]:
    answers = [answer.strip() for answer in cells.get("answer", "").split("|") if answer.strip()]
    given: dict[str, Any] = {k: cells[k] for k in _AS_THEY_ARE if k in cells}
    given |= {"answerable": bool(answers), "answers": answers}
    if "source" in cells:
        given["evidence"] = [{k: cells[k] for k in ("source", "page", "quote") if k in cells}]
    return given


def item_of(line: Mapping[str, Any]) -> Item:
    """The question of a line. Raises ValueError, KeyError and TypeError."""
    json.dumps(line, ensure_ascii=False).encode()  # JSON can spell half a character
    evidence = tuple(
        Gold(
            _text(gold["source"], "a source"),
            None if gold.get("page") is None else int(gold["page"]),
            _text(gold.get("quote", ""), "a quote"),
        )
        for gold in line.get("evidence", ())
    )
    history = tuple(
        Turn(_text(turn["question"], "a question"), _text(turn.get("answer", ""), "an answer"))
        for turn in line.get("history", ())
    )
    question, answers = _text(line["question"], "the question"), line.get("answers", [])
    answerable = line.get("answerable", True)
    if not isinstance(answerable, bool):
        raise ValueError("“answerable” is neither true nor false")
    if not isinstance(line.get("approved", True), bool):
        raise ValueError("“approved” is neither true nor false")
    if not isinstance(answers, list):
        raise ValueError("“answers” is no list")
    if not question.strip():
        raise ValueError("the question is empty")
    collection = None
    if line.get("collection") is not None:
        collection = _text(line["collection"], "the collection").strip()
        if not collection:
            raise ValueError("the collection is empty")
    named = line.get("id") is not None
    return Item(
        id=str(line["id"]) if named else known_by(question, history, collection),
        question=question,
        answerable=answerable,
        answers=tuple(_answer(answer) for answer in answers),
        evidence=evidence,
        split=str(line.get("split", "all")),
        kind=str(line.get("kind", "fact")),
        history=history,
        collection=collection,
    )


def _answer(value: Any) -> str:
    if not _text(value, "an answer").strip():
        raise ValueError("an answer is empty")
    return str(value)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is no text")
    return value


def known_by(question: str, history: tuple[Turn, ...] = (), collection: str | None = None) -> str:
    """A name for a question that none was given: the same wherever it stands in the file."""
    place = [] if collection is None else [f"collection {collection}"]
    words = "\n".join([*place, *(turn.question for turn in history), question])
    return f"q_{hashlib.sha256(words.encode()).hexdigest()[:12]}"
