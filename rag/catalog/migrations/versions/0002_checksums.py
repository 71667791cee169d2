"""A checksum of each content's rows, so that an altered one is told from a sound one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; what was there before has no checksum."""
    op.add_column("contents", sa.Column("checksum", sa.String, nullable=False, server_default=""))
