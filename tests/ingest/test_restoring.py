"""What a person removed can be had back: from a folder, from an archive, from an upload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingest.sync import register
from rag.catalog.documents import list_documents, remove
from rag.catalog.folders import folder_key
from rag.cli import main
from rag.library import Library
from rag.lock import take_library_lock
from rag.testing import fake_library, fake_settings
from tests.ingest.in_process import without_children
from tests.ingest.packing import zipped
from tests.ingest.reading import add_text, read_all

INNER = zipped({"deep.txt": "About lions.", "other.txt": "About tigers."})
ARCHIVE = zipped({"inner.txt": "About giraffes.", "inner.zip": INNER})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A closed library with an archive and a text in a folder, and an archive added by itself."""
    monkeypatch.setenv("CLOISTER_EMBEDDER_MODEL", "rag.testing:FakeEmbedding")
    monkeypatch.setenv("CLOISTER_INGEST_FREE_BYTES", "0")
    without_children(monkeypatch)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "arch.zip").write_bytes(ARCHIVE)
    (folder / "plain.txt").write_text("About owls.")
    library = fake_library(tmp_path / "home")
    add_text(library, "own.zip", zipped({"note.txt": "About zebras."}))
    _sync(library, folder)
    library.close()
    return tmp_path / "home"


def _sync(library: Library, folder: Path) -> None:
    key = folder_key(library.catalog, str(folder), "default")
    register(library.settings, library.catalog, folder, key, "default")
    read_all(library)


def _without(home: Path, *sources: str) -> list[str]:
    """Remove these documents, sweep what nothing needs, and return their ids."""
    library = fake_library(home)
    named = {d.source: d.id for d in list_documents(library.catalog)}
    for source in sources:
        remove(library.catalog, named[source])
    read_all(library)
    assert not set(sources) & {d.source for d in list_documents(library.catalog)}
    library.close()
    return [named[source] for source in sources]


def _restore(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["--home", str(home), "ingest", "restore", *arguments])
    return result.exit_code, result.stdout


def _listed(home: Path) -> list[Any]:
    code, told = _restore(home, "--json")
    assert code == 0
    return list(json.loads(told)["removed"])


def _found(home: Path, query: str) -> str:
    library = Library(fake_settings(home))
    library.load(llm=False)
    first = library.search(query)[0]
    library.close()
    return first.source


@pytest.mark.parametrize(
    ("source", "query"),
    [
        ("arch.zip/inner.txt", "giraffes"),
        ("arch.zip/inner.zip", "tigers"),
        ("arch.zip/inner.zip/deep.txt", "lions"),
        ("own.zip/note.txt", "zebras"),
    ],
)
def test_a_file_within_a_file_is_listed_and_comes_back(home: Path, source: str, query: str) -> None:
    (name,) = _without(home, source)
    folder = None if source.startswith("own") else str(home.parent / "folder")
    assert _listed(home) == [{"id": name, "source": source, "folder": folder}]
    assert f"{name}  {source}  in " in _restore(home)[1]
    assert _restore(home, name) == (0, "restored 1 within archives or mails: read again by now\n")
    assert _listed(home) == []
    assert _found(home, query).startswith(source)


def test_each_kind_is_told_what_brings_it_back(home: Path) -> None:
    names = _without(home, "plain.txt", "arch.zip/inner.txt")
    code, told = _restore(home, *names)
    assert (code, told.splitlines()) == (
        0,
        [
            "restored 1: the next sync of their folder takes them in",
            "restored 1 within archives or mails: read again by now",
        ],
    )
    library = fake_library(home)
    assert "plain.txt" not in {d.source for d in list_documents(library.catalog)}
    _sync(library, home.parent / "folder")
    assert "plain.txt" in {d.source for d in list_documents(library.catalog)}
    library.close()


def test_a_file_that_was_added_by_itself_is_not_said_to_come_back(home: Path) -> None:
    (name,) = _without(home, "own.zip")
    assert _listed(home) == []
    assert _restore(home, name) == (1, "restored 0\n")


def test_where_another_command_is_at_work_it_is_said_to_wait(home: Path) -> None:
    (name,) = _without(home, "arch.zip/inner.txt")
    with take_library_lock(fake_settings(home), "cloister ingest sync"):
        code, told = _restore(home, name)
    assert (code, told) == (
        0,
        "restored 1 within archives or mails: read by the command at work, or the next one\n",
    )
    library = fake_library(home)
    read_all(library)
    library.close()
    assert _found(home, "giraffes") == "arch.zip/inner.txt"
