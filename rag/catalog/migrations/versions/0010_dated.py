"""The day that each content is of by its own word: when a mail was sent."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# as the parsers of mail write it with the other headers, below the subject
_DATE = re.compile(r"^Date: (.*)$", re.MULTILINE)


def upgrade() -> None:
    """Add the column; the day of a mail from before is in its text."""
    op.add_column("contents", sa.Column("dated", sa.String, nullable=False, server_default=""))
    connection = op.get_bind()
    mails = connection.exec_driver_sql(
        "SELECT contents.key, substr(pages.text, 1, 20000) FROM contents "
        "JOIN pages ON pages.content_key = contents.key AND pages.number = 1 "
        "WHERE contents.kind IN ('eml', 'msg')"
    ).all()
    for key, text in mails:
        head = "\n".join(text.split("\n\n")[:2])
        if (found := _DATE.search(head)) and (day := _day(found.group(1))):
            connection.exec_driver_sql("UPDATE contents SET dated = ? WHERE key = ?", (day, key))


def _day(header: str) -> str:
    try:
        sent = parsedate_to_datetime(header)
        day = (sent.astimezone(UTC) if sent.tzinfo else sent).date()
    except (ValueError, OverflowError):
        return ""
    return day.isoformat() if 1971 <= day.year < 2262 else ""
