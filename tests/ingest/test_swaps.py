"""Files that change places answer throughout."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.sync import register
from rag.catalog.documents import list_documents
from rag.catalog.folders import folder_key
from tests.ingest.estates import Estate
from tests.ingest.in_process import without_children

TEXTS = {"a.txt": "About giraffes.", "b.txt": "About owls.", "c.txt": "About lions."}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_children(monkeypatch)


def _turn(folder: Path) -> None:
    """Let each file have the bytes of the one before it."""
    names = sorted(TEXTS)
    (folder / names[-1]).rename(folder / "aside")
    for name, after in zip(names[-2::-1], names[:0:-1], strict=True):
        (folder / name).rename(folder / after)
    (folder / "aside").rename(folder / names[0])


def _register(estate: Estate) -> None:
    """A sync that no worker has followed yet."""
    catalog = estate.library.catalog
    key = folder_key(catalog, str(estate.folder), "default")
    register(estate.library.settings, catalog, estate.folder, key, "default")


def test_each_of_several_files_that_change_places_answers_at_once(estate: Estate) -> None:
    for name, text in TEXTS.items():
        estate.write(name, text)
    estate.sync()
    before = estate.sources()
    _turn(estate.folder)
    _register(estate)
    assert {d.state for d in list_documents(estate.library.catalog)} == {"live"}
    assert estate.sources() == before
    found = {text: estate.finds(text)[0] for text in TEXTS.values()}
    assert found == {(estate.folder / name).read_text(): name for name in TEXTS}
