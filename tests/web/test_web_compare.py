"""Two models side by side, and the vote: by form and over REST."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from rag.catalog.documents import remove
from rag.catalog.votes import vote_on
from rag.errors import Busy, NotFound
from rag.model_choices import ModelChoice
from rag.records import Event, ModelInfo, Question, to_json
from tests.web import fakes
from tests.web.fakes import FakeLibrary
from web.pages import compare
from web.pages.compare import is_swapped

MODELS = {"small": ModelInfo("small", "11", "cpu"), "large": ModelInfo("large", "22", "cpu")}
ASKED = {"question": "How many days?", "one": "small", "two": "large"}


class Shelf:
    """Two models that may be asked."""

    def resolve(self, name: str) -> str:
        if name not in MODELS:
            raise NotFound(f"There is no model “{name}”.")
        return name


@pytest.fixture
def document(library: FakeLibrary, monkeypatch: pytest.MonkeyPatch) -> str:
    """A document; each model answers from it, and the answer is recorded."""
    document = library.add()
    numbers = itertools.count()

    def ask(question: Question) -> Iterator[Event]:
        library.asked.append(question)
        if "busy" in question.text:
            raise Busy("Too many wait.")
        plain = library.record_as(question, f"ans_{next(numbers)}")
        yield Event("done", to_json(plain))

    def record_as(question: Question, name: str) -> Any:
        answer = fakes._answer(question, library._passages(), library)
        kind = "catalog" if "library" in question.text else "documents"
        answer = replace(answer, id=name, model=MODELS[question.model], answered_from=kind)
        assert fakes.record_answer(library.catalog, answer)
        return answer

    monkeypatch.setattr(library, "record_as", record_as, raising=False)
    monkeypatch.setattr(library, "ask", ask)
    monkeypatch.setattr(type(library), "other_llms", Shelf())
    choices = [ModelChoice(name, 0, "", True, False) for name in [*MODELS, "none"]]
    monkeypatch.setattr(compare, "model_choices", lambda _, compared: choices)
    return document


def seeded(monkeypatch: pytest.MonkeyPatch, swapped: bool) -> int:
    """Have a seed drawn that puts the second model first, or not."""
    seed = next(n for n in itertools.count() if is_swapped(n) == swapped)
    monkeypatch.setattr(compare.secrets, "randbelow", lambda _: seed)
    return seed


@pytest.mark.usefixtures("document")
@pytest.mark.parametrize("swapped", [False, True])
def test_names_are_told_after_the_vote(
    client: FlaskClient, library: FakeLibrary, monkeypatch: pytest.MonkeyPatch, swapped: bool
) -> None:
    seed = seeded(monkeypatch, swapped)
    page = client.get("/compare").text
    assert page.count("<option") == 6
    assert page.count(">none: quotes alone</option>") == 2
    reply = client.post("/compare", data=ASKED)
    assert reply.status_code == 303
    shown = {name: value[0] for name, value in parse_qs(urlsplit(reply.location).query).items()}
    assert shown["seed"] == str(seed)
    order = [question.model for question in library.asked]
    assert order == (["large", "small"] if swapped else ["small", "large"])
    page = client.get(reply.location).text
    sides = page[page.index('class="sides"') : page.index('class="vote"')]
    assert page.count('class="side"') == 2
    assert "small" not in sides
    assert "large" not in sides
    assert "/answers/" not in sides
    assert 'value="neither"' in page
    reply = client.post("/compare/vote", data={**shown, "vote": "first"})
    assert reply.status_code == 303
    cast = vote_on(library.catalog, shown["first"], shown["second"])
    assert cast is not None
    assert (cast.vote, cast.seed) == ("first", seed)
    page = client.get(reply.location).text
    assert "You said: A is better." in page
    first, second = ("large@22", "small@11") if swapped else ("small@11", "large@22")
    assert page.index(f'class="model">{first}') < page.index(f'class="model">{second}')
    assert "A’s model was better 1 time, B’s 0;" in page
    assert 'class="vote"' not in page


@pytest.mark.usefixtures("document")
@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"two": "small"}, 400, "same model"),
        ({"two": ""}, 400, "Choose two models"),
        ({"two": "<b>gone"}, 404, "&lt;b&gt;gone"),
        ({"question": " "}, 400, "empty"),
        ({"question": "busy"}, 503, "Too many wait."),
        ({"question": "Which documents are in the library?"}, 400, "about the library itself"),
    ],
    ids=["same", "one", "unknown", "empty", "busy", "catalog"],
)
def test_what_cannot_be_compared_is_told_and_the_question_kept(
    client: FlaskClient, change: dict[str, str], status: int, said: str
) -> None:
    given = {**ASKED, **change}
    reply = client.post("/compare", data=given)
    assert reply.status_code == status
    assert said in reply.text
    assert f"{given['question']}</textarea>" in reply.text
    assert '<option value="small" selected>' in reply.text


def test_an_answer_that_went_is_told(
    client: FlaskClient, library: FakeLibrary, document: str
) -> None:
    shown = client.post("/compare", data=ASKED).location
    remove(library.catalog, document)
    reply = client.get(shown)
    assert reply.status_code == 404
    assert "Ask both models again" in reply.text
    names = {name: value[0] for name, value in parse_qs(urlsplit(shown).query).items()}
    assert client.post("/compare/vote", data={**names, "vote": "both"}).status_code == 404


@pytest.mark.usefixtures("document")
def test_programs_vote_too(client: FlaskClient, library: FakeLibrary) -> None:
    for model in MODELS:
        list(library.ask(Question("How many?", model=model)))
    given = {"first": "ans_0", "second": "ans_1", "vote": "second"}
    cast = client.post("/api/v1/votes", json={**given, "seed": 5}).get_json()
    assert cast.pop("voted_at").endswith("Z")
    assert cast == {**given, "seed": 5}
    listed = client.get("/api/v1/votes").get_json()
    assert [vote["vote"] for vote in listed["votes"]] == ["second"]
    assert listed["pairs"] == [
        {"first": "large@22", "second": "small@11", "first_better": 1, "second_better": 0,
         "both": 0, "neither": 0, "p": 1.0}
    ]  # fmt: skip
    for change, status in (
        ({"vote": "A"}, 400),
        ({"first": "gone"}, 404),
        ({"second": "ans_0"}, 400),
        ({"seed": -1}, 400),
        ({"why": "x"}, 400),
    ):
        assert client.post("/api/v1/votes", json={**given, **change}).status_code == status


def test_both_orders_are_drawn_alike() -> None:
    assert 400 < sum(is_swapped(seed) for seed in range(1000)) < 600


def test_other_pages_lead_there(client: FlaskClient) -> None:
    for path in ("/", "/models"):
        assert 'href="/compare"' in client.get(path).text
