"""A checksum over all that a content is made of: its title, pages, chunks, vectors, members."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

_PAGE = ("number", "label", "text", "width", "height", "blocks", "places")
_CHUNK = ("id", "ordinal", "page", "start", "end", "text", "context", "vector")
_MEMBER = ("ordinal", "name", "kind", "bytes_hash", "size", "error", "error_code")


def content_checksum(
    title: str,
    pages: Iterable[Mapping[str, Any]],
    chunks: Iterable[Mapping[str, Any]],
    members: Iterable[Mapping[str, Any]] = (),
) -> str:
    """SHA-256 over the rows, pages in the order of their numbers, chunks and members in theirs."""
    digest = hashlib.sha256(repr(title).encode())
    kinds = ((_PAGE, pages, "number"), (_CHUNK, chunks, "ordinal"), (_MEMBER, members, "ordinal"))
    for names, rows, order in kinds:
        for row in sorted(rows, key=lambda row: (row[order], str(row.get("id", "")))):
            # repr tells texts, numbers and bytes apart, and where one ends
            digest.update(repr([row[name] for name in names]).encode())
    return digest.hexdigest()
