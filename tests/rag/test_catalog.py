"""The catalog: ids, the queue, what answers, what is forgotten."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from sqlalchemy import create_engine, event, text

from rag.catalog import Catalog
from rag.catalog.answers import new_answer_id, read_answer, record_answer
from rag.catalog.attempts import MAX_ATTEMPTS, recover, set_back
from rag.catalog.audit import mark_lost_originals
from rag.catalog.collections import create_collection
from rag.catalog.contents import (
    Content,
    chunk_ids,
    content_key,
    dead_contents,
    delete_contents,
    publish,
    put_contents,
    unpack_vector,
)
from rag.catalog.documents import (
    Upload,
    add_upload,
    count_states,
    get_document,
    list_documents,
    remove,
    shown_title,
)
from rag.catalog.folders import drop_files, folder_key, known_files, put_files
from rag.catalog.index_rows import index_rows, rows_for_indexes, vectors_of
from rag.catalog.pages import boxes_of, read_page
from rag.catalog.passages import live_candidates, live_chunks, live_passages
from rag.catalog.queue import STARTED, Task, claim, fail, release, report
from rag.catalog.removed_bytes import kept_out
from rag.catalog.schema import metadata
from rag.catalog.stored import stored_hashes
from rag.catalog.versions import FileVersion
from rag.errors import NotFound, StorageError, UnknownCollection, UsageError
from rag.parsed import Block, Page, Parsed, Place
from rag.records import Answer, Chunk, ModelInfo, Passage

RECIPE = "p1.c1.fake"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    create_collection(catalog, "default")
    return catalog


def _upload(catalog: Catalog, name: str, digest: str, collection: str = "default") -> str:
    return add_upload(catalog, Upload(name, "text", 5, digest), collection)[0]


def _content(task: Task, text: str, recipe: str = RECIPE) -> Content:
    key = content_key(task.bytes_hash, task.kind, recipe)
    page = Page(1, text, (Block(0, len(text)),), (Place(0, 3, (0.1, 0.2, 0.3, 0.4)),))
    chunk = Chunk(f"c_{key[:24]}", 0, 1, 0, len(text), text, "Title")
    vector = np.ones((1, 4), dtype=np.float32) / 2
    return Content(key, task, recipe, Parsed((page,), "Title"), (chunk,), vector)


def _make_live(catalog: Catalog, text: str = "Ada wrote it.") -> list[str]:
    """Read whatever waits as one page with this text; returns what went live."""
    tasks = claim(catalog, 100, 10**9)
    contents = [_content(task, text) for task in tasks]
    put_contents(catalog, contents)
    done = [(task, c.key) for task, c in zip(tasks, contents, strict=True)]
    return publish(catalog, done, RECIPE)


def test_the_same_bytes_in_a_collection_give_the_id_that_is_there(catalog: Catalog) -> None:
    first = _upload(catalog, "a.txt", "h1")
    assert _upload(catalog, "b.txt", "h1") == first
    assert _upload(catalog, "c.txt", "h2") != first
    create_collection(catalog, "other")
    assert _upload(catalog, "a.txt", "h1", "other") != first


def test_an_unknown_collection_names_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(UnknownCollection, match="default"):
        _upload(catalog, "a.txt", "h1", "defualt")
    with pytest.raises(UsageError, match="cannot name a collection"):
        create_collection(catalog, "../x")


def test_a_document_answers_from_the_moment_it_is_published_until_it_is_removed(
    catalog: Catalog,
) -> None:
    name = _upload(catalog, "a.txt", "h1")
    tasks = claim(catalog, 10, 10**9)
    content = _content(tasks[0], "Ada wrote it.")
    put_contents(catalog, [content])
    wanted = [content.chunks[0].id]
    assert live_passages(catalog, wanted) == {}
    assert publish(catalog, [(tasks[0], content.key)], RECIPE) == [name]
    assert live_passages(catalog, wanted)[wanted[0]].text == "Ada wrote it."
    assert get_document(catalog, name).state == "live"
    remove(catalog, name)
    assert live_passages(catalog, wanted) == {}
    assert dead_contents(catalog) == [content.key]
    delete_contents(catalog, [content.key])
    assert list(index_rows(catalog)) == []
    with pytest.raises(NotFound):
        get_document(catalog, name)


def test_what_was_removed_while_it_was_read_stays_out(catalog: Catalog) -> None:
    name = _upload(catalog, "a.txt", "h1")
    tasks = claim(catalog, 10, 10**9)
    content = _content(tasks[0], "Ada wrote it.")
    put_contents(catalog, [content])
    remove(catalog, name)
    assert publish(catalog, [(tasks[0], content.key)], RECIPE) == []
    assert live_passages(catalog, [content.chunks[0].id]) == {}


def test_of_several_that_are_published_together_each_counts_for_itself(catalog: Catalog) -> None:
    names = [_upload(catalog, f"{n}.txt", f"h{n}") for n in range(3)]
    tasks = claim(catalog, 10, 10**9)
    contents = [_content(task, f"Ada wrote number {task.source}.") for task in tasks]
    put_contents(catalog, contents)
    remove(catalog, names[1])
    finished = [(task, content.key) for task, content in zip(tasks, contents, strict=True)]
    told = publish(catalog, [*finished, finished[0]], RECIPE)
    assert told == [names[0], names[2]]
    found = live_passages(catalog, [content.chunks[0].id for content in contents])
    assert {p.source: p.text for p in found.values()} == {
        "0.txt": "Ada wrote number 0.txt.",
        "2.txt": "Ada wrote number 2.txt.",
    }


def test_the_same_bytes_in_two_documents_are_one_content(catalog: Catalog) -> None:
    create_collection(catalog, "other")
    one, two = _upload(catalog, "a.txt", "h1"), _upload(catalog, "a.txt", "h1", "other")
    assert sorted(_make_live(catalog)) == sorted([one, two])
    ids = [row.id for rows in index_rows(catalog) for row in rows]
    assert len(ids) == 1
    remove(catalog, one)
    assert dead_contents(catalog) == []
    assert live_passages(catalog, ids)[ids[0]].document_id == two
    assert live_passages(catalog, ids, ["default"]) == {}
    assert live_chunks(catalog, ["other"], "fake")[1] == ids


def test_live_chunks_of_another_embedder_are_named_without_vectors(catalog: Catalog) -> None:
    _upload(catalog, "a.txt", "h1")
    _make_live(catalog)
    _upload(catalog, "b.txt", "h2")
    (task,) = claim(catalog, 1, 10**9)
    other = _content(task, "Bob wrote it.", "p1.c1.FAKE")
    put_contents(catalog, [other])
    publish(catalog, [(task, other.key)], other.recipe)
    every, ids, vectors = live_chunks(catalog, None, "fake", dimensions=4)
    assert sorted(every) == sorted([*ids, other.chunks[0].id])
    assert vectors.tolist() == [[0.5] * 4]
    for embedder, known in (("fake", ids), ("_ake", [])):
        found, of_embedder = live_candidates(catalog, every, embedder, 4)
        assert (sorted(found), list(of_embedder)) == (sorted(every), known)


@pytest.mark.parametrize("collections", [None, ["default"]])
def test_the_documents_of_found_chunks_are_looked_up_by_the_chunks(
    catalog: Catalog, collections: list[str] | None
) -> None:
    _upload(catalog, "a.txt", "h1")
    _make_live(catalog)
    ids = [row.id for rows in index_rows(catalog) for row in rows]
    plans: list[str] = []

    def explain(_c: object, cursor: sqlite3.Cursor, sql: str, given: object, *_: object) -> None:
        if "chunks" in sql:
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}", given))  # type: ignore[arg-type]

    event.listen(catalog._engine, "before_cursor_execute", explain)
    assert live_passages(catalog, ids * 100, collections)
    assert live_candidates(catalog, ids * 100, "fake", 4, collections)[0]
    searched = [plan for plan in plans if plan.startswith("SEARCH")]
    # by a collection, every chunk of it would be looked at
    of_chunks = [plan for plan in searched if plan.startswith("SEARCH chunks")]
    assert searched[0] == of_chunks[0]
    assert [("(id=?)" in plan) for plan in of_chunks] == [True, True]
    assert not any("documents_by_collection" in plan for plan in plans)


@pytest.mark.parametrize(
    "source",
    ["a/b.txt", "b", ".hidden", "a.b/c", "x.tar.gz", "a.", "..a", "z.zip/in/b.eml", "a..b"],
)
def test_an_untitled_document_is_called_as_its_file_is_without_the_suffix(source: str) -> None:
    assert shown_title("", source) == PurePosixPath(source).stem
    assert shown_title("Title", source) == "Title"


def test_candidates_have_the_vectors_that_one_embedder_made(catalog: Catalog) -> None:
    for number in range(4):
        _upload(catalog, f"{number}.txt", f"h{number}")
    tasks = claim(catalog, 10, 10**9)
    made = [
        replace(_content(task, task.source), vectors=np.eye(4, dtype=np.float32)[[number]])
        for number, task in enumerate(tasks)
    ]
    put_contents(catalog, made)
    publish(
        catalog, [(task, content.key) for task, content in zip(tasks, made, strict=True)], RECIPE
    )
    all_ids = [content.chunks[0].id for content in made]
    found, vectors = live_candidates(catalog, [all_ids[2], all_ids[0], "gone"], "fake", 4)
    assert sorted(found) == sorted(vectors) == sorted([all_ids[0], all_ids[2]])
    assert found == live_passages(catalog, vectors)
    for name, vector in vectors.items():
        assert vector.dtype == np.float32
        assert list(vector) == list(np.eye(4)[all_ids.index(name)])
    assert live_candidates(catalog, all_ids, "another", 4)[1] == {}
    assert live_candidates(catalog, [], "fake", 4) == ({}, {})
    with catalog.write() as connection:
        torn, waiting = {"torn": all_ids[1]}, {"waiting": all_ids[3]}
        connection.execute(text("UPDATE chunks SET vector = x'00' WHERE id = :torn"), torn)
        connection.execute(text("UPDATE chunks SET vector = x'' WHERE id = :waiting"), waiting)
    found, vectors = live_candidates(catalog, all_ids, "fake", 4)
    assert sorted(found) == sorted(all_ids)
    assert sorted(vectors) == sorted([all_ids[0], all_ids[2]])
    # one that is torn and alone has no others to tell by
    assert live_candidates(catalog, [all_ids[1]], "fake", 4)[1] == {}


def test_a_killed_worker_s_documents_are_taken_up_again_and_given_up_in_the_end(
    catalog: Catalog,
) -> None:
    name = _upload(catalog, "a.txt", "h1")
    for _ in range(MAX_ATTEMPTS):
        (task,) = claim(catalog, 10, 10**9)
        assert task.document_id == name
        report(catalog, [(task, "parsing", STARTED)])
        recover(catalog, RECIPE)
    assert claim(catalog, 10, 10**9) == []
    document = get_document(catalog, name)
    assert (document.state, document.error_code) == ("failed", "parser-stopped")


def test_only_what_was_being_parsed_is_put_down_to_a_document(catalog: Catalog) -> None:
    for number in range(3):
        _upload(catalog, f"{number}.txt", f"h{number}")
    for _ in range(MAX_ATTEMPTS + 1):
        waiting, embedding, released = claim(catalog, 10, 10**9)
        assert not any(task.attempts for task in (waiting, embedding, released))
        report(catalog, [(embedding, "parsing", STARTED)])
        report(catalog, [(embedding, "embedding", 0.5)])
        report(catalog, [(released, "parsing", STARTED)])
        release(catalog, [released])
        recover(catalog, RECIPE)


def test_what_may_have_done_harm_is_claimed_by_itself_and_last(catalog: Catalog) -> None:
    bad = _upload(catalog, "bad.txt", "h0")
    report(catalog, [(claim(catalog, 1, 10**9)[0], "parsing", STARTED)])
    recover(catalog, RECIPE)
    good = [_upload(catalog, f"{number}.txt", f"h{number}") for number in (1, 2)]
    assert [task.document_id for task in claim(catalog, 10, 10**9)] == good
    assert claim(catalog, 10, 10**9, alone=False) == []
    (task,) = claim(catalog, 10, 10**9)
    assert (task.document_id, task.attempts) == (bad, 1)


def test_what_fails_unexpectedly_is_tried_again_and_then_told(catalog: Catalog) -> None:
    name = _upload(catalog, "a.txt", "h1")
    for _ in range(MAX_ATTEMPTS):
        assert get_document(catalog, name).state == "pending"
        set_back(catalog, claim(catalog, 10, 10**9), RECIPE, "It broke.")
    assert get_document(catalog, name).error == "It broke."


def test_a_new_recipe_reads_everything_again_and_the_old_answers_meanwhile(
    catalog: Catalog,
) -> None:
    name = _upload(catalog, "a.txt", "h1")
    _make_live(catalog)
    recover(catalog, RECIPE)
    assert get_document(catalog, name).state == "live"
    recover(catalog, "p2.c1.fake")
    document = get_document(catalog, name)
    assert (document.state, document.searchable) == ("pending", True)


def test_a_failure_keeps_its_reason_and_an_upload_of_the_bytes_tries_again(
    catalog: Catalog,
) -> None:
    name = _upload(catalog, "a.txt", "h1")
    (task,) = claim(catalog, 10, 10**9)
    fail(catalog, task, RECIPE, "corrupt-document", "It is damaged.")
    assert get_document(catalog, name).error == "It is damaged."
    assert _upload(catalog, "a.txt", "h1") == name
    assert get_document(catalog, name).state == "pending"


def test_claims_stay_below_the_byte_limit_but_take_one(catalog: Catalog) -> None:
    for number in range(4):
        add_upload(catalog, Upload("a.txt", "text", 60, f"h{number}"), "default")
    assert len(claim(catalog, 10, 130)) == 2
    assert len(claim(catalog, 10, 1)) == 1


def test_pages_keep_text_blocks_and_places(catalog: Catalog) -> None:
    name = _upload(catalog, "a.txt", "h1")
    _make_live(catalog, "Ada wrote it.")
    page = read_page(catalog, name, 1)
    assert (page.text, page.blocks) == ("Ada wrote it.", (Block(0, 13),))
    (box,) = boxes_of(page, 1, 2)
    assert box == pytest.approx((0.1, 0.2, 0.3, 0.4), abs=1e-4)
    assert boxes_of(page, 3, 13) == ()
    with pytest.raises(NotFound):
        read_page(catalog, name, 2)


def test_boxes_of_a_line_are_one() -> None:
    places = (
        Place(0, 2, (0.1, 0.1, 0.2, 0.12)),
        Place(3, 5, (0.21, 0.1, 0.3, 0.12)),
        Place(6, 8, (0.1, 0.14, 0.2, 0.16)),
    )
    page = Page(1, "ab cd ef", places=places)
    assert boxes_of(page, 0, 8) == ((0.1, 0.1, 0.3, 0.12), (0.1, 0.14, 0.2, 0.16))


def test_vectors_survive_their_packing(catalog: Catalog) -> None:
    _upload(catalog, "a.txt", "h1")
    _make_live(catalog)
    (rows,) = index_rows(catalog)
    assert rows[0].vector.tolist() == [0.5, 0.5, 0.5, 0.5]
    assert unpack_vector(b"\x00\x38").tolist() == [0.5]


def test_listing_goes_on_after_its_last(catalog: Catalog) -> None:
    for number in range(5):
        _upload(catalog, f"{number}.txt", f"h{number}")
    first = list_documents(catalog, 3)
    rest = list_documents(catalog, 3, (first[-1].source, first[-1].id))
    assert [d.source for d in first + rest] == [f"{n}.txt" for n in range(5)]


def test_an_answer_goes_with_the_document_that_it_quotes(catalog: Catalog) -> None:
    name = _upload(catalog, "a.txt", "h1")
    _make_live(catalog)
    ((row,),) = index_rows(catalog)
    passage = Passage(row.id, name, "t", "a.txt", 1, 0, 3, "Ada", 1.0)
    answer = Answer(
        new_answer_id(), "q", "q", (), "Ada [1]", None, False, 1.0, 1.0, (), (), (passage,),
        ModelInfo("m", "r", "cpu"), "1",
    )  # fmt: skip
    assert record_answer(catalog, answer)
    assert read_answer(catalog, answer.id)["text"] == "Ada [1]"
    remove(catalog, name)
    with pytest.raises(NotFound):
        read_answer(catalog, answer.id)
    assert not record_answer(catalog, answer)


def test_many_documents_take_no_more_values_in_a_statement_than_sqlite_allows(
    catalog: Catalog,
) -> None:
    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 600)

    event.listen(catalog._engine, "checkout", limit)
    files = [FileVersion(None, f"{n:03}.txt", "text", f"h{n}", 5) for n in range(700)]
    folder = folder_key(catalog, "/documents", "default")
    put_files(catalog, folder, "default", files)
    names = [file.document_id for file in known_files(catalog, folder).values()]
    tasks = [task for _ in range(7) for task in claim(catalog, 100, 10**9)]
    contents = [_content(task, "Ada wrote it.") for task in tasks]
    put_contents(catalog, contents)
    put_contents(catalog, contents)  # what is there already is taken out first
    keys = [content.key for content in contents]
    done = list(zip(tasks, keys, strict=True))
    assert sorted(publish(catalog, done, RECIPE)) == sorted(names)
    ids = chunk_ids(catalog, keys)
    assert len({row.id for row in vectors_of(catalog, ids)}) == 700
    hashes = [task.bytes_hash for task in tasks]
    mark_lost_originals(catalog, hashes)
    assert {d.error_code for d in list_documents(catalog, 1000)} == {"original-lost"}
    mark_lost_originals(catalog, ["h7"])
    assert [d.source for d in list_documents(catalog, 1000) if d.error] == ["007.txt"]
    recover(catalog, "p2.c1.fake")
    assert count_states(catalog) == {"pending": 700}
    drop_files(catalog, names)
    assert sorted(dead_contents(catalog)) == sorted(keys)
    delete_contents(catalog, keys)
    assert (dead_contents(catalog), chunk_ids(catalog, keys)) == ([], [])


def test_a_file_that_is_no_catalog_is_told(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageError):
        Catalog(path)


def test_a_catalog_of_the_version_before_keeps_its_documents(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    _at_revision(path, "0002")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO collections VALUES (1, 'default', 'then')")
        connection.execute("INSERT INTO folders VALUES (1, 1, '/srv')")
        connection.executemany(
            "INSERT INTO documents (id, collection_id, folder_id, source, kind, bytes_hash, size, "
            "stat_key, state, recipe, attempts, progress, created_at, updated_at, queued_at) "
            "VALUES (?, 1, ?, ?, 'text', 'h', 1, 'k', 'pending', '', 0, 0, 'then', 'then', 0)",
            [("doc_a", 1, "a.txt"), ("doc_b", None, "a.txt"), ("doc_c", None, "a.txt")],
        )
    connection.close()
    catalog = Catalog(path)
    shown = [(d.id, d.source, d.parent) for d in list_documents(catalog)]
    assert shown == [(f"doc_{n}", "a.txt", None) for n in "abc"]
    assert catalog.damage() == []
    with pytest.raises(StorageError, match="UNIQUE"), catalog.write() as connection:
        connection.execute(text("UPDATE documents SET folder_id = 1"))
    catalog.close()


def test_mails_of_a_catalog_from_before_are_dated_by_their_text(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    _at_revision(path, "0009")
    sent = "Date: Mon, 01 Jan 2024 00:30:00 +0200"
    many = ", ".join(f"person{n}@example.com" for n in range(2000))
    texts = {
        "sent": ("eml", "Tea", f"Tea\n\nFrom: a\n{sent}\n\nHot."),
        "many": ("eml", "Tea", f"Tea\n\nFrom: a\nTo: {many}\n{sent}\n\nHot."),
        "odd subject": ("eml", "Date: 1 May 2020 10:00", f"Date: 1 May 2020 10:00\n\n{sent}"),
        "outlook": ("msg", "", "From: a\nDate: Wed, 20 May 2026 10:30:00 +0000\n\nHot."),
        "in the text": ("eml", "Tea", f"Tea\n\nFrom: a\n\n{sent}"),
        "no subject": ("eml", "", f"From: a\n\n{sent}"),
        "no day": ("eml", "", "Date: soon\n\nHot."),
        "to come": ("eml", "", "Date: Mon, 01 Jan 2200 00:30:00 +0200\n\nHot."),
        "nothing": ("eml", "", ""),
        "note": ("text", "", sent),
    }
    with sqlite3.connect(path) as connection:
        for key, (kind, title, shown) in texts.items():
            connection.execute(
                "INSERT INTO contents (key, bytes_hash, kind, recipe, title, page_count, "
                "chunk_count, indexed, created_at) VALUES (?, 'h', ?, 'r', ?, 1, 0, 1, 'then')",
                (key, kind, title),
            )
            connection.execute(
                "INSERT INTO pages (content_key, number, label, text, width, height, blocks, "
                "places) VALUES (?, 1, '', ?, 0, 0, '[]', x'')",
                (key, shown),
            )
    connection.close()
    catalog = Catalog(path)
    with catalog.read() as opened:
        days = dict(opened.execute(text("SELECT key, dated FROM contents")).all())
    catalog.close()
    then = "2023-12-31T22:30:00Z"
    told = {"sent": then, "many": then, "odd subject": then, "outlook": "2026-05-20T10:30:00Z"}
    assert days == dict.fromkeys(texts, "") | told


def test_what_came_in_a_mail_of_a_catalog_from_before_is_dated_with_it(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    _at_revision(path, "0010")
    above = {"mail": None, "zip": "mail", "deep": "zip", "old": "mail", "of old": "old"}
    above |= {"other zip": None, "in it": "other zip"}
    dates = {"mail": "2024-02-05T10:00:00Z", "old": "2018-01-01T10:00:00Z"}
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO collections VALUES (1, 'default', 'then', '{}', '')")
        # the innermost first: each takes its day from what is above it, in whatever order they lie
        for name in reversed(above):
            connection.execute(
                "INSERT INTO contents (key, bytes_hash, kind, recipe, title, page_count, "
                "chunk_count, indexed, created_at, dated) VALUES (?, 'h', 'k', 'r', '', 1, 0, 1, "
                "'then', ?)",
                (name, dates.get(name, "")),
            )
            connection.execute(
                "INSERT INTO documents (id, collection_id, parent_id, source, kind, bytes_hash, "
                "size, stat_key, content_key, state, recipe, attempts, progress, created_at, "
                "updated_at, queued_at) VALUES (?, 1, ?, ?, 'k', 'h', 1, '', ?, 'live', '', 0, 0, "
                "'then', 'then', 0)",
                (name, above[name], name, None if name == "zip" else name),
            )
    connection.close()
    catalog = Catalog(path)
    with catalog.read() as opened:
        sent = dict(opened.execute(text("SELECT id, sent FROM documents")).all())
    catalog.close()
    told = dict.fromkeys(("zip", "deep", "old"), dates["mail"]) | {"of old": dates["old"]}
    assert sent == dict.fromkeys(above, "") | told


def test_the_hashes_of_a_catalog_from_before_are_known(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    _at_revision(path, "0011")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO collections VALUES (1, 'default', 'then', '{}', '')")
        connection.execute(
            "INSERT INTO contents (key, bytes_hash, kind, recipe, title, page_count, chunk_count, "
            "indexed, created_at) VALUES ('c', 'of the content', 'zip', 'r', '', 1, 0, 1, 'then')"
        )
        connection.executemany(
            "INSERT INTO members (content_key, ordinal, name, kind, bytes_hash, size) "
            "VALUES ('c', ?, 'a', 'text', ?, 1)",
            [(0, "of the member"), (1, "")],
        )
        connection.executemany(
            "INSERT INTO documents (id, collection_id, source, kind, bytes_hash, size, stat_key, "
            "state, recipe, attempts, progress, created_at, updated_at, queued_at) VALUES "
            "(?, 1, 'a', 'zip', ?, 1, '', ?, '', 0, 0, 'then', 'then', 0)",
            [("d", "live", "live"), ("r", "removed", "removed"), ("s", "removed", "removed")],
        )
        # the innermost first, as in whatever order they lie
        for name, above, key in (("z", "y", ""), ("y", "x", ""), ("x", None, "1:23:4:5")):
            connection.execute(
                "INSERT INTO documents (id, collection_id, parent_id, source, kind, bytes_hash, "
                "size, stat_key, state, recipe, attempts, progress, created_at, updated_at, "
                "queued_at) VALUES (?, 1, ?, 'a', 'zip', 'live', 1, ?, 'live', '', 0, 0, 'then', "
                "'then', 0)",
                (name, above, key),
            )
    connection.close()
    catalog = Catalog(path)
    assert stored_hashes(catalog) == {"of the content", "of the member", "live", "removed"}
    with catalog.read() as opened:
        assert kept_out(opened, 1, ["live", "removed", "of the member"]) == {"removed"}
        keys = dict(opened.execute(text("SELECT id, stat_key FROM documents")).all())
        assert (keys["d"], keys["x"], keys["y"], keys["z"]) == ("", "1:23:4:5", *["within:23"] * 2)
    catalog.close()


def test_the_migrations_make_the_tables_that_the_code_knows(catalog: Catalog) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with catalog.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def _at_revision(path: Path, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    from rag.catalog import engine

    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    made = create_engine(f"sqlite:///{path}")
    with made.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    made.dispose()


def test_a_write_that_need_not_last_waits_for_no_disk_and_the_next_one_does(
    catalog: Catalog,
) -> None:
    seen = []
    for lasting in (True, False, True, False):
        with catalog.write(lasting) as connection:
            seen.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
    assert seen == [2, 1, 2, 1]  # FULL is 2, NORMAL is 1


def test_a_large_document_goes_into_the_indexes_in_parts() -> None:
    count = 4500
    chunk = Chunk("c", 0, 1, 0, 4, "text")
    vectors = np.arange(count, dtype=np.float32)[:, None]
    task = Task("d", "s", "text", "h", 1, 0)
    large = Content("k", task, RECIPE, Parsed(()), (chunk,) * count, vectors)
    small = Content("l", task, RECIPE, Parsed(()), (chunk,), vectors[:1])
    parts = list(rows_for_indexes([large, small]))
    assert [len(part) for part in parts] == [2000, 2000, 501]
    assert [row.vector[0] for part in parts for row in part] == [*range(count), 0]
