"""A check finds every fault, and a repair brings back what was there."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from ingest.sync import register
from ingest.upkeep import do_job
from ingest.worker import Worker
from rag.catalog.documents import list_documents, remove
from rag.catalog.folders import folder_key
from rag.catalog.index_rows import vectors_of
from rag.catalog.jobs import Job
from rag.catalog.schema import chunks, contents, documents, pages
from rag.cli import main
from rag.comparison import words_of
from rag.errors import Busy
from rag.library import Library
from rag.lock import take_library_lock
from rag.serials import Serials
from rag.testing import fake_library, fake_settings
from tests.ingest.corruptions import SPOILERS
from tests.ingest.in_process import without_children
from tests.ingest.reading import add_text, read_all

FILES = 8


@dataclass
class Held:
    """A library in step with a folder."""

    folder: Path
    library: Library

    def state(self) -> dict[str, Any]:
        """Everything that answers, by what it is."""
        with self.library.catalog.read() as connection:
            named = select(
                documents.c.id, documents.c.source, documents.c.state, documents.c.content_key
            )
            rows = {
                "documents": connection.execute(named.order_by(documents.c.id)).all(),
                "titles": connection.execute(
                    select(contents.c.key, contents.c.title).order_by(contents.c.key)
                ).all(),
                "pages": connection.execute(select(pages).order_by(pages.c.content_key)).all(),
                "chunks": connection.execute(select(chunks).order_by(chunks.c.id)).all(),
            }
        originals = (self.library.settings.home / "originals").glob("*/*")
        return rows | {"originals": sorted((p.name, p.read_bytes()) for p in originals)}

    def check(self, repair: bool = False, unknown: bool = True) -> Any:
        job = Job("", "check", {"repair": repair, "unknown": unknown})
        return Worker(self.library).do(job, lambda done, total: None)

    def kinds(self, found: Any) -> set[str]:
        return {item["kind"] for item in found["faults"]}


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    without_children(monkeypatch)
    folder = tmp_path / "folder"
    folder.mkdir()
    library = fake_library(tmp_path / "home")
    for number in range(FILES):
        text = "\n\n".join(f"Part {p} of {number}: pump {number * 31 + p}. " * 12 for p in range(9))
        (folder / f"{number}.txt").write_text(text)
    held = Held(folder, library)
    sync(held)
    yield held
    library.close()


def sync(held: Held) -> None:
    catalog = held.library.catalog
    key = folder_key(catalog, str(held.folder), "default")
    register(held.library.settings, catalog, held.folder, key, "default", confirmed=True)
    read_all(held.library)


def _spoil_and_repair(held: Held, seeds: range) -> None:
    before = held.state()
    for seed in seeds:
        rng = random.Random(seed)
        # every way at least once, and several at once
        chosen = [SPOILERS[seed % len(SPOILERS)], *rng.sample(SPOILERS, rng.randrange(3))]
        made = [spoil(held.library, rng) for spoil in chosen]
        names = [spoil.__name__ for spoil in chosen]
        found = held.check()
        assert found["found"]["faults"], f"seed {seed}: {names} not found"
        if len(made) == 1:
            kinds = held.kinds(found["found"])
            assert any(kind.startswith(made[0]) for kind in kinds), f"seed {seed}: {names} {kinds}"
        held.check(repair=True)
        after = held.check()
        assert after["left"]["faults"] == [], f"seed {seed}: {names}"
        assert held.state() == before, f"seed {seed}: {names}"


def test_a_sound_library_is_sound(held: Held) -> None:
    found = held.check()
    assert found["found"]["faults"] == []
    assert found["found"]["documents"] == found["found"]["originals"] == FILES
    assert found["found"]["chunks"] > 2 * FILES


def test_every_corruption_is_found_and_mended(held: Held) -> None:
    _spoil_and_repair(held, range(2 * len(SPOILERS)))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_500_corruptions_are_found_and_mended(held: Held) -> None:
    _spoil_and_repair(held, range(1000, 1500))


def test_indexes_are_mended_without_embedding(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the embedder was called")

    monkeypatch.setattr(held.library.embedder, "texts", refuse)
    rng = random.Random(1)
    restorable = ("vector", "words", "chunk_text", "chunk_vector", "original", "folder")
    for spoil in SPOILERS:
        if spoil.__name__.endswith(restorable):
            spoil(held.library, rng)
            held.check(repair=True)
            assert held.check()["found"]["faults"] == [], spoil.__name__


def test_many_lost_chunks_rebuild_the_index(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.indexes._FEW", 3)
    indexes = held.library.indexes
    with held.library.catalog.read() as connection:
        ids = list(connection.execute(select(chunks.c.id)).scalars())
    indexes.delete(ids[:10])
    held.check(repair=True)
    rows = vectors_of(held.library.catalog, ids)
    assert indexes.words.missing(map(words_of, rows)) == []
    assert held.check()["found"]["faults"] == []


def test_an_upload_s_lost_original_is_marked_until_it_is_added_again(held: Held) -> None:
    name = add_text(held.library, "note.txt", "Only here.")
    read_all(held.library)
    (row,) = [d for d in list_documents(held.library.catalog) if d.id == name]
    originals = held.library.settings.home / "originals"
    (path,) = [p for p in originals.glob("*/*") if p.read_bytes() == b"Only here."]
    path.unlink()
    left = held.check(repair=True)["left"]
    assert [item["kind"] for item in left["faults"]] == ["originals-missing"]
    assert left["faults"][0]["documents"] == ["note.txt"]
    (row,) = [d for d in list_documents(held.library.catalog) if d.id == name]
    assert (row.state, row.error_code) == ("live", "original-lost")
    assert held.library.search("only here")[0].source == "note.txt"
    assert add_text(held.library, "note.txt", "Only here.") == name
    assert held.check(repair=True)["left"]["faults"] == []
    (row,) = [d for d in list_documents(held.library.catalog) if d.id == name]
    assert row.error is None


def test_what_lies_among_the_originals_hinders_nothing_and_a_repair_deletes_it(
    held: Held, tmp_path: Path
) -> None:
    originals, outside = held.library.settings.home / "originals", tmp_path / "outside"
    before = held.state()
    outside.mkdir()
    (outside / "letter.txt").write_text("mine")
    bucket = next(path.parent for path in originals.glob("??/*"))
    for folder in (bucket / "@eaDir" / "deep", originals / "@eaDir", originals / "incoming" / "x"):
        folder.mkdir(parents=True)
        (folder / "thumb.jpg").write_text("x")
        (folder / "link").symlink_to(outside)
    (originals / "Thumbs.db").write_text("x")
    (bucket / "link").symlink_to(outside)
    (held.folder / "0.txt").unlink()
    sync(held)
    assert (bucket / "@eaDir" / "deep" / "thumb.jpg").exists()
    (fault,) = held.check()["found"]["faults"]
    assert (fault["kind"], fault["count"]) == ("left-over", 5)
    assert held.check(repair=True)["left"]["faults"] == []
    assert (outside / "letter.txt").read_text() == "mine"
    assert (originals / "incoming").is_dir()
    left = [path.name for path in originals.glob("*/*")]
    assert sorted(left) == [name for name, _ in before["originals"] if name in left]
    assert len(left) == FILES - 1
    assert {path.name for path in originals.iterdir()} <= {
        *(n[:2] for n, _ in before["originals"]),
        "incoming",
    }


def test_a_folder_in_the_place_of_an_original_gives_way_to_it(held: Held) -> None:
    before = held.state()
    first, second = sorted((held.library.settings.home / "originals").glob("??/*"))[:2]
    assert first.parent != second.parent
    first.unlink()
    (first / "inside").mkdir(parents=True)
    second.unlink()
    second.parent.rmdir()
    second.parent.write_text("a file in the place of a folder")
    found = held.check(repair=True)
    assert held.kinds(found["found"]) == {"originals-altered", "left-over"}
    assert found["left"]["faults"] == []
    assert held.state() == before


def test_what_a_person_removed_is_no_fault(held: Held) -> None:
    remove(held.library.catalog, list_documents(held.library.catalog)[0].id)
    assert held.check()["found"]["faults"] == []


# --- the command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A closed library of three uploads, and the environment of a command on it."""
    monkeypatch.setenv("CLOISTER_EMBEDDER_MODEL", "rag.testing:FakeEmbedding")
    monkeypatch.setenv("CLOISTER_INGEST_FREE_BYTES", "0")
    library = fake_library(tmp_path)
    for number in range(3):
        add_text(library, f"{number}.txt", f"The code of box {number} is {number * 111}.")
    read_all(library)
    library.close()
    return tmp_path


def _run(home: Path, *arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(main, ["--home", str(home), "ingest", *arguments, "--json"])
    assert result.stdout.count("\n") == 1, result.output
    return result.exit_code, json.loads(result.stdout)


def test_the_command_tells_and_mends_unreadable_indexes(home: Path) -> None:
    library = Library(fake_settings(home))
    for name in ("chroma", "words"):
        path = Serials(library.catalog, home, name).current()
        assert path is not None
        for file in path.rglob("*"):
            if file.name in ("chroma.sqlite3", "meta.json"):
                file.write_bytes(b"spoilt" * 1000)
    library.catalog.close()
    code, told = _run(home, "check")
    assert code == 1
    assert {item["kind"] for item in told["faults"]} == {"vectors-unreadable", "words-unreadable"}
    code, told = _run(home, "check", "--repair")
    assert (code, told["sound"], told["left"]) == (0, True, [])
    assert (told["documents"], told["chunks"], told["originals"]) == (3, 3, 3)


def test_the_command_says_it_in_plain_words(home: Path) -> None:
    shutil.rmtree(home / "originals")
    result = CliRunner().invoke(main, ["--home", str(home), "ingest", "check"])
    assert result.exit_code == 1
    assert "3 × stored file that is gone" in result.stdout
    assert "0.txt, 1.txt, 2.txt" in result.stdout
    assert "Nothing was changed" in result.stdout


def test_a_second_writer_is_refused(home: Path) -> None:
    settings = fake_settings(home)
    with take_library_lock(settings, "cloister ask"):
        code, told = _run(home, "check")
        assert code == 75
        assert "cloister ask" in told["error"]["message"]
        library = Library(settings)
        with pytest.raises(Busy, match="cloister ask"):
            do_job(settings, library.catalog, "x", "erase", {}, lambda done, total: None)
        library.catalog.close()
