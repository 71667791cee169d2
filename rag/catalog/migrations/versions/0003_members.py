"""Members: files within files, which are documents below the document that they came in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = (
    "id, collection_id, folder_id, source, kind, bytes_hash, size, stat_key, content_key, state, "
    "recipe, attempts, progress, error, error_code, created_at, updated_at, queued_at"
)


def upgrade() -> None:
    """Give documents a parent. SQLite drops no constraint, so their table is made anew."""
    op.create_table(
        "members",
        sa.Column("content_key", sa.String, sa.ForeignKey("contents.key"), primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("bytes_hash", sa.String, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("error_code", sa.String),
    )
    _make_documents("documents_anew")
    op.execute(f"INSERT INTO documents_anew ({_COLUMNS}) SELECT {_COLUMNS} FROM documents")
    op.drop_table("documents")
    op.rename_table("documents_anew", "documents")
    op.create_index("documents_by_state", "documents", ["state", "queued_at"])
    op.create_index("documents_by_content", "documents", ["content_key"])
    op.create_index("documents_by_hash", "documents", ["bytes_hash"])
    op.create_index("documents_by_collection", "documents", ["collection_id", "source"])
    op.create_index("documents_of_parent", "documents", ["parent_id", "source"], unique=True)
    op.create_index(
        "documents_of_folder",
        "documents",
        ["folder_id", "source"],
        unique=True,
        sqlite_where=sa.text("parent_id IS NULL"),
    )


def _make_documents(name: str) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("collection_id", sa.Integer, sa.ForeignKey("collections.id"), nullable=False),
        sa.Column("folder_id", sa.Integer, sa.ForeignKey("folders.id")),
        sa.Column("parent_id", sa.String, sa.ForeignKey("documents.id", ondelete="CASCADE")),
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
    )
