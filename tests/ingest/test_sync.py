"""The sync tells new, changed, renamed, unchanged and vanished files apart, and acts on each."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ingest.discover import stat_key, telling, walk
from rag.catalog.documents import remove
from rag.catalog.folders import folder_key, known_files, retry_files
from rag.cli import main
from rag.errors import NotFound, UsageError
from rag.lock import take_library_lock
from rag.testing import fake_settings
from tests.ingest.estates import OLD, Estate, counts


def test_each_kind_of_change_is_told_apart(estate: Estate) -> None:
    for name in ("same.txt", "edited.txt", "moved.txt", "gone.txt"):
        estate.write(name, f"This is the file {name} about giraffes.")
    assert counts(estate.sync()) == (4, 0, 0, 0, 0)
    before = estate.sources()
    estate.write("edited.txt", "Now about elephants.")
    (estate.folder / "sub").mkdir()
    (estate.folder / "moved.txt").rename(estate.folder / "sub" / "renamed.txt")
    (estate.folder / "gone.txt").unlink()
    estate.write("new.txt", "A new one about zebras.")
    assert counts(estate.sync()) == (1, 1, 1, 1, 1)
    after = estate.sources()
    assert set(after) == {"same.txt", "edited.txt", "sub/renamed.txt", "new.txt"}
    assert after["sub/renamed.txt"] == before["moved.txt"]
    assert after["edited.txt"] == before["edited.txt"]
    assert estate.finds("elephants")[0] == "edited.txt"
    assert "gone.txt" not in estate.finds("giraffes")


def test_a_moved_file_is_not_read_again(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    (estate.folder / "a.txt").rename(estate.folder / "b.txt")

    def refuse(*_: object) -> None:
        raise AssertionError("the embedder was called")

    monkeypatch.setattr(estate.library.embedder, "texts", refuse)
    assert estate.sync().renamed == 1
    assert estate.finds("giraffes") == ["b.txt"]


def test_ten_runs_over_an_unchanged_folder_change_nothing(estate: Estate) -> None:
    for number in range(5):
        estate.write(f"{number}.txt", f"File {number}.")
    estate.sync()
    estate.stays_as_it_is(5)


def test_a_touched_file_with_the_same_bytes_is_unchanged(estate: Estate) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    os.utime(estate.folder / "a.txt", ns=(OLD + 10**9, OLD + 10**9))
    assert counts(estate.sync()) == (0, 0, 0, 1, 0)


def test_an_edit_that_keeps_size_and_times_is_seen(estate: Estate) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    estate.write("a.txt", "About elephant.")
    assert estate.sync().changed == 1


def test_the_old_text_answers_until_the_new_is_live_and_if_it_fails(estate: Estate) -> None:
    estate.write("a.docx", b"")
    estate.write("a.txt", "About giraffes.")
    report = estate.sync()
    assert report.new == 2
    estate.write("a.txt", b"%PDF-1.7 this is not text")
    estate.sync()
    assert estate.finds("giraffes") == ["a.txt"]
    key = folder_key(estate.library.catalog, str(estate.folder), "default")
    known = known_files(estate.library.catalog, key)
    assert known["a.txt"].state == known["a.docx"].state == "failed"
    assert "PDF" in (known["a.txt"].error or "")
    assert "empty" in (known["a.docx"].error or "")


def test_a_failed_file_is_tried_again_only_when_told_or_changed(estate: Estate) -> None:
    estate.write("a.docx", b"not a docx at all")
    estate.sync()
    key = folder_key(estate.library.catalog, str(estate.folder), "default")
    failed = known_files(estate.library.catalog, key)["a.docx"]
    estate.sync()
    # its times are trusted once they are some seconds old, which a slow machine may make them
    again = replace(known_files(estate.library.catalog, key)["a.docx"], stat_key=failed.stat_key)
    assert again == failed
    assert retry_files(estate.library.catalog, key) == 1
    assert known_files(estate.library.catalog, key)["a.docx"].state == "pending"


def test_kinds_that_are_not_read_hidden_files_and_links_out_are_left(
    estate: Estate, tmp_path: Path
) -> None:
    estate.write("photo.raw", "x")
    estate.write(".hidden.txt", "hidden giraffes")
    estate.write(".git/config.txt", "hidden giraffes")
    estate.write("~$minutes.docx", "kept by Office while minutes.docx is open")
    estate.write("real.txt", "About giraffes.")
    (tmp_path / "secret.txt").write_text("secret giraffes")
    (estate.folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (estate.folder / "up").symlink_to(tmp_path, target_is_directory=True)
    (estate.folder / "loop.txt").symlink_to(estate.folder / "loop.txt")
    os.mkfifo(estate.folder / "pipe.txt")
    report = estate.sync()
    assert report.new == 1
    assert {source for source, _ in report.skips} >= {"photo.raw", "out.txt", "up", "pipe.txt"}
    # a cron task's log holds this once for each such file of each run
    reason = dict(report.skips)["photo.raw"]
    assert reason == "files ending in “.raw” are not among the formats read"
    assert estate.finds("giraffes") == ["real.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_looked_at_is_not_gone(estate: Estate) -> None:
    estate.write("sub/a.txt", "About giraffes.")
    estate.sync()
    (estate.folder / "sub").chmod(0)
    report = estate.sync()
    (estate.folder / "sub").chmod(0o700)
    assert report.removed == 0
    assert report.failures


def test_two_folders_do_not_delete_each_other_s_files(estate: Estate, tmp_path: Path) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    other = Estate(tmp_path / "other", estate.library)
    other.folder.mkdir()
    other.write("a.txt", "About elephants.")
    assert other.sync().new == 1
    assert estate.sync().unchanged == 1
    assert len(estate.library.search("about", limit=10)) == 2


def test_a_folder_that_is_not_there_or_suddenly_empty_wipes_nothing(estate: Estate) -> None:
    for number in range(12):
        estate.write(f"{number}.txt", f"About giraffes {number}.")
    estate.sync()
    for path in estate.folder.iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="--confirm-deletions"):
        estate.sync()
    assert len(estate.sources()) == 12
    estate.folder.rmdir()
    with pytest.raises(NotFound, match="mounted"):
        estate.sync()
    estate.folder.mkdir()
    assert estate.sync(confirmed=True).removed == 12
    assert estate.finds("giraffes") == []


def test_what_a_person_removed_stays_out_until_its_bytes_change(estate: Estate) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    remove(estate.library.catalog, estate.sources()["a.txt"])
    assert counts(estate.sync()) == (0, 0, 0, 1, 0)
    assert estate.finds("giraffes") == []
    estate.write("a.txt", "About giraffes and zebras.")
    assert estate.sync().changed == 1
    assert estate.finds("giraffes") == ["a.txt"]


@pytest.mark.parametrize(("files", "gone"), [(3, 2), (4, 3), (9, 5), (12, 7)])
def test_more_than_the_share_is_confirmed_in_folders_of_any_size(
    estate: Estate, files: int, gone: int
) -> None:
    for number in range(files):
        estate.write(f"{number}.txt", f"About giraffes {number}.")
    estate.sync()
    for number in range(gone):
        (estate.folder / f"{number}.txt").unlink()
    with pytest.raises(UsageError, match=rf"{gone} of {files} .*--confirm-deletions"):
        estate.sync()
    assert len(estate.sources()) == files
    estate.write("0.txt", "About giraffes 0.")
    assert counts(estate.sync()) == (0, 0, 0, files - gone + 1, gone - 1)


def test_a_lone_file_may_give_way_to_another_but_not_where_the_share_is_nothing(
    estate: Estate, tmp_path: Path
) -> None:
    estate.write("2024.txt", "About giraffes.")
    estate.sync()
    (estate.folder / "2024.txt").rename(tmp_path / "kept.txt")
    estate.write("2025.txt", "About zebras.")
    assert counts(estate.sync()) == (1, 0, 0, 0, 1)
    estate.library.settings = replace(estate.library.settings, sync_removed_share=0.0)
    (estate.folder / "2025.txt").unlink()
    estate.write("2026.txt", "About elephants.")
    with pytest.raises(UsageError, match="1 of 1"):
        estate.sync()
    assert estate.finds("zebras") == ["2025.txt"]


def test_renamed_copies_of_one_file_are_no_mass_removal(estate: Estate) -> None:
    for number in range(6):
        estate.write(f"x/{number}.txt", "About giraffes.")
    for number in range(3):
        estate.write(f"{number}.txt", f"About zebras {number}.")
    estate.sync()
    (estate.folder / "x").rename(estate.folder / "y")
    report = estate.sync()
    assert report.unchanged == 3
    assert set(estate.sources()) == {f"y/{n}.txt" for n in range(6)} | {
        f"{n}.txt" for n in range(3)
    }


def test_a_renamed_folder_is_no_mass_removal(estate: Estate) -> None:
    for number in range(12):
        estate.write(f"a/{number}.txt", f"About giraffes {number}.")
    estate.sync()
    (estate.folder / "a").rename(estate.folder / "b")
    assert counts(estate.sync()) == (0, 0, 12, 0, 0)
    for number in range(12):
        (estate.folder / "b" / f"{number}.txt").unlink()
        estate.write(f"c/{number}.txt", f"About zebras {number}.")
    with pytest.raises(UsageError, match="12 of 12"):
        estate.sync()


def test_what_a_person_removed_stays_out_when_it_is_renamed(estate: Estate) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    remove(estate.library.catalog, estate.sources()["a.txt"])
    (estate.folder / "a.txt").rename(estate.folder / "b.txt")
    assert counts(estate.sync()) == (0, 0, 0, 1, 0)
    assert estate.sources() == {}
    assert estate.finds("giraffes") == []
    estate.write("b.txt", "About giraffes and zebras.")
    assert estate.sync().changed == 1
    assert estate.finds("giraffes") == ["b.txt"]
    held = [p for p in (estate.library.settings.home / "originals").glob("*/*") if p.is_file()]
    assert len(held) == 1


def test_what_a_person_removed_can_be_restored(estate: Estate) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    name, home = estate.sources()["a.txt"], estate.library.settings.home

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        command = ["--home", str(home), "ingest", "restore", *arguments, "--json"]
        result = CliRunner().invoke(main, command)
        return result.exit_code, json.loads(result.stdout)

    assert run() == (0, {"restored": [], "removed": [], "failures": []})
    assert run(name)[0] == 1, "it was not removed"
    remove(estate.library.catalog, name)
    listed = {"id": name, "source": "a.txt", "folder": str(estate.folder)}
    assert run()[1]["removed"] == [listed]
    assert run(name) == (0, {"restored": [name], "removed": [], "failures": []})
    assert estate.sync().new == 1
    assert estate.finds("giraffes") == ["a.txt"]


def test_a_file_dated_in_the_future_is_not_read_at_each_sync(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x")
    os.utime(path, (4_000_000_000, 4_000_000_000))
    assert not telling(stat_key(path.stat()))
    facts = path.stat()
    older = os.stat_result(
        [*facts[:7], 0, 4_000_000_000, OLD // 10**9],
        {"st_mtime_ns": 4 * 10**18, "st_ctime_ns": OLD},
    )
    assert telling(stat_key(older))


def test_hostile_names_are_passed_by_or_read(estate: Estate) -> None:
    folder = os.fsencode(estate.folder)
    for name in (b"bad\xff.txt", b"new\nline.txt", b"evil\x1b[31m.txt"):
        Path(os.fsdecode(folder + b"/" + name)).write_text(f"About giraffes {name!r}.")
    report = estate.sync()
    assert report.new == 2
    assert [reason for _, reason in report.failures] == ["its name is not valid UTF-8; rename it"]
    assert set(estate.finds("giraffes")) == {"new\nline.txt", "evil\x1b[31m.txt"}


def test_a_sync_beside_another_command_tells_what_it_found(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("About giraffes.")
    home = tmp_path / "home"
    given = {"CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding"}
    with take_library_lock(fake_settings(home), "cloister evaluate"):
        arguments = ["--home", str(home), "ingest", "sync", str(tmp_path / "folder"), "--json"]
        result = CliRunner(env=given).invoke(main, arguments)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["new"], told["pending"]) == (75, 1, 1)
    assert "cloister evaluate" in told["busy"]


def test_a_removal_beside_another_command_is_told(estate: Estate) -> None:
    estate.write("a.txt", "About giraffes.")
    estate.sync()
    home, name = estate.library.settings.home, estate.sources()["a.txt"]
    with take_library_lock(fake_settings(home), "cloister evaluate"):
        result = CliRunner().invoke(main, ["--home", str(home), "ingest", "remove", name, "--json"])
    assert (result.exit_code, json.loads(result.stdout)["removed"]) == (0, [name])


def test_folders_nested_deeper_than_python_s_stack_are_walked(tmp_path: Path) -> None:
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=deep)  # a path that long cannot be made at once
        below = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(os.open("a.txt", os.O_CREAT | os.O_WRONLY, dir_fd=deep))
    os.close(deep)
    assert [found.source for found in walk(tmp_path)] == ["d/" * 1200 + "a.txt"]
    # what pytest would clean up with is recursive itself
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)
