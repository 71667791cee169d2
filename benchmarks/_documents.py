"""Makes a folder of mixed documents, no two alike, out of the words of the sample library."""

from __future__ import annotations

import ctypes
import random
import re
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from _common import SAMPLES

_WORD = re.compile(r"[A-Za-z]{2,}")
_CYCLE = ("pdf", "docx", "md", "pdf", "xlsx", "html", "pptx", "txt", "pdf", "docx", "eml", "csv")
_LINE_CHARS = 90
_PAGE_LINES = 48


class Writer:
    """Random text in which the words of the sample library are as frequent as they are there."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        texts = [
            path.read_text("utf-8")
            for path in sorted(SAMPLES.rglob("*"))
            if path.suffix in (".md", ".txt")
        ]
        self._words = _WORD.findall(" ".join(texts))

    def phrase(self, least: int, most: int) -> str:
        """Some words, the first one capitalised."""
        count = self._random.randint(least, most)
        return " ".join(self._random.choice(self._words).lower() for _ in range(count)).capitalize()

    def paragraph(self) -> str:
        """About 60 words in sentences."""
        return " ".join(f"{self.phrase(8, 16)}." for _ in range(5))

    def sections(self, words: int) -> list[tuple[str, list[str]]]:
        """Headings, each with its paragraphs, of about so many words together."""
        return [
            (self.phrase(2, 5), [self.paragraph() for _ in range(3)])
            for _ in range(max(1, words // 180))
        ]

    def rows(self, words: int) -> list[list[str]]:
        """A table with a header, of about so many words."""
        head = ["Item", "Owner", "Remark", "Amount"]
        body = [
            [
                self.phrase(1, 3),
                self.phrase(1, 2),
                self.phrase(6, 10),
                str(self._random.randint(1, 9999)),
            ]
            for _ in range(max(2, words // 13))
        ]
        return [head, *body]


def make_estate(folder: Path, count: int, seed: int = 1) -> None:
    """Write `count` documents as a folder of an office holds them: many short, few long.

    Their words are log-normal around 120, at most 5,000; formats as `make_documents` has them.
    """
    writer, sizes = Writer(seed), random.Random(seed)
    for number in range(count):
        kind = _CYCLE[number % len(_CYCLE)]
        path = folder / f"part{number // 100}" / f"document{number:05}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _MAKERS[kind](path, writer, min(5000, round(sizes.lognormvariate(4.8, 1.0))))


def make_pdf(path: Path, words: int, seed: int = 1) -> None:
    """Write a PDF of about so many words, some 450 a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _pdf(path, Writer(seed), words)


def make_documents(folder: Path, count: int, words: int, seed: int = 1) -> None:
    """Write `count` documents of about `words` words each, in nine formats, in subfolders."""
    writer = Writer(seed)
    for number in range(count):
        kind = _CYCLE[number % len(_CYCLE)]
        path = folder / f"part{number // 20}" / f"document{number:04}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _MAKERS[kind](path, writer, words)


def _md(path: Path, writer: Writer, words: int) -> None:
    parts = [f"## {title}\n\n" + "\n\n".join(texts) for title, texts in writer.sections(words)]
    path.write_text("\n\n".join(parts) + "\n", "utf-8")


def _txt(path: Path, writer: Writer, words: int) -> None:
    parts = [f"{title}\n\n" + "\n\n".join(texts) for title, texts in writer.sections(words)]
    path.write_text("\n\n".join(parts) + "\n", "utf-8")


def _html(path: Path, writer: Writer, words: int) -> None:
    parts = [
        f"<h2>{title}</h2>" + "".join(f"<p>{text}</p>" for text in texts)
        for title, texts in writer.sections(words)
    ]
    title = writer.phrase(3, 5)
    head = f"<!doctype html><html><head><title>{title}</title></head>"
    path.write_text(f"{head}<body>{''.join(parts)}</body></html>\n", "utf-8")


def _csv(path: Path, writer: Writer, words: int) -> None:
    path.write_text("".join(",".join(row) + "\n" for row in writer.rows(words)), "utf-8")


def _eml(path: Path, writer: Writer, words: int) -> None:
    message = EmailMessage()
    message["Subject"] = writer.phrase(3, 6)
    message["From"], message["To"] = "anna@example.org", "bert@example.org"
    message["Date"] = "Mon, 03 Feb 2025 09:00:00 +0000"
    message.set_content("\n\n".join(text for _, texts in writer.sections(words) for text in texts))
    path.write_bytes(message.as_bytes())


def _docx(path: Path, writer: Writer, words: int) -> None:
    from docx import Document

    document = Document()
    for title, texts in writer.sections(words):
        document.add_heading(title, 2)
        for text in texts:
            document.add_paragraph(text)
    document.save(str(path))


def _pptx(path: Path, writer: Writer, words: int) -> None:
    from pptx import Presentation

    show = Presentation()
    for title, texts in writer.sections(words):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(texts)
    show.save(str(path))


def _xlsx(path: Path, writer: Writer, words: int) -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Table")
    for row in writer.rows(words):
        sheet.append(row)
    book.save(path)


def _pdf(path: Path, writer: Writer, words: int) -> None:
    import pypdfium2

    lines: list[str] = []
    for title, texts in writer.sections(words):
        for text in (title, *texts):
            lines += [*re.findall(rf".{{1,{_LINE_CHARS}}}(?:\s|$)", text), ""]
    document = pypdfium2.PdfDocument.new()
    for start in range(0, len(lines), _PAGE_LINES):
        page = document.new_page(595, 842)
        for number, line in enumerate(lines[start : start + _PAGE_LINES]):
            if line.strip():
                _put_line(document, page, line.strip(), 790 - 15 * number)
        page.gen_content()
    document.save(str(path))
    document.close()


def _put_line(document: object, page: object, line: str, y: float) -> None:
    import pypdfium2.raw as pdfium

    wide = ctypes.create_string_buffer(line.encode("utf-16-le") + b"\0\0")
    text = pdfium.FPDFPageObj_NewTextObj(document, b"Helvetica", 10.0)
    pdfium.FPDFText_SetText(text, ctypes.cast(wide, pdfium.FPDF_WIDESTRING))
    pdfium.FPDFPageObj_Transform(text, 1, 0, 0, 1, 55, y)
    pdfium.FPDFPage_InsertObject(page, text)


_MAKERS: dict[str, Callable[[Path, Writer, int], None]] = {
    "csv": _csv,
    "docx": _docx,
    "eml": _eml,
    "html": _html,
    "md": _md,
    "pdf": _pdf,
    "pptx": _pptx,
    "txt": _txt,
    "xlsx": _xlsx,
}
