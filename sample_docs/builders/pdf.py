"""Lays out a source as a PDF file with running header, footer, footnotes and contents."""

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4, A5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents

from builders.markup import BOLD, FOOTNOTE, Block, Source

PAGE_SIZES = {"A4": A4, "A5": A5}
SIDE = 16 * mm
TOP = 20 * mm
BOTTOM = 34 * mm
FOOTER_HEIGHT = 13.5 * mm


def _heading(name: str, size: float, before: float, after: float) -> ParagraphStyle:
    """Return the style of a heading, which stays on the page of the text below it."""
    return ParagraphStyle(
        name,
        fontName="Helvetica-Bold",
        fontSize=size,
        leading=size * 1.28,
        spaceBefore=before,
        spaceAfter=after,
        keepWithNext=1,
    )


def _styles() -> dict[str, ParagraphStyle]:
    """Return the paragraph styles of all PDF documents."""
    body = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=12.5, spaceAfter=5)
    bold = "Helvetica-Bold"
    return {
        "body": body,
        "cell": ParagraphStyle("cell", parent=body, fontSize=8.5, leading=10.5, spaceAfter=0),
        "item": ParagraphStyle("item", parent=body, leftIndent=12, bulletIndent=2, spaceAfter=3),
        "contents": ParagraphStyle("contents", parent=body, spaceAfter=1),
        "note": ParagraphStyle("note", parent=body, fontSize=7.5, leading=9, spaceAfter=0),
        "footer": ParagraphStyle(
            "footer", parent=body, fontSize=6.5, leading=8, alignment=TA_CENTER
        ),
        "title": ParagraphStyle("title", fontName=bold, fontSize=20, leading=25, spaceAfter=10),
        "h1": _heading("h1", 14, 8, 6),
        "h2": _heading("h2", 11, 5, 3),
        "h3": _heading("h3", 9.5, 3, 2),
    }


class FootnoteAnchor(Flowable):  # type: ignore[misc]
    """An invisible flowable: where it is drawn, its note belongs to the foot of the page."""

    def __init__(self, note: str) -> None:
        super().__init__()
        self.note = note

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Take no room."""
        return 0, 0

    def draw(self) -> None:
        """Hand the note to the document; it is drawn when the page ends."""
        self.canv._doctemplate.page_notes.append(self.note)


class Document(BaseDocTemplate):  # type: ignore[misc]
    """A document template with the header, footer and footnotes of the cooperative."""

    def __init__(self, path: Path, meta: dict[str, str]) -> None:
        size = PAGE_SIZES[meta.get("page", "A4")]
        super().__init__(
            str(path),
            pagesize=size,
            invariant=1,
            pageCompression=0,
            title=meta["title"],
            author=meta.get("author", ""),
            lang=meta.get("lang", "en"),
        )
        self.meta = meta
        self.page_notes: list[str] = []
        self.styles = _styles()
        frame = Frame(SIDE, BOTTOM, size[0] - 2 * SIDE, size[1] - TOP - BOTTOM, 0, 0, 0, 0)
        self.addPageTemplates(
            PageTemplate("page", [frame], onPage=self._header, onPageEnd=self._foot)
        )

    def _header(self, canvas: Canvas, _template: Any) -> None:
        """Draw the running header and forget the notes of the page before."""
        self.page_notes = []
        width, height = self.pagesize
        canvas.setFont("Helvetica", 7.5)
        canvas.drawString(SIDE, height - 12 * mm, self.meta.get("header", ""))
        canvas.drawRightString(width - SIDE, height - 12 * mm, self.meta.get("version", ""))
        canvas.line(SIDE, height - 14 * mm, width - SIDE, height - 14 * mm)

    def _foot(self, canvas: Canvas, _template: Any) -> None:
        """Draw the footnotes of the page, the disclaimer and the page number."""
        width = self.pagesize[0] - 2 * SIDE
        y = BOTTOM - 3 * mm
        if self.page_notes:
            canvas.line(SIDE, y, SIDE + width / 3, y)
        for note in self.page_notes:
            y = self._draw(canvas, note, "note", y)
        self._draw(canvas, escape(self.meta.get("footer", "")), "footer", FOOTER_HEIGHT)
        canvas.setFont("Helvetica", 7.5)
        canvas.drawCentredString(self.pagesize[0] / 2, 4 * mm, f"Page {canvas.getPageNumber()}")

    def _draw(self, canvas: Canvas, text: str, style: str, y: float) -> float:
        """Draw a paragraph below ``y`` and return where it ends."""
        paragraph = Paragraph(text, self.styles[style])
        height = paragraph.wrap(self.pagesize[0] - 2 * SIDE, BOTTOM)[1]
        paragraph.drawOn(canvas, SIDE, y - height)
        return float(y - height)

    def afterFlowable(self, flowable: Flowable) -> None:  # reportlab's own name
        """Tell the table of contents of every chapter heading."""
        if isinstance(flowable, Paragraph) and flowable.style.name == "h1":
            self.notify("TOCEntry", (0, flowable.getPlainText(), self.page))


class Layout:
    """Turns blocks into flowables; numbers the footnotes through the document."""

    def __init__(self, document: Document) -> None:
        self.styles = document.styles
        self.width = document.pagesize[0] - 2 * SIDE
        self.chapter_pages = document.meta.get("chapters") == "newpage"
        self.notes = 0

    def inline(self, text: str) -> tuple[str, list[str]]:
        """Return reportlab's mark-up of a text and the footnotes it refers to."""
        notes: list[str] = []

        def number(match: Any) -> str:
            self.notes += 1
            notes.append(f"<super>{self.notes}</super> {match.group(1)}")
            return f"<super>{self.notes}</super>"

        return BOLD.sub(r"<b>\1</b>", FOOTNOTE.sub(number, escape(text))), notes

    def story(self, meta: dict[str, str], blocks: list[Block]) -> list[Flowable]:
        """Return the flowables of a whole document."""
        story: list[Flowable] = [Paragraph(escape(meta["title"]), self.styles["title"])]
        if "subtitle" in meta:
            story += [Paragraph(escape(meta["subtitle"]), self.styles["h2"]), Spacer(1, 4 * mm)]
        for block in blocks:
            story += self.block(block)
        return story

    def block(self, block: Block) -> list[Flowable]:
        """Return the flowables of one block."""
        if block.kind == "pagebreak":
            return [PageBreak()]
        if block.kind == "toc":
            return [TableOfContents(levelStyles=[self.styles["contents"]])]
        if block.kind == "table":
            return [self.table(block.rows), Spacer(1, 3 * mm)]
        markup, notes = self.inline(block.text)
        anchors = [FootnoteAnchor(note) for note in notes]
        if block.kind == "heading":
            heading = Paragraph(markup, self.styles[f"h{block.level}"])
            new_page = [PageBreak()] if self.chapter_pages and block.level == 1 else []
            return [*new_page, heading]
        if block.kind == "paragraph":
            return [Paragraph(markup, self.styles["body"]), *anchors]
        bullet = "\u2022" if block.kind == "bullet" else f"{block.level}."
        return [Paragraph(markup, self.styles["item"], bulletText=bullet), *anchors]

    def table(self, rows: list[list[str]]) -> Table:
        """Return a table; its header row is repeated on every page it runs over."""
        head = [Paragraph(f"<b>{escape(cell)}</b>", self.styles["cell"]) for cell in rows[0]]
        body = [[Paragraph(self.inline(c)[0], self.styles["cell"]) for c in r] for r in rows[1:]]
        table = Table([head, *body], colWidths=self._widths(rows), repeatRows=1)
        table.setStyle(
            TableStyle(
                [
                    ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                    ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ]
            )
        )
        return table

    def _widths(self, rows: list[list[str]]) -> list[float]:
        """Share the width among the columns by their longest cells, within bounds."""
        longest = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        weights = [min(max(length, 9), 36) for length in longest]
        return [self.width * weight / sum(weights) for weight in weights]


def build_pdf(source: Source, path: Path) -> None:
    """Write the PDF file of a source."""
    document = Document(path, source.meta)
    document.multiBuild(Layout(document).story(source.meta, source.blocks()))
