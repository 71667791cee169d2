"""The first catalog: collections, folders, documents, contents, pages, chunks, answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table of the first release."""
    _make_places()
    _make_contents()
    _make_documents()
    op.create_table(
        "answers",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "answer_documents",
        sa.Column(
            "answer_id",
            sa.String,
            sa.ForeignKey("answers.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("document_id", sa.String, primary_key=True),
    )
    op.create_index("ix_answer_documents_document_id", "answer_documents", ["document_id"])
    op.create_table(
        "facts",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )


def _make_places() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("created_at", sa.String, nullable=False),
    )
    op.create_table(
        "folders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("collection_id", sa.Integer, sa.ForeignKey("collections.id"), nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.UniqueConstraint("collection_id", "path"),
    )


def _make_contents() -> None:
    op.create_table(
        "contents",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("bytes_hash", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("recipe", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("page_count", sa.Integer, nullable=False),
        sa.Column("chunk_count", sa.Integer, nullable=False),
        sa.Column("indexed", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )
    op.create_table(
        "pages",
        sa.Column("content_key", sa.String, sa.ForeignKey("contents.key"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("width", sa.Float, nullable=False),
        sa.Column("height", sa.Float, nullable=False),
        sa.Column("blocks", sa.Text, nullable=False),
        sa.Column("places", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "chunks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("content_key", sa.String, sa.ForeignKey("contents.key"), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_index("chunks_of_content", "chunks", ["content_key", "ordinal"])


def _make_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("collection_id", sa.Integer, sa.ForeignKey("collections.id"), nullable=False),
        sa.Column("folder_id", sa.Integer, sa.ForeignKey("folders.id")),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("bytes_hash", sa.String, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("stat_key", sa.String, nullable=False),
        sa.Column("content_key", sa.String, sa.ForeignKey("contents.key")),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("recipe", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("error_code", sa.String),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("updated_at", sa.String, nullable=False),
        sa.Column("queued_at", sa.Float, nullable=False),
        sa.UniqueConstraint("folder_id", "source"),
    )
    op.create_index("documents_by_state", "documents", ["state", "queued_at"])
    op.create_index("documents_by_content", "documents", ["content_key"])
    op.create_index("documents_by_hash", "documents", ["bytes_hash"])
    op.create_index("documents_by_collection", "documents", ["collection_id", "source"])
