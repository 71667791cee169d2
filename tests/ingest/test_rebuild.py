"""A rebuild brings every document to the current recipe; the old answers meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from ingest.pipeline import Pipeline
from ingest.recipe import RECIPE_FACT
from ingest.worker import Worker
from rag.catalog.documents import list_documents
from rag.catalog.jobs import Job
from rag.catalog.schema import chunks, contents, documents
from rag.cli import main
from rag.library import Library
from rag.lock import announce, take_library_lock
from rag.serials import Serials
from rag.testing import FakeEmbedding, fake_library, fake_settings
from rag.vectors import VectorIndex
from tests.ingest.in_process import without_children
from tests.ingest.reading import add_text, read_all

FILES = 40


class OtherEmbedding(FakeEmbedding):
    """Another model: other vectors, of another length."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return [*np.roll(super()._get_text_embedding(text), 7).tolist(), 0.0, 0.0]


OTHER = f"{__name__}:OtherEmbedding"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_children(monkeypatch)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    library = fake_library(tmp_path)
    for number in range(FILES):
        text = "\n\n".join(f"Part {p} of box {number}, code {number * 111}. " * 9 for p in range(6))
        add_text(library, f"{number}.txt", text)
    read_all(library)
    library.close()
    return tmp_path


def _recipes(library: Library) -> set[str]:
    with library.catalog.read() as connection:
        named = select(contents.c.recipe).join(documents, documents.c.content_key == contents.c.key)
        return set(connection.execute(named).scalars())


class Crash(Exception):
    """The process ends between two batches."""


def test_the_old_answers_meanwhile_and_a_crash_costs_nothing_twice(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = fake_library(home, chunk_tokens=60)
    (old,) = _recipes(library)
    read: list[str] = []
    run = Pipeline.run

    def watched(self: Pipeline, stopping: Any) -> bool:
        if len(read) >= 16:
            raise Crash
        for number in range(FILES):
            found = library.search(f"code {number * 111}", limit=3)
            assert f"{number}.txt" in [passage.source for passage in found]
        worked = run(self, stopping)
        read[:] = [d.source for d in list_documents(library.catalog) if d.state == "live"]
        return worked

    monkeypatch.setattr(Pipeline, "run", watched)
    # so that a round never takes all that is left, however far the parsers are ahead
    monkeypatch.setattr("ingest.pipeline.SLICE", 40)
    with pytest.raises(Crash):
        read_all(library)
    assert len(_recipes(library)) == 2
    library.close()
    monkeypatch.setattr(Pipeline, "run", run)
    library = fake_library(home, chunk_tokens=60)
    embedded: list[str] = []
    texts = library.embedder.texts
    monkeypatch.setattr(
        library.embedder, "texts", lambda t, p=None: (embedded.extend(t), texts(t, p))[1]
    )
    Worker(library).drain()
    assert not any(f"box {read[0].split('.')[0]}," in text for text in embedded)
    (new,) = _recipes(library)
    assert new != old
    assert {d.state for d in list_documents(library.catalog)} == {"live"}
    library.close()


def test_two_embedders_are_never_searched_together(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = fake_library(home, embedder_model=OTHER)
    catalog, fingerprint = library.catalog, library.embedder.fingerprint
    queried: list[str] = []
    query = VectorIndex.query

    def watched(self: VectorIndex, vector: Any, n: int) -> list[tuple[str, float]]:
        found = query(self, vector, n)
        queried.extend(name for name, _ in found)
        return found

    monkeypatch.setattr(VectorIndex, "query", watched)

    def look(limit: int = 50) -> None:
        for number in range(5, FILES, 5):
            # by its words, the old text is found before its new vectors are there
            found = library.search(f"code {number * 111}", limit=limit)
            assert f"{number}.txt" in [passage.source for passage in found]
            library.search(f"code {number * 111}", ["default"], limit=5)
        with catalog.read() as connection:
            statement = (
                select(contents.c.recipe)
                .join(chunks, chunks.c.content_key == contents.c.key)
                .where(chunks.c.id.in_(queried))
            )
            made_by = set(connection.execute(statement).scalars())
        assert all(recipe.endswith(fingerprint) for recipe in made_by)

    look(limit=5)
    assert queried == []
    Worker(library).drain(look)
    assert queried
    assert {recipe.endswith(fingerprint) for recipe in _recipes(library)} == {True}
    Worker(library).do(Job("", "erase", {}), lambda done, total: None)
    look()
    path = Serials(catalog, home, "chroma").current()
    library.close()
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    client = chromadb.PersistentClient(
        path=str(path), settings=ChromaSettings(anonymized_telemetry=False)
    )
    assert [c.name for c in client.list_collections()] == [f"embedder-{fingerprint}"]
    client.close()


def _run(home: Path, *arguments: str, **environment: str) -> tuple[int, Any]:
    given = {
        "CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding",
        "CLOISTER_INGEST_FREE_BYTES": "0",
    }
    runner = CliRunner(env=given | environment)
    result = runner.invoke(main, ["--home", str(home), "ingest", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_the_command_ends_with_fresh_folders(home: Path) -> None:
    code, told = _run(home, "rebuild", CLOISTER_CHUNK_TOKENS="60")
    assert (code, told["live"], told["failed"]) == (0, FILES, 0)
    assert told["chunks"] > FILES
    for name in ("chroma", "words"):
        assert [path.name for path in (home / name).iterdir()] == ["2"]
    code, told = _run(home, "check", CLOISTER_CHUNK_TOKENS="60")
    assert (code, told["faults"]) == (0, [])


def test_a_running_server_does_it(home: Path) -> None:
    settings = fake_settings(home)
    with take_library_lock(settings, "cloister serve"):
        announce(settings, "http://127.0.0.1:1")
        library = fake_library(home)
        worker = Worker(library)
        worker.start()
        code, told = _run(home, "rebuild")
        assert (code, told["live"]) == (0, FILES)
        code, told = _run(home, "check")
        assert (code, told["sound"]) == (0, True)
        library.indexes.vectors.delete([library.search("box 3", limit=1)[0].chunk_id])
        code, told = _run(home, "check")
        assert (code, told["faults"][0]["kind"]) == (1, "vectors-missing")
        code, told = _run(home, "check", "--repair")
        assert (code, told["sound"], told["left"]) == (0, True, [])
        # a server that reads by other settings would not do what is asked
        code, told = _run(home, "rebuild", CLOISTER_CHUNK_TOKENS="60")
        assert code == 2
        assert "Restart it" in told["error"]["message"]
        assert library.catalog.fact("job") is None
        assert library.catalog.fact(RECIPE_FACT)
        worker.stop()
        library.close()


def test_a_sync_after_an_upgrade_reads_what_is_unchanged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"About giraffe {number}.")
    given = {"CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding"}
    drained: list[Worker] = []
    told: list[bool] = []
    drain = Worker.drain
    monkeypatch.setattr(
        Worker, "drain", lambda self, *a, **k: (drained.append(self), drain(self, *a, **k))[1]
    )

    def sync() -> set[str]:
        arguments = ["--home", str(home), "ingest", "sync", str(folder), "--json"]
        result = CliRunner(env=given).invoke(main, arguments)
        assert result.exit_code == 0, result.output
        told.append("read_again" in json.loads(result.stdout))
        library = fake_library(home)
        try:
            assert len(library.search("giraffe")) == 3
            return _recipes(library)
        finally:
            library.close()

    (old,) = sync()
    assert (sync(), len(drained)) == ({old}, 1)
    monkeypatch.setattr("ingest.recipe.PARSER_VERSION", "another")
    (new,) = sync()
    assert (new != old, len(drained)) == (True, 2)
    assert (sync(), len(drained)) == ({new}, 2)
    assert told == [False, False, True, False]
    monkeypatch.setattr("ingest.recipe.PARSER_VERSION", "a third")
    plain = ["--home", str(home), "ingest", "sync", str(folder)]
    said = [CliRunner(env=given).invoke(main, plain).output for _ in range(2)]
    assert ["All documents were read again" in one for one in said] == [True, False]
