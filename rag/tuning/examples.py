"""Examples of grounded answers: read from a JSONL file, and split by document.

A line is `{"question": …, "passages": [{"title": …, "text": …}], "answer": …, "document": …}`. The
answer is what the model shall write: a sentence with the number of the passage that it is from, as
“The ferry leaves at 07:40 [2].”, or `rag.prompting.NOT_SAID`. Examples of the same `document` are
never on both sides of a split. Other keys are passed over.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import NotFound, UsageError
from rag.prompting import NOT_SAID

_MARK = re.compile(r"\[(\d{1,9})\]")
_SPACE_MARK = re.compile(r"\s*\[\d{1,9}\]")
# what is held out: a tenth, but not more than this unless it is asked for
_SHARE, MOST_HELD_OUT = 0.1, 200


@dataclass(frozen=True, slots=True)
class Source:
    """A passage of an example."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """A question, the passages that the model is given, what it shall write, and the document."""

    question: str
    passages: tuple[Source, ...]
    answer: str
    document: str

    @property
    def answerable(self) -> bool:
        """Whether the passages hold the answer."""
        return self.answer != NOT_SAID

    @property
    def cited(self) -> frozenset[int]:
        """The numbers of the passages that the answer cites, counted from 1."""
        return marks(self.answer)


def marks(text: str) -> frozenset[int]:
    """The numbers that stand in a text as citation marks."""
    return frozenset(int(number) for number in _MARK.findall(text))


def without_marks(text: str) -> str:
    """A text without its citation marks."""
    return _SPACE_MARK.sub("", text).strip()


def read_examples(path: Path) -> list[Example]:
    """The examples of a JSONL file, in its order.

    Raises NotFound where it cannot be read, UsageError with the line's number for one that is no
    example.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8: {error}.") from error
    examples = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                examples.append(example_of(json.loads(line)))
            except (ValueError, RecursionError) as error:
                reason: object = error
                if isinstance(error, (json.JSONDecodeError, RecursionError)):
                    reason = "it is no JSON, or too deeply nested"
                raise UsageError(f"{path}, line {number}: {reason}. Mend that line.") from error
    if not examples:
        raise UsageError(f"{path} holds no example. It needs one JSON object a line.")
    return examples


def split(
    examples: Sequence[Example], seed: int, held_out: int | None = None
) -> tuple[list[Example], list[Example]]:
    """The examples to train on, and those held out: whole documents, chosen by the seed.

    At least `held_out` of them are held out (by default a tenth, at most 200), but never more than
    half, in the order in which the documents' names are hashed, so that their order in the file
    does not matter. Raises UsageError where there are fewer than two documents, or no split leaves
    half to train on.
    """
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.document].append(example)
    if len(groups) < 2:
        raise UsageError(
            "All examples are of one document, so none can be held out to measure on. Add examples "
            "of other documents, and name each one's as “document”."
        )
    wanted = held_out or max(1, min(MOST_HELD_OUT, round(_SHARE * len(examples))))
    chosen: set[str] = set()
    size = 0
    for name in sorted(groups, key=lambda name: _hashed(seed, name)):
        if size < wanted and size + len(groups[name]) <= len(examples) / 2:
            chosen.add(name)
            size += len(groups[name])
    if not chosen:
        raise UsageError(
            "Every document has more than half of the examples, so none can be held out. Add "
            "examples of other documents."
        )
    kept = [e for e in examples if e.document not in chosen]
    return kept, [e for e in examples if e.document in chosen]


def _hashed(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()


def example_of(row: Any) -> Example:
    """A row as an example. Raises ValueError with what is wrong of it."""
    if not isinstance(row, dict):
        raise ValueError("it is no JSON object")
    question, answer = _text(row, "question"), _text(row, "answer")
    given = row.get("passages")
    if not isinstance(given, list) or not given:
        raise ValueError("“passages” must be a list of objects with “title” and “text”")
    passages = tuple(_source(entry) for entry in given)
    cited = marks(answer)
    if answer != NOT_SAID and not cited:
        raise ValueError(
            f"its answer cites no passage, as “… [1].” does, and is not “{NOT_SAID}” either"
        )
    if beyond := sorted(n for n in cited if not 1 <= n <= len(passages)):
        raise ValueError(f"its answer cites [{beyond[0]}], but it has {len(passages)} passages")
    document = _encodable(row.get("document", ""), "“document”")
    return Example(question, passages, answer, document.strip() or _document(passages, cited))


def _document(passages: Sequence[Source], cited: Iterable[int]) -> str:
    """Where none is named: the title of the passage that is cited first, else its text."""
    source = passages[min(cited, default=1) - 1]
    return source.title.strip() or source.text.strip()


def _source(entry: Any) -> Source:
    if not isinstance(entry, dict):
        raise ValueError("“passages” must be a list of objects with “title” and “text”")
    title = _encodable(entry.get("title", ""), "a passage's “title”")
    return Source(title.strip(), _text(entry, "text"))


def _text(row: dict[str, Any], key: str) -> str:
    value = _encodable(row.get(key), f"“{key}”").strip()
    if not value:
        raise ValueError(f"“{key}” must be a text that is not empty")
    return value


def _encodable(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} holds half a character (a lone surrogate)") from error
    return value
