"""Files within files are documents of their own: in step with what they are in, and as stable."""

from __future__ import annotations

import io
import stat
import zipfile
from concurrent.futures import wait
from pathlib import Path

import pytest
from sqlalchemy import select, update

from ingest.check import findings, survey
from ingest.jobs import perform
from ingest.pipeline import Pipeline
from ingest.repair import repair
from rag.catalog.audit import altered_contents
from rag.catalog.collections import create_collection
from rag.catalog.documents import bytes_of, get_document, list_documents, remove
from rag.catalog.failures import document_failures, folder_failures, try_again
from rag.catalog.folders import folder_key
from rag.catalog.jobs import Job
from rag.catalog.pages import read_page
from rag.catalog.removals import removals
from rag.catalog.schema import contents, documents, members
from rag.originals import original_path
from rag.testing import fake_library
from tests.ingest.estates import Estate, counts
from tests.ingest.packing import mail, tarred, zipped
from tests.ingest.reading import add_text, read_all


def _problems(estate: Estate) -> dict[str, str]:
    key = folder_key(estate.library.catalog, str(estate.folder), "default")
    return dict(folder_failures(estate.library.catalog, key))


def _originals(estate: Estate) -> int:
    return sum(1 for _ in (estate.library.settings.home / "originals").glob("??/*"))


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_an_archive_is_a_folder(estate: Estate, name: str) -> None:
    files = {"notes.txt": "About giraffes.", "sub/deep/more.md": "# Zebras\n\nThey have stripes."}
    packing = name.rpartition(".")[2].replace("tgz", "gz").replace("tar", "")
    estate.write(name, zipped(files) if name == "a.zip" else tarred(files, packing))
    assert counts(estate.sync()) == (1, 0, 0, 0, 0)
    found = {d.source: d for d in list_documents(estate.library.catalog)}
    assert list(found) == [name, f"{name}/notes.txt", f"{name}/sub/deep/more.md"]
    whole, notes = found[name], found[f"{name}/notes.txt"]
    assert (whole.state, whole.pages, whole.members, whole.parent) == ("live", 0, 2, None)
    assert (notes.state, notes.pages, notes.parent) == ("live", 1, whole.id)
    assert notes.folder == whole.folder
    assert estate.finds("giraffes")[0] == f"{name}/notes.txt"
    assert (
        "Zebras" in read_page(estate.library.catalog, found[f"{name}/sub/deep/more.md"].id, 1).text
    )


def test_names_in_a_zip_that_are_utf_8_and_do_not_say_so(estate: Estate) -> None:
    packed = zipped({"XXbersicht.txt": "About giraffes.", "plain.txt": "About zebras."})
    said = zipped({"Öl.txt": "About lions."})
    old = zipped({"X.txt": "About tigers."})
    estate.write("utf8.zip", packed.replace(b"XXbersicht", "Übersicht".encode()))
    estate.write("said.zip", said)
    estate.write("old.zip", old.replace(b"X.txt", "é.txt".encode("cp437")))
    estate.sync()
    names = {"utf8.zip/Übersicht.txt", "utf8.zip/plain.txt", "said.zip/Öl.txt", "old.zip/é.txt"}
    assert names <= set(estate.sources())


def test_attachments_of_a_mail_and_what_is_within_them(estate: Estate) -> None:
    inner = mail(
        "The old offer", "We offered elephants.", {"old.csv": "animal,price\nelephant,5\n"}
    )
    message = mail("Offer", "Please find attached.", {"price list.txt": "Giraffes cost 9."})
    message.add_attachment(inner)
    message.add_attachment(
        zipped({"in/zip.txt": "Zebras cost 7."}), maintype="application", subtype="zip",
        filename="more.zip",
    )  # fmt: skip
    estate.write("mails/offer.eml", message.as_bytes())
    estate.sync()
    top = "mails/offer.eml"
    assert set(estate.sources()) == {
        top,
        f"{top}/price list.txt",
        f"{top}/The old offer.eml",
        f"{top}/The old offer.eml/old.csv",
        f"{top}/more.zip",
        f"{top}/more.zip/in/zip.txt",
    }
    assert estate.finds("zebras cost")[0] == f"{top}/more.zip/in/zip.txt"
    body = read_page(estate.library.catalog, estate.sources()[top], 1).text
    assert "Attachments: price list.txt, The old offer.eml, more.zip" in body
    assert "elephants" not in body
    assert _problems(estate) == {}


def test_ten_runs_change_nothing(estate: Estate) -> None:
    estate.write(
        "a.zip", zipped({"a.txt": "One.", "b.eml": mail("S", "T", {"c.txt": "Two."}).as_bytes()})
    )
    estate.sync()
    estate.stays_as_it_is(1)


def test_a_changed_archive_changes_only_what_changed_in_it(estate: Estate) -> None:
    files = {
        "same.txt": "Giraffes stay.",
        "edit.txt": "Zebras.",
        "move.txt": "Lions.",
        "gone.txt": "Apes.",
    }
    estate.write("a.zip", zipped(files))
    estate.sync()
    before = estate.sources()
    kept = get_document(estate.library.catalog, before["a.zip/same.txt"])
    del files["move.txt"], files["gone.txt"]
    files |= {"edit.txt": "Tigers.", "to/moved.txt": "Lions.", "new.txt": "Owls."}
    estate.write("a.zip", zipped(files))
    assert counts(estate.sync()) == (0, 1, 0, 0, 0)
    after = estate.sources()
    assert set(after) == {
        "a.zip",
        *(f"a.zip/{n}" for n in ("same.txt", "edit.txt", "to/moved.txt", "new.txt")),
    }
    assert after["a.zip/edit.txt"] == before["a.zip/edit.txt"]
    assert after["a.zip/to/moved.txt"] == before["a.zip/move.txt"]
    assert get_document(estate.library.catalog, after["a.zip/same.txt"]) == kept
    for word in ("Apes", "Zebras"):
        assert all(word not in p.text for p in estate.library.search(word, limit=20))
    assert estate.finds("tigers")[0] == "a.zip/edit.txt"


def test_members_go_with_what_they_are_in(estate: Estate) -> None:
    inner = mail("S", "Body.", {"c.txt": "About owls."}).as_bytes()
    estate.write("a.zip", zipped({"a.txt": "About apes.", "b.eml": inner}))
    name = add_text(estate.library, "up.zip", zipped({"u.txt": "About lions."}))
    estate.sync()
    assert estate.finds("owls")
    assert estate.finds("lions")
    (estate.folder / "a.zip").unlink()
    assert counts(estate.sync(confirmed=True)) == (0, 0, 0, 0, 1)
    assert set(estate.sources()) == {"up.zip", "up.zip/u.txt"}
    remove(estate.library.catalog, name)
    # from this moment on, nothing was swept yet
    assert estate.library.search("lions owls apes", limit=20) == []
    assert removals(estate.library.catalog).since is not None
    read_all(estate.library)
    assert _originals(estate) == 0


def test_a_renamed_archive_keeps_its_members(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = mail("S", "Body.", {"c.txt": "About owls."}).as_bytes()
    estate.write("a.zip", zipped({"a.txt": "About apes.", "b.eml": inner}))
    estate.sync()
    before = estate.sources()
    (estate.folder / "sub").mkdir()
    (estate.folder / "a.zip").rename(estate.folder / "sub" / "b.zip")
    monkeypatch.setattr(estate.library.embedder, "texts", None)
    assert counts(estate.sync()) == (0, 0, 1, 0, 0)
    assert estate.sources() == {f"sub/b.zip{s.removeprefix('a.zip')}": i for s, i in before.items()}
    assert estate.finds("owls")[0] == "sub/b.zip/b.eml/c.txt"


def test_the_same_archive_twice_is_read_once_and_listed_twice(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zipped({"a.txt": "About apes.", "in.zip": zipped({"b.txt": "About owls."})})
    estate.write("a.zip", data)
    estate.write("a.txt", "About apes.")
    estate.sync()
    stored = _originals(estate)
    monkeypatch.setattr(estate.library.embedder, "texts", None)
    estate.write("b.zip", data)
    estate.sync()
    assert _originals(estate) == stored == 4
    inside = {"a.zip/a.txt", "b.zip/a.txt", "a.zip/in.zip/b.txt", "b.zip/in.zip/b.txt"}
    assert set(estate.sources()) >= inside
    assert all(document.state == "live" for document in list_documents(estate.library.catalog))
    with estate.library.catalog.read() as connection:
        assert len(connection.execute(select(contents.c.key)).all()) == 4


def test_what_a_person_removed_stays_out_until_its_bytes_change(estate: Estate) -> None:
    estate.write("a.zip", zipped({"a.txt": "About apes.", "b.txt": "About owls."}))
    estate.sync()
    remove(estate.library.catalog, estate.sources()["a.zip/a.txt"])
    assert get_document(estate.library.catalog, estate.sources()["a.zip"]).members == 1
    estate.write("a.zip", zipped({"a.txt": "About apes.", "b.txt": "About owls and bats."}))
    estate.sync()
    assert "a.zip/a.txt" not in estate.sources()
    assert estate.finds("apes") in ([], ["a.zip/b.txt"])
    estate.write("a.zip", zipped({"a.txt": "About apes again.", "b.txt": "About owls and bats."}))
    estate.sync()
    assert estate.finds("apes")[0] == "a.zip/a.txt"


def test_an_archive_that_gives_way_to_a_folder_and_back(estate: Estate) -> None:
    data = zipped({"a.txt": "About apes."})
    estate.write("a.zip", data)
    estate.sync()
    (estate.folder / "a.zip").unlink()
    estate.write("a.zip/a.txt", "About owls.")
    assert counts(estate.sync()) == (1, 0, 0, 0, 1)
    assert set(estate.sources()) == {"a.zip/a.txt"}
    assert estate.finds("owls") == ["a.zip/a.txt"]
    (estate.folder / "a.zip" / "a.txt").unlink()
    (estate.folder / "a.zip").rmdir()
    estate.write("a.zip", data)
    estate.sync()
    assert set(estate.sources()) == {"a.zip", "a.zip/a.txt"}
    assert estate.finds("apes") == ["a.zip/a.txt"]


def test_a_damaged_new_version_takes_nothing_away(estate: Estate) -> None:
    data = zipped({"a.txt": "About apes."})
    estate.write("a.zip", data)
    estate.sync()
    estate.write("a.zip", data[: len(data) // 2])
    estate.sync()
    assert estate.finds("apes") == ["a.zip/a.txt"]
    assert "damaged" in _problems(estate)["a.zip"]


def test_members_that_fail_fail_alone_and_are_told(estate: Estate) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("good.txt", "About apes.")
        archive.writestr("broken.pdf", b"%PDF-1.7 and no more")
        archive.writestr("wrong.docx", b"this is no docx")
        archive.writestr("empty.txt", b"")
        archive.writestr("program.exe", b"MZ")
        archive.writestr("../../climbs.txt", "About owls.")
        archive.writestr("C:/drive.txt", "About bats.")
        archive.writestr("x" * 300 + ".txt", "About ants.")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("good.txt", "About bees.")
        archive.writestr(".hidden/secret.txt", "About wasps.")
        archive.writestr("minutes/~$minutes.docx", b"what Office keeps beside an open document")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        link.create_system = 3
        archive.writestr(link, "/etc/passwd")
    estate.write("a.zip", target.getvalue())
    assert estate.sync().failures == []
    problems = _problems(estate)
    short = f"{'x' * 40}…"
    assert set(problems) == {
        "a.zip/broken.pdf", "a.zip/wrong.docx", "a.zip/empty.txt", "a.zip/climbs.txt",
        f"a.zip/{short}",
    }  # fmt: skip
    assert "leads out" in problems["a.zip/climbs.txt"]
    assert "empty" in problems["a.zip/empty.txt"]
    assert set(estate.sources()) == {
        "a.zip", "a.zip/good.txt", "a.zip/good (2).txt", "a.zip/drive.txt", "a.zip/broken.pdf",
    }  # fmt: skip
    texts = " ".join(passage.text for passage in estate.library.search("wasps owls", limit=50))
    assert "wasps" not in texts
    assert "owls" not in texts


def test_encrypted_members_are_told(estate: Estate) -> None:
    data = bytearray(zipped({"a.txt": "About apes."}))
    for at in (data.find(b"PK\x03\x04") + 6, data.find(b"PK\x01\x02") + 8):
        data[at] |= 1
    estate.write("a.zip", bytes(data))
    estate.sync()
    assert "locked with a password" in _problems(estate)["a.zip/a.txt"]
    assert set(estate.sources()) == {"a.zip"}


def test_inline_images_count_from_a_size_on(estate: Estate) -> None:
    message = mail("S", "Text.")
    for size in (39_999, 40_000):
        message.add_attachment(
            b"\x89PNG" + bytes(size - 4), maintype="image", subtype="png", disposition="inline",
            filename=f"{size}.png", cid=f"<{size}@x>",
        )  # fmt: skip
    estate.write("a.eml", message.as_bytes())
    estate.sync()
    assert [s for s in estate.sources() if s != "a.eml"] == ["a.eml/40000.png"]


def test_limits(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    library = fake_library(
        tmp_path / "home", ingest_members=4, ingest_members_bytes=10_000, ingest_depth=2
    )
    estate = Estate(tmp_path / "folder", library)
    files = {f"{n}.txt": f"About apes {n}." for n in range(5)}
    estate.write("many.zip", zipped(files))
    estate.write("many.tar.gz", tarred(files))
    estate.write("large.zip", zipped({"a.txt": "apes " * 3000}))
    estate.write("large.tar.xz", tarred({"a.txt": "apes " * 3000}, "xz"))
    estate.write("deep.zip", zipped({"1.zip": zipped({"2.zip": zipped({"3.txt": "Too deep."})})}))
    two = zipped({"a.txt": "One.", "b.txt": "Two."})
    estate.write("wide.zip", zipped({"x.zip": two, "y.zip": two}))
    estate.sync()
    problems = _problems(estate)
    assert set(problems) == {
        "many.zip", "many.tar.gz", "large.zip", "large.tar.xz", "deep.zip/1.zip/2.zip",
        "wide.zip/y.zip",
    }  # fmt: skip
    assert "ingest.members" in problems["many.zip"]
    assert "ingest.members_bytes" in problems["large.tar.xz"]
    assert "ingest.depth" in problems["deep.zip/1.zip/2.zip"]
    assert set(estate.sources()) == {
        *problems, "deep.zip", "deep.zip/1.zip", "wide.zip", "wide.zip/x.zip",
        "wide.zip/x.zip/a.txt", "wide.zip/x.zip/b.txt",
    }  # fmt: skip
    library.close()


def test_nothing_is_taken_out_at_a_depth_of_zero(tmp_path: Path) -> None:
    library = fake_library(tmp_path, ingest_depth=0)
    letter = mail("S", "About apes.", {"a.txt": "About owls."}).as_bytes()
    one, other = add_text(library, "a.eml", letter), add_text(library, "a.zip", zipped({"b": "B."}))
    read_all(library)
    found = {d.id: (d.state, d.error_code, d.members) for d in list_documents(library.catalog)}
    assert found == {one: ("live", None, 0), other: ("failed", "too-much-inside", 0)}
    library.close()


def test_trying_again_reads_for_all_who_have_the_same_bytes(tmp_path: Path) -> None:
    """A limit that was raised lets a file in, wherever its archive is."""
    data = zipped({"a.txt": "About apes. " * 100, "b.txt": "About owls."})
    library = fake_library(tmp_path, ingest_max_bytes=500)
    create_collection(library.catalog, "other")
    one = add_text(library, "a.zip", data)
    other = add_text(library, "b.zip", data, "other")
    read_all(library)
    assert document_failures(library.catalog, [one, other])[0][0] == "a.zip/a.txt"
    library.close()
    library = fake_library(tmp_path)
    with library.catalog.write() as connection:
        assert try_again(connection, documents.c.id == one) == 2
    read_all(library)
    assert document_failures(library.catalog, [one, other]) == []
    assert {d.members for d in list_documents(library.catalog) if d.parent is None} == {2}
    library.close()


def test_an_archive_of_itself_ends(estate: Estate) -> None:
    """Members with the bytes of what they are in are live at once, as deep as is allowed."""
    data = zipped({"a.txt": "About apes."})
    estate.write("a.zip", zipped({"b.zip": zipped({"c.zip": zipped({"d.zip": data})})}))
    estate.sync()
    top = "a.zip/b.zip/c.zip/d.zip"
    assert set(_problems(estate)) == {top}
    assert f"{top}/a.txt" not in estate.sources()


def test_check_finds_a_lost_member_and_reads_it_again_from_its_archive(estate: Estate) -> None:
    library = estate.library
    name = add_text(library, "a.zip", zipped({"a.txt": "About apes."}))
    read_all(library)
    (member,) = [d for d in list_documents(library.catalog) if d.parent == name]
    path = original_path(library.settings, bytes_of(library.catalog, member.id)[0])
    path.unlink()
    found = survey(library.settings, library.catalog, library.indexes)
    assert not findings(library.catalog, found).sound
    repair(library, found)
    read_all(library)
    assert path.is_file()
    assert findings(
        library.catalog, survey(library.settings, library.catalog, library.indexes)
    ).sound


def test_members_rows_are_part_of_what_check_proves(estate: Estate) -> None:
    library = estate.library
    add_text(library, "a.zip", zipped({"a.txt": "About apes."}))
    read_all(library)
    assert altered_contents(library.catalog) == []
    with library.catalog.write() as connection:
        connection.execute(update(members).values(name="b.txt"))
    assert len(altered_contents(library.catalog)) == 1


def test_a_repair_while_an_archive_is_in_hand_keeps_the_files_in_it(tmp_path: Path) -> None:
    library = fake_library(tmp_path)
    damaged = add_text(library, "a.txt", "About lions.")
    read_all(library)
    original_path(library.settings, bytes_of(library.catalog, damaged)[0]).unlink()
    add_text(library, "packed.zip", zipped({"notes.txt": "About giraffes."}))
    pipeline = Pipeline(library.settings, library.catalog, library.embedder, library.indexes)
    pipeline._claim()
    wait(pipeline._parsing)
    perform(library, pipeline, Job("", "check", {"repair": True}), lambda done, total: None)
    while pipeline.run(lambda: False):
        pass
    pipeline.close()
    found = {d.source: d.state for d in list_documents(library.catalog)}
    assert found["packed.zip/notes.txt"] == "live"
    library.close()
