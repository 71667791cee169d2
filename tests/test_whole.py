"""The main job with the real models, as a user has it: from files to cited answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.worker import Worker
from rag.catalog.documents import list_documents
from rag.catalog.pages import read_page
from rag.library import Library
from rag.records import Question
from rag.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_docs" / "library"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, models_path: Path) -> Path:
    """A data directory into which part of the sample documents was synced by the command."""
    base = tmp_path_factory.mktemp("whole")
    shutil.copytree(SAMPLES / "hr", base / "folder" / "hr")
    shutil.copytree(SAMPLES / "it", base / "folder" / "it")
    done = _cloister(base / "home", models_path, "ingest", "sync", str(base / "folder"), "--json")
    assert done["failed"] == 0, done
    assert done["new"] == sum(1 for p in (base / "folder").rglob("*") if p.is_file())
    return base / "home"


def _cloister(home: Path, models: Path, *words: str, code: int = 0) -> Any:
    environment = os.environ | {"CLOISTER_HOME": str(home), "CLOISTER_MODELS": str(models)}
    done = subprocess.run(
        [sys.executable, "-m", "rag.cli", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == code, done.stderr[-3000:]
    (line,) = done.stdout.splitlines()
    return json.loads(line)


@pytest.fixture(scope="module")
def library(home: Path, models_path: Path) -> Any:
    library = Library(Settings(home=home, models=models_path))
    library.load()
    yield library
    library.close()


def _ask(library: Library, text: str) -> Any:
    return list(library.ask(Question(text)))[-1].data


def test_a_second_sync_changes_nothing(home: Path, models_path: Path) -> None:
    folder = home.parent / "folder"
    done = _cloister(home, models_path, "ingest", "sync", str(folder), "--json")
    assert (done["new"], done["changed"], done["removed"]) == (0, 0, 0)
    assert done["unchanged"] > 5


def test_every_citation_of_an_answer_is_exact(library: Library) -> None:
    answer = _ask(library, "What do I get per kilometre for my own car on a business trip?")
    assert not answer["abstained"]
    assert answer["citations"]
    for citation in answer["citations"]:
        page = read_page(library.catalog, citation["document_id"], citation["page"])
        assert page.text[citation["start"] : citation["end"]] == citation["quote"]
    assert any("0.42" in citation["quote"] for citation in answer["citations"])


def test_a_citation_in_a_pdf_has_boxes_on_its_page(library: Library) -> None:
    answer = _ask(library, "How much may a hotel night in Oslo cost?")
    boxes = [box for citation in answer["citations"] for box in citation["boxes"]]
    assert boxes
    assert all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in boxes)


def test_what_the_documents_do_not_say_is_not_invented(library: Library) -> None:
    answer = _ask(library, "What is the CEO's salary?")
    assert answer["abstained"]
    assert answer["text"] == "The documents do not say."
    assert answer["citations"] == []


def test_every_chunk_is_whole_in_the_embedder_s_eyes(library: Library) -> None:
    """No chunk is longer than the 256 word pieces that the embedder reads."""
    ids = [name for batch in library.indexes.vectors.ids() for name in batch]
    from rag.catalog.index_rows import vectors_of

    rows = vectors_of(library.catalog, ids)
    assert len(rows) == len(ids) > 100
    texts = [f"{row.context}\n{row.text}" if row.context else row.text for row in rows]
    assert max(len(library.embedder.offsets(text)) for text in texts) <= 254


def test_each_chunk_is_found_by_its_own_vector(library: Library) -> None:
    from rag.catalog.index_rows import index_rows

    for rows in index_rows(library.catalog):
        ids = [row.id for row in rows]
        import numpy as np

        assert library.indexes.vectors.missing(ids, np.stack([r.vector for r in rows])) == []
        assert set(ids) <= set(library.indexes.words.ids())


def test_a_vanished_file_is_gone_from_the_answers(
    library: Library, home: Path, models_path: Path
) -> None:
    from ingest.sync import register
    from rag.catalog.folders import folder_key

    folder = home.parent / "folder"
    question = "What is the limit for a hotel night in Oslo?"
    sources = {c["source"] for c in _ask(library, question)["citations"]}
    assert sources
    for source in sources:
        (folder / source).unlink()
    key = folder_key(library.catalog, str(folder.resolve()), "default")
    register(library.settings, library.catalog, folder, key, "default")
    answer = _ask(library, question)
    assert not sources & {c["source"] for c in answer["citations"]}
    assert not sources & {p["source"] for p in answer["passages"]}
    Worker(library).drain()
    assert not sources & {d.source for d in list_documents(library.catalog)}


def test_an_answer_s_stream_ends_with_the_whole_record(library: Library) -> None:
    events = list(library.ask(Question("What do I get per kilometre for my own car?")))
    assert events[0].name == "sources"
    assert events[-1].name == "done"
    assert any(event.name == "sentence" for event in events)
