"""Mail as saved by a mail program (.eml)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from ingest.parsers.archive import damaged
from ingest.parsers.builder import PageBuilder, clean, flat
from ingest.parsers.text import decode, paragraphs
from ingest.parsers.web import add_html
from rag.records import Parsed

_SHOWN = ("From", "To", "Cc", "Date")
_KNOWN = (*_SHOWN, "Subject", "Message-ID", "Received", "MIME-Version", "Content-Type")


def parse(path: Path, name: str) -> Parsed:
    """A message as one page: subject, sender, receivers, date, text, names of attachments.

    Raises CorruptDocument for a file that is no message.
    """
    try:
        with path.open("rb") as file:
            message = BytesParser(EmailMessage, policy=policy.default).parse(file)
    except (MessageError, ValueError) as error:
        raise damaged(name, type(error).__name__) from error
    if not any(message.get_all(header, []) for header in _KNOWN):
        raise damaged(name, "it has no mail headers")
    builder = PageBuilder()
    subject = header_text(message, "Subject")
    builder.add(subject, "heading", 1)
    add_headers(builder, {header: header_text(message, header) for header in _SHOWN})
    _add_body(builder, message)
    add_attachments(builder, [part.get_filename() or "" for part in _attachments(message)])
    return Parsed((builder.page(),), subject)


def add_headers(builder: PageBuilder, headers: Mapping[str, str]) -> None:
    """Append the headers that have a value, one a line."""
    builder.add("\n".join(f"{header}: {value}" for header, value in headers.items() if value))


def add_plain(builder: PageBuilder, text: str) -> None:
    """Append the paragraphs of a plain text."""
    for start, end in paragraphs(text):
        builder.add(text[start:end])


def add_attachments(builder: PageBuilder, files: Iterable[str]) -> None:
    """Append the names of the attached files."""
    named = [name for name in (flat(clean(file)) for file in files) if name]
    if named:
        builder.add(f"Attachments: {', '.join(named)}")


def header_text(message: EmailMessage, header: str) -> str:
    """A header's text; a malformed one as it stands."""
    try:
        value = message[header]
    except (ValueError, IndexError, TypeError, AttributeError, MessageError):
        value = next((v for k, v in message.raw_items() if k.lower() == header.lower()), "")
    return flat(clean(str(value or "")))


def _attachments(message: EmailMessage) -> list[EmailMessage]:
    """Every part with a file name, at any depth."""
    return [
        part
        for part in message.walk()
        if isinstance(part, EmailMessage) and not part.is_multipart() and part.get_filename()
    ]


def _add_body(builder: PageBuilder, message: EmailMessage) -> None:
    for kind in ("plain", "html"):
        parts = [
            part
            for part in message.walk()
            if part.get_content_type() == f"text/{kind}"
            and isinstance(part, EmailMessage)
            and not part.get_filename()
        ]
        texts = [text for text in map(_content, parts) if text.strip()]
        for text in texts:
            if kind == "html":
                add_html(builder, text)
            else:
                add_plain(builder, text)
        if texts:
            return


def _content(part: EmailMessage) -> str:
    """A text part, decoded; what cannot be becomes U+FFFD."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return clean(decode(data, part.get_content_charset() or ""))
