"""A command asks nothing of a program that has not proved to be the library's server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rag.errors import Busy
from rag.identity import is_proof, new_challenge, new_token, prove
from rag.lock import announce, take_library_lock
from rag.questioning.proposing import Proposal
from rag.questioning.targets import Target
from rag.records import Filters, Passage, Question
from rag.session import RemoteSession, open_session
from rag.settings import Settings

SECRET = "What is the secret plan of the board?"


class Foreign:
    """A program on a port; keeps what it is sent, and answers each request with `replies`."""

    def __init__(self, *replies: bytes) -> None:
        self._replies = list(replies)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.got = b""
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                while block := connection.recv(65536):
                    self.got += block
                    if not self._replies:
                        break
                    connection.sendall(self._replies.pop(0))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def reply(body: object, *headers: str) -> bytes:
    data = json.dumps(body).encode()
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + data


@contextmanager
def foreign(*replies: bytes) -> Iterator[Foreign]:
    with closing(Foreign(*replies)) as program:
        yield program


@pytest.mark.parametrize(
    "replies",
    [
        (),
        (b"nonsense\r\n\r\n",),
        (reply({"status": "ok"}),),
        (reply({"proof": "0" * 64}),),
        (reply({"proof": None}),),
        (reply(["proof"]),),
        (reply({"proof": "é" * 64}),),
    ],
)
def test_a_foreign_program_gets_no_question(tmp_path: Path, replies: tuple[bytes, ...]) -> None:
    settings = Settings(home=tmp_path)
    with foreign(*replies) as program, take_library_lock(settings, "cloister serve"):
        announce(settings, program.address)
        with open_session(settings, "cloister ask") as session:
            with pytest.raises(Busy):
                list(session.ask(Question(SECRET)))
            with pytest.raises(Busy):
                session.search(SECRET, None, 5)
    assert program.got.startswith(b"GET /identity?challenge=")
    assert b"secret plan" not in program.got


def test_the_address_that_a_killed_server_left_is_not_asked(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with foreign() as program:
        with take_library_lock(settings, "cloister serve"):
            announce(settings, program.address)
            left = (tmp_path / "run" / "server.json").read_text()
        with take_library_lock(settings, "cloister ingest sync"):
            (tmp_path / "run" / "server.json").write_text(left)
            with (
                pytest.raises(Busy, match="in use by “cloister ingest sync”"),
                open_session(settings, "cloister ask"),
            ):
                pass
    assert program.got == b""


def test_the_question_goes_only_where_the_proof_came_from() -> None:
    """A server that ends after its proof gives its port up: there is no second connection."""
    token = new_token()

    class Ends(Foreign):
        def _serve(self) -> None:
            connection, _ = self._listener.accept()
            with connection:
                challenge = connection.recv(65536).split(b"challenge=")[1][:64].decode()
                proof = prove(token, self.address, challenge)
                connection.sendall(reply({"proof": proof}, "Connection: close"))
            super()._serve()

    with closing(Ends()) as program, pytest.raises(Busy):
        list(RemoteSession(program.address, token).ask(Question(SECRET)))
    assert b"secret plan" not in program.got


def test_the_server_is_told_which_documents_may_answer() -> None:
    token = new_token()

    class Proves(Foreign):
        def _serve(self) -> None:
            connection, _ = self._listener.accept()
            with connection:
                challenge = connection.recv(65536).split(b"challenge=")[1][:64].decode()
                connection.sendall(reply({"proof": prove(token, self.address, challenge)}))
                while not self.got.endswith(b"}"):
                    self.got += connection.recv(65536)
                connection.sendall(reply({"passages": []}))

    filters = Filters(folder="hr", kinds=("pdf", "docx"))
    with closing(Proves()) as program:
        assert RemoteSession(program.address, token).search("leave", ["board"], 5, filters) == []
        body = json.loads(program.got.split(b"\r\n\r\n")[1])
    assert body == {
        "query": "leave",
        "limit": 5,
        "collections": ["board"],
        "filters": {"folder": "hr", "kinds": ["pdf", "docx"]},
    }


def test_the_server_drafts_a_question_about_a_sentence() -> None:
    token = new_token()
    proposal = {"question": "How many?", "wrong": None, "model": "m@1"}

    class Proves(Foreign):
        def _serve(self) -> None:
            connection, _ = self._listener.accept()
            with connection:
                challenge = connection.recv(65536).split(b"challenge=")[1][:64].decode()
                connection.sendall(reply({"proof": prove(token, self.address, challenge)}))
                while not self.got.endswith(b"}"):
                    self.got += connection.recv(65536)
                connection.sendall(reply(proposal))

    text = "Hello. The ferry carries 240 passengers."
    target = Target(Passage("chunk", "d", "", "x.txt", 1, 0, len(text), text, 1.0), 7, 40, "240")
    with closing(Proves()) as program:
        found = RemoteSession(program.address, token).propose(target)
        head, body = program.got.split(b"\r\n\r\n")
    assert found == Proposal(**proposal)
    assert b"POST /api/v1/questions/draft" in head
    assert json.loads(body) == {"chunk_id": "chunk", "start": 7}


def test_a_proof_is_of_one_token_address_and_challenge() -> None:
    token, challenge = new_token(), new_challenge()
    proof = prove(token, "http://127.0.0.1:1", challenge)
    assert is_proof(proof, token, "http://127.0.0.1:1", challenge)
    assert not is_proof(proof, token, "http://127.0.0.1:2", challenge)
    assert not is_proof(proof, token, "http://127.0.0.1:1", new_challenge())
    assert not is_proof(proof, new_token(), "http://127.0.0.1:1", challenge)
    assert not is_proof(None, token, "http://127.0.0.1:1", challenge)
    assert token not in proof
