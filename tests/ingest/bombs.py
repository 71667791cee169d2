"""Small files that unpack, or would be drawn or counted, into huge ones."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path

MEGABYTE = 1_000_000
# the member that each kind of zip must hold
MEMBERS = {
    "docx": ("[Content_Types].xml", "word/document.xml"),
    "pptx": ("[Content_Types].xml", "ppt/presentation.xml"),
    "xlsx": ("[Content_Types].xml", "xl/workbook.xml"),
    "odt": ("content.xml", "meta.xml"),
    "ods": ("content.xml", "meta.xml"),
    "odp": ("content.xml", "meta.xml"),
    "epub": ("META-INF/container.xml", "book.opf"),
}

Make = Callable[[Path], object]


@lru_cache
def deflated(size: int, byte: bytes = b" ") -> bytes:
    """So many equal bytes, as a raw deflate stream."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = byte * MEGABYTE
    parts = [packer.compress(block[: min(MEGABYTE, size - at)]) for at in range(0, size, MEGABYTE)]
    return b"".join(parts) + packer.flush()


def _entry(name: bytes, packed: bytes, size: int, crc: int, *, central: int | None = None) -> bytes:
    """The header of a zip's member; `central`: in the directory, for the member at that place."""
    common = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0x21, crc, len(packed), size)
    if central is None:
        return b"PK\3\4" + common + struct.pack("<HH", len(name), 0) + name
    rest = struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, central)
    return b"PK\1\2\x14\0" + common + rest + name


def _zipped(path: Path, members: list[tuple[str, bytes, int]], *, overlap: int = 1) -> None:
    """A zip of `(name, deflated, size)`, each listed `overlap` times at the same place."""
    body, directory, count = b"", b"", 0
    for name, packed, size in members:
        at = len(body)
        body += _entry(name.encode(), packed, size, 0) + packed
        for copy in range(overlap):
            alias = name.encode() if not copy else f"{copy}/{name}".encode()
            directory += _entry(alias, packed, size, 0, central=at)
            count += 1
    end = struct.pack(
        "<HHHHIIH", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), len(body), 0
    )
    path.write_bytes(body + directory + b"PK\5\6" + end)


def _honest(path: Path, kind: str, size: int = 300 * MEGABYTE) -> None:
    first, second = MEMBERS[kind]
    _zipped(path, [(first, deflated(100), 100), (second, deflated(size), size)])


def _hidden(path: Path, kind: str) -> None:
    """A member that unpacks into much, beside one that does not shrink and hides its ratio."""
    first, second = MEMBERS[kind]
    padding = (
        b"".join(
            b"\x00" + struct.pack("<HH", 60_000, 60_000 ^ 0xFFFF) + bytes(60_000) for _ in range(20)
        )
        + b"\x01\0\0\xff\xff"
    )
    size = 200 * MEGABYTE
    small = (first, deflated(100), 100)
    _zipped(path, [small, (second, deflated(size), size), ("x", padding, 20 * 60_000)])


def _overlapping(path: Path, kind: str) -> None:
    first, second = MEMBERS[kind]
    size = 20 * MEGABYTE
    _zipped(path, [(first, deflated(100), 100), (second, deflated(size), size)], overlap=200)


def _crowded(path: Path, kind: str) -> None:
    """A directory of a million members."""
    first, second = MEMBERS[kind]
    body = _entry(first.encode(), deflated(100), 100, 0) + deflated(100)
    listed = _entry(first.encode(), deflated(100), 100, 0, central=0)
    directory = listed + _entry(second.encode(), deflated(100), 100, 0, central=0) * MEGABYTE
    end = struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + end)


def _endless(path: Path, kind: str) -> None:
    """A directory whose size stands elsewhere, as in an archive of more than 4 GB."""
    _honest(path, kind, 100)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\5\6")
    data[at + 8 : at + 20] = b"\xff" * 12
    path.write_bytes(data)


def pdf(path: Path, *objects: bytes) -> None:
    """A PDF of these objects; the first is its root."""
    body, places = b"%PDF-1.7\n", []
    for number, data in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, data)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer <</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(body))
    path.write_bytes(body + head + table + end)


_CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
_PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
_PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R%s>>"


def _stream(values: bytes, data: bytes) -> bytes:
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(data), values, data)


def _wrapped(raw: bytes) -> bytes:
    """A raw deflate stream in zlib's frame; its checksum is not looked at."""
    return b"\x78\xda" + raw + bytes(4)


def _content(path: Path, filters: bytes, data: bytes) -> None:
    pdf(path, _CATALOG, _PAGES, _PAGE % b"", _stream(b"/Filter" + filters, data))


def _flate(path: Path, size: int = 300 * MEGABYTE) -> None:
    _content(path, b"/FlateDecode", _wrapped(deflated(size)))


def _flate_twice(path: Path) -> None:
    inner = zlib.compress(_wrapped(deflated(1000 * MEGABYTE, b"\n")))
    _content(path, b"[/FlateDecode/FlateDecode]", inner)


def _flate_in_hex(path: Path) -> None:
    data = _wrapped(deflated(300 * MEGABYTE)).hex().encode() + b">"
    _content(path, b"[/ASCIIHexDecode/FlateDecode]", data)


def _flate_in_text(path: Path) -> None:
    data = base64.a85encode(_wrapped(deflated(300 * MEGABYTE))) + b"~>"
    _content(path, b"[/ASCII85Decode/FlateDecode]", data)


def _cross_references(path: Path) -> None:
    values = b"/Type/XRef/Size 9000000/W[1 2 1]/Root 1 0 R/Filter/FlateDecode"
    table = _stream(values, _wrapped(deflated(36 * MEGABYTE, b"\0")))
    pdf(path, _CATALOG, _PAGES, _PAGE % b"", table)


def _object_stream(path: Path) -> None:
    values = b"/Type/ObjStm/N 1/First 10/Filter/FlateDecode"
    pdf(path, _CATALOG, _PAGES, _PAGE % b"", _stream(values, _wrapped(deflated(300 * MEGABYTE))))


def _form(path: Path) -> None:
    form = _stream(
        b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Filter/FlateDecode",
        _wrapped(deflated(300 * MEGABYTE)),
    )
    page = _PAGE % b"/Resources<</XObject<</F 5 0 R>>>>"
    pdf(path, _CATALOG, _PAGES, page, _stream(b"", b"/F Do"), form)


def _font(path: Path) -> None:
    """A font whose table of characters unpacks without end."""
    page = _PAGE % b"/Resources<</Font<</F 5 0 R>>>>"
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>"
    table = _stream(b"/Filter/FlateDecode", _wrapped(deflated(300 * MEGABYTE)))
    content = _stream(b"", b"BT /F 12 Tf 50 700 Td (Words) Tj ET")
    pdf(path, _CATALOG, _PAGES, page, content, font, table)


def _png(path: Path, width: int, height: int, size: int, *, extra: bytes = b"") -> None:
    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = part(b"IDAT", _wrapped(deflated(size, b"\0")))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + extra + pixels + part(b"IEND", b"")
    )


def _png_text(path: Path) -> None:
    data = b"Comment\0\0" + _wrapped(deflated(300 * MEGABYTE))
    extra = (
        struct.pack(">I", len(data))
        + b"zTXt"
        + data
        + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    )
    _png(path, 100, 40_000_000, 1000, extra=extra)


def _tiff(path: Path) -> None:
    def tag(number: int, kind: int, value: int) -> bytes:
        return struct.pack("<HHII", number, kind, 1, value)

    tags = [tag(256, 4, 200_000), tag(257, 4, 200_000), tag(258, 3, 8), tag(259, 3, 8)]
    tags += [tag(262, 3, 1), tag(273, 4, 200), tag(277, 3, 1), tag(278, 4, 200_000)]
    tags += [tag(279, 4, 10_000)]
    directory = struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)
    path.write_bytes(
        (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + bytes(10_000)
    )


def _bmp(path: Path) -> None:
    head = struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 200, 0, 0, 54) + head + bytes(200))


def _webp(path: Path) -> None:
    size = struct.pack("<I", (16383) | (16383 << 14))
    chunk = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + size + bytes(5)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk)


def _jpeg(path: Path) -> None:
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 65_000, 65_000, 3)
    frame += b"\1\x11\0\2\x11\1\3\x11\1"
    path.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + frame + bytes(500))


def _json(path: Path) -> None:
    path.write_text("[" * MEGABYTE)


def _notebook(path: Path) -> None:
    path.write_text('{"cells":' + "[" * MEGABYTE)


def _entities(path: Path) -> None:
    """Twenty levels, each of which doubles; within what parsers allow of levels."""
    text = '<!ENTITY a0 "' + "ha" * 1000 + '">'
    text += "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    path.write_text(
        f"<!DOCTYPE article [{text}]><article><front><article-meta/></front>"
        "<body><p>&a11;</p></body></article>"
    )


def _quadratic(path: Path) -> None:
    path.write_text(
        f'<!DOCTYPE rss [<!ENTITY a "{"x" * 100_000}">]><rss><channel><title>{"&a;" * 100_000}'
        "</title></channel></rss>"
    )


def _forms(path: Path) -> None:
    """Forms that each draw the next one ten times."""
    uses = b"/F Do " * 10
    forms = [
        _stream(
            b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F %d 0 R>>>>" % number,
            uses,
        )
        for number in range(6, 16)
    ]
    page = _PAGE % b"/Resources<</XObject<</F 5 0 R>>>>"
    last = _stream(b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]", b"BT (x) Tj ET")
    pdf(path, _CATALOG, _PAGES, page, _stream(b"", uses), *forms, last)


def _pages(path: Path) -> None:
    """A tree of pages that says it has a thousand million, and turns in a circle."""
    pdf(path, _CATALOG, b"<</Type/Pages/Kids[2 0 R 3 0 R 2 0 R]/Count 1000000000>>", _PAGE % b"")


def _sheet(path: Path, rows: str) -> None:
    """A workbook with these rows of XML."""
    import io
    import zipfile

    import openpyxl

    made = io.BytesIO()
    openpyxl.Workbook().save(made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            data = old.read(member)
            if member == "xl/worksheets/sheet1.xml":
                names = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
                data = (
                    f'<worksheet xmlns="{names}"><dimension ref="A1:XFD1048576"/><sheetData>{rows}'
                    "</sheetData></worksheet>"
                ).encode()
            new.writestr(member, data)


def _far_row(path: Path) -> None:
    cell = '<row r="1048576"><c r="A1048576"><v>1</v></c></row>'
    _sheet(path, cell)


def _far_cells(path: Path) -> None:
    _sheet(path, "".join(f'<row r="{i}"><c r="XFD{i}"><v>1</v></c></row>' for i in range(1, 9999)))


def _repeated(path: Path, what: str) -> None:
    from tests.ingest.test_parsers_odf import odf

    cells = "".join(
        f'<table:table-cell table:number-columns-repeated="{16384 if what == "cells" else 1}">'
        "<text:p>words and more words</text:p></table:table-cell>"
        for _ in range(1000 if what == "cells" else 1)
    )
    row = f'<table:table-row table:number-rows-repeated="1048576">{cells}</table:table-row>'
    odf(path, f'<table:table table:name="S">{row * 100}</table:table>')


def _spans(path: Path) -> None:
    cell = f'<td colspan="1000" rowspan="65534">{"x" * 1000}</td>'
    path.write_text(f"<table>{f'<tr>{cell}{cell}</tr>' * 3000}</table>")


def _tags(path: Path) -> None:
    path.write_text("<div><b>" * 200_000 + "x")


def _groups(path: Path) -> None:
    path.write_text("{\\rtf1 " + "{" * MEGABYTE + "x" + "}" * MEGABYTE + "}")


def _parts(path: Path) -> None:
    """Mail of parts in parts."""
    heads = "".join(
        f'Content-Type: multipart/mixed; boundary="b{i}"\n\n--b{i}\n' for i in range(3000)
    )
    path.write_text(f"Subject: x\n{heads}Content-Type: text/plain\n\nwords\n")


def _quotes(path: Path) -> None:
    path.write_text((">" * 2000 + " x\n") * 100)


def _commas(path: Path) -> None:
    path.write_text("a" + "," * 6 * MEGABYTE + "\n")


_BY_KIND: Mapping[str, Callable[[Path, str], None]] = {
    "honest": _honest,
    "hidden": _hidden,
    "overlapping": _overlapping,
    "crowded": _crowded,
}
BOMBS: dict[str, tuple[str, Make]] = {
    f"{kind}, {how}": (f"a.{kind}", partial(make, kind=kind))
    for kind in MEMBERS
    for how, make in _BY_KIND.items()
} | {
    "docx, endless": ("a.docx", partial(_endless, kind="docx")),
    "odt, endless": ("a.odt", partial(_endless, kind="odt")),
    "pdf, content": ("a.pdf", _flate),
    "pdf, content twice": ("a.pdf", _flate_twice),
    "pdf, content in hex": ("a.pdf", _flate_in_hex),
    "pdf, object stream": ("a.pdf", _object_stream),
    "pdf, form": ("a.pdf", _form),
    "pdf, font": ("a.pdf", _font),
    "pdf, content in text": ("a.pdf", _flate_in_text),
    "pdf, cross-references": ("a.pdf", _cross_references),
    "png, pixels": ("a.png", lambda path: _png(path, 60_000, 60_000, 300 * MEGABYTE)),
    "png, text": ("a.png", _png_text),
    "tiff, pixels": ("a.tif", _tiff),
    "bmp, pixels": ("a.bmp", _bmp),
    "webp, pixels": ("a.webp", _webp),
    "jpeg, pixels": ("a.jpg", _jpeg),
    "json, depth": ("a.json", _json),
    "notebook, depth": ("a.ipynb", _notebook),
    "xml, entities": ("a.nxml", _entities),
    "pdf, pages": ("a.pdf", _pages),
    "ods, cells": ("a.ods", partial(_repeated, what="cells")),
    "eml, depth": ("a.eml", _parts),
}

# what is not refused early: as long as it stays within its limits, it is read as far as it goes
CONTAINED: dict[str, tuple[str, Make]] = {
    "xml, one entity often": ("a.xml", _quadratic),
    "pdf, forms": ("a.pdf", _forms),
    "xlsx, far cells": ("a.xlsx", _far_cells),
    "csv, cells": ("a.csv", _commas),
    "xlsx, far row": ("a.xlsx", _far_row),
    "ods, rows": ("a.ods", partial(_repeated, what="rows")),
    "html, spans": ("a.html", _spans),
    "html, depth": ("a.html", _tags),
    "rtf, depth": ("a.rtf", _groups),
    "markdown, depth": ("a.md", _quotes),
}
