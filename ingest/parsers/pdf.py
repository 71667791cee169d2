"""PDF, page by page, through pdfium. One process, one thread: pdfium is not thread-safe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ingest.parsers import ocr
from ingest.parsers.archive import damaged
from ingest.parsers.builder import flat, sensible_title
from ingest.parsers.pdf_layout import lay_out
from ingest.parsers.pdf_lines import Sheet, read_sheet
from ingest.parsers.pdf_streams import check_streams
from rag.errors import EmptyDocument, ProtectedDocument
from rag.parsed import Page, Parsed

# pdfium takes a document without pages for a damaged one
_PAGE_TREE = re.compile(rb"/Type\s*/Pages\b")
# a page with fewer characters of text may be a scan
_FEWEST_CHARACTERS = 12
_FORM_DEPTH = 3
_PAGE = re.compile(rb"/Type\s*/Page\b|/ObjStm\b")


def parse(path: Path, name: str) -> Parsed:
    """A PDF's text with the place of each word; scanned pages are read by OCR.

    A page without text is kept, empty; so is one that cannot be read, which is noted. Raises
    ProtectedDocument when a password is needed, CorruptDocument when it is damaged, EmptyDocument
    when it has no pages or no text, ParserStopped when more pages are scans than may be read.
    """
    import pypdfium2

    check_streams(path, name)
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise _cannot_open(path, name, error) from error
    try:
        if len(document) == 0:
            raise _no_pages(name)
        sheets = _sheets(document, name)
        properties = sensible_title(document.get_metadata_dict().get("Title", ""))
    finally:
        document.close()
    if not any(sheet.lines for sheet in sheets):
        advice = "nor did OCR find any" if ocr.is_on() else "and OCR is turned off by ingest.ocr"
        raise EmptyDocument(
            f"“{name}” has {len(sheets)} page{'s' * (len(sheets) > 1)} but no text, {advice}."
        )
    ocr.even_sizes(sheets)
    pages = tuple(lay_out(sheets))
    unread = tuple(number for number, sheet in enumerate(sheets, 1) if sheet.unread)
    return Parsed(pages, properties or _first_heading(pages), unread=unread)


def _cannot_open(path: Path, name: str, error: Any) -> Exception:
    import pypdfium2.raw as pdfium

    code = getattr(error, "err_code", None)
    if code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
        return ProtectedDocument(
            f"“{name}” is locked with a password. Save a copy without one and add that."
        )
    data = path.read_bytes()
    if _PAGE_TREE.search(data) and not _PAGE.search(data):
        return _no_pages(name)
    return damaged(name)


def _no_pages(name: str) -> EmptyDocument:
    return EmptyDocument(f"“{name}” is a PDF without pages. Export it again.")


def _sheets(document: Any, name: str) -> list[Sheet]:
    import pypdfium2

    sheets, failed = [], 0
    reader = ocr.Reader(name)
    for index in range(len(document)):
        try:
            page = document[index]
        except pypdfium2.PdfiumError:
            failed += 1
            sheets.append(Sheet([], 0.0, 0.0, unread=True))
            continue
        try:
            sheet = read_sheet(page)
            if _is_scan(page, sheet):
                if ocr.is_on():
                    sheet = _read_scan(page, reader) or sheet
                else:
                    sheet.unread = True
            sheets.append(sheet)
        except pypdfium2.PdfiumError:
            failed += 1
            width, height = page.get_size()
            sheets.append(Sheet([], width, height, unread=True))
        finally:
            page.close()
    if failed == len(sheets):
        raise damaged(name)
    return sheets


def _is_scan(page: Any, sheet: Sheet) -> bool:
    """Whether a page shows an image and has next to no text, such as a page number."""
    import pypdfium2.raw as pdfium

    if sum(len(line.text) for line in sheet.lines) >= _FEWEST_CHARACTERS:
        return False
    return any(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=_FORM_DEPTH))


def _read_scan(page: Any, reader: ocr.Reader) -> Sheet | None:
    """A page's lines as OCR reads them; None where it finds none."""
    width, height = page.get_size()
    scale = min(ocr.DOTS_PER_POINT, ocr.LONGEST_PIXELS / max(width, height, 1.0))
    bitmap = page.render(scale=scale, may_draw_forms=False)
    try:
        sheet = reader.read(bitmap.to_pil(), width, height)
    finally:
        bitmap.close()
    return sheet if sheet.lines else None


def _first_heading(pages: tuple[Page, ...]) -> str:
    """The first heading of the highest level on the first two pages."""
    headings = [(b.level, p, b) for p in pages[:2] for b in p.blocks if b.kind == "heading"]
    if not headings:
        return ""
    _, page, block = min(headings, key=lambda heading: heading[0])
    return flat(page.text[block.start : block.end])
