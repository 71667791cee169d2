"""A library, its app, and that app served on a real port."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from rag.parsed import Block
from rag.parsed import Page as PageRecord
from rag.records import Answer, Passage, Question
from rag.settings import Settings
from tests.web import fakes
from tests.web.browsing import ARGUMENTS, CHROMIUM
from tests.web.fakes import HOSTILE, FakeLibrary, FakeWorker
from web.app import create_app
from web.served import served_by


@pytest.fixture
def library(tmp_path: Path) -> Iterator[FakeLibrary]:
    """An empty library with small limits."""
    library = FakeLibrary(
        Settings(
            home=tmp_path,
            question_max_chars=200,
            ingest_max_bytes=100_000,
            ingest_max_files=5,
            ingest_free_bytes=0,
        )
    )
    yield library
    library.close()


@pytest.fixture
def app(library: FakeLibrary) -> Flask:
    """The app over the library, without a worker."""
    return create_app(library)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A program on this machine."""
    return app.test_client()


@pytest.fixture
def address(app: Flask, library: FakeLibrary) -> Iterator[str]:
    """The app on a loopback port, with a worker."""
    worker = FakeWorker(library)
    worker.start()
    served_by(app).worker = worker
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    served_by(app).stop_answers(5)
    server.shutdown()
    thread.join()
    server.server_close()
    worker.stop()


@pytest.fixture
def hostile(library: FakeLibrary, monkeypatch: pytest.MonkeyPatch) -> str:
    """A document of such text; every answer is of it and quotes it. Its id."""
    made = fakes._answer

    def answer(question: Question, passages: list[Passage], own: FakeLibrary) -> Answer:
        plain = made(question, passages, own)
        return replace(
            plain,
            text=HOSTILE,
            sentences=tuple(replace(s, text=HOSTILE) for s in plain.sentences),
            citations=tuple(replace(c, quote=HOSTILE, title=HOSTILE) for c in plain.citations),
        )

    monkeypatch.setattr(fakes, "_answer", answer)
    lines = f"{HOSTILE}\n{HOSTILE} | {HOSTILE}"
    blocks = (Block(0, len(HOSTILE)), Block(len(HOSTILE) + 1, len(lines), "row"))
    return library.add("mail.txt", pages=(PageRecord(1, lines, blocks),), title=HOSTILE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for a module's tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 390])
def page(
    browser: Browser, address: str, library: FakeLibrary, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page whose console stays silent; only requests that were refused may be told there."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 800}, base_url=address
    )
    page = context.new_page()
    page.set_default_timeout(8000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda failed: said.append(f"failed: {failed.url} {failed.failure}"))
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
    expected = re.compile(r"the server responded with a status of [45]\d\d|ERR_ABORTED")
    assert [text for text in said if not expected.search(text)] == []
