"""Parsed documents as lines of JSON between the parser's process and Cloister's.

The first line is of the document, each other one of a page: a page at a time is read into objects.
The reader trusts nothing: the process that writes has handled a hostile file.
"""

from __future__ import annotations

import json
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rag.errors import DocumentError, document_error
from rag.parsed import BLOCK_KINDS, MOMENT, Blocks, Page, Parsed, Places

_KINDS = {kind: number for number, kind in enumerate(BLOCK_KINDS)}
# the level of the smallest heading
_DEEPEST = 6


def pack(parsed: Parsed) -> bytes:
    """A parsed document as lines of JSON in ASCII, blocks and places as numbers in base64."""
    head = {"title": parsed.title, "unread": parsed.unread, "dated": parsed.dated}
    lines = (head, *map(_pack_page, parsed.pages))
    return b"\n".join(json.dumps(line, separators=(",", ":")).encode("ascii") for line in lines)


def unpack(data: bytes | bytearray) -> Parsed:
    """What `pack` made. Raises ValueError for anything else."""
    try:
        lines = _lines(data)
        head = next(lines)
        title, unread = _text(head["title"]), tuple(map(_whole, head["unread"]))
        pages = tuple(map(_unpack_page, lines))
        if not {page.number for page in pages}.issuperset(unread):
            raise ValueError("a page that is not there")
        return Parsed(pages, title, unread=unread, dated=_moment(head["dated"]))
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
    blocks, contexts = array("I"), dict[str, int]()
    for block in page.blocks:
        context = contexts.setdefault(block.context, len(contexts))
        blocks.extend((block.start, block.end, _KINDS[block.kind], block.level, context))
    places = array("I")
    for place in page.places:
        places.extend((place.start, place.end))
        places.extend(round(value * Places.SCALE) for value in place.box)
    return {
        "number": page.number,
        "text": page.text,
        "label": page.label,
        "size": [page.width, page.height],
        "contexts": list(contexts),
        "blocks": b64encode(blocks).decode("ascii"),
        "places": b64encode(places).decode("ascii"),
    }


def _unpack_page(values: dict[str, Any]) -> Page:
    text = _text(values["text"])
    width, height = (float(value) for value in values["size"])
    return Page(
        _whole(values["number"]),
        text,
        _unpack_blocks(values["blocks"], values["contexts"], len(text)),
        _unpack_places(values["places"], len(text)),
        _text(values["label"]),
        width,
        height,
    )


def _unpack_blocks(packed: str, contexts: list[str], length: int) -> Blocks:
    blocks = Blocks(_numbers(packed, Blocks.WIDTH), tuple(map(_text, contexts)))
    at, numbers = 0, blocks.numbers
    for i in range(0, len(numbers), Blocks.WIDTH):
        start, end, kind, level, context = numbers[i : i + Blocks.WIDTH]
        at = _span(start, end, at, length)
        if kind >= len(_KINDS) or level > _DEEPEST or context >= len(contexts):
            raise ValueError("a block of no known kind")
    return blocks


def _unpack_places(packed: str, length: int) -> Places:
    places = Places(_numbers(packed, Places.WIDTH))
    at, most, numbers = 0, Places.SCALE, places.numbers
    for i in range(0, len(numbers), Places.WIDTH):
        start, end, x0, y0, x1, y1 = numbers[i : i + Places.WIDTH]
        at = _span(start, end, at, length)
        if not (x0 <= x1 <= most and y0 <= y1 <= most):
            raise ValueError("a box outside its page")
    return places


def _numbers(packed: str, width: int) -> array[int]:
    numbers = array("I")
    numbers.frombytes(b64decode(packed, validate=True))
    if len(numbers) % width:
        raise ValueError("numbers that are left over")
    return numbers


def _span(start: int, end: int, least: int, length: int) -> int:
    if not least <= start < end <= length:
        raise ValueError("a span outside its page")
    return end


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value


def _moment(value: Any) -> str:
    """A moment in UTC to the second, as `MOMENT` has it, or nothing."""
    text = _text(value)
    if text and datetime.strptime(text, MOMENT).strftime(MOMENT) != text:
        raise ValueError("no moment")
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str) or any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("not a text")
    return value
