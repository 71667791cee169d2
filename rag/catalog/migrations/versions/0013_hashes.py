"""Which originals were stored under this catalog, and which bytes a person removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the tables, with what is named in the others."""
    op.create_table("originals", sa.Column("bytes_hash", sa.String, primary_key=True))
    op.execute(
        "INSERT INTO originals SELECT bytes_hash FROM documents UNION "
        "SELECT bytes_hash FROM contents UNION "
        "SELECT bytes_hash FROM members WHERE bytes_hash != ''"
    )
    op.create_table(
        "removed_bytes",
        sa.Column("collection_id", sa.Integer, sa.ForeignKey("collections.id"), primary_key=True),
        sa.Column("bytes_hash", sa.String, primary_key=True),
        sa.Column("removed_at", sa.String, nullable=False),
    )
    op.execute(
        "INSERT INTO removed_bytes SELECT collection_id, bytes_hash, min(updated_at) "
        "FROM documents WHERE state = 'removed' GROUP BY collection_id, bytes_hash"
    )
