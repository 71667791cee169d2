"""Mail as saved by a mail program (.eml)."""

from __future__ import annotations

import io
import mimetypes
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from email import policy
from email.errors import MessageError
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path

from ingest.parsers.archive import damaged
from ingest.parsers.builder import PageBuilder, clean, flat
from ingest.parsers.packed import Packed, UnpackLimits, check_count, held
from ingest.parsers.text import decode, paragraphs
from ingest.parsers.web import add_html
from rag.parsed import MOMENT, Parsed
from rag.replies import LINE, repeats_from

_SHOWN = ("From", "To", "Cc", "Date")
# a smaller image within the text is a logo of a signature, or a line
SMALLEST_INLINE_BYTES = 40_000
# parts within parts, and their ends; Python's parser takes long over very deep ones
_OPENED = re.compile(rb"^content-type:[ \t]*multipart/", re.IGNORECASE | re.MULTILINE)
_CLOSED = re.compile(rb"^--\S.*--[ \t]*\r?$", re.MULTILINE)
_DEEPEST = 200
# of mail, and of times that the catalog can count in nanoseconds
_YEARS = range(1971, 2262)
_KNOWN = frozenset("from to cc date subject message-id received mime-version content-type".split())


def parse(path: Path, name: str) -> Parsed:
    """A message as one page: subject, sender, receivers, date, text, names of attachments.

    Raises CorruptDocument for a file that is no message.
    """
    message = _load(path, name)
    builder = PageBuilder()
    subject = header_text(message, "Subject")
    builder.add(subject, "heading", 1)
    headers = {header: header_text(message, header) for header in _SHOWN}
    add_headers(builder, headers)
    _add_body(builder, message)
    add_attachments(builder, [name for name, _ in _attachments(message)])
    return Parsed((builder.page(),), subject, dated=moment_of(headers["Date"]))


def unpack(path: Path, name: str, limits: UnpackLimits) -> Iterator[Packed]:
    """The files attached to a message, and the messages, each as it would be saved.

    Images within the text are among them from SMALLEST_INLINE_BYTES on.
    """
    attached = _attachments(_load(path, name))
    check_count(name, len(attached), limits)
    for file, part in attached:
        data = _bytes_of(part)
        if not _is_inline_image(part) or len(data) >= SMALLEST_INLINE_BYTES:
            yield held(file, data)


def _load(path: Path, name: str) -> EmailMessage:
    data = path.read_bytes()
    if len(_OPENED.findall(data)) - len(_CLOSED.findall(data)) > _DEEPEST:
        raise damaged(name, "its parts are too deep within each other")
    try:
        message = BytesParser(EmailMessage, policy=policy.default).parsebytes(data)
    except (MessageError, ValueError) as error:
        raise damaged(name, type(error).__name__) from error
    # names alone: a malformed value raises when it is asked for
    if _KNOWN.isdisjoint(header.lower() for header, _ in message.raw_items()):
        raise damaged(name, "it has no mail headers")
    return message


def add_headers(builder: PageBuilder, headers: Mapping[str, str]) -> None:
    """Append the headers that have a value, one a line."""
    builder.add("\n".join(f"{header}: {value}" for header, value in headers.items() if value))


def moment_of(header: str) -> str:
    """What a Date header says, as `Parsed.dated`; empty where no mail can have been sent then."""
    try:
        sent = parsedate_to_datetime(header)
        sent = sent.astimezone(UTC) if sent.tzinfo else sent
    except (ValueError, OverflowError):
        return ""
    return sent.strftime(MOMENT) if sent.year in _YEARS else ""


def add_plain(builder: PageBuilder, text: str) -> None:
    """Append the paragraphs of a plain text.

    The line above a mail that is repeated is a heading, so that what is below it is told apart
    from what the sender says.
    """
    for start, end in paragraphs(text):
        at = start
        for found in LINE.finditer(text, start, end):
            if repeats_from(text, found, end):
                builder.add(text[at : found.start()])
                builder.add(found.group(), "heading", 2)
                at = found.end()
        builder.add(text[at:end])


def add_attachments(builder: PageBuilder, files: Iterable[str]) -> None:
    """Append the names of the attached files."""
    named = [name for name in (flat(clean(file)) for file in files) if name]
    if named:
        builder.add(f"Attachments: {', '.join(named)}")


def header_text(message: EmailMessage, header: str) -> str:
    """A header's text; a malformed one as it stands."""
    try:
        value = message[header]
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError, MessageError):
        value = next((v for k, v in message.raw_items() if k.lower() == header.lower()), "")
    return flat(clean(str(value or "")))


def _attachments(message: EmailMessage) -> list[tuple[str, EmailMessage]]:
    """Every attached file and message with its name, in order; those within a message are its."""
    found: list[tuple[str, EmailMessage]] = []
    for part in _parts(message):
        if part.get_content_type() == "message/rfc822":
            name = part.get_filename() or header_text(_within(part), "Subject") or "message"
            found.append((name if name.lower().endswith(".eml") else f"{name}.eml", part))
        elif part.get_filename() or part.get_content_maintype() not in ("text", "multipart"):
            name = part.get_filename() or f"attachment {len(found) + 1}"
            suffix = mimetypes.guess_extension(part.get_content_type()) or ""
            found.append((name if "." in name else f"{name}{suffix}", part))
    # a subject may hold slashes, and a file's name is no path
    return [(flat(clean(name)).replace("/", "_"), part) for name, part in found]


def _parts(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that are no multiparts, in order, not going into messages within the message."""
    stack = [message]
    while stack:
        part = stack.pop()
        if part.is_multipart() and (part is message or part.get_content_maintype() == "multipart"):
            inner = [one for one in part.iter_parts() if isinstance(one, EmailMessage)]
            stack += reversed(inner)
        else:
            yield part


def _within(part: EmailMessage) -> EmailMessage:
    """The message that a part of type message/rfc822 holds."""
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    return inner if isinstance(inner, EmailMessage) else EmailMessage()


def _bytes_of(part: EmailMessage) -> bytes:
    if part.get_content_type() != "message/rfc822":
        payload = part.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""
    written = io.BytesIO()
    as_it_stands = policy.compat32.clone(max_line_length=None)
    BytesGenerator(written, mangle_from_=False, policy=as_it_stands).flatten(_within(part))
    return written.getvalue()


def _is_inline_image(part: EmailMessage) -> bool:
    inline = part.get_content_disposition() == "inline" or part["Content-ID"] is not None
    return inline and part.get_content_maintype() == "image"


def _add_body(builder: PageBuilder, message: EmailMessage) -> None:
    parts = [part for part in _parts(message) if not part.get_filename()]
    for kind in ("plain", "html"):
        wanted = [part for part in parts if part.get_content_type() == f"text/{kind}"]
        texts = [text for text in map(_content, wanted) if text.strip()]
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
