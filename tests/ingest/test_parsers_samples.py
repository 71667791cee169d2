"""Every sample document, the whole way from its file to its chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.chunking import Chunker
from ingest.formats import KINDS, kind_of
from ingest.sandbox import Sandbox
from tests.ingest.parsed import check

LIBRARY = Path(__file__).resolve().parents[2] / "sample_docs" / "library"
FILES = sorted(path for path in LIBRARY.rglob("*") if path.is_file())
TOKEN = re.compile(r"\w{1,5}|[^\w\s]")


def offsets(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in TOKEN.finditer(text)]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


def test_every_common_kind_is_there() -> None:
    found = {kind_of(path.name, path.read_bytes()[:4096]) for path in FILES}
    assert found >= {"pdf", "docx", "pptx", "xlsx", "csv", "html", "markdown", "text", "eml"}
    assert found <= set(KINDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_sample(path: Path, sandbox: Sandbox) -> None:
    parsed = sandbox.parse(path, path.name, kind_of(path.name, path.read_bytes()[:4096]))
    check(parsed)
    chunks = Chunker(offsets).chunks(parsed, "key")
    assert len({chunk.id for chunk in chunks}) == len(chunks) > 0
    for chunk in chunks:
        assert parsed.pages[chunk.page - 1].text[chunk.start : chunk.end] == chunk.text
        assert len(offsets(chunk.embedded_text)) <= 254
    if path.suffix == ".pdf":
        assert all(page.places for page in parsed.pages)
