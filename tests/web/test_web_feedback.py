"""Saying of an answer whether it is right: over REST, and by a form."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from rag.catalog.answers import record_answer
from rag.catalog.documents import remove
from rag.catalog.feedback import MOST_COMMENT, feedback_on
from rag.catalog.schema import feedback
from rag.records import Question
from tests.web.fakes import HOSTILE, FakeLibrary

ANSWER = "ans_0123456789abcdef"
FEEDBACK = f"/api/v1/answers/{ANSWER}/feedback"
FORM = f"/answers/{ANSWER}/rating"


@pytest.fixture
def document(library: FakeLibrary) -> str:
    """A document that a recorded answer quotes."""
    document = library.add()
    library.record(Question("How many days?"))
    return document


def pressed(page: str) -> list[str]:
    """The ratings whose buttons are pressed."""
    return [
        rating
        for rating in ("right", "wrong")
        if f'data-rating="{rating}" aria-pressed="true"' in page
    ]


@pytest.mark.usefixtures("document")
def test_an_answer_is_rated_and_the_rating_changed_and_taken_back(client: FlaskClient) -> None:
    assert client.get(FEEDBACK).status_code == 404
    given = {"rating": "wrong", "comment": " Old figures. ", "correct_answer": "six"}
    said = client.post(FEEDBACK, json=given).get_json()
    moment = said.pop("rated_at")
    assert moment.endswith("Z")
    expected = {"answer_id": ANSWER, **given, "comment": "Old figures."}
    assert said == expected
    # what is left out stays, and an answer that is right needs no other
    said = client.post(FEEDBACK, json={"rating": "wrong", "comment": ""}).get_json()
    assert (said["comment"], said["correct_answer"]) == ("", "six")
    said = client.post(FEEDBACK, json={"rating": "right"}).get_json()
    assert (said["rating"], said["correct_answer"]) == ("right", "")
    assert client.get(FEEDBACK).get_json() == said
    assert client.delete(FEEDBACK).status_code == 204
    assert client.delete(FEEDBACK).status_code == 404
    assert client.get(FEEDBACK).status_code == 404


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "rating"),
        ({"rating": "good"}, "rating"),
        ({"rating": "wrong", "stars": 5}, "stars"),
        ({"rating": "wrong", "comment": "x" * (MOST_COMMENT + 1)}, "comment"),
        ({"rating": "wrong", "correct_answer": "x" * 1001}, "correct_answer"),
        ({"rating": "right", "correct_answer": "six"}, "wrong"),
    ],
    ids=["none", "unknown", "field", "long", "long answer", "contrary"],
)
@pytest.mark.usefixtures("document")
def test_what_cannot_be_said_is_refused(
    client: FlaskClient, library: FakeLibrary, body: object, word: str
) -> None:
    reply = client.post(FEEDBACK, json=body)
    assert reply.status_code == 400
    half = b'{"rating": "wrong", "comment": "\\ud800"}'
    assert client.post(FEEDBACK, data=half, content_type="application/json").status_code == 400
    assert word in reply.get_json()["detail"]
    assert feedback_on(library.catalog, ANSWER) is None


def test_what_is_said_goes_with_the_document(
    client: FlaskClient, library: FakeLibrary, document: str
) -> None:
    client.post(FEEDBACK, json={"rating": "wrong", "correct_answer": "six"})
    remove(library.catalog, document)
    assert client.get(FEEDBACK).status_code == 404
    with library.catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(feedback)).scalar() == 0
    reply = client.post(FEEDBACK, json={"rating": "right"})
    assert reply.status_code == 404
    assert "Ask the question again" in reply.get_json()["detail"]


@pytest.mark.usefixtures("document")
def test_without_javascript_a_form_says_it(client: FlaskClient, library: FakeLibrary) -> None:
    assert pressed(client.get(f"/answers/{ANSWER}").text) == []
    reply = client.post(FORM, data={"rating": "wrong"})
    assert reply.status_code == 303
    assert reply.headers["Location"] == f"/answers/{ANSWER}#rating"
    page = client.get(f"/answers/{ANSWER}").text
    assert pressed(page) == ["wrong"]
    assert 'name="correct_answer"' in page
    said = {"rating": "wrong", "correct_answer": "six", "comment": "One\r\ntwo"}
    client.post(FORM, data=said)
    found = feedback_on(library.catalog, ANSWER)
    assert found is not None
    assert (found.correct_answer, found.comment) == ("six", "One\ntwo")
    client.post(FORM, data={"rating": "right"})
    page = client.get(f"/answers/{ANSWER}").text
    assert pressed(page) == ["right"]
    assert 'name="correct_answer"' not in page
    assert "One\ntwo</textarea>" in page
    # the pressed button takes it back, and twice does no harm
    assert 'value="none" data-rating="right"' in page
    for _ in range(2):
        assert client.post(FORM, data={"rating": "none"}).status_code == 303
    assert feedback_on(library.catalog, ANSWER) is None


def test_no_answers_name_breaks_out_of_where_it_leads(client: FlaskClient) -> None:
    reply = client.post("/answers/%0d%0aX-Set:%20y/rating", data={"rating": "none"})
    assert reply.status_code == 303
    assert reply.headers["Location"] == "/answers/%0D%0AX-Set:%20y#rating"
    assert "X-Set" not in reply.headers


def test_the_answer_page_of_the_form_has_the_buttons(
    client: FlaskClient, library: FakeLibrary
) -> None:
    library.add()
    page = client.post("/ask", data={"question": "How many days?"}).text
    assert f'action="{FORM}"' in page
    assert client.post(FORM, data={"rating": "right"}).status_code == 404
    assert client.post(FORM, data={"rating": "excellent"}).status_code == 400


@pytest.mark.usefixtures("document")
def test_a_comment_is_escaped_and_never_logged(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert client.post(FORM, data={"rating": "wrong", "comment": HOSTILE}).status_code == 303
    page = client.get(f"/answers/{ANSWER}").text
    assert "<script src=https" not in page
    assert "&lt;script src=https" in page
    client.post(FEEDBACK, json={"rating": "wrong", "comment": HOSTILE * 20})
    assert "evil.example" not in caplog.text


def test_each_answer_has_its_own(client: FlaskClient, library: FakeLibrary) -> None:
    library.add()
    answer = library.record(Question("How many days?"))
    assert record_answer(library.catalog, replace(answer, id="ans_second"))
    client.post(FEEDBACK, json={"rating": "right"})
    assert client.get("/api/v1/answers/ans_second/feedback").status_code == 404
