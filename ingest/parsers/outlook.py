"""Mail as saved by Outlook (.msg)."""

from __future__ import annotations

import struct
from email import policy
from email.message import EmailMessage
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.parsers.archive import damaged
from ingest.parsers.builder import PageBuilder, clean, flat
from ingest.parsers.mail import add_attachments, add_headers, add_plain, header_text
from ingest.parsers.text import decode
from ingest.parsers.web import add_html
from rag.errors import ProtectedDocument
from rag.records import Parsed

if TYPE_CHECKING:
    from oxmsg import Message
    from oxmsg.properties import Properties

# numbers of properties, as [MS-OXPROPS] gives them
_SUBJECT, _BODY, _HTML = 0x0037, 0x1000, 0x1013
_OWN_HEADERS = 0x007D
_SENDER, _SENDER_ADDRESSES, _ON_BEHALF_OF = 0x0C1A, (0x5D01, 0x0C1F), 0x0042
_NAME, _ADDRESSES = 0x3001, (0x39FE, 0x3003)
_RECEIVER_KIND, _TO, _CC = 0x0C15, 1, 2
_SHOWN = {_TO: 0x0E04, _CC: 0x0E03}
_FILE_NAMES = (0x3707, 0x3704, _NAME)
_SENT = (0x0039, 0x0E06)
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
        attached = [_first(part.properties, _FILE_NAMES) for part in message.attachments]
        if _LOCKED in attached:
            raise ProtectedDocument(
                f"“{name}” is encrypted for its receivers. Open it in Outlook and save its text."
            )
        builder.add(subject, "heading", 1)
        add_headers(builder, _headers(message))
        _add_body(builder, message.properties)
    except (*_DAMAGE, struct.error, AssertionError) as error:
        raise damaged(name, type(error).__name__) from error
    if not builder:
        raise damaged(name, "it holds no message")
    add_attachments(builder, attached)
    return Parsed((builder.page(),), subject)


def _load(path: Path, name: str) -> Message:
    from olefile import OleFileIO
    from oxmsg import Message
    from oxmsg.storage import Storage

    with path.open("rb") as file, OleFileIO(file) as container:
        storage = Storage.from_ole(container)
        # olefile reads on where the file's end is missing
        if any(_CUT in problem for _, problem in container.parsing_issues):
            raise damaged(name, "its end is missing")
    return Message(storage)


def _headers(message: Message) -> dict[str, str]:
    """Sender, receivers and date, from the mail's own headers or from what Outlook kept."""
    properties = message.properties
    source = properties.str_prop_value(_OWN_HEADERS) or ""
    own = Parser(EmailMessage, policy=policy.default).parsestr(source, headersonly=True)
    sender = _named(_text(properties, _SENDER), properties, _SENDER_ADDRESSES)
    sent = next(filter(None, map(properties.date_prop_value, _SENT)), None)
    kept = {
        "From": sender or _text(properties, _ON_BEHALF_OF),
        "To": _receivers(message, _TO),
        "Cc": _receivers(message, _CC),
        "Date": sent.strftime("%a, %d %b %Y %H:%M:%S +0000") if sent else "",
    }
    return {header: header_text(own, header) or value for header, value in kept.items()}


def _receivers(message: Message, kind: int) -> str:
    found = (
        _named(_text(receiver.properties, _NAME), receiver.properties, _ADDRESSES)
        for receiver in message.recipients
        if receiver.properties.int_prop_value(_RECEIVER_KIND) == kind
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
    text = properties.str_prop_value(_BODY) or ""
    if text.strip():
        add_plain(builder, clean(text))
        return
    data = properties.binary_prop_value(_HTML)
    html = decode(data, properties.body_encoding) if data else properties.str_prop_value(_HTML)
    if html:
        add_html(builder, html)


def _first(properties: Properties, numbers: tuple[int, ...]) -> str:
    return next(filter(None, (_text(properties, number) for number in numbers)), "")


def _text(properties: Properties, number: int) -> str:
    return flat(clean(properties.str_prop_value(number) or ""))
