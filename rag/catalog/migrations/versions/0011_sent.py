"""When the mail that a document came in was sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

# of what it is in: the moment that this is of itself, else that of the mail which it came in
_ABOVE = (
    "(SELECT CASE WHEN coalesce(contents.dated, '') != '' THEN contents.dated ELSE above.sent END "
    "FROM documents AS above LEFT JOIN contents ON contents.key = above.content_key "
    "WHERE above.id = documents.parent_id)"
)


def upgrade() -> None:
    """Add the column, and fill it from above, one level at a time."""
    op.add_column("documents", sa.Column("sent", sa.String, nullable=False, server_default=""))
    connection = op.get_bind()
    fill = f"UPDATE documents SET sent = {_ABOVE} WHERE parent_id IS NOT NULL AND sent != {_ABOVE}"
    while connection.exec_driver_sql(fill).rowcount:
        pass
