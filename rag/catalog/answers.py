"""Recorded answers. An answer goes when a document that it quotes goes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from rag.catalog import Catalog, now
from rag.catalog.batching import batched
from rag.catalog.schema import answer_documents, answers, chunks, documents, pages
from rag.errors import NotFound
from rag.records import Answer, Disagreement, to_json


def new_answer_id() -> str:
    """A random name for an answer."""
    return f"ans_{secrets.token_hex(8)}"


def record_answer(catalog: Catalog, answer: Answer) -> bool:
    """Store an answer; False where a document it holds text of has gone or changed since."""
    held = {p.document_id for p in answer.passages} | {c.document_id for c in answer.citations}
    held |= {twin.document_id for passage in answer.passages for twin in passage.twins}
    held |= {told.document_id for told in answer.disagreements}
    with catalog.write() as connection:
        live = select(documents.c.id).where(documents.c.content_key.is_not(None))
        here: set[str] = set()
        for some in batched(held):
            here.update(connection.execute(live.where(documents.c.id.in_(some))).scalars())
        if here != held or not _still_there(connection, answer):
            return False
        if not all(_still_said(connection, told) for told in answer.disagreements):
            return False
        record = json.dumps(to_json(answer), ensure_ascii=False)
        connection.execute(answers.insert().values(id=answer.id, created_at=now(), record=record))
        if held:
            connection.execute(
                answer_documents.insert(),
                [{"answer_id": answer.id, "document_id": name} for name in sorted(held)],
            )
    return True


def _still_there(connection: Connection, answer: Answer) -> bool:
    """Whether the passages' chunks are of the contents that answer for their documents now."""
    wanted = {(passage.chunk_id, passage.document_id) for passage in answer.passages}
    rows = connection.execute(
        select(chunks.c.id, documents.c.id)
        .join(documents, documents.c.content_key == chunks.c.content_key)
        .where(chunks.c.id.in_([chunk_id for chunk_id, _ in wanted]))
    )
    return wanted <= {(chunk_id, document_id) for chunk_id, document_id in rows}


def _still_said(connection: Connection, told: Disagreement) -> bool:
    """Whether the page of another version has the quote where it was found."""
    text = connection.execute(
        select(pages.c.text)
        .join(documents, documents.c.content_key == pages.c.content_key)
        .where(documents.c.id == told.document_id, pages.c.number == told.page)
    ).scalar()
    return text is not None and text[told.start : told.end] == told.quote


def read_answer(catalog: Catalog, answer_id: str) -> Mapping[str, Any]:
    """A recorded answer as JSON values. Raises NotFound."""
    with catalog.read() as connection:
        record = connection.execute(
            select(answers.c.record).where(answers.c.id == answer_id)
        ).scalar()
    if record is None:
        raise NotFound(
            f"There is no answer {answer_id[:80]}. One goes when a document goes that it holds "
            "text of. Ask the question again."
        )
    found: Mapping[str, Any] = json.loads(record)
    return found


def forget_answers(connection: Connection, document_ids: Iterable[str]) -> None:
    """Delete the recorded answers that hold text of these documents."""
    for some in batched(document_ids):
        held = select(answer_documents.c.answer_id).where(answer_documents.c.document_id.in_(some))
        connection.execute(delete(answers).where(answers.c.id.in_(held)))
