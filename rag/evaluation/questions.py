"""Question files: one JSON object a line, with gold answers and evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    """The questions of a file. Raises NotFound and UsageError, naming the line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from error
    items = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            items.append(_item(json.loads(line), number))
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}, line {number} is not a question: {error!r}.") from error
    if not items:
        raise UsageError(f"{path} holds no questions.")
    return items


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
