"""Questions drafted from the documents, over REST."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rag.errors import UsageError
from rag.parsed import Page
from rag.questioning.proposing import Proposal
from rag.questioning.targets import Target
from tests.web.fakes import FakeLibrary, page_of
from web.api import questions
from web.served import served_by

FERRY = "The ferry to Lindholm island carries at most 240 passengers on each trip."
DRAFT = "/api/v1/questions/draft"


@pytest.fixture
def chunk(library: FakeLibrary) -> str:
    """The only chunk of a document whose second line can be asked about."""
    pages: tuple[Page, ...] = (page_of(f"Ferries\n{FERRY}"),)
    return library._chunk_of(library.add("ferry.txt", pages=pages))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """The targets that the LLM was asked about."""
    seen: list[Target] = []

    def propose(_: Any, target: Target, stop: threading.Event) -> Proposal:
        assert not stop.is_set()
        seen.append(target)
        return Proposal("How many passengers does it carry?", "it leans", "m@1")

    monkeypatch.setattr(questions, "propose", propose)
    return seen


def test_a_sentence_is_drafted_about(client: FlaskClient, chunk: str, asked: list[Target]) -> None:
    reply = client.post(DRAFT, json={"chunk_id": chunk, "start": 8})
    assert reply.get_json() == {
        "question": "How many passengers does it carry?",
        "wrong": "it leans",
        "model": "m@1",
    }
    assert [(target.sentence, target.answer) for target in asked] == [(FERRY, "240 passengers")]


def test_what_is_no_such_sentence_is_told(
    client: FlaskClient, chunk: str, asked: list[Target]
) -> None:
    for body in ({"chunk_id": chunk, "start": 0}, {"chunk_id": "gone", "start": 8}):
        reply = client.post(DRAFT, json=body)
        assert reply.status_code == 404
    assert client.post(DRAFT, json={"chunk_id": chunk, "start": -1}).status_code == 400
    assert asked == []


def test_it_takes_a_place_among_the_answers(
    app: Flask,
    client: FlaskClient,
    chunk: str,
    asked: list[Target],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> Proposal:
        raise UsageError("No LLM is in use.")

    here = served_by(app)
    body = {"chunk_id": chunk, "start": 8}
    taken = 0
    while here.answers.acquire(blocking=False):
        taken += 1
    assert client.post(DRAFT, json=body).status_code == 503
    here.answers.release()
    monkeypatch.setattr(questions, "propose", refuse)
    assert client.post(DRAFT, json=body).status_code == 400
    assert here.answers.acquire(blocking=False)
    for _ in range(taken):
        here.answers.release()
