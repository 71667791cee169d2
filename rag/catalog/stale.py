"""Documents that answer by what was read before, since their files cannot be read any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, or_, update

from rag.catalog import Catalog, now
from rag.catalog.batching import batched
from rag.catalog.schema import documents

STALE_CODE = "not-read-again"


def stale_note(reason: str) -> str:
    """What such a document says, by the reason why its file cannot be read."""
    return f"What answers is what an earlier sync read; now {reason}"


def mark_stale(catalog: Catalog, reasons: Mapping[str, str]) -> None:
    """Say so at these live documents (id and reason of each) that say nothing else."""
    with catalog.write() as connection:
        for document_id, reason in reasons.items():
            connection.execute(
                update(documents)
                .where(
                    documents.c.id == document_id,
                    documents.c.state == "live",
                    or_(documents.c.error_code.is_(None), documents.c.error_code == STALE_CODE),
                )
                .values(error=stale_note(reason), error_code=STALE_CODE, updated_at=now())
            )


def unmark_stale(connection: Connection, document_ids: Iterable[str]) -> None:
    """Have those of these documents that said so say it no more: their files were read."""
    marked = update(documents).where(documents.c.error_code == STALE_CODE)
    for some in batched(document_ids):
        connection.execute(
            marked.where(documents.c.id.in_(some)).values(
                error=None, error_code=None, updated_at=now()
            )
        )
