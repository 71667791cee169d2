"""What is in an archive is dated by the file in which it came."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rag.catalog.filtering import came_between
from rag.catalog.holdings import Scope, list_holdings
from rag.catalog.schema import documents
from rag.testing import fake_library
from tests.ingest.estates import Estate
from tests.ingest.in_process import without_children
from tests.ingest.packing import mail, zipped
from tests.ingest.reading import add_text, read_all

LONG_AGO = "2020-01-01T00:00:00.000Z"


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    without_children(monkeypatch)
    (tmp_path / "files").mkdir()
    estate = Estate(tmp_path / "files", fake_library(tmp_path / "home"))
    yield estate
    estate.library.close()


def _write(estate: Estate, name: str, data: bytes, day: str) -> None:
    (estate.folder / name).write_bytes(data)
    _touch(estate, name, day)


def _touch(estate: Estate, name: str, day: str) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC).timestamp()
    os.utime(estate.folder / name, (noon, noon))


def _dated(estate: Estate) -> dict[str, tuple[str, str]]:
    held = list_holdings(estate.library.catalog, Scope())
    return {item.source: (item.dated, item.dated_by) for item in held}


def test_at_any_depth_and_in_a_mail_without_a_date(estate: Estate) -> None:
    inner = zipped({"deep.txt": "About lions."})
    _write(estate, "a.zip", zipped({"in.zip": inner, "b.txt": "About owls."}), "2021-05-05")
    undated = mail("Tea", "Hot.", {"note.txt": "About cats."}).as_bytes()
    _write(estate, "m.eml", undated, "2022-06-06")
    add_text(estate.library, "own.zip", zipped({"c.txt": "About dogs."}))
    estate.sync()
    with estate.library.catalog.write() as connection:
        connection.execute(update(documents).values(created_at=LONG_AGO))
    assert _dated(estate) == {
        "a.zip/in.zip/deep.txt": ("2021-05-05", "changed"),
        "a.zip/b.txt": ("2021-05-05", "changed"),
        "m.eml": ("2022-06-06", "changed"),
        "m.eml/note.txt": ("2022-06-06", "changed"),
        "own.zip/c.txt": ("2020-01-01", "added"),
    }


def test_what_did_not_change_in_an_archive_keeps_its_day(estate: Estate) -> None:
    texts = {"a.txt": "About apes.", "b.txt": "About owls.", "c.txt": "About lions."}
    _write(estate, "z.zip", zipped(texts), "2021-05-05")
    estate.sync()
    with estate.library.catalog.write() as connection:
        connection.execute(update(documents).values(created_at=LONG_AGO))
    _touch(estate, "z.zip", "2022-06-06")
    assert estate.sync().unchanged == 1
    assert set(_dated(estate).values()) == {("2021-05-05", "changed")}

    anew = {"a.txt": "About apes.", "b.txt": "About owls and bats.", "moved.txt": "About lions."}
    _write(estate, "z.zip", zipped(anew | {"new.txt": "About more."}), "2023-07-07")
    assert estate.sync().changed == 1
    assert {source: day for source, (day, _) in _dated(estate).items()} == {
        "z.zip/a.txt": "2021-05-05",
        "z.zip/b.txt": "2023-07-07",
        "z.zip/moved.txt": "2021-05-05",
        "z.zip/new.txt": "2023-07-07",
    }
    with estate.library.catalog.read() as connection:
        members = documents.c.parent_id.is_not(None)
        came = select(documents.c.source).where(members, came_between("2023-07-07", ""))
        assert set(connection.execute(came).scalars()) == {"z.zip/b.txt", "z.zip/new.txt"}


def test_a_file_that_changed_in_an_upload_is_new(estate: Estate) -> None:
    """Taken apart anew by another recipe, it may be other bytes."""
    add_text(estate.library, "z.zip", zipped({"a.txt": "About apes."}))
    read_all(estate.library)
    with estate.library.catalog.write() as connection:
        member = documents.c.parent_id.is_not(None)
        changed = update(documents).where(member)
        connection.execute(changed.values(bytes_hash="other", created_at=LONG_AGO))
        connection.execute(update(documents).values(state="pending"))
    read_all(estate.library)
    assert _dated(estate)["z.zip/a.txt"][0] > "2020-01-01"
