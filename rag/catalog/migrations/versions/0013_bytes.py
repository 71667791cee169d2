"""Which originals were stored, which bytes were removed, and the time of what came in a file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

# of the file that it is in: the time, which stands after the first colon
_WITHIN = (
    "(SELECT 'within:' || CAST(substr(above.stat_key, instr(above.stat_key, ':') + 1) AS INTEGER) "
    "FROM documents AS above WHERE above.id = documents.parent_id AND above.stat_key LIKE '%:%')"
)


def upgrade() -> None:
    """Add the tables, with what is named in the others, and the times, a level at a time."""
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
    connection = op.get_bind()
    fill = f"UPDATE documents SET stat_key = {_WITHIN} WHERE stat_key = '' AND {_WITHIN} NOT NULL"
    while connection.exec_driver_sql(fill).rowcount:
        pass
