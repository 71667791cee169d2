"""No document makes its parser read another file, connect, or repeat an entity without end."""

from __future__ import annotations

import importlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ingest.formats import KINDS, suffix_kind
from rag.errors import DocumentError
from rag.parsed import Parsed
from tests.ingest.test_parsers_data import epub
from tests.ingest.test_parsers_odf import SAMPLE, odf
from tests.ingest.test_parsers_office import docx_file, pptx_file, rewrite, xlsx_file
from tests.ingest.valid import ARTICLE, FEED

SECRET = "TOPSECRETWORDS"
_PAGE = (
    '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head>'
    "<body><p>words</p></body></html>"
)
Change = Callable[[str], str]


def _put(doctype: str, snippet: str, tag: str, xml: str) -> str:
    """An XML text with a document type before its root and a snippet in its first `tag`."""
    # a document has one type
    xml = xml.replace("<!DOCTYPE html>", "") if "<!DOCTYPE" in doctype else xml
    xml = re.sub(r"\A(\s*<\?xml[^>]*\?>)?", lambda m: m.group() + doctype, xml, count=1)
    changed, times = re.subn(rf"<{tag}(?: [^>]*)?>", lambda m: m.group() + snippet, xml, count=1)
    assert times == 1
    return changed


def _zip(path: Path, make: Callable[[Path], Path], member: str, tag: str, how: list[str]) -> None:
    rewrite(make(path), member, partial(_put, how[0], how[1], tag))


def _text(path: Path, xml: str, tag: str, how: list[str]) -> None:
    path.write_text(_put(how[0], how[1], tag, xml), "utf-8")


def _odf(path: Path) -> Path:
    return odf(path, SAMPLE[path.suffix[1:]])


# where an attack is put into a document
PLACES: dict[str, tuple[str, Callable[[Path, list[str]], None]]] = {
    "docx": ("a.docx", lambda p, h: _zip(p, docx_file, "word/document.xml", "w:t", h)),
    "docx, styles": ("a.docx", lambda p, h: _zip(p, docx_file, "word/styles.xml", "w:style", h)),
    "pptx": ("a.pptx", lambda p, h: _zip(p, pptx_file, "ppt/slides/slide1.xml", "a:t", h)),
    "xlsx": ("a.xlsx", lambda p, h: _zip(p, xlsx_file, "xl/worksheets/sheet1.xml", "v", h)),
    "xlsx, book": ("a.xlsx", lambda p, h: _zip(p, xlsx_file, "xl/workbook.xml", "sheets", h)),
    "odt": ("a.odt", lambda p, h: _zip(p, _odf, "content.xml", "text:p", h)),
    "ods": ("a.ods", lambda p, h: _zip(p, _odf, "content.xml", "text:p", h)),
    "odp": ("a.odp", lambda p, h: _zip(p, _odf, "content.xml", "text:p", h)),
    "epub, package": ("a.epub", lambda p, h: _zip(p, epub, "OEBPS/book.opf", "dc:title", h)),
    "epub, chapter": ("a.epub", lambda p, h: _zip(p, epub, "OEBPS/ch2.xhtml", "p", h)),
    "article": ("a.nxml", lambda p, h: _text(p, ARTICLE, "p", h)),
    "feed": ("a.xml", lambda p, h: _text(p, FEED, "title", h)),
    "xhtml": ("a.xhtml", lambda p, h: _text(p, _PAGE, "p", h)),
}
# a document type, and what is put into the text; FILE and URL are the secret's and the listener's
ATTACKS: dict[str, tuple[str, str]] = {
    "a file": ('<!DOCTYPE x [<!ENTITY e SYSTEM "FILE">]>', "&e;"),
    "a connection": ('<!DOCTYPE x [<!ENTITY e SYSTEM "URL">]>', "&e;"),
    "a public name": ('<!DOCTYPE x [<!ENTITY e PUBLIC "-//X" "URL">]>', "&e;"),
    "another document type": ('<!DOCTYPE x SYSTEM "URL/x.dtd">', "&e;"),
    "a file as document type": ('<!DOCTYPE x SYSTEM "FILE">', "&e;"),
    "a parameter": ('<!DOCTYPE x [<!ENTITY % p SYSTEM "URL"> %p;]>', ""),
    "a file in a parameter": (
        '<!DOCTYPE x [<!ENTITY % f SYSTEM "FILE"> %f; <!ENTITY e "%f;">]>',
        "&e;",
    ),
    "a stylesheet": ('<?xml-stylesheet type="text/xsl" href="URL/x.xsl"?>', ""),
    "inclusion": (
        "",
        '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="FILE" parse="text"/>',
    ),
    "inclusion by a connection": (
        "",
        '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="URL"/>',
    ),
    "many laughs": (
        '<!DOCTYPE x [<!ENTITY l0 "haha">'
        + "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
        + "]>",
        "&l11;",
    ),
    "many parameters": (
        '<!DOCTYPE x [<!ENTITY % a "haha">'
        + "".join(
            f"<!ENTITY % {b} '{f'&#37;{a};' * 10}'>"
            for a, b in zip("abcdefg", "bcdefgh", strict=True)
        )
        + "%h;]>",
        "",
    ),
}
# files of other kinds, whole
OTHERS: dict[str, tuple[str, str]] = {
    "html, frames": (
        "a.html",
        '<p>x</p><iframe src="FILE"></iframe><object data="URL"></object><embed src="URL">'
        '<link rel="stylesheet" href="URL"><img src="URL"><base href="URL"><script src="URL">'
        "</script><svg><image href='URL'/></svg><meta http-equiv=refresh content='0;url=URL'>",
    ),
    "html, entity": ("b.html", '<!DOCTYPE html [<!ENTITY e SYSTEM "FILE">]><p>&e;</p>'),
    "markdown": ("a.md", "![x](URL)\n\n<img src='URL'>\n\n[x]: FILE\n\n{{< include FILE >}}\n"),
    "rtf": (
        "a.rtf",
        '{\\rtf1{\\*\\template URL}{\\field{\\*\\fldinst INCLUDETEXT "FILE"}{\\fldrslt x}}'
        "{\\object\\objautlink{\\*\\objdata 00}}{\\field{\\*\\fldinst DDEAUTO cmd}}words}",
    ),
    "eml": (
        "a.eml",
        'Subject: x\nContent-Type: message/external-body; access-type=URL; URL="URL"\n\n'
        "Content-Type: text/plain\n\nwords\n",
    ),
    "svg as xml": (
        "b.xml",
        '<!DOCTYPE svg [<!ENTITY e SYSTEM "FILE">]><svg><text>&e;</text></svg>',
    ),
    "json": ("a.json", '{"$ref": "FILE", "include": "URL"}'),
    "tex": ("a.tex", "\\input{FILE}\\immediate\\write18{ls}\n"),
}


class Listener:
    """Counts who connects."""

    def __init__(self) -> None:
        self.count = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.count += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def _parse(path: Path) -> str:
    """All that a parser says of a file, in this process, where nothing else holds it back."""
    module, _, function = KINDS[suffix_kind(path.name)].parser.partition(":")
    try:
        parsed: Parsed = getattr(importlib.import_module(module), function)(path, path.name)
    except DocumentError as error:
        return str(error)
    return parsed.title + " ".join(page.text for page in parsed.pages)


def _filled(text: str, secret: Path, listener: Listener) -> str:
    return text.replace("FILE", secret.as_uri()).replace("URL", listener.url)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", PLACES)
def test_an_attack_in_xml(place: str, attack: str, tmp_path: Path, listener: Listener) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    file, put = PLACES[place]
    put(tmp_path / file, [_filled(text, secret, listener) for text in ATTACKS[attack]])
    said = _parse(tmp_path / file)
    assert SECRET not in said
    assert "hahahaha" not in said
    assert len(said) < 100_000
    assert listener.count == 0


@pytest.mark.parametrize("name", OTHERS)
def test_an_attack_in_other_files(name: str, tmp_path: Path, listener: Listener) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    file, text = OTHERS[name]
    (tmp_path / file).write_text(_filled(text, secret, listener))
    assert SECRET not in _parse(tmp_path / file)
    assert listener.count == 0


@pytest.mark.parametrize("kind", ["attachedTemplate", "image", "oleObject", "hyperlink"])
def test_what_an_office_file_refers_to_outside(
    kind: str, tmp_path: Path, listener: Listener
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    base = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    for number, target in enumerate((secret.as_uri(), listener.url, str(secret))):
        path = docx_file(tmp_path / f"{number}.docx")
        relation = (
            f'<Relationship Id="rIdX" Type="{base}/{kind}" Target="{target}" '
            'TargetMode="External"/></Relationships>'
        )
        rewrite(
            path,
            "word/_rels/document.xml.rels",
            lambda xml, relation=relation: xml.replace("</Relationships>", relation),
        )
        said = _parse(path)
        assert "The prices are in euros." in said
        assert SECRET not in said
    assert listener.count == 0


def test_the_attacks_are_sound(tmp_path: Path, listener: Listener) -> None:
    """A parser that allows it does read the file."""
    from lxml import etree

    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    parser = etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=False, recover=True)
    path = tmp_path / "a.nxml"
    PLACES["article"][1](path, [_filled(text, secret, listener) for text in ATTACKS["a file"]])
    assert SECRET in etree.tostring(etree.parse(str(path), parser)).decode()


def test_the_listener_hears(listener: Listener) -> None:
    with socket.create_connection(("127.0.0.1", int(listener.url.rpartition(":")[2]))) as mine:
        mine.recv(1)
    assert listener.count == 1
