"""The language of a document, in twenty-four of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.languages import language_of
from rag.catalog.documents import get_document
from rag.library import Library
from rag.parsed import Page, Parsed
from rag.testing import fake_library
from tests.ingest.reading import add_text, read_all

TEXTS: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("languages.json").read_text("utf-8")
)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = fake_library(tmp_path / "home")
    yield library
    library.close()


def parsed(*texts: str) -> Parsed:
    return Parsed(tuple(Page(number, text) for number, text in enumerate(texts, 1)))


@pytest.mark.parametrize("length", TEXTS)
@pytest.mark.parametrize("language", TEXTS["lines"])
def test_each_language(language: str, length: str) -> None:
    assert language_of(parsed(TEXTS[length][language]), "text") == language


def test_the_language_of_most_of_the_text() -> None:
    german, english = TEXTS["passages"]["de"], TEXTS["lines"]["en"]
    assert language_of(parsed(english, "", *[german] * 40), "pdf") == "de"
    assert language_of(parsed(f"{english} {german * 40}"), "text") == "de"


@pytest.mark.parametrize(
    "text",
    ["", "12 | 34 | 5.6", "Order 4711", "KP-1 | 0.3 | 2025-02-01 | KP-2 | 2,480.00 | QX-77-Z"],
)
def test_what_has_no_language(text: str) -> None:
    assert language_of(parsed(text), "csv") is None
    assert language_of(parsed(), "csv") is None


def test_source_code_has_none() -> None:
    assert language_of(parsed(TEXTS["passages"]["en"]), "code") is None


def test_it_is_noted_with_the_document(library: Library) -> None:
    german = add_text(library, "urlaub.txt", TEXTS["passages"]["de"])
    numbers = add_text(library, "numbers.csv", "1;2\n3;4\n")
    assert get_document(library.catalog, german).language is None
    read_all(library)
    assert get_document(library.catalog, german).language == "de"
    assert get_document(library.catalog, numbers).language is None
