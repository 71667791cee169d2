"""What is to be read again goes on answering until it is, whatever happens to the indexes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, true

from rag.catalog.audit import read_again
from rag.catalog.documents import list_documents
from rag.catalog.failures import try_again
from rag.catalog.schema import contents
from rag.library import Library
from rag.originals import original_path
from rag.testing import fake_library
from tests.ingest.packing import mail
from tests.ingest.reading import add_text, read_all


def _by_retry(library: Library) -> None:
    with library.catalog.write() as connection:
        assert try_again(connection, true()) == 1


def _by_repair(library: Library) -> None:
    with library.catalog.read() as connection:
        keys = list(connection.execute(select(contents.c.key)).scalars())
    read_again(library.catalog, keys)


@pytest.mark.parametrize("queue", [_by_retry, _by_repair])
def test_it_stays_in_the_indexes_until_then(
    tmp_path: Path, queue: Callable[[Library], None]
) -> None:
    library = fake_library(tmp_path)
    add_text(library, "a.eml", mail("Apes", "About apes.", {"b.txt": "Owls. " * 100}).as_bytes())
    library.close()
    library = fake_library(tmp_path, ingest_max_bytes=500)  # too little for what is attached
    read_all(library)
    queue(library)
    assert [d.state for d in list_documents(library.catalog)] == ["pending"]
    library.close()

    library = fake_library(tmp_path)
    assert [p.source for p in library.search("apes")] == ["a.eml"]
    library.indexes.renew()
    assert [p.source for p in library.search("apes")] == ["a.eml"]
    read_all(library)
    assert {p.source for p in library.search("apes owls")} == {"a.eml", "a.eml/b.txt"}
    library.close()


def test_it_stays_in_the_indexes_where_it_cannot_be_read_again(tmp_path: Path) -> None:
    library = fake_library(tmp_path)
    add_text(library, "a.txt", "About apes.")
    read_all(library)
    (document,) = list_documents(library.catalog)
    _by_repair(library)
    with library.catalog.read() as connection:
        bytes_hash = connection.execute(select(contents.c.bytes_hash)).scalar_one()
    original_path(library.settings, bytes_hash).unlink()
    read_all(library)
    library.close()

    library = fake_library(tmp_path)
    (after,) = list_documents(library.catalog)
    assert (after.id, after.state, after.searchable) == (document.id, "failed", True)
    assert [p.source for p in library.search("apes")] == ["a.txt"]
    library.close()
