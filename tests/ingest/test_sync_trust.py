"""What cron meets: files that change while they are read or cannot be, folders that are gone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingest import sync
from rag.cli import main
from rag.errors import StorageError, UsageError
from rag.originals import Incoming
from tests.ingest.estates import OLD, Estate, counts
from tests.ingest.packing import zipped
from tests.ingest.test_parsers_pdf import draw, lines


def _edited_while_read(
    monkeypatch: pytest.MonkeyPatch, path: Path, times: int
) -> Callable[[], int]:
    """Has the file changed at each of its first readings."""
    take, done = Incoming.take, 0

    def taking(self: Incoming, stream: Any, name: str) -> Any:
        nonlocal done
        taken = take(self, stream, name)
        if done < times:
            done += 1
            path.write_text(f"Edited while it was read, for the {done}. time.")
            os.utime(path, ns=(OLD + done, OLD + done))
        return taken

    monkeypatch.setattr(Incoming, "take", taking)
    return lambda: done


def test_a_file_that_changes_while_it_is_read_is_read_again(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate.write("a.txt", "About giraffes.")
    edits = _edited_while_read(monkeypatch, estate.folder / "a.txt", 2)
    assert counts(estate.sync()) == (1, 0, 0, 0, 0)
    assert edits() == 2
    (passage,) = estate.library.search("edited", limit=5)
    assert passage.text == "Edited while it was read, for the 2. time."
    stored = list((estate.library.settings.home / "originals").glob("??/*"))
    assert [path.read_text() for path in stored] == [passage.text]


def test_a_file_that_never_rests_is_told_and_taken_by_the_next_sync(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.write("b.txt", "About zebras.")
    with monkeypatch.context() as patch:
        _edited_while_read(patch, estate.folder / "a.txt", 3)
        report = estate.sync()
    assert report.new == 1
    assert report.failures == [
        ("a.txt", "it changed each time it was read; the next sync tries again")
    ]
    assert counts(estate.sync()) == (1, 0, 0, 1, 0)


def test_what_cannot_be_read_is_told_and_stays_as_it_was(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "sub/b.txt", "c.txt"):
        estate.write(name, f"About giraffes in {name}.")
    estate.sync()
    scan, opened = os.scandir, os.open
    locked = {str(estate.folder / "a.txt"), str(estate.folder / "sub")}

    def scanning(path: Any) -> Any:
        if str(path) in locked:
            raise PermissionError(13, "Permission denied")
        return scan(path)

    def opening(path: Any, *args: Any, **extra: Any) -> Any:
        if str(path) in locked:
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **extra)

    estate.write("a.txt", "Changed.")
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scanning)
        patch.setattr(os, "open", opening)
        report = estate.sync()
    assert report.removed == 0
    denied = (
        "Permission denied; let the user that runs the sync read it, and enter the folders above it"
    )
    assert dict(report.failures) == {
        "a.txt": f"it cannot be read: {denied}",
        "sub/": f"the folder cannot be read: {denied}",
    }
    assert set(estate.finds("giraffes")) == {"a.txt", "sub/b.txt", "c.txt"}
    assert estate.sync().changed == 1


@pytest.mark.parametrize("count", [1, 3])
def test_a_small_folder_that_is_suddenly_empty_wipes_nothing(estate: Estate, count: int) -> None:
    for number in range(count):
        estate.write(f"{number}.txt", f"About giraffes {number}.")
    estate.sync()
    for path in estate.folder.iterdir():
        path.unlink()
    with pytest.raises(UsageError, match=r"empty.*--confirm-deletions"):
        estate.sync()
    assert len(estate.sources()) == count
    assert estate.sync(confirmed=True).removed == count
    assert counts(estate.sync()) == (0, 0, 0, 0, 0)


def test_a_link_within_the_folder_is_followed_and_one_out_of_it_is_not(
    estate: Estate, tmp_path: Path
) -> None:
    estate.write("real.txt", "About giraffes.")
    (tmp_path / "outside.txt").write_text("About zebras.")
    (estate.folder / "in.txt").symlink_to("real.txt")
    (estate.folder / "hop.txt").symlink_to(tmp_path / "back")
    (tmp_path / "back").symlink_to(tmp_path / "outside.txt")
    report = estate.sync()
    assert report.new == 2
    assert [source for source, _ in report.skips] == ["hop.txt"]
    assert all("zebras" not in p.text for p in estate.library.search("zebras", limit=10))


def test_a_link_to_a_file_that_is_left_out_is_left_out_itself(estate: Estate) -> None:
    settings = estate.library.settings
    for name in (".hidden/a.txt", ".b.txt", "drafts/c.txt", "sub/open.txt"):
        estate.write(name, f"About giraffes in {name}.")
        (estate.folder / Path(name).name.lstrip(".")).symlink_to(name)
    (estate.folder / "hop.txt").symlink_to("c.txt")
    estate.library.settings = replace(settings, sync_include=("*.txt",))
    assert estate.sync().new == 5, "drafts, what links to them, and what is open"
    estate.library.settings = replace(settings, sync_exclude=("drafts/",))
    report = estate.sync(confirmed=True)
    assert report.removed == 3
    assert {source for source, _ in report.skips} == {"a.txt", "b.txt", "c.txt", "hop.txt"}
    assert set(dict(report.skips).values()) == {"a link to a file that is hidden or left out"}
    assert set(estate.sources()) == {"open.txt", "sub/open.txt"}
    estate.library.settings = replace(settings, sync_hidden=True)
    estate.sync()
    assert {"a.txt", "b.txt", ".b.txt", "c.txt", "hop.txt"} < set(estate.sources())


@pytest.mark.parametrize("becomes", ["link", "pipe", "folder"])
def test_a_file_that_becomes_another_thing_after_the_walk_is_not_read(
    estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("The secret of the zebras.")
    for name in ("new.txt", "changed.txt"):
        estate.write(name, "About giraffes.")
    (estate.folder / "new.txt").unlink()
    assert estate.sync().new == 1
    estate.write("new.txt", "About elephants.")
    estate.write("changed.txt", "About lions.")
    compared = sync.plan

    def swapped(*given: Any) -> Any:
        made = compared(*given)
        for found in made.to_read:
            path = Path(found.path)
            path.unlink()
            if becomes == "link":
                path.symlink_to(secret)
            elif becomes == "pipe":
                os.mkfifo(path)
            else:
                path.mkdir()
        return made

    monkeypatch.setattr(sync, "plan", swapped)
    report = estate.sync()
    reason = "it cannot be read: it is not an ordinary file of the folder any more"
    assert dict(report.failures) == {"changed.txt": reason, "new.txt": reason}
    assert estate.finds("giraffes") == ["changed.txt"]
    assert all("zebras" not in p.text for p in estate.library.search("zebras", limit=10))


def test_a_file_over_the_limit_is_not_copied(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate.library.settings = replace(estate.library.settings, ingest_max_bytes=1000)
    estate.write("large.txt", "x" * 1001)
    estate.write("small.txt", "About giraffes.")
    taken: list[str] = []
    take = Incoming.take

    def noted(self: Incoming, stream: Any, name: str) -> Any:
        taken.append(name)
        return take(self, stream, name)

    monkeypatch.setattr(Incoming, "take", noted)
    for _ in range(2):
        (failure,) = estate.sync().failures
        assert failure[0] == "large.txt"
        assert "larger than 1,000 bytes" in failure[1]
    assert set(taken) == {"small.txt"}


def test_on_a_full_disk_what_vanished_is_gone_and_what_moved_stays(estate: Estate) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        estate.write(name, f"About giraffes in {name}.")
    estate.sync()
    before = estate.sources()
    (estate.folder / "a.txt").unlink()
    (estate.folder / "b.txt").rename(estate.folder / "moved.txt")
    estate.write("new.txt", "About zebras.")
    settings = estate.library.settings
    estate.library.settings = replace(settings, ingest_free_bytes=10**18)
    with pytest.raises(StorageError, match=r"ingest\.free_bytes"):
        estate.sync()
    assert set(estate.finds("giraffes")) == {"b.txt", "c.txt"}
    estate.library.settings = settings
    assert counts(estate.sync()) == (1, 0, 1, 1, 0)
    assert estate.sources()["moved.txt"] == before["b.txt"]


def _sync(tmp_path: Path, *options: str) -> tuple[Result, dict[str, Any]]:
    given = {
        "CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding",
        "CLOISTER_INGEST_FREE_BYTES": "0",
    }
    arguments = ["--home", str(tmp_path / "home"), "ingest", "sync", str(tmp_path / "folder")]
    result = CliRunner(env=given).invoke(main, [*arguments, "--json", *options])
    return result, json.loads(result.stdout)


def test_each_failed_file_is_reported_until_it_is_mended_or_retried(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "bad.docx").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "folder" / "good.txt").write_text("About giraffes.")
    (tmp_path / "folder" / "in.zip").write_bytes(
        zipped({"a.txt": "About zebras.", "empty.txt": "", "x.bin": "x"})
    )
    result, first = _sync(tmp_path)
    assert (result.exit_code, first["new"], first["failed"]) == (1, 3, 2)
    reasons = {failure["source"]: failure["reason"] for failure in first["failures"]}
    assert set(reasons) == {"bad.docx", "in.zip/empty.txt"}
    assert "0 bytes" in reasons["in.zip/empty.txt"]
    home = tmp_path / "home"
    again = _sync(tmp_path)[1]
    assert (again["failures"], again["unchanged"]) == (first["failures"], 3)
    before = _updated(home)
    result, retried = _sync(tmp_path, "--retry")
    assert (result.exit_code, retried["failures"]) == (1, first["failures"])
    after = _updated(home)
    assert {name for name in before if before[name] != after[name]} == {"bad.docx", "in.zip"}
    (tmp_path / "folder" / "bad.docx").unlink()
    (tmp_path / "folder" / "in.zip").write_bytes(zipped({"a.txt": "About zebras."}))
    result, mended = _sync(tmp_path)
    assert (result.exit_code, mended["changed"], mended["removed"]) == (0, 1, 1)
    assert mended["failures"] == []


def _updated(home: Path) -> dict[str, str]:
    from rag.catalog import Catalog
    from rag.catalog.documents import list_documents

    catalog = Catalog(home / "catalog.sqlite")
    found = {d.source: d.updated_at for d in list_documents(catalog)}
    catalog.close()
    return found


def test_the_status_shows_the_language(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("Every employee has 25 days of leave a year.")
    (tmp_path / "folder" / "b.txt").write_text("Jeder von uns hat im Jahr 25 Tage Urlaub.")
    _sync(tmp_path)
    result = CliRunner().invoke(main, ["--home", str(tmp_path / "home"), "ingest", "status"])
    rows = [line.split(maxsplit=4)[1:] for line in result.stdout.splitlines()]
    assert rows == [["live", "en", "a.txt"], ["live", "de", "b.txt"], ["live"]]


def test_the_status_shows_which_pages_could_not_be_read(tmp_path: Path) -> None:
    path = draw(tmp_path / "torn.pdf", *(lines(f"page {n}") for n in range(4)), pageCompression=0)
    # as long as before, so that the file's table of objects stays right
    path.write_bytes(re.sub(rb"/Type /Page\b", b"/Type /Pagx", path.read_bytes(), count=2))
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / "torn.pdf")
    _sync(tmp_path)
    result = CliRunner().invoke(main, ["--home", str(tmp_path / "home"), "ingest", "status"])
    assert "torn.pdf  pages 1–2 of 4 could not be read\n" in result.stdout


def test_the_log_of_a_sync_shows_how_far_the_comparing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    for number in range(3):
        (tmp_path / "folder" / f"{number}.txt").write_text(f"About giraffes {number}.")
    monkeypatch.setattr("ingest.progress.LINE_SECONDS", 0)
    given = {
        "CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding",
        "CLOISTER_INGEST_FREE_BYTES": "0",
    }
    arguments = ["--home", str(tmp_path / "home"), "ingest", "sync", str(tmp_path / "folder")]
    lines = CliRunner(env=given).invoke(main, arguments).stderr.splitlines()
    assert "Comparing files: 3 of 3 files" in lines
    assert "Reading documents: 3 of 3 documents" in lines
