"""Which model writes the answers from each collection."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; a collection from before is answered by the LLM in use."""
    op.add_column("collections", sa.Column("model", sa.Text, nullable=False, server_default=""))
