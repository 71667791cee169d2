"""Who may ask for what: every route of the URL map is in the table."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.fakes import FakeLibrary
from web.app import create_app
from web.served import Identity, served_by

# each route with the status that a request without a body, for a document that is not there, gets
ROUTES = {
    "GET /": 200,
    "POST /ask": 400,
    "GET /library": 200,
    "POST /library": 415,
    "GET /models": 200,
    "GET /models/<path:model_id>": 404,
    "POST /models/comparisons": 415,
    "GET /models/comparisons/report.css": 200,
    "GET /models/comparisons/<comparison_id>": 404,
    "GET /models/comparisons/<comparison_id>/report.html": 404,
    "POST /models/comparisons/<comparison_id>/stop": 404,
    "POST /models/comparisons/<comparison_id>/delete": 404,
    "GET /documents/<document_id>": 404,
    "GET /documents/<document_id>/remove": 404,
    "POST /documents/<document_id>/remove": 404,
    "POST /documents/<document_id>/retry": 404,
    "GET /favicon.ico": 301,
    "GET /static/<path:filename>": 404,
    "GET /openapi.json": 200,
    "GET /api/docs": 200,
    "GET /answers/<answer_id>": 404,
    "POST /answers/<answer_id>/rating": 400,
    "GET /healthz": 200,
    "GET /identity": 400,
    "GET /readyz": 200,
    "POST /api/v1/ask": 415,
    "POST /api/v1/search": 415,
    "GET /api/v1/answers/<answer_id>": 404,
    "POST /api/v1/answers/<answer_id>/feedback": 415,
    "GET /api/v1/answers/<answer_id>/feedback": 404,
    "DELETE /api/v1/answers/<answer_id>/feedback": 404,
    "POST /api/v1/questions/draft": 415,
    "GET /compare": 200,
    "POST /compare": 400,
    "POST /compare/vote": 400,
    "POST /api/v1/votes": 415,
    "GET /api/v1/votes": 200,
    "GET /api/v1/models": 200,
    "GET /api/v1/comparisons": 200,
    "POST /api/v1/comparisons": 415,
    "GET /api/v1/comparisons/<comparison_id>": 404,
    "DELETE /api/v1/comparisons/<comparison_id>": 404,
    "POST /api/v1/comparisons/<comparison_id>/stop": 404,
    "GET /api/v1/collections": 200,
    "POST /api/v1/collections": 415,
    "GET /api/v1/collections/<name>": 404,
    "PATCH /api/v1/collections/<name>": 415,
    "POST /api/v1/answers/<answer_id>/replay": 404,
    "GET /api/v1/models/active": 200,
    "POST /api/v1/models/<path:model_id>/activate": 202,
    "GET /api/v1/documents": 200,
    "POST /api/v1/documents": 415,
    "GET /api/v1/documents/<document_id>": 404,
    "DELETE /api/v1/documents/<document_id>": 404,
    "POST /api/v1/documents/<document_id>/retry": 404,
    "GET /api/v1/documents/<document_id>/content": 404,
    "GET /api/v1/documents/<document_id>/left-out": 404,
    "GET /api/v1/documents/<document_id>/pages/<int:number>": 404,
    "GET /api/v1/documents/<document_id>/pages/<int:number>/image": 404,
}


def path_of(route: str) -> str:
    return re.sub(r"<int:\w+>", "1", re.sub(r"<(path:)?\w+>", "none", route.split(" ")[1]))


def test_the_table_holds_every_route(app: Flask) -> None:
    found = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    assert found == set(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_own_and_foreign_requests(client: FlaskClient, route: str) -> None:
    method, path = route.split(" ")[0], path_of(route)

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(path, method=method, headers=named).status_code

    assert status() == ROUTES[route]
    assert status(Host="evil.example") == 403
    assert status(Host="127.0.0.1.evil.example:80") == 403
    unsafe = method not in ("GET", "HEAD", "OPTIONS")
    expected = 403 if unsafe else ROUTES[route]
    assert status(Sec_Fetch_Site="cross-site") == expected
    assert status(Sec_Fetch_Site="same-site") == expected
    assert status(Origin="http://evil.example") == expected
    assert status(Origin="http://localhost:9999") == expected
    assert status(Origin="null") == expected
    assert status(Origin="http://[x") == expected
    assert status(Sec_Fetch_Site="same-origin", Origin="http://localhost") == ROUTES[route]


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"])
def test_loopback_names_are_answered(client: FlaskClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "localhost:", "localhost:x", "a@localhost", "localhost/", "[::1", "::1", "0.0.0.0"]
)
def test_odd_hosts_are_refused(client: FlaskClient, host: str) -> None:
    reply = client.get("/healthz", headers={"Host": host})
    assert reply.status_code == 403
    assert reply.mimetype == "application/problem+json"


def test_further_hosts_are_a_setting(library: FakeLibrary) -> None:
    library.settings = replace(library.settings, server_hosts=("Docs.internal",))
    client = create_app(library).test_client()
    assert client.get("/healthz", headers={"Host": "docs.internal:80"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "other.internal"}).status_code == 403


@pytest.mark.parametrize("name", ["127.0.0.2", "[::1]", "127.9.8.7"])
def test_the_address_that_is_served_is_answered(app: Flask, name: str) -> None:
    served_by(app).identity = Identity(f"http://{name}:8123", "token")
    client = app.test_client()
    assert client.get("/healthz", headers={"Host": f"{name}:8123"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "127.0.0.3:8123"}).status_code == 403


@pytest.mark.parametrize(
    "path", ["/", "/library", "/models", "/api/docs", "/none", "/api/v1/documents"]
)
def test_every_reply_is_strict(client: FlaskClient, path: str) -> None:
    headers = client.get(path, headers={"Accept": "text/html"}).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", ["/", "/library", "/models", "/api/docs", "/none"])
def test_pages_hold_nothing_inline_and_nothing_from_elsewhere(
    client: FlaskClient, library: FakeLibrary, path: str
) -> None:
    library.add()
    page = client.get(path, headers={"Accept": "text/html"}).text
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))


def test_problems_are_documents_for_programs_and_pages_for_people(client: FlaskClient) -> None:
    assert client.get("/none", headers={"Accept": "text/html"}).mimetype == "text/html"
    assert client.get("/none").mimetype == "application/problem+json"
    accept = {"Accept": "text/html"}
    assert client.get("/api/v1/none", headers=accept).mimetype == "application/problem+json"
    wrong = client.put("/api/v1/documents")
    assert (wrong.status_code, wrong.mimetype) == (405, "application/problem+json")
    assert "GET" in wrong.headers["Allow"]


def test_the_app_loads_nothing_heavy(tmp_path: object) -> None:
    code = (
        "import sys, rag, ingest, web\n"
        "from rag.settings import Settings\n"
        "from pathlib import Path\n"
        "from web.app import create_app\n"
        f"create_app(settings=Settings(home=Path({str(tmp_path)!r})))\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'chromadb', 'llama_index'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
