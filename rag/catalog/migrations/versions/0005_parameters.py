"""What answers from each collection are generated with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; a collection from before has the settings' parameters."""
    op.add_column(
        "collections", sa.Column("parameters", sa.Text, nullable=False, server_default="{}")
    )
