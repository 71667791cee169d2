"""Documents as the outside sees them, and what may be done to them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from rag.catalog import Catalog
from rag.catalog.documents import get_document, list_documents, no_document
from rag.catalog.failures import try_again
from rag.catalog.schema import documents
from rag.records import Document, to_json
from web.cursors import make_cursor, read_cursor

# of words that names are searched for
MOST_WORDS = 200


def document_json(document: Document) -> dict[str, Any]:
    """A document without the server's folder that it is synced from."""
    shown: dict[str, Any] = to_json(document)
    shown["synced"] = shown.pop("folder") is not None
    return shown


def list_part(
    catalog: Catalog,
    limit: int,
    cursor: str | None,
    collection: str | None = None,
    parent: str | None = None,
    words: str = "",
) -> tuple[list[Document], str | None]:
    """A part of the list and the cursor of the next.

    Raises UsageError, and UnknownCollection and NotFound of what it is to be a part of.
    """
    after = read_cursor(catalog, cursor) if cursor else None
    if parent:
        get_document(catalog, parent)
    names = [collection] if collection else None
    found = list_documents(catalog, limit + 1, after, names, parent, words)
    part = found[:limit]
    more = len(found) > limit
    return part, make_cursor(part[-1]) if more else None


def retry(catalog: Catalog, document_id: str) -> Document:
    """Queue a document again that failed, or in which a file did. Raises NotFound.

    Any other is left as it is.
    """
    with catalog.write() as connection:
        state = connection.execute(
            select(documents.c.state).where(documents.c.id == document_id)
        ).scalar()
        if state is None or state == "removed":
            raise no_document(document_id)
        try_again(connection, documents.c.id == document_id)
    return get_document(catalog, document_id)
