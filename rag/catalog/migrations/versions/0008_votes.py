"""Which of two answers people found better."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the table."""
    answer = "answers.id"
    op.create_table(
        "votes",
        sa.Column(
            "first_id", sa.String, sa.ForeignKey(answer, ondelete="CASCADE"), primary_key=True
        ),
        sa.Column(
            "second_id", sa.String, sa.ForeignKey(answer, ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("voted_at", sa.String, nullable=False),
        sa.Column("vote", sa.String, nullable=False),
        sa.Column("seed", sa.Integer),
    )
    op.create_index("ix_votes_second_id", "votes", ["second_id"])
