"""Asking and searching by REST and by form."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rag.errors import Busy
from rag.records import Answer, Disagreement, Filters, Passage, Question, Turn
from tests.web import fakes
from tests.web.fakes import FakeLibrary
from web.served import served_by


def events_of(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_an_answer_comes_whole(client: FlaskClient, library: FakeLibrary) -> None:
    library.add()
    reply = client.post("/api/v1/ask", json={"question": "How many days?"})
    assert reply.status_code == 200
    record = reply.get_json()
    assert record["citations"][0]["n"] == 1
    assert record["model"]["id"] == "SmolLM2-135M-Instruct"
    assert record["model"]["adapter"] == "starter@0123456789ab"
    assert library.closed.wait(1)


def test_what_was_asked_reaches_the_library(client: FlaskClient, library: FakeLibrary) -> None:
    client.post(
        "/api/v1/ask",
        json={
            "question": " And then? ",
            "collections": ["default"],
            "history": [{"question": "How many?", "answer": "Five."}],
            "parameters": {"temperature": 0.5, "max_new_tokens": 9},
        },
    )
    asked = library.asked[0]
    assert asked.text == "And then?"
    assert asked.collections == ("default",)
    assert asked.history[0].answer == "Five."
    assert asked.parameters == {"temperature": 0.5, "max_new_tokens": 9}


def test_programs_and_browsers_are_told_apart(client: FlaskClient, library: FakeLibrary) -> None:
    for agent in ("curl/8", "Firefox", "curl/8"):
        given = {"question": "How many days?"}
        client.post("/api/v1/ask", json=given, headers={"User-Agent": agent})
    client.post("/ask", data={"question": "How many days?"}, headers={"User-Agent": "Firefox"})
    program, person, again, by_form = (question.asker for question in library.asked)
    assert program == again != person == by_form


def test_the_foot_of_a_page_says_where_questions_go(
    client: FlaskClient, library: FakeLibrary
) -> None:
    for url, said in (
        ("", "Everything stays on this machine"),
        ("http://127.0.0.1:8080", "Everything stays on this machine"),
        ("https://llm.example.org/v1", "Questions and passages go to llm.example.org:443"),
    ):
        library.settings = replace(library.settings, llm_url=url)
        assert said in client.get("/").get_data(as_text=True)


def test_filters_reach_the_library(client: FlaskClient, library: FakeLibrary) -> None:
    given = {"documents": ["doc_1"], "folder": "hr/", "kinds": ["pdf", "docx"]}
    given |= {"languages": ["de"], "since": "2025-01-01", "until": "2025-12-31"}
    expected = Filters(("doc_1",), "hr/", ("pdf", "docx"), ("de",), "2025-01-01", "2025-12-31")
    client.post("/api/v1/ask", json={"question": "How many?", "filters": given})
    client.post("/api/v1/search", json={"query": "days", "filters": given})
    client.post("/api/v1/search", json={"query": "days"})
    assert library.asked[0].filters == expected
    assert library.searched == [expected, Filters()]


def test_events_come_in_order(client: FlaskClient, library: FakeLibrary) -> None:
    library.add()
    reply = client.post("/api/v1/ask", json={"question": "How many days?", "stream": True})
    assert reply.mimetype == "text/event-stream"
    names = [name for name, _ in events_of(reply.text)]
    assert names == ["sources", "evidence", *["token"] * 3, *["sentence"] * 3, "done"]


def test_an_unforeseen_error_is_told_without_its_text(client: FlaskClient) -> None:
    for stream in (False, True):
        reply = client.post("/api/v1/ask", json={"question": "broken", "stream": stream})
        assert reply.status_code == 500
        assert reply.mimetype == "application/problem+json"
        assert reply.get_json()["reference"]
        assert "secret" not in reply.text
        assert "Traceback" not in reply.text


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"question": ""}, 400, "empty"),
        ({"question": "  \n"}, 400, "empty"),
        ({"question": "x" * 100_000}, 413, "100,000"),
        ({"question": "x" * 2_000_000}, 413, "limit"),
        ({"question": "a", "collections": ["nowhere"]}, 404, "nowhere"),
        ({"question": "a", "collections": []}, 400, "collections"),
        ({"question": "a", "surprise": 1}, 400, "surprise"),
        ({"question": "a", "history": [{"question": "b"}] * 21}, 400, "history"),
        ({"question": "a", "history": [{"question": "b", "answer": "c" * 20_001}]}, 400, "answer"),
        ({"question": "a", "parameters": {"temperature": 9}}, 400, "temperature"),
        ({"question": "a", "parameters": {"shell": "x"}}, 400, "shell"),
        ({"question": "a", "parameters": {"min_new_tokens": 9, "max_new_tokens": 8}}, 400, "more"),
        ({"question": "a", "parameters": {"min_new_tokens": 129}}, 400, "max_new_tokens"),
        ({"question": "a", "filters": {"colour": "red"}}, 400, "colour"),
        ({"question": "a", "filters": {"documents": ["d"] * 51}}, 400, "documents"),
        ({"question": "a", "filters": {"since": "the first of May"}}, 400, "since"),
        ({"question": 7}, 400, "question"),
        ({}, 400, "question"),
        ([], 400, "object"),
    ],
)
def test_bad_questions_get_a_clear_problem(
    client: FlaskClient, body: object, status: int, word: str
) -> None:
    reply = client.post("/api/v1/ask", json=body)
    problem = reply.get_json()
    assert reply.status_code == problem["status"] == status
    assert reply.mimetype == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail"}
    assert word in problem["detail"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"[" * 500_000, 400),
        (b'{"question": "\\ud800"}', 400),
        (b'{"question": "\xff"}', 400),
        (b'{"question": "a", "parameters": {"temperature": NaN}}', 400),
    ],
)
def test_malformed_json_is_refused(client: FlaskClient, data: bytes, status: int) -> None:
    for path in ("/api/v1/ask", "/api/v1/search"):
        reply = client.post(path, data=data, content_type="application/json")
        assert reply.status_code == status, reply.text
        assert reply.mimetype == "application/problem+json"


def test_another_media_type_is_refused(client: FlaskClient) -> None:
    reply = client.post("/api/v1/ask", data='{"question": "a"}', content_type="text/plain")
    assert reply.status_code == 415
    assert "Content-Type" in reply.get_json()["detail"]


def test_search_gives_passages(client: FlaskClient, library: FakeLibrary) -> None:
    library.add()
    reply = client.post("/api/v1/search", json={"query": "days", "limit": 1})
    assert len(reply.get_json()["passages"]) == 1
    for limit in (0, 101, "many"):
        assert client.post("/api/v1/search", json={"query": "a", "limit": limit}).status_code == 400
    assert client.post("/api/v1/search", json={"query": ""}).status_code == 400
    assert client.post("/api/v1/search", json={"query": "x" * 201}).status_code == 413


def test_while_the_models_load_it_says_so(client: FlaskClient, library: FakeLibrary) -> None:
    library.is_ready = False
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.get_json()["parts"]["llm"] == "loading"
    for body in ({"question": "a"}, {"question": "a", "stream": True}):
        assert client.post("/api/v1/ask", json=body).status_code == 503
    assert ready.get_json()["reason"] is None
    library.is_ready = True
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/", "/library", "/none", "/api/docs"])
def test_every_page_says_why_nothing_can_be_asked(
    client: FlaskClient, library: FakeLibrary, path: str
) -> None:
    accept = {"Accept": "text/html"}
    assert 'id="not-ready"' not in client.get(path, headers=accept).text
    library.is_ready = False
    assert "The models are being loaded." in client.get(path, headers=accept).text
    library.parts = {"llm": "The model x is missing."}
    shown = client.get(path, headers=accept).text
    assert "Questions cannot be answered: The model x is missing." in shown
    library.parts = {"embedder": "The model y is missing.", "llm": "not loaded: …"}
    shown = client.get(path, headers=accept).text
    assert "Questions cannot be answered, nor documents be read: The model y is missing." in shown
    assert client.get("/readyz").get_json()["reason"] in shown


def test_too_many_answers_at_once_are_told_to_come_back(app: Flask, client: FlaskClient) -> None:
    here = served_by(app)
    while here.answers.acquire(blocking=False):
        pass
    reply = client.post("/api/v1/ask", json={"question": "a"})
    assert reply.status_code == Busy.status
    here.answers.release()
    assert client.post("/api/v1/ask", json={"question": "a"}).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_generation(
    address: str, app: Flask, library: FakeLibrary, stream: bool
) -> None:
    """Noticed within a second, whether or not tokens are being sent."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.netloc, timeout=5)
    body = json.dumps({"question": "slow", "stream": stream})
    connection.request("POST", "/api/v1/ask", body, {"Content-Type": "application/json"})
    if stream:
        reply = connection.getresponse()
        assert reply.read(14) == b"event: sources"
    else:
        deadline = time.monotonic() + 2
        while not library.asked and time.monotonic() < deadline:
            time.sleep(0.01)
    assert not library.closed.is_set()
    if connection.sock is not None:
        connection.sock.close()
    if stream:
        reply.close()
    connection.close()
    assert library.closed.wait(1.0)


def test_stopping_the_server_ends_answers(address: str, app: Flask, library: FakeLibrary) -> None:
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.netloc, timeout=5)
    body = json.dumps({"question": "slow", "stream": True})
    connection.request("POST", "/api/v1/ask", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    assert reply.status == 200
    served_by(app).stopping.set()
    name, problem = events_of(reply.read().decode())[-1]
    assert (name, problem["status"]) == ("error", 503)
    assert library.closed.wait(1)
    connection.close()


def test_a_silent_stream_is_kept_alive_by_pings(
    app: Flask, client: FlaskClient, library: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.event_stream.PING_SECONDS", 0.05)
    library.pause = 0.2
    reply = client.post("/api/v1/ask", json={"question": "How many?", "stream": True})
    assert ": ping\n\n" in reply.text
    assert events_of(reply.text)[-1][0] == "done"


def test_without_javascript_the_page_holds_the_answer(
    client: FlaskClient, library: FakeLibrary
) -> None:
    document_id = library.add(title="Leave & <absence>")
    page = client.post("/ask", data={"question": "How many <b>days</b>?"}).text
    assert "How many &lt;b&gt;days&lt;/b&gt;?" in page
    assert "Leave &amp; &lt;absence&gt;" in page
    assert f'href="/documents/{document_id}?page=1&amp;start=' in page
    for label in ("supported", "quoted", "not supported"):
        assert f'<span class="support">{label}</span>' in page
    assert "The documents do not say" in client.post("/ask", data={"question": "unknown"}).text


def test_one_document_is_asked_without_javascript(
    client: FlaskClient, library: FakeLibrary
) -> None:
    document_id = library.add(title="Leave & <absence>")
    assert f'href="/?document={document_id}"' in client.get(f"/documents/{document_id}").text
    for page in (
        client.get(f"/?document={document_id}").text,
        client.post("/ask", data={"question": "How many?", "document": document_id}).text,
        client.post("/ask", data={"question": " ", "document": document_id}).text,
    ):
        assert f'<input type="hidden" name="document" value="{document_id}">' in page
        link = f'<a href="/documents/{document_id}"><bdi>Leave &amp; &lt;absence&gt;</bdi></a>'
        assert f"Only in {link}" in page
    assert [q.filters for q in library.asked] == [Filters(documents=(document_id,))]
    assert "Only in" not in client.get("/").text
    assert client.get("/?document=doc_gone").status_code == 404
    gone = client.post("/ask", data={"question": "How many?", "document": "doc_gone"})
    assert gone.status_code == 404
    assert "There is no document doc_gone" in gone.text
    assert ">How many?</textarea>" in gone.text


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (Question("How many?"), None),
        (
            Question("How many?", filters=Filters(kinds=("pdf",), folder="h<r")),
            "folder h&lt;r; kinds pdf",
        ),
        (
            Question("How many?", ("default",), filters=Filters(since="2025-01-01")),
            "collection default; since 2025-01-01",
        ),
        (
            Question("How many?", filters=Filters(documents=("doc_1", "doc_2"))),
            'documents <a href="/documents/doc_1">doc_1</a>, <a href="/documents/doc_2">doc_2</a>',
        ),
    ],
)
def test_a_record_says_of_which_documents_it_is(
    question: Question, asked: str | None, client: FlaskClient, library: FakeLibrary
) -> None:
    library.add()
    page = client.get(f"/answers/{library.record(question).id}").text
    assert (f"<dt>Asked</dt><dd>{asked}</dd>" in page) is (asked is not None)
    assert ("<dt>Asked</dt>" in page) is (asked is not None)


def test_no_number_is_shown_as_if_it_were_sure_of_the_answer(
    client: FlaskClient, library: FakeLibrary
) -> None:
    library.add()
    judge = "own words that come nearest"
    page = client.post("/ask", data={"question": "How many?"}).text
    assert judge not in page.split("<template")[0]
    assert "onfidence" not in page
    page = client.post("/ask", data={"question": "word for word"}).text
    assert judge in page.split("<template")[0]
    assert "onfidence" not in page


def test_passages_read_come_by_page_and_after_the_answer(
    client: FlaskClient, library: FakeLibrary
) -> None:
    library.add()
    library.passages_each = 4
    page = client.post("/ask", data={"question": "How many?"}).text.split("<template")[0]
    read = page[page.index("Passages read") :]
    assert page.index('class="answer"') < page.index("Passages read")
    assert read.count('<a href="/documents/') == 1
    assert read.count("Staff handbook</bdi>") == 1


def test_a_record_is_a_page(client: FlaskClient, library: FakeLibrary) -> None:
    document_id = library.add()
    answer = library.record(Question("And part-timers?", history=(Turn("How many <i>days</i>?"),)))
    page = client.post("/ask", data={"question": "How many?"}, follow_redirects=True).text
    assert f'href="/answers/{answer.id}"' in page
    assert "adapter starter@0123456789ab" in page
    record = client.get(f"/answers/{answer.id}").text
    assert "adapter starter@0123456789ab" in record
    assert "How many &lt;i&gt;days&lt;/i&gt;? And part-timers?</q>" in record
    assert f'href="/api/v1/answers/{answer.id}"' in record
    assert "Confidence</dt><dd>93&nbsp;%: of answers as sure" in record
    assert "hold an answer</dt><dd>89&nbsp;%" in record
    client.delete(f"/api/v1/documents/{document_id}")
    gone = client.get(f"/answers/{answer.id}", headers={"Accept": "text/html"})
    assert gone.status_code == 404
    assert "when that document is removed" in gone.text


def test_without_javascript_a_long_question_is_told_and_kept(client: FlaskClient) -> None:
    text = "x" * 201
    reply = client.post("/ask", data={"question": text})
    assert reply.status_code == 413
    assert "201 characters" in reply.text
    assert f">{text}</textarea>" in reply.text
    assert "maxlength" not in reply.text


def test_without_javascript_errors_are_on_the_page(client: FlaskClient) -> None:
    reply = client.post("/ask", data={"question": " "})
    assert reply.status_code == 400
    assert "The question is empty" in reply.text
    reply = client.post("/ask", data={"question": "a", "collection": "nowhere"})
    assert reply.status_code == 404


def test_what_another_version_says_is_told_with_its_place(
    client: FlaskClient, library: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, start = "Up to <b>four</b> days.", len(fakes.TEXT) + 1
    library.add(pages=(fakes.page_of(f"{fakes.TEXT}\n{other}"),))
    made = fakes._answer

    def answer(question: Question, passages: list[Passage], own: FakeLibrary) -> Answer:
        plain = made(question, passages, own)
        told = Disagreement(
            plain.citations[0].document_id, "Handbook <2023>", "h.txt", 1, start,
            start + len(other), 1, other, True, "2024-03-01",
        )  # fmt: skip
        return replace(plain, disagreements=(told,))

    monkeypatch.setattr(fakes, "_answer", answer)
    record = client.post("/api/v1/ask", json={"question": "How many days?"}).get_json()
    (told,) = record["disagreements"]
    assert (told["older"], told["quote"]) == (True, other)
    asked = client.post("/ask", data={"question": "How many days?"}).text
    kept = client.get(f"/answers/{library.record(Question('How many days?')).id}").text
    for html in (asked, kept):
        assert "An older version, <bdi>Handbook &lt;2023&gt;</bdi> of 2024-03-01, says" in html
        assert '<q dir="auto">Up to &lt;b&gt;four&lt;/b&gt; days.</q>' in html
        assert f"/documents/{told['document_id']}?page={told['page']}" in html
