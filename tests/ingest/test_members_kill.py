"""Killed anywhere while an archive and a mail are taken apart: before or after, never between."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest

from ingest.check import findings, survey
from rag.catalog.documents import list_documents
from rag.catalog.pages import read_page
from rag.testing import fake_library
from tests.histories import Killed, Mortal
from tests.ingest.estates import Estate
from tests.ingest.in_process import without_children
from tests.ingest.packing import mail, zipped

OLD = {"same.txt": "Giraffes stay.", "edit.txt": "Zebras of old.", "gone.txt": "Apes go."}
NEW = {"same.txt": "Giraffes stay.", "edit.txt": "Tigers are new.", "come.txt": "Owls come."}


def _write(estate: Estate, files: dict[str, str]) -> None:
    letter = mail("S", "Please find attached.", files).as_bytes()
    estate.write("a.zip", zipped({**files, "in/letter.eml": letter}))


def _texts(estate: Estate) -> dict[str, str]:
    catalog = estate.library.catalog
    shown = [d for d in list_documents(catalog) if d.searchable and d.pages]
    return {d.source: read_page(catalog, d.id, 1).text.strip() for d in shown}


def _wanted(files: dict[str, str]) -> dict[str, str]:
    tops = ("a.zip", "a.zip/in/letter.eml")
    return {f"{top}/{name}": text for top in tops for name, text in files.items()}


def _without_mail(texts: dict[str, str]) -> dict[str, str]:
    return {source: text for source, text in texts.items() if not source.endswith(".eml")}


def _killed_at(number: int, place: Path, home: Path, folder: Path, mortal: Mortal) -> bool:
    """Whether the sync came so far; either way the next one makes it right."""
    shutil.copytree(home, place)
    estate = Estate(folder, fake_library(place))
    mortal.left = number
    try:
        estate.sync()
    except Killed:
        estate.library.indexes.words.close()
        estate.library.indexes.vectors.close()
        estate.library.catalog.close()
        gc.collect()
    reached, mortal.left, mortal.dead = mortal.dead, None, False
    if reached:
        estate.library = fake_library(place)
        before, after = _wanted(OLD), _wanted(NEW)
        for source, text in _without_mail(_texts(estate)).items():
            assert text in (before.get(source), after.get(source)), (number, source)
        listed = {d.source for d in list_documents(estate.library.catalog)}
        for top in ("a.zip", "a.zip/in/letter.eml"):
            here = {s for s in listed if s.rpartition("/")[0] == top and not s.endswith(".eml")}
            assert here in ({f"{top}/{n}" for n in OLD}, {f"{top}/{n}" for n in NEW}), number
        estate.sync()
    assert _without_mail(_texts(estate)) == _wanted(NEW), number
    assert {d.state for d in list_documents(estate.library.catalog)} == {"live"}
    library = estate.library
    found = findings(library.catalog, survey(library.settings, library.catalog, library.indexes))
    assert found.sound, (number, found)
    library.close()
    # a thread of tantivy's may still make its lock in there
    shutil.rmtree(place, ignore_errors=True)
    return reached


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_a_kill_while_an_archive_changes(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_children(monkeypatch)
    (tmp_path / "folder").mkdir()
    estate = Estate(tmp_path / "folder", fake_library(tmp_path / "home"))
    _write(estate, OLD)
    estate.sync()
    assert _without_mail(_texts(estate)) == _wanted(OLD)
    estate.library.close()
    _write(estate, NEW)
    mortal, number = Mortal(monkeypatch), step
    while _killed_at(number, tmp_path / f"{number}", tmp_path / "home", estate.folder, mortal):
        number += step
    assert number > 20
