"""The language that each content is written in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; a content from before is read again anyway, by the newer parsers."""
    op.add_column("contents", sa.Column("language", sa.String, nullable=True))
