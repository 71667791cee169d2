"""Documents by REST and by form: in, listed, looked at, out."""

from __future__ import annotations

import gc
import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ingest.formats import KINDS
from rag.catalog.documents import get_document
from rag.catalog.queue import claim, fail
from rag.catalog.stale import mark_stale
from rag.errors import NotFound
from rag.originals import store_original
from rag.parsed import Member, Page, Place
from tests.ingest.packing import zipped
from tests.web.fakes import QUOTE, TEXT, FakeLibrary, FakeWorker, go_live, make_pdf, page_of
from web.originals import _TEXT_KINDS
from web.page_image import draw_in_child
from web.served import served_by


def upload(client: FlaskClient, *files: tuple[bytes, str], **form: str) -> TestResponse:
    data: dict[str, Any] = {"files": [(io.BytesIO(b), name) for b, name in files], **form}
    return client.post("/api/v1/documents", data=data)


def test_files_are_taken_in_and_the_worker_is_told(
    app: Flask, client: FlaskClient, library: FakeLibrary
) -> None:
    worker = served_by(app).worker = FakeWorker(library)
    reply = upload(client, (b"Some text.", "a.txt"), (b"More text.", "b.md"))
    assert reply.status_code == 202
    taken = reply.get_json()["documents"]
    assert [(d["source"], d["state"], d["new"]) for d in taken] == [
        ("a.txt", "pending", True),
        ("b.md", "pending", True),
    ]
    assert worker.woken.is_set()
    again = upload(client, (b"Some text.", "a.txt")).get_json()["documents"][0]
    assert again["id"] == taken[0]["id"]
    assert not again["new"]


def test_bytes_that_are_there_under_another_name_are_told_with_both(client: FlaskClient) -> None:
    upload(client, (b"Some text.", "a.txt"))
    (taken,) = upload(client, (b"Some text.", "b.txt")).get_json()["documents"]
    assert (taken["name"], taken["source"], taken["new"]) == ("b.txt", "a.txt", False)
    data = {"files": [(io.BytesIO(b"Some text."), "b.txt")]}
    page = client.post("/library", data=data, follow_redirects=True).text
    assert '<bdi class="name">b.txt</bdi>' in page
    assert "Already in the library as “<bdi>a.txt</bdi>”" in page


def test_a_bad_file_does_not_hold_up_the_others(client: FlaskClient) -> None:
    reply = upload(client, (b"Good.", "good.txt"), (b"Bad.", "bad.exe"), (b"", "empty.txt"))
    assert reply.status_code == 202
    body = reply.get_json()
    assert [d["source"] for d in body["documents"]] == ["good.txt"]
    assert [(e["source"], e["status"]) for e in body["errors"]] == [
        ("bad.exe", 415),
        ("empty.txt", 422),
    ]


@pytest.mark.parametrize(
    ("data", "name", "status"),
    [
        (b"", "empty.txt", 422),
        (b"x", "program.exe", 415),
        (b"x", "no-suffix", 415),
        (b"x" * 100_001, "large.txt", 413),
        (b"x", "n" * 300 + ".txt", 400),
        (b"x", "\x01\x02", 400),
        (b"x", "..", 400),
    ],
)
def test_a_file_that_cannot_be_taken_in_gets_its_own_status(
    client: FlaskClient, data: bytes, name: str, status: int
) -> None:
    reply = upload(client, (data, name))
    assert reply.status_code == status
    assert reply.mimetype == "application/problem+json"
    assert reply.get_json()["detail"]
    assert client.get("/api/v1/documents").get_json()["documents"] == []


@pytest.mark.parametrize("name", ["../../etc/passwd.txt", "..\\\\passwd.txt", "/passwd.txt"])
def test_a_name_keeps_no_folders(client: FlaskClient, name: str) -> None:
    assert upload(client, (b"x", name)).get_json()["documents"][0]["source"] == "passwd.txt"


def test_limits_of_an_upload(client: FlaskClient) -> None:
    assert upload(client, *[(b"%d" % i, f"{i}.txt") for i in range(6)]).status_code == 413
    assert upload(client).status_code == 415
    assert upload(client, (b"x", "")).status_code == 400
    assert upload(client, (b"x", "a.txt"), surprise="1").status_code == 400
    assert upload(client, (b"x", "a.txt"), collection="nowhere").status_code == 404
    assert client.post("/api/v1/documents", data=b"x").status_code == 415


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_upload_of_very_many_parts_is_not_read_to_its_end(client: FlaskClient) -> None:
    reply = upload(client, *[(b"%d" % i, f"{i}.txt") for i in range(40)])
    assert reply.status_code == 413
    assert "parts" in reply.get_json()["detail"]
    gc.collect()  # werkzeug leaves closing the parts that it had read to this


def test_the_list_comes_in_parts(client: FlaskClient, library: FakeLibrary) -> None:
    for number in range(5):
        library.add(f"{number}.txt", b"text %d" % number)
    seen, cursor = [], ""
    for _ in range(3):
        part = client.get(f"/api/v1/documents?limit=2{cursor}").get_json()
        seen += [d["source"] for d in part["documents"]]
        cursor = f"&cursor={part['next']}"
    assert seen == [f"{n}.txt" for n in range(5)]
    assert part["next"] is None
    assert "folder" not in part["documents"][0]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=%21", "cursor=W10", "surprise=1"]
)
def test_a_bad_part_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/v1/documents?{query}").status_code == 400


def test_pages_as_json(client: FlaskClient, library: FakeLibrary) -> None:
    document_id = library.add()
    start = TEXT.index(QUOTE)
    end = start + len(QUOTE)
    page = client.get(f"/api/v1/documents/{document_id}/pages/1").get_json()
    assert page["text"][start:end] == QUOTE
    assert page["blocks"][0]["kind"] == "heading"
    assert client.get(f"/api/v1/documents/{document_id}/pages/2").status_code == 404
    assert client.get(f"/api/v1/documents/{document_id}/pages/1/image").status_code == 404
    assert client.get("/api/v1/documents/doc_none/pages/1").status_code == 404


def test_what_is_removed_is_gone_at_once(client: FlaskClient, library: FakeLibrary) -> None:
    document_id = library.add()
    assert client.delete(f"/api/v1/documents/{document_id}").status_code == 204
    for tail in ("", "/content", "/pages/1", "/pages/1/image"):
        assert client.get(f"/api/v1/documents/{document_id}{tail}").status_code == 404
    assert client.get(f"/documents/{document_id}").status_code == 404
    assert client.delete(f"/api/v1/documents/{document_id}").status_code == 404


def test_a_failed_document_is_retried(client: FlaskClient, library: FakeLibrary) -> None:
    document_id = upload(client, (b"x", "a.txt")).get_json()["documents"][0]["id"]
    fail(library.catalog, claim(library.catalog, 1, 10**9)[0], "r", "corrupt-document", "Damaged.")
    assert client.get(f"/api/v1/documents/{document_id}").get_json()["error"] == "Damaged."
    reply = client.post(f"/api/v1/documents/{document_id}/retry")
    assert (reply.status_code, reply.get_json()["state"]) == (202, "pending")
    assert client.post("/api/v1/documents/doc_none/retry").status_code == 404


@pytest.mark.parametrize(
    ("name", "kind"), [("x.html", "html"), ("x.svg", "svg"), ("x.xml", "xml"), ("x.eml", "eml")]
)
def test_no_upload_is_served_as_something_to_run(
    client: FlaskClient, library: FakeLibrary, name: str, kind: str
) -> None:
    data = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    document_id = library.add(name, data, kind)
    reply = client.get(f"/api/v1/documents/{document_id}/content", buffered=True)
    assert reply.data == data
    assert reply.mimetype in ("text/plain", "application/octet-stream")
    assert reply.headers["Content-Disposition"].startswith("attachment")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in reply.headers["Content-Security-Policy"]
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "saved"),
    [("team/leave\n2025.txt", "leave2025.txt"), ("\x1b\x07", None), ("a\udcff.txt", "a.txt")],
)
def test_a_synced_file_may_have_any_name(
    client: FlaskClient, library: FakeLibrary, monkeypatch: pytest.MonkeyPatch,
    name: str, saved: str | None,
) -> None:  # fmt: skip
    document_id = library.add()
    found = replace(get_document(library.catalog, document_id), source=name)
    monkeypatch.setattr("web.originals.get_document", lambda *_: found)
    reply = client.get(f"/api/v1/documents/{document_id}/content", buffered=True)
    assert reply.status_code == 200
    assert (saved or document_id) in reply.headers["Content-Disposition"]


def test_kinds_shown_as_text_are_kinds() -> None:
    assert set(KINDS) >= _TEXT_KINDS


def test_a_pdf_page_is_drawn_and_its_boxes_too(
    client: FlaskClient, library: FakeLibrary, tmp_path: Path
) -> None:
    data = make_pdf(tmp_path / "leave.pdf")
    page = Page(1, "Up to five", (), (Place(0, 10, (0.1, 0.1, 0.4, 0.12)),), "", 612, 792)
    document_id = library.add("leave.pdf", data, "pdf", (page,))
    reply = client.get(f"/api/v1/documents/{document_id}/pages/1/image")
    assert reply.mimetype == "image/png"
    assert reply.data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", reply.data[16:24])
    assert abs(width / height - 612 / 792) < 0.01
    boxes = client.get(f"/api/v1/documents/{document_id}/pages/1?start=0&end=4").get_json()["boxes"]
    assert len(boxes) == 1
    shown = client.get(f"/documents/{document_id}?page=1&start=0&end=4").text
    assert '<rect x="0.1' in shown
    content = client.get(f"/api/v1/documents/{document_id}/content", buffered=True)
    assert content.headers["Content-Disposition"].startswith("inline")
    client.delete(f"/api/v1/documents/{document_id}")
    assert client.get(f"/api/v1/documents/{document_id}/pages/1/image").status_code == 404


def test_a_damaged_pdf_is_a_problem_and_no_crash(
    client: FlaskClient, library: FakeLibrary, tmp_path: Path
) -> None:
    document_id = library.add("bad.pdf", b"%PDF-1.4 nothing", "pdf", (Page(1, "x"),))
    reply = client.get(f"/api/v1/documents/{document_id}/pages/1/image")
    assert reply.status_code == 422
    assert str(tmp_path) not in reply.text
    make_pdf(tmp_path / "good.pdf")
    assert draw_in_child(tmp_path / "good.pdf", 1).startswith(b"\x89PNG")


def test_the_document_page_marks_the_passage(client: FlaskClient, library: FakeLibrary) -> None:
    text = f"{TEXT}\n<script>alert(1)</script>"
    document_id = library.add(pages=(page_of(text), page_of("Second page", 2)))
    start = TEXT.index(QUOTE)
    shown = client.get(f"/documents/{document_id}?page=1&start={start}&end={start + len(QUOTE)}")
    assert f'<mark id="passage" tabindex="-1">{QUOTE}</mark>' in shown.text
    assert "<script>alert" not in shown.text
    assert "Second page" in client.get(f"/documents/{document_id}?page=2").text
    assert client.get(f"/documents/{document_id}?page=3").status_code == 404
    for odd in ("page=x", "start=9&end=2", "start=-1&end=5", f"end={10**30}", "page=%00"):
        assert client.get(f"/documents/{document_id}?{odd}").status_code == 200


def test_the_language_is_shown(client: FlaskClient, library: FakeLibrary) -> None:
    german = library.add("urlaub.txt", b"a", language="de")
    rare = library.add("rare.txt", b"b", language="kab")
    unclear = library.add("numbers.txt", b"c")
    listed = client.get("/api/v1/documents").get_json()["documents"]
    found = {document["id"]: document["language"] for document in listed}
    assert found == {german: "de", rare: "kab", unclear: None}
    shown = client.get(f"/documents/{german}").text
    assert "· German ·" in shown
    assert '<section class="document-text" lang="de"' in shown
    assert "· kab ·" in client.get(f"/documents/{rare}").text
    assert " lang=" not in client.get(f"/documents/{unclear}").text.partition("<body")[2]
    assert "urlaub.txt</bdi> · German" in client.get("/library").text


def test_what_answers_though_its_file_cannot_be_read_says_so(
    client: FlaskClient, library: FakeLibrary
) -> None:
    name = library.add("a.txt", b"a")
    mark_stale(library.catalog, {name: "it cannot be read: Permission denied"})
    shown = client.get(f"/documents/{name}").text
    assert "Its file cannot be read any more" in shown
    assert "an earlier sync read; now it cannot be read: Permission denied" in shown
    assert "now it cannot be read" in client.get("/library").text


def test_pages_that_could_not_be_read_are_told(client: FlaskClient, library: FakeLibrary) -> None:
    pages = (page_of("Giraffes"), Page(2, ""), page_of("Zebras", 3), Page(4, ""))
    torn = library.add("torn.pdf", b"a", "pdf", pages, unread=(2,))
    whole = library.add("whole.pdf", b"b", "pdf", pages)
    listed = client.get("/api/v1/documents").get_json()["documents"]
    assert {one["id"]: one["unread_pages"] for one in listed} == {torn: [2], whole: []}
    assert client.get("/library").text.count("Page 2 of 4 could not be read") == 1
    assert "Page 2 of 4 could not be read" in client.get(f"/documents/{torn}?page=1").text
    assert "This page could not be read." in client.get(f"/documents/{torn}?page=2").text
    assert "There is no text on this page." in client.get(f"/documents/{torn}?page=4").text
    assert "could not be read" not in client.get(f"/documents/{whole}?page=2").text


@pytest.mark.parametrize(
    ("unread", "said"),
    [
        ((2,), "Page 2 of 60 could not be read"),
        ((2, 3, 4, 7), "Pages 2–4 and 7 of 60 could not be read"),
        ((1, 3, 5), "Pages 1, 3 and 5 of 60 could not be read"),
        (
            tuple(range(1, 40, 2)),
            "Pages 1, 3, 5, 7, 9, 11, 13, 15 and others of 60 could not be read",
        ),
    ],
)
def test_runs_of_pages_that_could_not_be_read_are_told_shortly(
    client: FlaskClient, library: FakeLibrary, unread: tuple[int, ...], said: str
) -> None:
    pages = tuple(Page(number, "") for number in range(1, 61))
    library.add("torn.pdf", b"a", "pdf", pages, unread=unread)
    assert said in client.get("/library").text


def test_a_document_that_is_not_read_yet_has_a_page(client: FlaskClient) -> None:
    document_id = upload(client, (b"x", "a.txt")).get_json()["documents"][0]["id"]
    assert "still being read" in client.get(f"/documents/{document_id}").text
    assert client.get(f"/api/v1/documents/{document_id}/content").status_code == 404


def test_the_library_page_works_without_javascript(
    client: FlaskClient, library: FakeLibrary
) -> None:
    assert "The shelves are empty" in client.get("/library").text
    data: dict[str, Any] = {"files": [(io.BytesIO(b"x"), "<b>.txt")]}
    page = client.post("/library", data=data, follow_redirects=True)
    assert page.status_code == 200
    assert "Taken in" in page.text
    assert "<b>.txt" not in page.text
    data = {"files": [(io.BytesIO(b"x"), "a.exe")]}
    assert "is-failed" in client.post("/library", data=data, follow_redirects=True).text
    assert client.post("/library").status_code == 415
    document_id = library.add()
    assert "Delete this document?" in client.get(f"/documents/{document_id}/remove").text
    assert client.post(f"/documents/{document_id}/remove").status_code == 303
    with pytest.raises(NotFound):
        get_document(library.catalog, document_id)


def test_the_library_page_has_parts(client: FlaskClient, library: FakeLibrary) -> None:
    for number in range(51):
        upload(client, (b"%d" % number, f"{number:02}.txt"))
    first = client.get("/library").text
    assert "00.txt" in first
    assert "50.txt" not in first
    assert "Further documents" in first
    cursor = first.split("/library?cursor=")[1].split('"')[0]
    assert "50.txt" in client.get(f"/library?cursor={cursor}").text


def _archive(library: FakeLibrary) -> tuple[str, str]:
    """A live archive with one file in it, and one left out; returns both documents' ids."""
    raw = zipped({"in/handbook.txt": TEXT})
    (library.settings.home / "incoming").write_bytes(TEXT.encode())
    with (library.settings.home / "incoming").open("rb") as stream:
        inner, size, _ = store_original(library.settings, library.catalog, stream, "handbook.txt")
    members = (
        Member("in/handbook.txt", "text", inner, size),
        Member("plan.docx", error_code="corrupt-document", error="“plan.docx” is damaged."),
    )
    archive = library.add("a.zip", raw, "zip", (), "", members)
    (task,) = claim(library.catalog, 10, 10**9)
    go_live(library.catalog, task, (page_of(TEXT),))
    return archive, task.document_id


def test_files_in_an_archive_are_documents_of_their_own(
    client: FlaskClient, library: FakeLibrary
) -> None:
    archive, member = _archive(library)
    library.add("a.zip.txt", b"Beside it.", title="")
    listed = client.get("/api/v1/documents").get_json()["documents"]
    assert [(d["source"], d["parent"], d["members"]) for d in listed] == [
        ("a.zip", None, 1),
        ("a.zip/in/handbook.txt", archive, 0),
        ("a.zip.txt", None, 0),
    ]
    first = client.get("/api/v1/documents?limit=1").get_json()
    second = client.get(f"/api/v1/documents?limit=1&cursor={first['next']}").get_json()
    assert [d["id"] for d in second["documents"]] == [member]
    inside = client.get(f"/api/v1/documents?parent={archive}").get_json()["documents"]
    assert [d["id"] for d in inside] == [member]
    left = client.get(f"/api/v1/documents/{archive}/left-out").get_json()["files"]
    assert left == [
        {"name": "plan.docx", "code": "corrupt-document", "reason": "“plan.docx” is damaged."}
    ]
    with client.get(f"/api/v1/documents/{member}/content") as reply:
        assert reply.data == TEXT.encode()
        assert "filename=handbook.txt" in reply.headers["Content-Disposition"]
    with client.get(f"/api/v1/documents/{archive}/content") as reply:
        assert reply.data[:2] == b"PK"


def test_the_pages_show_what_is_in_an_archive(client: FlaskClient, library: FakeLibrary) -> None:
    archive, member = _archive(library)
    page = client.get(f"/documents/{archive}").text
    assert f'<a href="/documents/{member}"><bdi>in/handbook.txt</bdi></a>' in page
    assert "1 file in it" in page
    assert "“plan.docx” is damaged." in page
    assert "still being read" not in page
    assert f'in <a href="/documents/{archive}">' in client.get(f"/documents/{member}").text
    shelf = client.get("/library").text
    assert "1 file in it" in shelf
    assert 'class="is-member"' in shelf
    assert "with the 1 file in it" in client.get(f"/documents/{archive}/remove").text


def test_removing_an_archive_removes_what_is_in_it(
    client: FlaskClient, library: FakeLibrary
) -> None:
    archive, member = _archive(library)
    assert client.delete(f"/api/v1/documents/{archive}").status_code == 204
    assert client.get(f"/api/v1/documents/{member}").status_code == 404
    assert client.get("/api/v1/documents").get_json()["documents"] == []


def test_an_archive_in_which_a_file_failed_can_be_tried_again(
    client: FlaskClient, library: FakeLibrary
) -> None:
    archive, member = _archive(library)
    assert client.post(f"/api/v1/documents/{member}/retry").get_json()["state"] == "live"
    assert client.post(f"/api/v1/documents/{archive}/retry").get_json()["state"] == "pending"
    assert client.get(f"/api/v1/documents/{member}").get_json()["searchable"]
