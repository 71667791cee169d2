"""The kinds of file that Cloister reads: their suffixes and parsers.

A parser is named by `"module:function"` and imported on first use, in a child process.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.wide_text import unmarked_wide
from rag.errors import CorruptDocument, EmptyDocument, ProtectedDocument, UnsupportedFormat


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file. `parser` is `"module:function"` with `parse(path, name) -> Parsed`.

    `unpacker`, of a kind that files come in, is `"module:function"` with
    `unpack(path, name, limits) -> Iterator[Packed]`; an archive has no text, and no parser. One
    that LibreOffice must convert first `becomes` another kind, whose parser reads it.
    """

    suffixes: tuple[str, ...]
    parser: str
    unpacker: str = ""
    becomes: str = ""


# text in a format of its own that is read as it stands
_CODE = str.split(
    ".asm .bash .bat .c .cc .cfg .clj .cmake .cmd .conf .cpp .cs .css .cxx .dart .diff .ex .exs "
    ".erl .f90 .go .gradle .graphql .groovy .h .hh .hpp .hs .ini .java .jl .js .jsx .kt .kts .less "
    ".lua .m .mjs .cjs .pas .patch .php .pl .pm .properties .proto .ps1 .py .pyi .r .rb .rs .sass "
    ".scala .scss .sh .sql .svelte .swift .tf .toml .ts .tsx .vb .vue .xsd .xsl .yaml .yml "
    ".zsh"
)
KINDS: dict[str, Kind] = {
    "pdf": Kind((".pdf",), "ingest.parsers.pdf:parse"),
    "docx": Kind((".docx",), "ingest.parsers.word:parse"),
    "pptx": Kind((".pptx",), "ingest.parsers.slides:parse"),
    "xlsx": Kind((".xlsx", ".xlsm"), "ingest.parsers.sheets:parse"),
    "csv": Kind((".csv", ".tsv"), "ingest.parsers.table:parse"),
    "html": Kind((".html", ".htm", ".xhtml"), "ingest.parsers.web:parse"),
    "markdown": Kind((".md", ".markdown"), "ingest.parsers.markdown:parse"),
    "text": Kind((".txt", ".text", ".log", ".rst", ".tex", ".adoc"), "ingest.parsers.text:parse"),
    "eml": Kind((".eml",), "ingest.parsers.mail:parse", "ingest.parsers.mail:unpack"),
    "odt": Kind((".odt",), "ingest.parsers.odt:parse"),
    "ods": Kind((".ods",), "ingest.parsers.ods:parse"),
    "odp": Kind((".odp",), "ingest.parsers.odp:parse"),
    "rtf": Kind((".rtf",), "ingest.parsers.rtf:parse"),
    "epub": Kind((".epub",), "ingest.parsers.epub:parse"),
    "msg": Kind((".msg",), "ingest.parsers.outlook:parse", "ingest.parsers.outlook:unpack"),
    "zip": Kind((".zip",), "", "ingest.parsers.zips:unpack"),
    "tar": Kind(
        (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz"),
        "",
        "ingest.parsers.tars:unpack",
    ),
    "json": Kind((".json", ".jsonl", ".ndjson"), "ingest.parsers.data:parse"),
    "doc": Kind((".doc",), "", becomes="docx"),
    "xls": Kind((".xls",), "", becomes="xlsx"),
    "ppt": Kind((".ppt",), "", becomes="pptx"),
    "xml": Kind((".xml", ".nxml", ".rss", ".atom"), "ingest.parsers.xml:parse"),
    "notebook": Kind((".ipynb",), "ingest.parsers.notebook:parse"),
    "code": Kind(tuple(_CODE), "ingest.parsers.code:parse"),
    "image": Kind(
        (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"), "ingest.parsers.image:parse"
    ),
}
_PACKINGS = (".gz", ".bz2", ".xz")
_BY_SUFFIX = {suffix: kind for kind, entry in KINDS.items() for suffix in entry.suffixes}

_OFFICE = ("docx", "pptx", "xlsx")
_ZIPPED = (*_OFFICE, "odt", "ods", "odp", "epub")
# of Excel before it kept its sheets in compound files
_OLD_SHEET = b"\x09\x08"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF; rename it to .pdf"),
    (b"PK\x03\x04", "a zip archive or an Office file; give it its own suffix"),
    (b"PK\x05\x06", "an empty zip archive"),
    (_OLE, "an old Office file or an Outlook message; save it as .docx, .xlsx, .pptx or .msg"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"SQLite format 3\0", "an SQLite database"),
)
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM")
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
_PACKED_TARS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
# text holds hardly any of these; random bytes are a tenth of them
_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r\f\x0b\x1b\x08")
_MOST_CONTROLS = 0.04


def suffix_kind(name: str) -> str:
    """The kind that a file's name says it is. Raises UnsupportedFormat for any other suffix."""
    suffix = _suffix(name)
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    raise UnsupportedFormat(
        f"“{name}” cannot be read: {unread(name)}, which are "
        f"{', '.join(sorted(set(_BY_SUFFIX) - set(_CODE)))} and source code."
    )


def unread(name: str) -> str:
    """Why a file is not read whose suffix is of no kind, in a few words."""
    suffix = _suffix(name)
    what = f"files ending in “{suffix}” are" if suffix else "a file without a suffix is"
    return f"{what} not among the formats read"


def _suffix(name: str) -> str:
    # by hand: a sync asks this of every file, and a path object takes longer than its stat
    stem, dot, last = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    suffix = f".{last}".lower() if stem and dot else ""
    packed_tar = suffix in _PACKINGS and stem[-4:].lower() == ".tar"
    return f".tar{suffix}" if packed_tar else suffix


def kind_of(name: str, head: bytes) -> str:
    """The kind of a file, by its suffix, checked against its first bytes (1 KiB or more).

    Raises UnsupportedFormat for a suffix that is not read, EmptyDocument for no bytes,
    ProtectedDocument for an Office file locked with a password, CorruptDocument where the
    content is not what the name says.
    """
    kind = suffix_kind(name)
    if not head:
        raise EmptyDocument(f"“{name}” is an empty file (0 bytes). Add it again once it has text.")
    if kind == "pdf":
        if b"%PDF-" not in head[:1024]:
            raise CorruptDocument(
                f"“{name}” is named .pdf but is not a PDF; {_looks_like(head, 'export it again')}."
            )
    elif kind in _ZIPPED:
        _check_zipped(name, kind, head)
    elif KINDS[kind].becomes:
        old = head.startswith((_OLE, _OLD_SHEET)) or head.lstrip().startswith(b"{\\rtf")
        _check_magic(name, "a file of the Office before 2007", old, head)
    elif kind == "msg":
        _check_magic(name, "an Outlook message", head.startswith(_OLE), head)
    elif kind == "zip":
        _check_magic(name, "a zip archive", head.startswith(_ZIPS), head)
    elif kind == "tar":
        plain = head[257:262] == b"ustar" or name.lower().endswith(".tar")
        _check_magic(name, "a tar archive", plain or head.startswith(_PACKED_TARS), head)
    elif kind == "rtf":
        _check_magic(name, "an RTF file", head.lstrip().startswith(b"{\\rtf"), head)
    elif kind == "image":
        webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
        _check_magic(name, "an image", webp or head.startswith(_IMAGES), head)
    else:
        _check_text(name, head)
    return kind


def _looks_like(head: bytes, otherwise: str) -> str:
    found = next((what for magic, what in _MAGIC if head.startswith(magic)), None)
    return f"it looks like {found}" if found else otherwise


def _check_magic(name: str, what: str, found: bool, head: bytes) -> None:
    if not found:
        advice = _looks_like(head, "save it again from the program that wrote it")
        raise CorruptDocument(f"“{name}” is not {what}, as its name says; {advice}.")


def _check_zipped(name: str, kind: str, head: bytes) -> None:
    if kind in _OFFICE and head.startswith(_OLE):
        raise ProtectedDocument(
            f"“{name}” is locked with a password, or is an old Office file under a new name. "
            f"Open it and save it as .{kind} without a password."
        )
    if not head.startswith(b"PK\x03\x04"):
        advice = _looks_like(head, "save it again from the program that wrote it")
        raise CorruptDocument(f"“{name}” is named .{kind} but is not a .{kind} file; {advice}.")


def _check_text(name: str, head: bytes) -> None:
    if head.startswith(_WIDE_MARKS) or unmarked_wide(head):
        return
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise CorruptDocument(f"“{name}” is not text: it looks like {what}.")
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls > _MOST_CONTROLS * len(head):
        what = "a Windows program" if head.startswith(b"MZ") else "binary data"
        raise CorruptDocument(
            f"“{name}” is not text: it looks like {what}. Save it as text in UTF-8 and try again."
        )
