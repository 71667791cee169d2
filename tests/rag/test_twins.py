"""Copies and versions of a text among what a question found."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.sync import register
from rag.catalog.documents import remove
from rag.catalog.folders import folder_key
from rag.library import Library
from rag.records import Passage
from rag.testing import fake_library
from rag.twins import SIMILAR, _words, distinct, with_similar
from tests.ingest.reading import add_text, read_all

OLD = "The hotel limit is 120 euros per night including breakfast. In Oslo and Zurich it is 165."
NEW = "The hotel limit is 145 euros per night including breakfast. In Oslo and Zurich it is 180."
OTHER = "Tea and coffee are free in all kitchens, and the machine is cleaned on Friday by the last."


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = fake_library(tmp_path / "home")
    yield library
    library.close()


def passage(text: str, source: str, dated: str = "") -> Passage:
    return Passage(source, source, "", source, 1, 5, 5 + len(text), text, 1.0, dated=dated)


def test_a_version_is_told_by_the_year_in_its_name_before_the_date_of_its_file() -> None:
    old = passage(OLD, "policy 2024.docx", dated="2026-01-01")
    new = passage(NEW, "policy 2025.pdf", dated="2025-03-01")
    found = with_similar([old, new], [old, new, passage(OTHER, "policy 2023.pdf")])
    assert [[(t.source, t.relation, t.age) for t in p.twins] for p in found] == [
        [("policy 2025.pdf", "similar", "newer")],
        [("policy 2024.docx", "similar", "older")],
    ]
    assert (found[0].twins[0].start, found[0].twins[0].end) == (5, 5 + len(NEW))


@pytest.mark.parametrize(
    ("dates", "age"),
    [
        (("2025-03-01", "2025-03-02"), "newer"),
        (("2025-03-02", "2025-03-01"), "older"),
        (("2025-03-01", "2025-03-01"), None),
        (("", "2025-03-01"), None),
    ],
)
def test_without_years_the_date_of_the_file_tells(dates: tuple[str, str], age: str | None) -> None:
    mine, other = (
        passage(t, n, d) for t, n, d in zip((OLD, NEW), ("a.txt", "b.txt"), dates, strict=True)
    )
    assert [twin.age for twin in with_similar([mine], [other])[0].twins] == [age]


def test_other_texts_short_texts_and_the_same_document_are_no_twins() -> None:
    short = "Travel Policy"
    same = Passage("c2", "a.txt", "", "a.txt", 2, 0, len(NEW), NEW, 1.0)
    others = [passage(OTHER, "b.txt"), passage(short, "c.txt"), same]
    found = with_similar([passage(OLD, "a.txt"), passage(short, "d.txt")], others)
    assert [p.twins for p in found] == [(), ()]


def test_a_passage_that_is_like_no_other_is_given_back_as_it_is() -> None:
    alone, other = passage(OLD, "a.txt"), passage(OTHER, "b.txt")
    assert with_similar([alone], [alone, other])[0] is alone


def test_loosely_alike_is_a_version_only_under_the_same_name() -> None:
    loose = (
        "The hotel limit is now 145 euros. Breakfast is paid apart, in Oslo and Zurich it is 180."
    )
    named = with_similar([passage(OLD, "policy_2024.txt")], [passage(loose, "policy_2025.txt")])
    apart = with_similar([passage(OLD, "policy_2024.txt")], [passage(loose, "minutes_2025.txt")])
    assert [len(p.twins) for p in (*named, *apart)] == [1, 0]


def test_the_same_words_are_one_passage_that_names_the_others() -> None:
    spaced = OLD.replace(" ", "\n")
    found = distinct([passage(OLD, "a.txt"), passage(OTHER, "b.txt"), passage(spaced, "c.txt")])
    assert [p.source for p in found] == ["a.txt", "b.txt"]
    assert [(t.source, t.relation) for t in found[0].twins] == [("c.txt", "same")]


def test_one_files_bytes_in_three_places_are_one_passage_with_all_places(
    library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(OLD)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    key = folder_key(library.catalog, str(folder), "default")
    register(library.settings, library.catalog, folder, key, "default")
    add_text(library, "up.txt", OLD)
    read_all(library)
    found = library.search("hotel limit", limit=5)
    assert len(found) == 1
    assert {found[0].source, *(twin.source for twin in found[0].twins)} == {
        "a.txt",
        "b.txt",
        "up.txt",
    }
    assert found[0].dated == "2023-11-14"  # though a file this fresh may change again
    time.sleep(2.1)
    register(library.settings, library.catalog, folder, key, "default")
    assert library.search("hotel limit")[0].dated == "2023-11-14"


def test_a_removed_document_is_nobodys_twin_from_then_on(library: Library) -> None:
    first = add_text(library, "policy_2024.txt", OLD)
    second = add_text(library, "policy_2025.txt", NEW)
    read_all(library)
    before = {p.document_id: [t.document_id for t in p.twins] for p in library.search("hotel")}
    assert before == {first: [second], second: [first]}
    remove(library.catalog, second)
    assert [(p.document_id, p.twins) for p in library.search("hotel")] == [(first, ())]


def test_those_that_are_looked_at_closely_are_all_that_can_be_similar() -> None:
    chance = random.Random(4)
    words = [f"w{n}" for n in range(40)]
    first = [chance.choices(words, k=40) for _ in range(6)]
    found = []
    for number in range(60):
        base, cut = chance.choice(first), chance.randrange(40)
        text = " ".join([*base[:cut], *chance.choices(words[:10], k=40 - cut)])
        found.append(passage(text, f"{'abcdefghij'[number // 10]}{'abcdefghij'[number % 10]}.txt"))
    pairs = {p.source: set(pairwise(p.text.split())) for p in found}
    several = 0
    for one in with_similar(found[:10], found):
        mine = pairs[one.source]
        shares = {n: len(mine & its) / len(mine | its) for n, its in pairs.items()}
        expected = {n for n, share in shares.items() if share >= SIMILAR and n != one.source}
        assert {twin.source for twin in one.twins} == expected
        several += len(expected)
    assert several > 10


def test_the_words_of_plain_text_are_those_of_any_text() -> None:
    chance = random.Random(5)
    for _ in range(300):
        text = "".join(chance.choices([chr(at) for at in range(128)], k=60))
        assert _words(text) == re.findall(r"\w+", text.casefold())
    assert _words("STRASSE, Straße_1 — naïve") == ["strasse", "strasse_1", "naïve"]


def test_texts_that_begin_alike_are_the_same_only_where_all_of_them_is() -> None:
    begin = "one two three four five six seven eight"
    texts = [begin, f"{begin} nine", f"{begin}\nnine ", f" {begin}", f"{begin} ten", "one two", ""]
    found = distinct([passage(text, f"{number}.txt") for number, text in enumerate(texts)])
    twins = {p.source: [t.source for t in p.twins] for p in found}
    assert twins == {"0.txt": ["3.txt"], "1.txt": ["2.txt"], "4.txt": [], "5.txt": [], "6.txt": []}
