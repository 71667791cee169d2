"""A file of training examples for the reader: passages once each, then examples that name them.

JSON lines, compressed as xz: `{"context": …}` for each passage, counted from 0, and for each
example its group, question, passage and, where there is an answer, its start and end.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from rag.reading.example import Example

Row = TypeVar("Row")
Groups = Mapping[str, Sequence[Example]]
# what the names of groups begin with that are never learned from
HELD = "held "


def write_examples(path: Path, groups: Groups) -> None:
    """Write the examples of all groups, in their order."""
    numbers: dict[str, int] = {}
    for context in sorted({e.context for examples in groups.values() for e in examples}):
        numbers[context] = len(numbers)
    with lzma.open(path, "wt", encoding="utf-8") as file:
        for context in numbers:
            file.write(json.dumps({"context": context}, ensure_ascii=False) + "\n")
        for group, examples in groups.items():
            for one in examples:
                row: list[object] = [group, one.question, numbers[one.context]]
                row += [one.start, one.end] if one.start >= 0 else []
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_examples(path: Path) -> dict[str, list[Example]]:
    """The examples of each group, in the order in which they were written."""
    contexts: list[str] = []
    groups: dict[str, list[Example]] = {}
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if isinstance(row, dict):
                contexts.append(row["context"])
                continue
            group, question, number, *place = row
            groups.setdefault(group, []).append(Example(question, contexts[number], *place))
    return groups


def held_out(groups: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """What is held out, each question with an answer beside those without, by where it is from."""
    held: dict[str, list[Row]] = {}
    for name, rows in groups.items():
        if name.startswith(HELD):
            held.setdefault(name.removeprefix(HELD).split()[0], []).extend(rows)
    return held
