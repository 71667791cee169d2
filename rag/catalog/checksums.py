"""A checksum over everything that a content is made of: its title, pages, chunks, vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

_PAGE = ("number", "label", "text", "width", "height", "blocks", "places")
_CHUNK = ("id", "ordinal", "page", "start", "end", "text", "context", "vector")


def content_checksum(
    title: str, pages: Iterable[Mapping[str, Any]], chunks: Iterable[Mapping[str, Any]]
) -> str:
    """SHA-256 over the rows, pages in the order of their numbers, chunks in theirs."""
    digest = hashlib.sha256(repr(title).encode())
    for names, rows, order in ((_PAGE, pages, "number"), (_CHUNK, chunks, "ordinal")):
        for row in sorted(rows, key=lambda row: (row[order], str(row.get("id", "")))):
            # repr tells texts, numbers and bytes apart, and where one ends
            digest.update(repr([row[name] for name in names]).encode())
    return digest.hexdigest()
