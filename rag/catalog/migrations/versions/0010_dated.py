"""The moment that each content is of by its own word: when a mail was sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# the headers that the parsers of mail write, one a line, below the subject
_DATE = "Date: "
_HEADERS = ("From: ", "To: ", "Cc: ", _DATE)


def upgrade() -> None:
    """Add the column; that of a mail from before is in its text."""
    op.add_column("contents", sa.Column("dated", sa.String, nullable=False, server_default=""))
    connection = op.get_bind()
    mails = connection.exec_driver_sql(
        "SELECT key, title FROM contents WHERE kind IN ('eml', 'msg')"
    ).all()
    for key, subject in mails:  # one text at a time: there may be many, and long ones
        text = connection.exec_driver_sql(
            "SELECT substr(text, 1, 200000) FROM pages WHERE content_key = ? AND number = 1", (key,)
        ).scalar()
        if moment := _moment(text or "", subject):
            connection.exec_driver_sql("UPDATE contents SET dated = ? WHERE key = ?", (moment, key))


def _moment(text: str, subject: str) -> str:
    """As `ingest.parsers.mail.moment_of` had it when this was written."""
    blocks = text.split("\n\n", 2)
    if subject and blocks[0] == subject:
        blocks = blocks[1:]
    lines = blocks[0].split("\n") if blocks else []
    dates = [line.removeprefix(_DATE) for line in lines if line.startswith(_DATE)]
    if not all(line.startswith(_HEADERS) for line in lines) or not dates:
        return ""
    try:
        sent = parsedate_to_datetime(dates[-1])
        sent = (sent if sent.tzinfo else sent.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    believed = sent.year >= 1971 and sent < datetime.now(UTC) + timedelta(days=1)
    return sent.strftime("%Y-%m-%dT%H:%M:%SZ") if believed else ""
