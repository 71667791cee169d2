"""The held-out organisations as documents and questions: nothing lost, nothing that misleads."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.parsers.markdown import parse
from rag.catalog.collections import create_collection
from rag.evaluation.metrics import plain
from rag.evaluation.questions import Item, read_questions
from rag.library import open_catalog
from rag.reading.examples import OWN
from rag.reading.gather import own_libraries_of
from rag.reading.organisations import (
    ELSEWHERE,
    QUESTIONS,
    as_markdown,
    main,
    plain_name,
    write_organisations,
)
from rag.testing import fake_settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organisations")
    write_organisations(folder)
    return folder


@pytest.fixture(scope="module")
def items(folder: Path) -> list[Item]:
    return read_questions(folder / QUESTIONS)


def test_each_organisation_is_a_folder_that_may_be_a_collection(
    folder: Path, tmp_path: Path
) -> None:
    places = sorted(path.name for path in folder.iterdir() if path.is_dir())
    libraries = own_libraries_of(held_out=True)
    assert len(places) == len(libraries) == 23
    catalog = open_catalog(fake_settings(tmp_path))
    for place in places:
        create_collection(catalog, place)
    catalog.close()
    assert plain_name("Domaine de la Chaussenière") in places


def test_every_text_is_read_back_with_its_title_and_headings(folder: Path) -> None:
    for library in own_libraries_of(held_out=True):
        place = folder / plain_name(library[0]["library"])
        parsed = {file.name: parse(file, file.name) for file in place.iterdir()}
        for text in library:
            title, *headings = text["title"].split("\n")[0].split(" > ")
            (found,) = [one for one in parsed.values() if one.title == title]
            page = found.pages[0]
            blocks = [page.text[block.start : block.end] for block in page.blocks]
            named = [block.lstrip("# ") for block in blocks]
            for heading in headings:
                assert heading in named
            # what is in no block would be in no passage
            kept = plain(" ".join(blocks))
            for line in text["context"].split("\n"):
                if any(map(str.isalnum, line)):
                    assert plain(line) in kept


def test_what_stands_below_a_title_alone_is_below_no_heading() -> None:
    texts = [
        {"title": "Rules > A > 1", "context": "one"},
        {"title": "Rules", "context": "all"},
        {"title": "Rules > A > 2", "context": "two"},
        {"title": "Rules > B", "context": "three"},
        {"title": "Rules > B", "context": "four"},
    ]
    assert as_markdown(texts).split("\n\n") == (
        "# Rules\n\nall\n\n## A\n\n### 1\n\none\n\n### 2\n\ntwo\n\n## B\n\nthree\n\n## B\n\nfour\n"
    ).split("\n\n")


@pytest.mark.parametrize(
    ("title", "context", "body"),
    [
        (
            "Fees",
            "In euros\nWho | Fee | Due\nAdult | 13 | May\nPassive | 6 |\nPaid by bill.",
            "In euros\n\n| Who | Fee | Due |\n| --- | --- | --- |\n| Adult | 13 | May |\n"
            "| Passive | 6 | |\n\nPaid by bill.",
        ),
        (
            "Fees\nWho | Fee",
            "Adult | 13\nChild | 6",
            "| Who | Fee |\n| --- | --- |\n| Adult | 13 |\n| Child | 6 |",
        ),
        (
            "Fees\nWho | Fee",
            "| Who | Fee |\n|---|---:|\n| Adult | 13 |",
            "| Who | Fee |\n| --- | --- |\n| Adult | 13 |",
        ),
        ("Fees\nWho Fee", "Adult 13\nChild 6", "Who Fee\nAdult 13\nChild 6"),
        ("Fees", "Call 12 | ask for Ann\nBye", "Call 12 | ask for Ann\n\nBye"),
        ("Fees", "Due: May | Rise: no\nBy: Ann | At: 2", "Due: May | Rise: no\nBy: Ann | At: 2"),
        ("Fees", "a | b\nc | d | e\nf | g\n", "a | b\nc | d | e\nf | g"),
    ],
    ids=["table", "header in the title", "Markdown already", "no bars", "a line", "two", "uneven"],
)
def test_a_table_is_one_in_markdown(title: str, context: str, body: str) -> None:
    assert as_markdown([{"title": title, "context": context}]) == f"# Fees\n\n{body}\n"


def test_a_tables_rows_are_told_its_header(folder: Path) -> None:
    file = folder / "tsv-aldermoor" / "membership-fees.md"
    page = parse(file, file.name).pages[0]
    rows = [block for block in page.blocks if block.kind == "row" and block.context]
    assert len(rows) == 5 + 6
    header = "Group | Basic fee/month | Football | Swimming | Gymnastics | Judo"
    assert {block.context for block in rows} == {header}


def test_questions_are_of_a_text_of_their_collection(folder: Path, items: list[Item]) -> None:
    by_name = {plain_name(one[0]["library"]): one for one in own_libraries_of(held_out=True)}
    assert {item.split for item in items} == {"dev"}
    assert len({item.id for item in items}) == len(items)
    for item in items:
        assert item.collection is not None
        texts = by_name[item.collection]
        if not item.answerable:
            assert item.answers == item.evidence == ()
            assert any(item.question in text["un"] for text in texts)
            continue
        (gold,) = item.evidence
        assert (gold.page, gold.quote) == (None, "")
        document = (folder / item.collection / gold.source).read_text("utf-8")
        assert plain(item.answers[0]) in plain(document)
        assert any(
            pair["q"] == item.question and pair["a"].strip() == item.answers[0]
            for text in texts
            for pair in text["qa"]
        )
    answerable = [item for item in items if item.answerable]
    assert len(answerable) == 3 * sum(map(len, by_name.values()))


def test_what_another_text_answers_is_no_question_without_an_answer(items: list[Item]) -> None:
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in (OWN / ELSEWHERE).read_text("utf-8").splitlines()
    ]
    by_library = {one[0]["library"]: one for one in own_libraries_of(held_out=True)}
    asked = {(item.collection, item.question) for item in items if not item.answerable}
    for row in rows:
        texts = by_library[row["library"]]
        homes = [text["title"] for text in texts if row["question"] in text["un"]]
        titles = [text["title"].split("\n")[0] for text in texts]
        assert homes
        assert row["by"] in titles
        assert row["by"] not in [home.split("\n")[0] for home in homes]
        assert (plain_name(row["library"]), row["question"]) not in asked
    # all that was drawn, but those
    assert len(asked) == 3 * sum(map(len, by_library.values())) - len(rows)


def test_the_command_prints_what_takes_them_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ingest.cli import ingest

    out = tmp_path / "a folder"
    monkeypatch.setattr(sys, "argv", ["organisations", "--out", str(out)])
    main()
    told = capsys.readouterr()
    assert str(out / QUESTIONS) in told.err
    commands = [shlex.split(line) for line in told.out.splitlines()]
    assert len(commands) == 23
    assert {tuple(words[:3]) for words in commands} == {("cloister", "ingest", "sync")}
    command = ingest.commands["sync"]
    for words in commands:
        given = command.make_context("sync", words[3:]).params
        assert given["folder"].is_dir()
        assert given["collection"] == given["folder"].name
        assert given["create_collection"]
    # the same each time
    again = tmp_path / "again"
    write_organisations(again)
    assert (again / QUESTIONS).read_bytes() == (out / QUESTIONS).read_bytes()
