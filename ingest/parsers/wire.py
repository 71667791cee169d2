"""Parsed documents as JSON between the parser's process and Cloister's.

The reader trusts nothing: the process that writes has handled a hostile file.
"""

from __future__ import annotations

import json
from typing import Any, get_args

from rag.errors import DocumentError, document_error
from rag.parsed import Block, BlockKind, Page, Parsed, Place

_SCALE = 100_000
_KINDS = frozenset(get_args(BlockKind))


def pack(parsed: Parsed) -> bytes:
    """A parsed document as JSON in ASCII; boxes in hundred-thousandths of the page."""
    return json.dumps(
        {"title": parsed.title, "pages": [_pack_page(page) for page in parsed.pages]},
        separators=(",", ":"),
    ).encode("ascii")


def unpack(data: bytes | bytearray) -> Parsed:
    """What `pack` made. Raises ValueError for anything else."""
    try:
        values = json.loads(data)
        pages = tuple(_unpack_page(page) for page in values["pages"])
        return Parsed(pages, _text(values["title"]))
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


def _pack_page(page: Page) -> dict[str, Any]:
    places: list[int] = []
    for place in page.places:
        places += (place.start, place.end)
        places += (round(value * _SCALE) for value in place.box)
    return {
        "number": page.number,
        "text": page.text,
        "label": page.label,
        "size": [page.width, page.height],
        "blocks": [[b.start, b.end, b.kind, b.level, b.context] for b in page.blocks],
        "places": places,
    }


def _unpack_page(values: dict[str, Any]) -> Page:
    text = _text(values["text"])
    width, height = (float(value) for value in values["size"])
    blocks, at = [], 0
    for start, end, kind, level, context in values["blocks"]:
        at = _span(start, end, at, len(text))
        if kind not in _KINDS or level not in range(7):
            raise ValueError("a block of no known kind")
        blocks.append(Block(start, end, kind, level, _text(context)))
    return Page(
        _whole(values["number"]),
        text,
        tuple(blocks),
        _unpack_places(values["places"], len(text)),
        _text(values["label"]),
        width,
        height,
    )


def _unpack_places(values: list[int], length: int) -> tuple[Place, ...]:
    if len(values) % 6 or not all(type(value) is int for value in values):
        raise ValueError("places that are not whole numbers")
    places, at = [], 0
    for i in range(0, len(values), 6):
        start, end, x0, y0, x1, y1 = values[i : i + 6]
        at = _span(start, end, at, length)
        if not (0 <= x0 <= x1 <= _SCALE and 0 <= y0 <= y1 <= _SCALE):
            raise ValueError("a box outside its page")
        places.append(Place(start, end, (x0 / _SCALE, y0 / _SCALE, x1 / _SCALE, y1 / _SCALE)))
    return tuple(places)


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
