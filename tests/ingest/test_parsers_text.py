"""Plain text, CSV, HTML, Markdown and mail."""

from __future__ import annotations

import random
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import kind_of
from ingest.parsers.text import decode, paragraphs
from ingest.wide_text import unmarked_wide
from rag.errors import CorruptDocument, ParserStopped
from rag.parsed import Parsed
from tests.ingest.parsed import blocks, check, outside, read


def parse(tmp_path: Path, name: str, content: str | bytes) -> Parsed:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(path)


# --- text


def test_text_paragraphs(tmp_path: Path) -> None:
    page = parse(tmp_path, "a.txt", " one\r\ntwo\r\n\r\n \t\r\nthree\0\rfour\n").pages[0]
    assert page.text == " one\ntwo\n\n \t\nthree\nfour\n"
    assert blocks(page) == [("paragraph", "one\ntwo"), ("paragraph", "three\nfour")]


@given(st.text(st.sampled_from("a \n\t\u00a0\fé"), max_size=60))
def test_paragraphs_hold_all_that_is_visible(text: str) -> None:
    at = 0
    for start, end in paragraphs(text):
        assert at <= start < end
        assert not text[at:start].strip()
        assert text[start:end] == text[start:end].strip()
        assert "\n\n" not in text[start:end]
        at = end
    assert not text[at:].strip()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Grüße aus Köln", "utf-8"),
        ("Grüße aus Köln", "utf-8-sig"),
        ("Grüße aus Köln", "utf-16"),
        ("Grüße aus Köln", "utf-32"),
        ("Grüße aus Köln, 5 € – “so”", "cp1252"),
        ("Договор аренды помещения между сторонами, заключённый в Москве. " * 5, "cp1251"),
        ("名前と年齢と住所を書いてください。東京都に住んでいます。" * 5, "shift_jis"),
    ],
)
def test_encodings(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        "The walrus’ tusks.\r\n",
        "Ein Walroß, 5 €",
        "x\t1\n" * 9000,
        "Отчёт о работе за 2024 год.\r\nПремия: 15 %.\r\n",
        "员工手册\r\n每位员工每年有二十五天带薪假期。请在五月前申请。\r\n",
        "従業員は年に二十日の休暇があります。カードを申請してください。\r\n" * 200,
        "직원은 매년 이십 일의 휴가를 받습니다.\n",
        "يحصل كل موظف على إجازة.\n",
        "हर कर्मचारी को छुट्टी मिलती है।\n",
        "A walrus 🦭 and another 🦭\n",
        "کتاب\u200cخانه\u200cها باز می\u200cشوند.\n",
        "അവന്\u200d വന്നു, അവള്\u200d പോയി.\n" * 40,
        "\u200fשלום לכולם\u200f, \u200fמה שלומכם?\u200f\n",
        "ਹਰ ਕਰਮਚਾਰੀ ਨੂੰ ਛੁੱਟੀ ਮਿਲਦੀ ਹੈ।\n" * 40,
        "ああいうことをするのはやめましょう。そのようにしてください。\n" * 9,
        "Die Ur\xadlaubs\xadan\xadträ\xadge im Be\xadtriebs\xadrat\n",
        "\uf0b7 Ein Zimmer mit Bad\r\n\uf0b7 Frühstück für zwei\r\n",
        "\x1b[31mFehler\x1b[0m: die Größe\n\x1b[32mgut\x1b[0m\n",
        "Straße\r\nMaß\r\n\x1a",
    ],
)
def test_utf_16_without_a_mark(tmp_path: Path, encoding: str, text: str) -> None:
    data = text.encode(encoding)
    assert decode(data) == text
    assert decode(data, "utf-8") == text
    assert kind_of("a.txt", data[:4096]) == "text"


@pytest.mark.parametrize("data", [b"", b"\0", b"a\0", b"plain", bytes(64), b"a\0b\0" + bytes(96)])
def test_few_zeros_or_only_zeros_are_no_utf_16(data: bytes) -> None:
    assert decode(data) == ("a" if data == b"a\0" else data.decode())


@pytest.mark.parametrize("text", ["An invoice\0of 2024 " * 9, "Größe\0Maß\0Fuß und mehr Text " * 9])
def test_a_stray_zero_makes_no_utf_16(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


STRAY = {
    "utf-8": "Каждый работник имеет право на отпуск. Заявление подают в мае! ",
    "shift_jis": "従業員は年に二十日の休暇があります。\n\n申請は五月までに。\n\n",
    "gb18030": "每位员工每年有二十五天带薪假期，请在五月前申请。\n\n经理应在十天内答复。\n\n",
}


@pytest.mark.parametrize("encoding", STRAY)
def test_a_stray_zero_makes_no_utf_16_of_other_encodings(encoding: str) -> None:
    text = STRAY[encoding] * 20
    for at in range(1, len(text), 2):
        data = (text[:at] + "\0" + text[at:]).encode(encoding)
        assert not unmarked_wide(data), at


def test_a_sample_cut_within_a_letter_is_still_utf_8() -> None:
    data = "д\0".encode() + "работник".encode() * 300
    for begin in (b"", b"x"):
        assert not unmarked_wide(begin + data)


@pytest.mark.parametrize("seed", range(50))
def test_random_bytes_are_no_utf_16(seed: int) -> None:
    with pytest.raises(CorruptDocument):
        kind_of("a.txt", random.Random(seed).randbytes(2048))


def test_a_byte_that_fits_nothing_is_marked() -> None:
    assert decode(b"\xef\xbb\xbfa\xffb") == "a\ufffdb"


def test_a_declared_encoding_is_believed_if_it_fits() -> None:
    assert decode("é".encode("latin-1"), "latin-1") == "é"
    assert decode("é".encode(), "no-such") == "é"
    assert decode("é".encode(), "ascii") == "é"


# --- CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv(tmp_path: Path, delimiter: str) -> None:
    rows = [["name", "price", "note"], ["pump", "1.50", '"a, b; c|d\te"'], ["gate", "2", ""]]
    page = parse(tmp_path, "a.csv", "\n".join(map(delimiter.join, rows))).pages[0]
    assert blocks(page) == [
        ("row", "name | price | note"),
        ("row", "pump | 1.50 | a, b; c|d e"),
        ("row", "gate | 2"),
    ]
    assert [block.context for block in page.blocks] == ["", *["name | price | note"] * 2]


def test_csv_lines_within_cells(tmp_path: Path) -> None:
    page = parse(tmp_path, "a.csv", 'a,b\n"one\ntwo",3\n').pages[0]
    assert blocks(page)[1] == ("row", "one two | 3")


def test_csv_without_header(tmp_path: Path) -> None:
    page = parse(tmp_path, "a.csv", "1,2\n3,4\n").pages[0]
    assert [block.context for block in page.blocks] == ["", ""]


def test_csv_empty_cells_keep_their_place(tmp_path: Path) -> None:
    page = parse(tmp_path, "a.csv", "a,b,c\n1,,3\n,,\n,2,\n").pages[0]
    assert [text for _, text in blocks(page)] == ["a | b | c", "1 | | 3", "| 2"]


def test_too_many_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.parsers.table.MOST_CELLS", 5)
    with pytest.raises(ParserStopped, match="more than 5 cells"):
        parse(tmp_path, "a.csv", "a,b\n1,2\n3,4\n")


# --- HTML

HTML = """<!doctype html><html><head><title> Expense
claims </title><style>p{}</style></head><body>
<header>Site name</header><nav><a href="/">Home</a></nav>
<main><article><header><h1>How to <em>claim</em></h1></header>
<p>First<br>second &amp; <b>bold</b>text.</p><script>alert(1)</script>
<p hidden>hidden words</p><div style="display: none">more hidden</div><!-- a comment -->
loose text <span>inline</span>
<ul><li>one <ul><li>nested</li></ul></li><li>two</li></ul>
<table><caption>Rates</caption><thead><tr><th>City</th><th>Limit</th></tr></thead>
<tr><td>Paris</td><td>190 <i>euros</i></td></tr></table>
<table><tr><td><p>layout</p></td></tr></table>
<pre>a  = 1
b</pre><form><input value="x">form words</form></article></main>
<aside>Advert</aside><footer>Imprint</footer></body></html>"""


def test_html(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "a.html", HTML)
    assert parsed.title == "Expense claims"
    assert blocks(parsed.pages[0]) == [
        ("heading", "How to claim"),
        ("paragraph", "First\nsecond & boldtext."),
        ("paragraph", "loose text inline"),
        ("list", "one"),
        ("list", "nested"),
        ("list", "two"),
        ("paragraph", "Rates"),
        ("row", "City | Limit"),
        ("row", "Paris | 190 euros"),
        ("paragraph", "layout"),
        ("code", "a  = 1\nb"),
    ]
    assert parsed.pages[0].blocks[8].context == "City | Limit"


def test_html_declares_its_encoding(tmp_path: Path) -> None:
    html = '<meta charset="iso-8859-1"><p>Köln</p>'.encode("latin-1")
    assert parse(tmp_path, "a.html", html).pages[0].text == "Köln"


def test_html_without_title_is_named_by_its_heading(tmp_path: Path) -> None:
    assert parse(tmp_path, "a.html", "<h2>Sub</h2><h1>Top</h1>").title == "Top"


def test_html_nested_without_end(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "a.html", "<div>" * 5000 + "deep" + "</div>" * 5000)
    assert parsed.pages[0].text in ("deep", "")


# --- Markdown

MARKDOWN = """---
title: "The guide"
author: x
---
# Guide

Intro line one
line *two*.

## Rates ##

| City | Limit |
| :-- | --: |
| Paris | 190 |

- first
  more
  - nested
- second

---

```
code  here
```

<!-- note -->

Setext
------
last
"""


def test_markdown(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "a.md", MARKDOWN)
    page = parsed.pages[0]
    assert parsed.title == "The guide"
    assert page.text == MARKDOWN
    assert blocks(page) == [
        ("heading", "# Guide"),
        ("paragraph", "Intro line one\nline *two*."),
        ("heading", "## Rates ##"),
        ("row", "| City | Limit |\n| :-- | --: |"),
        ("row", "| Paris | 190 |"),
        ("list", "- first\n  more"),
        ("list", "- nested"),
        ("list", "- second"),
        ("code", "```\ncode  here\n```"),
        ("heading", "Setext\n------"),
        ("paragraph", "last"),
    ]
    assert [block.level for block in page.blocks if block.level] == [1, 2, 2]
    assert page.blocks[4].context == "City | Limit"
    assert "author" in outside(page)


def test_markdown_is_named_by_its_heading(tmp_path: Path) -> None:
    assert parse(tmp_path, "a.md", "## Small\n\n# *Top* #\n").title == "*Top*"


@given(st.text(st.sampled_from("a#- |\n>`*1.\t<!"), max_size=80))
def test_markdown_blocks_never_overlap(text: str) -> None:
    from ingest.parsers.markdown import _blocks
    from rag.parsed import Page

    check(Parsed((Page(1, text, tuple(_blocks(text, 0))),)))


# --- mail


def message() -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = "Räume für März"
    made["From"] = "Zoë <zoe@example.org>"
    made["To"] = "a@example.org, b@example.org"
    made["Date"] = "Mon, 03 Mar 2025 10:00:00 +0100"
    made.set_content("Hello all,\n\nthe room is blue — see below.\n")
    return made


def test_mail(tmp_path: Path) -> None:
    made = message()
    made.add_alternative("<p>html words</p>", subtype="html")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="plän.pdf")
    parsed = parse(tmp_path, "a.eml", bytes(made))
    assert parsed.title == "Räume für März"
    assert blocks(parsed.pages[0]) == [
        ("heading", "Räume für März"),
        (
            "paragraph",
            "From: Zoë <zoe@example.org>\nTo: a@example.org, b@example.org\n"
            "Date: Mon, 03 Mar 2025 10:00:00 +0100",
        ),
        ("paragraph", "Hello all,"),
        ("paragraph", "the room is blue — see below."),
        ("paragraph", "Attachments: plän.pdf"),
    ]


def test_mail_with_html_alone(tmp_path: Path) -> None:
    made = message()
    made.set_content("<style>x</style><p>html <b>words</b></p>", subtype="html")
    assert blocks(parse(tmp_path, "a.eml", bytes(made)).pages[0])[-1] == ("paragraph", "html words")


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        ("Content-Type: text/plain; charset=iso-8859-1", b"K\xf6ln", "Köln"),
        ("Content-Type: text/plain; charset=nonsense", "Köln".encode(), "Köln"),
        ("Content-Transfer-Encoding: base64\nContent-Type: text/plain", b"S8O2bG4=", "Köln"),
        ("Content-Transfer-Encoding: quoted-printable\nX: y", b"K=C3=B6ln=\n !", "Köln !"),
        ("Content-Type: multipart/mixed; boundary=x", b"--x\n\nK\xc3\xb6ln", "Köln"),
    ],
)
def test_mail_decoding(tmp_path: Path, head: str, body: bytes, expected: str) -> None:
    parsed = parse(tmp_path, "a.eml", b"Subject: s\n" + head.encode() + b"\n\n" + body)
    assert parsed.pages[0].text.endswith(expected)


def test_mail_with_a_malformed_header(tmp_path: Path) -> None:
    data = b"Subject: =?utf-8?q?broken\nFrom: <<@@>\nDate: soon\n\nbody\n"
    parsed = parse(tmp_path, "a.eml", data)
    assert "body" in parsed.pages[0].text


def test_what_is_no_mail(tmp_path: Path) -> None:
    with pytest.raises(CorruptDocument, match="no mail headers"):
        parse(tmp_path, "a.eml", "just a note\n")


def test_markdown_is_not_named_by_a_heading_far_into_it(tmp_path: Path) -> None:
    text = "Some notes. " * 300 + "\n\n# Appendix\n\nMore.\n"
    assert parse(tmp_path, "notes.md", text).title == ""


def test_a_rule_below_a_paragraph_makes_no_heading_of_it(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "n.md", "Title\n=====\n\nOne line\nand another\n====\n\nText.\n")
    kinds = [(block.kind, block.level) for block in parsed.pages[0].blocks]
    assert kinds == [("heading", 1), ("paragraph", 0), ("paragraph", 0)]
