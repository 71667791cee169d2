"""Which originals were stored under this catalog."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table, with what is named in the others."""
    op.create_table("originals", sa.Column("bytes_hash", sa.String, primary_key=True))
    op.execute(
        "INSERT INTO originals SELECT bytes_hash FROM documents UNION "
        "SELECT bytes_hash FROM contents UNION "
        "SELECT bytes_hash FROM members WHERE bytes_hash != ''"
    )
