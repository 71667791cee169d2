"""JSON and JSON Lines as text that people read: `path.of.keys: value`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.builder import PageBuilder, clean, flat
from ingest.parsers.text import decode
from rag.errors import CorruptDocument
from rag.parsed import Parsed

# a record or a list of values up to this long is one row, a longer one a block a value
_ROW_CHARACTERS = 600
_LINES_SUFFIXES = (".jsonl", ".ndjson")
_WORDS = {True: "true", False: "false", None: ""}


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs; a key may come twice, and both are kept."""


def parse(path: Path, name: str) -> Parsed:
    """A JSON file as one page; records of a list, or lines of JSON Lines, are rows.

    A short record is one row, `key: value | key.sub: value`; the path to its list is context.
    Numbers stay as they are written. Raises CorruptDocument, with the line, for what is not
    JSON or is nested too deeply.
    """
    text = clean(decode(path.read_bytes()))
    builder = PageBuilder()
    try:
        if name.lower().endswith(_LINES_SUFFIXES):
            _add_lines(builder, text, name)
        else:
            _add_whole(builder, text, name)
    except RecursionError as error:
        raise _invalid(name, "it is nested too deeply") from error
    return Parsed((builder.page(),))


def _add_whole(builder: PageBuilder, text: str, name: str) -> None:
    try:
        value = _loads(text)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise _invalid(name, f"line {error.lineno}: {error.msg}") from error
        # JSON Lines under the name of JSON
        _add_lines(builder, text, name)
        return
    _add(builder, "", value)


def _add_lines(builder: PageBuilder, text: str, name: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            _add_record(builder, "", _loads(line))
        except json.JSONDecodeError as error:
            raise _invalid(name, f"line {number}: {error.msg}") from error
        except RecursionError as error:
            raise _invalid(name, f"line {number} is nested too deeply") from error


def _loads(text: str) -> Any:
    # digits stay text: a number may have more of them than an integer is allowed to
    return json.loads(
        text, object_pairs_hook=_Object, parse_int=str, parse_float=str, parse_constant=str
    )


def _invalid(name: str, why: str) -> CorruptDocument:
    return CorruptDocument(
        f"“{name}” is not valid JSON: {why}. Write it again with the program that made it."
    )


def _add(builder: PageBuilder, path: str, value: Any) -> None:
    """Append a value: an object key by key, a list of objects record by record."""
    if isinstance(value, _Object):
        for key, inner in value:
            _add(builder, _joined(path, key), inner)
    elif isinstance(value, list) and any(isinstance(item, list) for item in value):
        for item in value:
            _add_record(builder, path, item)
    else:
        _add_leaf(builder, path, value)


def _add_record(builder: PageBuilder, path: str, record: Any) -> None:
    pairs = list(_leaves("", record))
    row = flat(" | ".join(_pair(key, text) for key, text in pairs))
    if len(row) <= _ROW_CHARACTERS:
        builder.add(row, "row", context=path)
        return
    for key, text in pairs:
        builder.add(_pair(key, text), context=path)


def _add_leaf(builder: PageBuilder, path: str, value: Any) -> None:
    text = _shown(value)
    if isinstance(value, list) and len(text) > _ROW_CHARACTERS:
        for item in value:
            builder.add(_shown(item), "list", context=path)
    elif text:
        line = _pair(path, text)
        builder.add(line, "paragraph" if len(line) > _ROW_CHARACTERS else "list")


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """The values below a value with their paths; a list of plain ones is one."""
    if isinstance(value, _Object):
        for key, inner in value:
            yield from _leaves(_joined(path, key), inner)
    elif isinstance(value, list) and any(isinstance(item, list) for item in value):
        for position, item in enumerate(value):
            yield from _leaves(f"{path}[{position}]", item)
    elif text := _shown(value):
        yield path, text


def _shown(value: Any) -> str:
    """A plain value, or a list of them, as people read it; empty for null."""
    if isinstance(value, list):
        return ", ".join(text for text in map(_shown, value) if text)
    return value.strip() if isinstance(value, str) else _WORDS[value]


def _joined(path: str, key: str) -> str:
    return f"{path}.{flat(key)}" if path else flat(key)


def _pair(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text
