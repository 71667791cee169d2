"""Files of old Office: converted by LibreOffice, by a script that misbehaves, or not at all."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.conversion import Converter, find_converter
from ingest.formats import kind_of
from ingest.uploads import receive
from rag.catalog.documents import Upload, add_upload, get_document, list_documents
from rag.catalog.pages import read_page
from rag.errors import CorruptDocument, DocumentError, ParserStopped, UnsupportedFormat
from rag.library import Library
from rag.originals import original_path, store_original
from rag.testing import fake_library, fake_settings
from tests.ingest.estates import Estate, counts
from tests.ingest.packing import zipped
from tests.ingest.reading import add_text, read_all

LIBRARY = Path(__file__).resolve().parents[2] / "sample_docs" / "library"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")
real = pytest.mark.skipif(SOFFICE is None, reason="no LibreOffice is here")

# stands where soffice would: `out` is where the result is wanted, `source` what is converted
HEAD = """#!{python}
import os, socket, sys, time, subprocess
from pathlib import Path
out, source = Path(sys.argv[sys.argv.index("--outdir") + 1]), Path(sys.argv[-1])
new = sys.argv[sys.argv.index("--convert-to") + 1]
out.mkdir()
result = out / f"{{source.stem}}.{{new}}"
"""
GOOD = "result.write_bytes(Path({docx!r}).read_bytes())"


def _script(place: Path, body: str) -> str:
    path = place / "soffice.py"
    docx = str(LIBRARY / "legal" / "cleaning_services_contract.docx")
    path.write_text(HEAD.format(python=sys.executable) + body.replace("{docx!r}", repr(docx)))
    path.chmod(0o700)
    return str(path)


def _library(place: Path, body: str, **changes: object) -> Library:
    return fake_library(place / "home", ingest_converter=_script(place, body), **changes)


def _state(library: Library, name: str) -> tuple[str, str | None, str]:
    document = get_document(library.catalog, name)
    return document.state, document.error_code, document.error or ""


def test_a_converted_document_is_read_and_its_original_kept(tmp_path: Path) -> None:
    library = _library(tmp_path, GOOD)
    name = add_text(library, "contract.doc", OLE)
    read_all(library)
    document = get_document(library.catalog, name)
    assert (document.state, document.kind) == ("live", "doc")
    text = read_page(library.catalog, name, 1).text
    for passage in library.search("cleaning of the windows", limit=3):
        assert text[passage.start : passage.end] == passage.text
    kept = list((library.settings.home / "originals").glob("??/*"))
    assert [path.read_bytes() for path in kept] == [OLE]
    assert list((library.settings.home / "run").glob("convert-*")) == []
    library.close()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("time.sleep(60)", "parser-stopped", "longer than 2 seconds"),
        ("subprocess.Popen(['sleep', '61']); time.sleep(60)", "parser-stopped", "ingest.parse"),
        ("sys.exit(77)", "corrupt-document", "could not be converted"),
        ("os.abort()", "corrupt-document", "could not be converted"),
        ("pass", "corrupt-document", "locked with a password"),
        ("result.touch()", "corrupt-document", "could not be converted"),
        ("result.symlink_to('/etc/passwd')", "corrupt-document", "could not be converted"),
        ("result.write_bytes(b'no docx')", "corrupt-document", "damaged"),
        ("result.write_bytes(bytes(2_000_000))", "corrupt-document", "damaged"),
    ],
)
def test_a_converter_that_misbehaves_fails_its_file_alone(
    tmp_path: Path, body: str, code: str, words: str
) -> None:
    library = _library(tmp_path, body, ingest_parse_seconds=2, ingest_max_bytes=1_000_000)
    name, other = add_text(library, "a.doc", OLE), add_text(library, "b.txt", "About giraffes.")
    begun = time.monotonic()
    read_all(library)
    assert time.monotonic() - begun < 40
    state, found, reason = _state(library, name)
    assert (state, found) == ("failed", code)
    assert words in reason
    assert str(tmp_path) not in reason
    assert _state(library, other)[0] == "live"
    assert list((library.settings.home / "run").glob("convert-*")) == []
    library.close()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 61" not in left.stdout


def test_a_converter_is_limited_and_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the tests' own block of the network would speak first
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "no_network" not in path])
    monkeypatch.setenv("SECRET_TOKEN", "x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        body = (
            "import resource, json\n"
            f"try:\n    socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)\n"
            "    reached = True\n"
            "except OSError:\n    reached = False\n"
            "told = [reached, resource.getrlimit(resource.RLIMIT_FSIZE)[0],"
            " resource.getrlimit(resource.RLIMIT_AS)[0] >> 20, sorted(os.environ),"
            " os.environ['HOME'] == str(source.parent)]\n"
            "result.write_text(json.dumps(told))"
        )
        settings = fake_settings(
            tmp_path / "home", ingest_converter=_script(tmp_path, body), ingest_max_bytes=123_456
        )
        (tmp_path / "home" / "run").mkdir(parents=True)
        (tmp_path / "a.doc").write_bytes(OLE)
        with Converter(settings).converted(tmp_path / "a.doc", "a.doc", "doc") as result:
            told = result.read_text()
    assert told.startswith("[false, 123456, 2048,") or not _may_unshare()
    assert "SECRET" not in told
    assert told.endswith("true]")


def _may_unshare() -> bool:
    code = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x50000000) != 0)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_closing_ends_a_conversion(tmp_path: Path) -> None:
    import threading

    settings = fake_settings(
        tmp_path / "home", ingest_converter=_script(tmp_path, "time.sleep(60)")
    )
    (tmp_path / "home" / "run").mkdir(parents=True)
    (tmp_path / "a.doc").write_bytes(OLE)
    converter, errors = Converter(settings), list[DocumentError]()

    def work() -> None:
        try:
            with converter.converted(tmp_path / "a.doc", "a.doc", "doc"):
                pass
        except DocumentError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until = time.monotonic() + 20
    while not converter._running and time.monotonic() < until:
        time.sleep(0.05)
    converter.close()
    thread.join(20)
    assert len(errors) == 1
    with (
        pytest.raises(ParserStopped, match="stopping"),
        converter.converted(tmp_path / "a.doc", "a.doc", "doc"),
    ):
        pass


def test_what_a_killed_conversion_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / "home" / "run" / "convert-old"
    left.mkdir(parents=True)
    (left / "document.doc").write_bytes(b"private")
    Converter(fake_settings(tmp_path / "home"))
    assert not left.exists()


def test_without_a_converter_an_upload_is_refused(tmp_path: Path) -> None:
    library = fake_library(tmp_path, ingest_converter="off")
    with pytest.raises(UnsupportedFormat, match=r"LibreOffice.*save the file as \.docx"):
        add_text(library, "a.doc", OLE)
    assert list_documents(library.catalog) == []
    library.close()


def test_a_kind_that_is_not_what_its_name_says() -> None:
    assert kind_of("a.xls", b"\x09\x08\x10\0" + bytes(100)) == "xls"
    assert kind_of("a.DOC", b"{\\rtf1 x}") == "doc"
    with pytest.raises(CorruptDocument, match="give it its own suffix"):
        kind_of("a.doc", b"PK\x03\x04" + bytes(100))


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    (tmp_path / "folder").mkdir()
    library = fake_library(tmp_path / "home", ingest_converter="off")
    yield Estate(tmp_path / "folder", library)
    library.close()


def _reopen(estate: Estate, converter: str) -> None:
    estate.library.close()
    estate.library = fake_library(estate.library.settings.home, ingest_converter=converter)


def test_a_converter_that_comes_and_goes(estate: Estate, tmp_path: Path) -> None:
    """What was passed over is read when there is one, and stays when there is none any more."""
    estate.write("a.doc", OLE)
    estate.write("in.zip", zipped({"b.doc": OLE + b"b"}))
    report = estate.sync()
    assert counts(report) == (1, 0, 0, 0, 0)
    assert [source for source, _ in report.skips] == ["a.doc"]
    assert "LibreOffice" in report.skips[0][1]
    (inside,) = [d for d in list_documents(estate.library.catalog) if d.source == "in.zip/b.doc"]
    assert (inside.state, inside.error_code) == ("failed", "unsupported-format")
    _reopen(estate, _script(tmp_path, GOOD))
    assert counts(estate.sync()) == (1, 0, 0, 1, 0)
    assert {d.state for d in list_documents(estate.library.catalog)} == {"live"}
    _reopen(estate, "off")
    report = estate.sync()
    assert counts(report) == (0, 0, 0, 1, 0)
    assert {d.source for d in list_documents(estate.library.catalog)} == {
        "a.doc", "in.zip", "in.zip/b.doc",
    }  # fmt: skip


def test_an_upload_waits_for_a_converter_that_is_gone(tmp_path: Path) -> None:
    """Taken in while there was one, it is read by the next worker that has one."""
    library = fake_library(tmp_path / "home", ingest_converter="off")
    (tmp_path / "a.doc").write_bytes(OLE)
    with (tmp_path / "a.doc").open("rb") as stream:
        bytes_hash, size, _ = store_original(library.settings, library.catalog, stream, "a.doc")
    name, _ = add_upload(library.catalog, Upload("a.doc", "doc", size, bytes_hash), "default")
    read_all(library)
    assert _state(library, name)[:2] == ("failed", "unsupported-format")
    library.close()
    library = _library(tmp_path, GOOD)
    read_all(library)
    assert _state(library, name)[0] == "live"
    library.close()


def test_which_program_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_converter(fake_settings(tmp_path)) is None
    (tmp_path / "soffice").write_text("#!/bin/sh\n")
    (tmp_path / "soffice").chmod(0o700)
    assert find_converter(fake_settings(tmp_path)) == str(tmp_path / "soffice")
    assert find_converter(fake_settings(tmp_path, ingest_converter="off")) is None
    assert find_converter(fake_settings(tmp_path, ingest_converter="/nowhere/soffice")) is None


@real
@pytest.mark.parametrize(
    ("source", "old", "words"),
    [
        ("legal/cleaning_services_contract.docx", "doc", "cleaning"),
        pytest.param("finance/budget_2025.xlsx", "xls", "budget", marks=pytest.mark.slow),
        pytest.param("board/members_meeting_2025.pptx", "ppt", "members", marks=pytest.mark.slow),
    ],
)
def test_a_real_converter(tmp_path: Path, source: str, old: str, words: str) -> None:
    """The sample saved in the old format reads as the sample does."""
    assert SOFFICE
    made = LIBRARY / source
    profile = (tmp_path / "profile").as_uri()
    subprocess.run(
        [SOFFICE, f"-env:UserInstallation={profile}", "--headless", "--convert-to", old,
         "--outdir", str(tmp_path), str(made)],
        check=True, capture_output=True, timeout=120, env={"PATH": os.environ["PATH"], "HOME": "/"},
    )  # fmt: skip
    library = fake_library(tmp_path / "home")
    with (tmp_path / f"{made.stem}.{old}").open("rb") as stream:
        name, _ = receive(library.settings, library.catalog, stream, f"a.{old}", "default")
    new = add_text(library, made.name, made.read_bytes())
    read_all(library)
    one, other = get_document(library.catalog, name), get_document(library.catalog, new)
    assert (one.state, one.error) == ("live", None)
    assert one.pages == other.pages
    texts = [_words(library, document.id, document.pages) for document in (one, other)]
    assert len(texts[0] & texts[1]) > 0.95 * len(texts[1])
    assert words in {word.lower().strip(".,") for word in texts[0]}
    library.close()


def _words(library: Library, name: str, pages: int) -> set[str]:
    texts = (read_page(library.catalog, name, number).text for number in range(1, pages + 1))
    return set(" ".join(texts).split())


@real
def test_a_real_converter_and_a_damaged_file(tmp_path: Path) -> None:
    library = fake_library(tmp_path / "home")
    name = add_text(library, "a.ppt", OLE)
    read_all(library)
    assert _state(library, name)[0] == "failed"
    assert original_path(library.settings, _hash(library, name)).is_file()
    library.close()


def _hash(library: Library, name: str) -> str:
    from sqlalchemy import select

    from rag.catalog.schema import documents

    with library.catalog.read() as connection:
        statement = select(documents.c.bytes_hash).where(documents.c.id == name)
        return str(connection.execute(statement).scalar())
