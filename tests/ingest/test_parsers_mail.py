"""Mail of Outlook, sound and hostile."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path

import pytest

from ingest.parsers import mail as eml
from ingest.parsers import outlook
from ingest.parsers.packed import Packed, UnpackLimits
from rag.errors import CorruptDocument, ProtectedDocument, TooMuchInside
from tests.ingest.ole import message, write_msg, write_ole
from tests.ingest.packing import mail
from tests.ingest.parsed import blocks, read

SUBJECT, BODY, HTML, HEADERS, CODEPAGE = 0x37, 0x1000, 0x1013, 0x7D, 0x3FDE
SENDER, SENDER_ADDRESS, SENT = 0x0C1A, 0x0C1F, 0x39
NAME, ADDRESS, SMTP, KIND = 0x3001, 0x3003, 0x39FE, 0x0C15
FILE, DATA, MEDIA, CID = 0x3707, 0x3701, 0x370E, 0x3712
LIMITS = UnpackLimits(10, 10**6, 10**6)
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
    assert (parsed.title, parsed.dated) == ("Pump prices", "2026-05-20T10:30:00Z")
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
    parsed = read(path)
    assert blocks(parsed.pages[0])[0] == (
        "paragraph",
        "From: Grün <g@example.com>\nDate: Sun, 22 Dec 2024 11:23:00 +0300",
    )
    assert parsed.dated == "2024-12-22T08:23:00Z"


def test_an_own_date_that_cannot_be_read_gives_way_to_that_of_outlook(tmp_path: Path) -> None:
    path = write_msg(tmp_path / "a.msg", {HEADERS: "Date: soon\r\n", SENT: TIME, BODY: "Text"})
    assert read(path).dated == "2026-05-20T10:30:00Z"


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ("Mon, 01 Jan 2024 00:30:00 +0200", "2023-12-31T22:30:00Z"),
        ("1 Jan 2024 23:59:59 -0000", "2024-01-01T23:59:59Z"),  # of no known zone
        ("Mon, 01 Jan 2024 10:00:00 +99999999999999999999", ""),
        ("Thu, 01 Jan 1970 00:00:00 +0000", ""),  # a clock that was never set
        ("Fri, 31 Dec 9999 23:59:59 -1200", ""),
        ("yesterday", ""),
        ("32 Jan 2024 10:00", ""),
        ("", ""),
    ],
)
def test_when_a_mail_was_sent(header: str, moment: str, tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_text(f"Subject: Tea\nDate: {header}\n\nTea is hot.\n", "utf-8")
    assert read(path).dated == moment


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


def _files(packed: Packed) -> tuple[str, bytes]:
    return packed.name, b"".join(packed.blocks())


def test_files_attached_to_a_message_of_outlook(tmp_path: Path) -> None:
    inner = message(
        {SUBJECT: "Old/offer", BODY: "Elephants were cheap."},
        ({NAME: "Bob", SMTP: "bob@example.com", KIND: 1},),
        ({FILE: "old.csv", DATA: b"a,b"},),
        header=24,
    )
    path = write_msg(
        tmp_path / "a.msg",
        {SUBJECT: "S", BODY: "Text."},
        attachments=(
            {FILE: "price list.txt", DATA: b"Giraffes cost 9."},
            {FILE: "logo.png", DATA: b"x" * 100, MEDIA: "image/png", CID: "1@x"},
            {FILE: "photo.png", DATA: b"x" * 100, MEDIA: "image/png"},
            {DATA: inner},
        ),
    )
    first = [_files(packed) for packed in outlook.unpack(path, "a.msg", LIMITS)]
    assert [name for name, _ in first] == ["price list.txt", "photo.png", "Old_offer.eml"]
    assert first[0][1] == b"Giraffes cost 9."
    assert [_files(packed) for packed in outlook.unpack(path, "a.msg", LIMITS)] == first
    saved = message_from_bytes(first[2][1], policy=policy.default)
    assert (saved["Subject"], saved["To"]) == ("Old/offer", "Bob <bob@example.com>")
    (tmp_path / "old.eml").write_bytes(first[2][1])
    assert "Elephants were cheap." in read(tmp_path / "old.eml").pages[0].text
    within = [_files(packed) for packed in eml.unpack(tmp_path / "old.eml", "old.eml", LIMITS)]
    assert within == [("old.csv", b"a,b")]
    with pytest.raises(TooMuchInside):
        list(outlook.unpack(path, "a.msg", UnpackLimits(2, 10**6, 10**6)))


def test_files_attached_to_a_mail(tmp_path: Path) -> None:
    letter = mail("S", "Text.", {"../up/a.txt": "One.", "noname": "Two."})
    letter.add_attachment(b"%PDF-", maintype="application", subtype="pdf")
    letter.add_attachment(mail("Re: 1/2", "Inner."))
    path = tmp_path / "a.eml"
    path.write_bytes(letter.as_bytes())
    found = [_files(packed) for packed in eml.unpack(path, "a.eml", LIMITS)]
    assert [name for name, _ in found] == [
        ".._up_a.txt", "noname.bin", "attachment 3.pdf", "Re: 1_2.eml",
    ]  # fmt: skip
    assert found[0][1] == b"One."
    assert b"Inner." in found[3][1]
    assert "Inner." not in read(path).pages[0].text


def test_a_mail_that_is_nothing_but_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scan.eml"
    path.write_bytes(
        b"Subject: Scan\nContent-Type: application/pdf; name=scan.pdf\n"
        b"Content-Transfer-Encoding: base64\n\nJVBERi0=\n"
    )
    found = [_files(packed) for packed in eml.unpack(path, "scan.eml", LIMITS)]
    assert found == [("scan.pdf", b"%PDF-")]


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("-----Original Message-----", "The party is on 4 July."),
        ("On 4 May 2025 at 10:00, Ann <ann@example.com> wrote:", "The party is on 4 July."),
        ("From: Ann", "Sent: Monday, 5 May 2025\nTo: Bob\n\nThe party is on 4 July."),
    ],
)
def test_the_line_above_a_mail_that_is_repeated_is_a_heading(
    tmp_path: Path, above: str, below: str
) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(mail("Party", f"It is off.\n\n{above}\n{below}\n", {}).as_bytes())
    found = blocks(read(path).pages[0])
    place = found.index(("heading", above))
    assert ("paragraph", "It is off.") in found[:place]
    assert ("paragraph", "The party is on 4 July.") in found[place:]


def test_what_stands_above_a_quotation_is_no_heading(tmp_path: Path) -> None:
    text = "On 4 May 2025 Ann Berg wrote:\n> It is on 4 July.\n\nIt is off.\n"
    path = tmp_path / "a.eml"
    path.write_bytes(mail("Party", text, {}).as_bytes())
    assert [kind for kind, _ in blocks(read(path).pages[0])].count("heading") == 1
