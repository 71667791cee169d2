"""The indexes: found by their own vectors, mended after damage, never short of the catalog."""

from __future__ import annotations

import shutil
from pathlib import Path

import chromadb
import numpy as np
import pytest

from rag.catalog.contents import Content, publish, put_contents
from rag.catalog.index_rows import IndexRow, vectors_of
from rag.catalog.queue import Task
from rag.comparison import compare_vectors
from rag.embedding import Vectors
from rag.library import Library
from rag.parsed import Page, Parsed
from rag.records import Chunk
from rag.serials import Serials
from rag.testing import fake_library
from rag.vectors import VectorIndex
from rag.words import WordIndex, Words, content_terms
from tests.ingest.reading import add_text, read_all


def _vectors(count: int) -> np.ndarray:  # type: ignore[type-arg]
    random = np.random.default_rng(1).standard_normal((count, 32)).astype(np.float32)
    return random / np.linalg.norm(random, axis=1, keepdims=True)


def test_each_vector_is_found_by_itself_twins_included(tmp_path: Path) -> None:
    index, vectors = VectorIndex(tmp_path, "abc"), _vectors(200)
    vectors[10:40] = vectors[10]
    ids = [f"c{n}" for n in range(200)]
    index.add(ids, vectors)
    assert index.missing(ids, vectors) == []
    index.delete(["c15", "c150"])
    assert sorted(index.missing(ids, vectors)) == ["c15", "c150"]
    altered = vectors.copy()
    altered[3] = vectors[4]
    index.add(ids, altered)
    assert index.missing(ids, vectors) == ["c3"]
    index.close()


def test_where_the_graph_reaches_nothing_all_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors = VectorIndex(tmp_path, "abc"), _vectors(5)
    ids = [f"c{n}" for n in range(5)]
    index.add(ids, vectors)
    nothing = {"ids": [[] for _ in ids], "distances": [[] for _ in ids]}
    monkeypatch.setattr(chromadb.Collection, "query", lambda *_, **__: nothing)
    assert index.missing(ids, vectors) == ids
    index.close()


def test_a_query_ranks_by_cosine_and_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    index, vectors = VectorIndex(tmp_path, "abc"), _vectors(50)
    assert index.query(vectors[0], 5) == []
    index.add([f"c{n}" for n in range(50)], vectors)
    found = index.query(vectors[7], 3)
    assert found[0][0] == "c7"
    assert found[0][1] == pytest.approx(1.0, abs=1e-3)
    assert found[1][1] == pytest.approx(float(np.sort(vectors @ vectors[7])[-2]), abs=1e-3)
    index.close()


def test_it_is_counted_again_only_after_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors = VectorIndex(tmp_path, "abc"), _vectors(50)
    assert len(index) == 0
    index.add([f"c{n}" for n in range(50)], vectors)
    assert len(index) == 50
    index.delete(["c1", "c2"])
    assert len(index) == 48
    with index._use() as chroma:
        monkeypatch.setattr(chroma, "collection", None)
    assert len(index) == 48
    index.close()


def test_words_are_found_by_their_stems_and_replaced_by_id(tmp_path: Path) -> None:
    index = WordIndex(tmp_path)
    index.add(
        [Words("a", "Unused days may be carried over"), Words("b", "Übernachtungen in Lübeck")]
    )
    index.commit()
    assert [name for name, _ in index.query("carrying day", 5)] == ["a"]
    assert [name for name, _ in index.query("ubernachtungen", 5)] == ["b"]
    index.add([Words("a", "something else")])
    index.delete(["b"])
    index.commit()
    assert index.query("carrying Lübeck", 5) == []
    assert list(index.ids()) == ["a"]
    assert index.query("!!! (", 5) == []
    index.close()


def test_function_words_count_only_where_there_is_nothing_else() -> None:
    assert content_terms("What is the price?") == ["price"]
    assert content_terms("to be or not to be") != []


@pytest.mark.parametrize("damage", ["vectors gone", "vectors spoilt", "words gone", "both gone"])
def test_what_is_damaged_is_rebuilt_from_the_catalog(tmp_path: Path, damage: str) -> None:
    library = fake_library(tmp_path)
    for number in range(6):
        add_text(library, f"{number}.txt", f"The code of box {number} is {number * 111}.")
    read_all(library)
    before = [p.text for p in library.search("code of box 3", limit=6)]
    assert before[0] == "The code of box 3 is 333."
    serials = {n: Serials(library.catalog, tmp_path, n).current() for n in ("chroma", "words")}
    library.close()
    if damage in ("vectors gone", "both gone"):
        shutil.rmtree(serials["chroma"] or tmp_path)
    if damage == "vectors spoilt":
        for path in (serials["chroma"] or tmp_path).rglob("*.sqlite3"):
            path.write_bytes(b"spoilt" * 1000)
    if damage in ("words gone", "both gone"):
        shutil.rmtree(serials["words"] or tmp_path)
    again = fake_library(tmp_path)
    after = [p.text for p in again.search("code of box 3", limit=6)]
    # the others score the same but for the rounding of stored vectors
    assert after[0] == before[0]
    assert sorted(after) == sorted(before)
    again.close()


def test_after_a_kill_a_lost_vector_is_found_and_mended(tmp_path: Path) -> None:
    library = fake_library(tmp_path)
    for number in range(6):
        add_text(library, f"{number}.txt", f"The code of box {number} is {number * 111}.")
    read_all(library)
    lost = library.search("code of box 3", limit=1)[0].chunk_id
    library.indexes.vectors.delete([lost])
    library.indexes.vectors.add(["stray"], _spread(library.embedder.query("stray")))
    library.catalog.note("indexes.in_use", "yes")
    library.indexes.vectors.close()
    library.indexes.words.close()
    library.catalog.close()
    again = fake_library(tmp_path)
    held = {name for batch in again.indexes.vectors.ids() for name in batch}
    assert lost in held
    assert "stray" not in held
    again.close()


def _spread(vector: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return vector.reshape(1, -1)


@pytest.mark.parametrize("damage", ["garbage in meta.json", "a truncated segment"])
def test_a_damaged_lexical_index_is_rebuilt(tmp_path: Path, damage: str) -> None:
    library = fake_library(tmp_path)
    add_text(library, "a.txt", "About giraffes.")
    read_all(library)
    folder = Serials(library.catalog, tmp_path, "words").current()
    assert folder
    library.close()
    if damage == "a truncated segment":
        for path in folder.glob("*.term"):
            path.write_bytes(path.read_bytes()[:10])
    else:
        (folder / "meta.json").write_text("garbage")
    library = fake_library(tmp_path)
    assert library.indexes.words.query("giraffes", 5)
    assert library.search("giraffes")[0].source == "a.txt"
    library.close()


def test_what_the_graph_loses_later_is_found_all_the_same(tmp_path: Path) -> None:
    """Vectors at equal distances: each is found when it is added, and many are lost after that."""
    library = fake_library(tmp_path)
    indexes, fingerprint = library.indexes, library.embedder.fingerprint
    vectors = np.ones((600, 256), dtype=np.float32)
    random = np.random.default_rng(1)
    vectors[np.arange(600), random.integers(256, size=600)] += random.choice([-3, 3], 600)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for part in range(0, 600, 50):
        indexes.add(_contents(library, f"{part:032}", vectors[part : part + 50]))
    lost = set(compare_vectors(library.catalog, indexes.vectors, fingerprint).missing)
    assert lost, "the graph was to lose some"
    indexes.settle(lambda: True)
    assert set(compare_vectors(library.catalog, indexes.vectors, fingerprint).missing) == lost
    indexes.settle()
    assert compare_vectors(library.catalog, indexes.vectors, fingerprint).sound
    assert lost <= set(indexes.vectors.apart)
    library.close()
    # a new process has Chroma make the graph anew, which may not reach others
    library = fake_library(tmp_path)
    library.indexes.settle()
    assert compare_vectors(library.catalog, library.indexes.vectors, fingerprint).sound
    library.close()


def _contents(library: Library, key: str, vectors: Vectors) -> list[IndexRow]:
    """A content of the catalog with these vectors, which answers for no document."""
    texts = [f"pump {key} {number}" for number in range(len(vectors))]
    chunks = tuple(
        Chunk(f"{key}-{n}", n, 1, 0, len(text), text, "") for n, text in enumerate(texts)
    )
    task = Task("doc", "a.txt", "txt", key, 1, 0)
    recipe = f"test.{library.embedder.fingerprint}"
    parsed = Parsed((Page(1, " ".join(texts)),), "")
    put_contents(library.catalog, [Content(key, task, recipe, parsed, chunks, vectors)])
    publish(library.catalog, [(task, key)], recipe)
    return vectors_of(library.catalog, [chunk.id for chunk in chunks])


def test_what_is_kept_apart_changes_while_it_is_searched(tmp_path: Path) -> None:
    index, vectors = VectorIndex(tmp_path, "abc"), _vectors(20)
    index.keep_apart([f"c{n}" for n in range(10)], vectors[:10])
    seen = index._apart.items()
    for _ in seen:
        index.keep_apart(["more"], vectors[10:11])
        index.delete(["c1"])
    assert index.apart == sorted({"more", *(f"c{n}" for n in range(10))} - {"c1"})
    index.close()


def test_a_sample_is_about_as_many_as_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = fake_library(tmp_path)
    add_text(library, "a.txt", "\n\n".join(f"Paragraph {n} here. " * 60 for n in range(30)))
    read_all(library)
    looked: list[str] = []
    monkeypatch.setattr(VectorIndex, "missing", lambda _, ids, __: looked.extend(ids) or [])
    fingerprint = library.embedder.fingerprint
    assert compare_vectors(library.catalog, library.indexes.vectors, fingerprint, 10).sound
    assert 10 <= len(looked) < 20
    library.close()
