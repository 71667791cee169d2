"""Pages of a content: their text, blocks and places, as stored and as records."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Row, select

from rag.catalog import Catalog
from rag.catalog.schema import contents, documents, pages
from rag.errors import NotFound
from rag.parsed import Block, Box, Page, Place

# start, end, then the box in 1/65535 of the page
_PLACE = np.dtype([("span", "<u4", 2), ("box", "<u2", 4)])
_SCALE = 65535


def page_row(content_key: str, page: Page) -> dict[str, Any]:
    """A page as a row of the table."""
    return {
        "content_key": content_key,
        "number": page.number,
        "label": page.label,
        "text": page.text,
        "width": page.width,
        "height": page.height,
        "blocks": json.dumps([[b.start, b.end, b.kind, b.level, b.context] for b in page.blocks]),
        "places": _pack(page.places),
    }


def read_page(catalog: Catalog, document_id: str, number: int) -> Page:
    """Page `number` of the document's live content. Raises NotFound."""
    with catalog.read() as connection:
        row = connection.execute(
            select(pages)
            .join(documents, documents.c.content_key == pages.c.content_key)
            .where(documents.c.id == document_id, pages.c.number == number)
        ).first()
    if row is None:
        raise NotFound(f"Document {document_id[:80]} has no page {number} that can be shown.")
    return _page(row)


def page_numbers(catalog: Catalog, document_id: str) -> list[tuple[int, str]]:
    """Number and label of each page of the document's live content, in order."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(pages.c.number, pages.c.label)
            .join(contents, contents.c.key == pages.c.content_key)
            .join(documents, documents.c.content_key == contents.c.key)
            .where(documents.c.id == document_id)
            .order_by(pages.c.number)
        )
        return [(row.number, row.label) for row in rows]


def boxes_of(page: Page, start: int, end: int) -> tuple[Box, ...]:
    """The boxes that cover `page.text[start:end]`: one for each run of words on a line."""
    lines: list[Box] = []
    for place in page.places:
        if place.end <= start or place.start >= end:
            continue
        x0, y0, x1, y1 = place.box
        if lines and _same_line(lines[-1], place.box):
            a0, b0, a1, b1 = lines[-1]
            lines[-1] = (min(a0, x0), min(b0, y0), max(a1, x1), max(b1, y1))
        else:
            lines.append(place.box)
    return tuple(lines)


def _same_line(one: Box, other: Box) -> bool:
    overlap = min(one[3], other[3]) - max(one[1], other[1])
    height = min(one[3] - one[1], other[3] - other[1])
    return overlap > 0.5 * height and other[0] >= one[0]


def _page(row: Row[Any]) -> Page:
    return Page(
        number=row.number,
        text=row.text,
        blocks=tuple(Block(*block) for block in json.loads(row.blocks)),
        places=_unpack(row.places),
        label=row.label,
        width=row.width,
        height=row.height,
    )


def _pack(places: Sequence[Place]) -> bytes:
    if not places:
        return b""
    rows = np.empty(len(places), dtype=_PLACE)
    rows["span"] = [(place.start, place.end) for place in places]
    boxes = np.array([place.box for place in places], dtype=np.float64)
    rows["box"] = np.rint(np.clip(boxes, 0.0, 1.0) * _SCALE)
    return zlib.compress(rows.tobytes())


def _unpack(packed: bytes) -> tuple[Place, ...]:
    if not packed:
        return ()
    rows = np.frombuffer(zlib.decompress(packed), dtype=_PLACE)
    boxes = (rows["box"] / _SCALE).tolist()
    return tuple(
        Place(start, end, tuple(box))
        for (start, end), box in zip(rows["span"].tolist(), boxes, strict=True)
    )
