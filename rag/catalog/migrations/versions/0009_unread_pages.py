"""The pages of each content that could not be read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; of a content from before nothing is known until it is read again."""
    op.add_column("contents", sa.Column("unread", sa.Text, nullable=False, server_default="[]"))
