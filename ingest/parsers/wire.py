"""Parsed documents as lines of JSON between the parser's process and Cloister's.

The first line is of the document, each other one of a page: a page at a time is read into objects.
The reader trusts nothing: the process that writes has handled a hostile file.
"""

from __future__ import annotations

import json
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, get_args

from rag.errors import DocumentError, document_error
from rag.parsed import Block, BlockKind, Page, Parsed, Places

_KINDS: dict[str, BlockKind] = {kind: kind for kind in get_args(BlockKind)}


def pack(parsed: Parsed) -> bytes:
    """A parsed document as lines of JSON in ASCII, the places of words as numbers in base64."""
    lines = ({"title": parsed.title}, *map(_pack_page, parsed.pages))
    return b"\n".join(json.dumps(line, separators=(",", ":")).encode("ascii") for line in lines)


def unpack(data: bytes | bytearray) -> Parsed:
    """What `pack` made. Raises ValueError for anything else."""
    try:
        lines = _lines(data)
        title = _text(next(lines)["title"])
        return Parsed(tuple(map(_unpack_page, lines)), title)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a parsed document: {type(error).__name__}") from error


def unpack_error(data: bytes | bytearray) -> tuple[DocumentError, str]:
    """The error that a child tells, and where it came from. Raises ValueError for anything else."""
    try:
        values = json.loads(data)
        error = document_error(_text(values["code"]), _text(values["message"]))
        return error, _text(values.get("where", ""))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an error: {type(error).__name__}") from error


def _lines(data: bytes | bytearray) -> Iterator[Any]:
    at = 0
    while at <= len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        yield json.loads(data[at:end])
        at = end + 1


def _pack_page(page: Page) -> dict[str, Any]:
    numbers = array("I")
    for place in page.places:
        numbers.extend((place.start, place.end))
        numbers.extend(round(value * Places.SCALE) for value in place.box)
    return {
        "number": page.number,
        "text": page.text,
        "label": page.label,
        "size": [page.width, page.height],
        "blocks": [[b.start, b.end, b.kind, b.level, b.context] for b in page.blocks],
        "places": b64encode(numbers).decode("ascii"),
    }


def _unpack_page(values: dict[str, Any]) -> Page:
    text = _text(values["text"])
    width, height = (float(value) for value in values["size"])
    blocks, at = [], 0
    # the rows of a table have one context, and one object for it
    contexts: dict[str, str] = {}
    for start, end, kind, level, context in values["blocks"]:
        at = _span(start, end, at, len(text))
        if kind not in _KINDS or level not in range(7):
            raise ValueError("a block of no known kind")
        if context not in contexts:
            contexts[context] = _text(context)
        blocks.append(Block(start, end, _KINDS[kind], level, contexts[context]))
    return Page(
        _whole(values["number"]),
        text,
        tuple(blocks),
        _unpack_places(values["places"], len(text)),
        _text(values["label"]),
        width,
        height,
    )


def _unpack_places(packed: str, length: int) -> Places:
    numbers = array("I")
    numbers.frombytes(b64decode(packed, validate=True))
    if len(numbers) % 6:
        raise ValueError("places that are not six numbers each")
    at, most = 0, Places.SCALE
    for i in range(0, len(numbers), 6):
        start, end, x0, y0, x1, y1 = numbers[i : i + 6]
        at = _span(start, end, at, length)
        if not (x0 <= x1 <= most and y0 <= y1 <= most):
            raise ValueError("a box outside its page")
    return Places(numbers)


def _span(start: int, end: int, least: int, length: int) -> int:
    if not least <= _whole(start) < _whole(end) <= length:
        raise ValueError("a span outside its page")
    return end


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("not a text")
    return value
