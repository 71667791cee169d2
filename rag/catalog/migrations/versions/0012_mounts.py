"""What was mounted below a synced folder when it was synced last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; the next sync of each folder fills it."""
    op.add_column("folders", sa.Column("mounts", sa.Text, nullable=False, server_default="[]"))
