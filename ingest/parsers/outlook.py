"""Mail as saved by Outlook (.msg)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.parsers.archive import damaged
from ingest.parsers.builder import PageBuilder, clean, flat
from ingest.parsers.mail import (
    SMALLEST_INLINE_BYTES,
    add_attachments,
    add_headers,
    add_plain,
    header_text,
    moment_of,
)
from ingest.parsers.packed import Packed, UnpackLimits, check_count, held
from ingest.parsers.text import decode
from ingest.parsers.web import add_html
from rag.errors import ProtectedDocument
from rag.parsed import Parsed

if TYPE_CHECKING:
    from oxmsg.properties import Properties
    from oxmsg.storage import Storage

# numbers of properties, as [MS-OXPROPS] gives them
_SUBJECT, _BODY, _HTML = 0x0037, 0x1000, 0x1013
_OWN_HEADERS = 0x007D
_SENDER, _SENDER_ADDRESSES, _ON_BEHALF_OF = 0x0C1A, (0x5D01, 0x0C1F), 0x0042
_NAME, _ADDRESSES = 0x3001, (0x39FE, 0x3003)
_RECEIVER_KIND, _TO, _CC = 0x0C15, 1, 2
_SHOWN = {_TO: 0x0E04, _CC: 0x0E03}
_FILE_NAMES = (0x3707, 0x3704, _NAME)
_SENT = (0x0039, 0x0E06)
_DATA, _MEDIA_TYPE, _CONTENT_ID = 0x3701, 0x370E, 0x3712
# a message within the message, and where the properties of one begin
_WITHIN = "__substg1.0_3701000D"
_HEAD_OUTSIDE, _HEAD_WITHIN, _HEAD_PART = 32, 24, 8
# how Outlook names the encrypted text of a message
_LOCKED = "message.rpmsg"
_CUT = "less than declared"
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError)


def parse(path: Path, name: str) -> Parsed:
    """A message as one page: subject, sender, receivers, date, text, names of attachments.

    Raises CorruptDocument for a file that is no message or is damaged, ProtectedDocument for one
    whose text is encrypted for its receivers.
    """
    try:
        message = _load(path, name)
        builder = PageBuilder()
        subject = _text(message.properties, _SUBJECT)
        attached = [attachment.name for attachment in message.attachments]
        builder.add(subject, "heading", 1)
        headers = _headers(message)
        add_headers(builder, headers)
        dated = moment_of(headers["Date"]) or moment_of(_sent(message.properties))
        _add_body(builder, message.properties)
    except (*_DAMAGE, struct.error, AssertionError) as error:
        raise damaged(name, type(error).__name__) from error
    if not builder:
        raise damaged(name, "it holds no message")
    add_attachments(builder, attached)
    return Parsed((builder.page(),), subject, dated=dated)


def unpack(path: Path, name: str, limits: UnpackLimits) -> Iterator[Packed]:
    """The files attached to a message; a message among them as a mail program would save it.

    Images within the text are among them from SMALLEST_INLINE_BYTES on. Raises as `parse`.
    """
    try:
        message = _load(path, name)
        check_count(name, len(message.attachments), limits)
        files = [(one.name, one.data()) for one in message.attachments if not one.is_logo]
    except (*_DAMAGE, struct.error, AssertionError) as error:
        raise damaged(name, type(error).__name__) from error
    yield from (held(file or "attachment", data) for file, data in files)


@dataclass(frozen=True, slots=True)
class _Mail:
    """A message as Outlook keeps it, the outer one or one within it."""

    properties: Properties
    receivers: tuple[Properties, ...]
    attachments: tuple[_Attachment, ...]


@dataclass(frozen=True, slots=True)
class _Attachment:
    """A file, or a message, that is attached."""

    properties: Properties
    message: _Mail | None

    @property
    def name(self) -> str:
        """Its file's name; of a message its subject."""
        if self.message:
            subject = _text(self.message.properties, _SUBJECT) or "message"
            return f"{subject.replace('/', '_')}.eml"
        return _first(self.properties, _FILE_NAMES).replace("/", "_")

    @property
    def is_logo(self) -> bool:
        """Whether it is a small image within the text."""
        image = _text(self.properties, _MEDIA_TYPE).startswith("image/")
        inline = _text(self.properties, _CONTENT_ID) != ""
        return image and inline and len(self.data()) < SMALLEST_INLINE_BYTES

    def data(self) -> bytes:
        """Its bytes; a message as a mail program saves it."""
        if self.message:
            return _as_eml(self.message)
        return self.properties.binary_prop_value(_DATA) or b""


def _load(path: Path, name: str) -> _Mail:
    from olefile import OleFileIO
    from oxmsg.storage import Storage

    with path.open("rb") as file, OleFileIO(file) as container:
        storage = Storage.from_ole(container)
        # olefile reads on where the file's end is missing
        if any(_CUT in problem for _, problem in container.parsing_issues):
            raise damaged(name, "its end is missing")
    message = _mail(storage, _HEAD_OUTSIDE)
    if any(attachment.name == _LOCKED for attachment in message.attachments):
        raise ProtectedDocument(
            f"“{name}” is encrypted for its receivers. Open it in Outlook and save its text."
        )
    return message


def _mail(storage: Storage, head: int) -> _Mail:
    from oxmsg.properties import Properties

    attachments = []
    for part in storage.iter_attachment_storages():
        inner = next((one for one in part.storages if one.name == _WITHIN), None)
        message = _mail(inner, _HEAD_WITHIN) if inner else None
        attachments.append(_Attachment(Properties(part, _HEAD_PART), message))
    receivers = (Properties(one, _HEAD_PART) for one in storage.iter_recipient_storages())
    return _Mail(Properties(storage, head), tuple(receivers), tuple(attachments))


def _as_eml(message: _Mail) -> bytes:
    """A message within the message as a file of mail; the same one gives the same bytes."""
    mail = EmailMessage(policy=policy.default)
    headers = {"Subject": _text(message.properties, _SUBJECT), **_headers(message)}
    for header, value in headers.items():
        if value:
            mail[header] = value
    text, html = _texts(message.properties)
    mail.set_content(text or html, subtype="plain" if text else "html")
    for attachment in message.attachments:
        if not attachment.is_logo:
            name = attachment.name or "attachment"
            mail.add_attachment(
                attachment.data(), maintype="application", subtype="octet-stream", filename=name
            )
    if mail.is_multipart():
        parts = b"".join(part.as_bytes() for part in mail.iter_parts())
        mail.set_boundary(f"=={hashlib.sha256(parts).hexdigest()[:40]}")
    return mail.as_bytes()


def _headers(message: _Mail) -> dict[str, str]:
    """Sender, receivers and date, from the mail's own headers or from what Outlook kept."""
    properties = message.properties
    source = properties.str_prop_value(_OWN_HEADERS) or ""
    own = Parser(EmailMessage, policy=policy.default).parsestr(source, headersonly=True)
    sender = _named(_text(properties, _SENDER), properties, _SENDER_ADDRESSES)
    kept = {
        "From": sender or _text(properties, _ON_BEHALF_OF),
        "To": _receivers(message, _TO),
        "Cc": _receivers(message, _CC),
        "Date": _sent(properties),
    }
    return {header: header_text(own, header) or value for header, value in kept.items()}


def _sent(properties: Properties) -> str:
    """When Outlook says it was sent or received, as a Date header."""
    sent = next(filter(None, map(properties.date_prop_value, _SENT)), None)
    return sent.strftime("%a, %d %b %Y %H:%M:%S +0000") if sent else ""


def _receivers(message: _Mail, kind: int) -> str:
    found = (
        _named(_text(receiver, _NAME), receiver, _ADDRESSES)
        for receiver in message.receivers
        if receiver.int_prop_value(_RECEIVER_KIND) == kind
    )
    return ", ".join(filter(None, found)) or _text(message.properties, _SHOWN[kind])


def _named(name: str, properties: Properties, addresses: tuple[int, ...]) -> str:
    """`Name <address>`; an address of Exchange's own kind, which nobody types, is left out."""
    found = (_text(properties, number) for number in addresses)
    address = next((text for text in found if "@" in text), "")
    if name and address and name != address:
        return f"{name} <{address}>"
    return name or address


def _add_body(builder: PageBuilder, properties: Properties) -> None:
    text, html = _texts(properties)
    if text:
        add_plain(builder, text)
    elif html:
        add_html(builder, html)


def _texts(properties: Properties) -> tuple[str, str]:
    """The plain text, or where there is none the HTML."""
    text = properties.str_prop_value(_BODY) or ""
    if text.strip():
        return clean(text), ""
    data = properties.binary_prop_value(_HTML)
    html = decode(data, properties.body_encoding) if data else properties.str_prop_value(_HTML)
    return "", html or ""


def _first(properties: Properties, numbers: tuple[int, ...]) -> str:
    return next(filter(None, (_text(properties, number) for number in numbers)), "")


def _text(properties: Properties, number: int) -> str:
    return flat(clean(properties.str_prop_value(number) or ""))
