"""A browser without JavaScript: what was chosen stays, and going back finds a page."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from rag.catalog.answers import record_answer
from rag.catalog.collections import create_collection
from rag.catalog.documents import remove
from rag.records import Event, Question, Turn, to_json
from tests.web import fakes
from tests.web.fakes import FakeLibrary, add_models

ANSWER = "Up to five unused days may be carried over until 31 March [1]."


@pytest.fixture
def recording(library: FakeLibrary, monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    """The library, asked of any collection, recording its answers as the real one does."""
    numbers = itertools.count(1)

    def ask(question: Question) -> Iterator[Event]:
        library.asked.append(question)
        answer = fakes._answer(question, library._passages(), library)
        object.__setattr__(answer, "id", f"ans_{next(numbers):016x}")
        record_answer(library.catalog, answer)
        yield Event("done", to_json(answer))

    monkeypatch.setattr(library, "ask", ask)
    return library


def test_an_answer_has_a_page_to_go_back_to(client: FlaskClient, recording: FakeLibrary) -> None:
    document_id = recording.add()
    create_collection(recording.catalog, "hr")
    form = {"question": "How many days?", "collection": "hr", "temperature": "0.5"}
    reply = client.post("/ask", data=form)
    assert reply.status_code == 303
    page = client.get(reply.location).text
    assert "31 March" in page
    assert f'href="/documents/{document_id}?page=1' in page
    assert "<option selected>hr</option>" in page
    assert 'name="temperature" value="0.5"' in page
    assert ">How many days?</textarea>" not in page
    assert len(recording.asked) == 1


def test_the_next_question_goes_on_from_the_last(
    client: FlaskClient, recording: FakeLibrary
) -> None:
    recording.add()
    first = client.post("/ask", data={"question": "How many days?"}).location
    assert '<input type="hidden" name="answer" value="ans_0000000000000001">' in (
        client.get(first).text
    )
    form = {"question": "And then?", "answer": "ans_0000000000000001"}
    second = client.post("/ask", data=form).location
    assert recording.asked[1].history == (Turn("How many days?", ANSWER),)
    page = client.get(second).text
    assert page.index("How many days?") < page.index("And then?")
    for number in (1, 2):
        assert f'name="answer" value="ans_{number:016x}"' in page
    assert 'name="answer"' not in client.get("/").text


def test_an_answer_that_went_is_told(client: FlaskClient, recording: FakeLibrary) -> None:
    document_id = recording.add()
    shown = client.post("/ask", data={"question": "How many days?"}).location
    remove(recording.catalog, document_id)
    reply = client.get(shown)
    assert reply.status_code == 404
    assert "There is no such answer" in reply.text
    form = {"question": "And then?", "answer": "ans_0000000000000001"}
    reply = client.post("/ask", data=form)
    assert reply.status_code == 404
    assert ">And then?</textarea>" in reply.text
    assert len(recording.asked) == 1


def test_what_does_not_fit_an_address_is_shown_at_once(
    client: FlaskClient, recording: FakeLibrary
) -> None:
    recording.add()
    form = {"question": "How many days?", "system_prompt": "brief " * 600}
    reply = client.post("/ask", data=form)
    assert reply.status_code == 200
    assert "31 March" in reply.text
    assert "brief brief" in reply.text


def test_a_document_that_is_gone_does_not_become_all(
    client: FlaskClient, recording: FakeLibrary
) -> None:
    reply = client.post("/ask", data={"question": "How many?", "document": "doc_gone"})
    assert reply.status_code == 404
    assert '<input type="hidden" name="document" value="doc_gone">' in reply.text
    assert "Ask all documents" in reply.text
    assert '<select name="collection">' not in reply.text
    assert recording.asked == []


def test_the_collection_that_two_models_were_asked_of_stays(
    client: FlaskClient, recording: FakeLibrary
) -> None:
    add_models(recording)
    recording.add()
    create_collection(recording.catalog, "hr")
    form = {"question": "How many?", "collection": "hr", "one": "tiny", "two": "none"}
    reply = client.post("/compare", data=form)
    assert reply.status_code == 303
    assert "<option selected>hr</option>" in client.get(reply.location).text
    assert "<option selected>hr</option>" in client.post("/compare", data=form | {"two": ""}).text


def test_files_that_were_taken_in_are_told_on_a_page_to_go_back_to(client: FlaskClient) -> None:
    files = [(io.BytesIO(b"x"), "a.txt"), (io.BytesIO(b"y"), "b.exe")]
    reply = client.post("/library", data={"files": files})
    assert reply.status_code == 303
    for _ in range(2):
        page = client.get(reply.location).text
        assert "Taken in" in page
        assert '<li class="upload is-failed"><bdi class="name">b.exe</bdi>' in page
    for number in range(20):
        client.post("/library", data={"files": [(io.BytesIO(b"%d" % number), "c.txt")]})
    assert "Taken in" not in client.get(reply.location).text


def test_who_deletes_on_a_later_part_stays_there(client: FlaskClient, library: FakeLibrary) -> None:
    ids = [library.add(f"{n:02}.txt", b"text %d" % n) for n in range(52)]
    further = client.get("/library").text.split('href="/library?cursor=')[1].split('"')[0]
    page = client.get(f"/library?cursor={further}").text
    link = f"/documents/{ids[51]}/remove?cursor={further}"
    assert f'href="{link}"' in page
    assert f'<input type="hidden" name="cursor" value="{further}">' not in page  # none failed
    assert f'href="/library?cursor={further}"' in client.get(link).text
    assert client.post(link).location == f"/library?cursor={further}"
    form = {"cursor": further}
    assert client.post(f"/documents/{ids[50]}/retry", data=form).location.endswith(further)
    assert client.post(f"/documents/{ids[50]}/retry").location == "/library"
