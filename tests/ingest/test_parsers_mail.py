"""Mail of Outlook, sound and hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import CorruptDocument, ProtectedDocument
from tests.ingest.ole import write_msg, write_ole
from tests.ingest.parsed import blocks, read

SUBJECT, BODY, HTML, HEADERS, CODEPAGE = 0x37, 0x1000, 0x1013, 0x7D, 0x3FDE
SENDER, SENDER_ADDRESS, SENT = 0x0C1A, 0x0C1F, 0x39
NAME, ADDRESS, SMTP, KIND = 0x3001, 0x3003, 0x39FE, 0x0C15
FILE = 0x3707
# 2026-05-20 10:30 UTC, in steps of 100 ns since 1601
TIME = 134_237_466_000_000_000


def test_a_message(tmp_path: Path) -> None:
    path = write_msg(
        tmp_path / "a.msg",
        {
            SUBJECT: "Pump prices",
            SENDER: "Alice",
            SENDER_ADDRESS: "/O=EXCHANGE/CN=ALICE",
            SENT: TIME,
            BODY: "Hello Bob,\r\n\r\nthe price is 5 €.\0",
        },
        receivers=(
            {NAME: "Bob", SMTP: "bob@example.com", KIND: 1},
            {NAME: "carl@example.com", ADDRESS: "carl@example.com", KIND: 1},
            {NAME: "Dora", KIND: 2},
        ),
        attachments=({FILE: "prices.xlsx"}, {0x3704: "OLD~1.DOC"}, {}),
    )
    parsed = read(path)
    assert parsed.title == "Pump prices"
    assert blocks(parsed.pages[0]) == [
        ("heading", "Pump prices"),
        (
            "paragraph",
            "From: Alice\nTo: Bob <bob@example.com>, carl@example.com\nCc: Dora\n"
            "Date: Wed, 20 May 2026 10:30:00 +0000",
        ),
        ("paragraph", "Hello Bob,"),
        ("paragraph", "the price is 5 €."),
        ("paragraph", "Attachments: prices.xlsx, OLD~1.DOC"),
    ]


def test_its_own_headers_come_first(tmp_path: Path) -> None:
    headers = (
        "From: =?utf-8?B?R3LDvG4=?= <g@example.com>\r\nDate: Sun, 22 Dec 2024 11:23:00 +0300\r\n"
    )
    path = write_msg(tmp_path / "a.msg", {SENDER: "x", HEADERS: headers, SENT: TIME, BODY: "Text"})
    assert blocks(read(path).pages[0])[0] == (
        "paragraph",
        "From: Grün <g@example.com>\nDate: Sun, 22 Dec 2024 11:23:00 +0300",
    )


def test_html_where_there_is_no_plain_text(tmp_path: Path) -> None:
    html = "<p>Grüße<script>x</script></p><ul><li>one</ul>".encode("cp1252")
    path = write_msg(tmp_path / "a.msg", {SUBJECT: "S", HTML: html, CODEPAGE: 1252, BODY: " "})
    assert blocks(read(path).pages[0])[1:] == [("paragraph", "Grüße"), ("list", "one")]


def test_a_message_that_is_encrypted(tmp_path: Path) -> None:
    path = write_msg(tmp_path / "a.msg", {SUBJECT: "S"}, attachments=({FILE: "message.rpmsg"},))
    with pytest.raises(ProtectedDocument, match="encrypted for its receivers"):
        read(path)


def test_an_old_office_file_under_this_name(tmp_path: Path) -> None:
    path = write_ole(tmp_path / "a.msg", {"WordDocument": b"x" * 100})
    with pytest.raises(CorruptDocument, match=r"“a.msg” is damaged"):
        read(path)


def test_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(CorruptDocument, match="it holds no message"):
        read(write_msg(tmp_path / "a.msg", {}))


def test_truncated_anywhere(tmp_path: Path) -> None:
    path = write_msg(tmp_path / "a.msg", {SUBJECT: "S", BODY: "words " * 200})
    data = path.read_bytes()
    for size in range(100, len(data) - 512, 301):
        path.write_bytes(data[:size])
        with pytest.raises(CorruptDocument, match="damaged"):
            read(path)
