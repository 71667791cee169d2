"""Lays out a source as a DOCX file with header, footer, tables and real footnotes."""

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from docx import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from builders.markup import BOLD, FOOTNOTE, Block, Source
from builders.packages import document_date, normalise_package

_STYLES = {"paragraph": "Normal", "bullet": "List Bullet", "numbered": "List Number"}
_FOOTNOTES_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
_THUMBNAIL = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/thumbnail"
_EFFECTS = "http://schemas.microsoft.com/office/2007/relationships/stylesWithEffects"
_TABLE_STYLES = {"Normal Table", "Table Grid"}


class WordLayout:
    """Writes blocks into a python-docx document and collects the footnotes."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.notes: list[str] = []

    def add(self, block: Block) -> None:
        """Add one block at the end of the document."""
        if block.kind == "pagebreak":
            self.document.add_page_break()
        elif block.kind == "heading":
            self.document.add_heading(block.text, level=block.level)
        elif block.kind == "table":
            self.add_table(block.rows)
        else:
            paragraph = self.document.add_paragraph(style=_STYLES[block.kind])
            self.add_text(paragraph, block.text)

    def add_table(self, rows: list[list[str]]) -> None:
        """Add a table whose first row is bold."""
        table = self.document.add_table(rows=len(rows), cols=len(rows[0]), style="Table Grid")
        for row_number, row in enumerate(rows):
            for cell, text in zip(table.rows[row_number].cells, row, strict=True):
                run = cell.paragraphs[0].add_run(text)
                run.bold = True if row_number == 0 else None
        self.document.add_paragraph()

    def add_text(self, paragraph: Any, text: str) -> None:
        """Add text with bold parts and footnotes to a paragraph."""
        parts = FOOTNOTE.split(text)
        for index, part in enumerate(parts):
            if index % 2:
                self.add_footnote(paragraph, part)
                continue
            for bold_index, piece in enumerate(BOLD.split(part)):
                if piece:
                    paragraph.add_run(piece).bold = True if bold_index % 2 else None

    def add_footnote(self, paragraph: Any, note: str) -> None:
        """Add the reference of a footnote and remember its text."""
        self.notes.append(note)
        run = paragraph.add_run()
        run.font.superscript = True
        reference = f'<w:footnoteReference {nsdecls("w")} w:id="{len(self.notes)}"/>'
        run._r.append(parse_xml(reference))

    def save_footnotes(self) -> None:
        """Attach the footnotes part to the package, if there are footnotes."""
        if not self.notes:
            return
        notes = "".join(
            f'<w:footnote w:id="{number}"><w:p><w:r><w:footnoteRef/></w:r>'
            f'<w:r><w:t xml:space="preserve"> {escape(note)}</w:t></w:r></w:p></w:footnote>'
            for number, note in enumerate(self.notes, start=1)
        )
        separators = (
            '<w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:separator/></w:r></w:p>'
            '</w:footnote><w:footnote w:type="continuationSeparator" w:id="0"><w:p><w:r>'
            "<w:continuationSeparator/></w:r></w:p></w:footnote>"
        )
        xml = f"<w:footnotes {nsdecls('w')}>{separators}{notes}</w:footnotes>"
        main = self.document.part
        data = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + xml.encode()
        part = Part(PackURI("/word/footnotes.xml"), _FOOTNOTES_TYPE, data, main.package)
        main.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)


def _set_properties(document: Any, meta: dict[str, str]) -> None:
    """Give the document fixed properties, and the running texts of the source."""
    date = document_date(meta)
    properties = document.core_properties
    properties.title, properties.author = meta["title"], meta.get("author", "")
    properties.created = properties.modified = date
    properties.last_modified_by, properties.revision = properties.author, 1
    properties.comments, properties.language = "", meta.get("lang", "en")
    section = document.sections[0]
    section.header.paragraphs[0].text = meta.get("header", "")
    section.footer.paragraphs[0].text = meta.get("footer", "")


def _shrink(document: Any) -> None:
    """Drop what the default template carries and no document here uses."""
    for rels in (document.part.package.rels, document.part.rels):
        for key, relation in list(rels.items()):
            if relation.reltype in (_THUMBNAIL, _EFFECTS):
                del rels[key]
    for style in list(document.styles):
        if style.type == WD_STYLE_TYPE.TABLE and style.name not in _TABLE_STYLES:
            style.delete()


def build_docx(source: Source, path: Path) -> None:
    """Write the DOCX file of a source."""
    document = Document()
    _set_properties(document, source.meta)
    _shrink(document)
    layout = WordLayout(document)
    document.add_heading(source.meta["title"], level=0)
    for block in source.blocks():
        layout.add(block)
    layout.save_footnotes()
    document.save(str(path))
    normalise_package(path, document_date(source.meta))
