"""A checksum over all that a content is made of: its title, pages, chunks, vectors, members."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

# in place of a checksum: a long document's chunks are being written, or wait for their vectors
WRITING, BEGUN = "writing", "begun"
_PAGE = ("number", "label", "text", "width", "height", "blocks", "places")
_CHUNK = ("id", "ordinal", "page", "start", "end", "text", "context", "vector")
_MEMBER = ("ordinal", "name", "kind", "bytes_hash", "size", "error", "error_code")


def content_checksum(
    title: str,
    pages: Iterable[Mapping[str, Any]],
    chunks: Iterable[Mapping[str, Any]],
    members: Iterable[Mapping[str, Any]] = (),
) -> str:
    """SHA-256 over the rows: pages by their numbers, chunks and members by their ordinals.

    They are given in that order, and need not be in memory together.
    """
    digest = hashlib.sha256(repr(title).encode())
    for names, rows in ((_PAGE, pages), (_CHUNK, chunks), (_MEMBER, members)):
        for row in rows:
            # repr tells texts, numbers and bytes apart, and where one ends
            digest.update(repr([row[name] for name in names]).encode())
    return digest.hexdigest()
