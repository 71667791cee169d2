"""Answers of a server that plays back what servers do, and do wrong."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from rag.errors import Busy, CloisterError, ModelError
from rag.models.server.access import Access, TimeLimits
from rag.models.server.address import read_address
from rag.models.server.completion import completion
from rag.models.server.pieces import Piece
from tests.rag.models.server.playing import (
    HANG,
    NOTHING,
    Played,
    Reply,
    answer,
    ended,
    playing,
    said,
    sse,
    value,
)

QUICK = TimeLimits(connect=2, first_token=5, token=5, answer=10, retries=2)
BODY = {"model": "m", "messages": [{"role": "user", "content": "Leave 🌿?"}], "stream": True}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.models.server.completion._FIRST_WAIT", 0.01)


def access_to(played: Played, key: str = "", path: str = "", **limits: float) -> Access:
    given: dict[str, Any] = {**{n: getattr(QUICK, n) for n in QUICK.__slots__}, **limits}
    return Access(read_address(played.url + path), key, None, TimeLimits(**given))


def text_of(access: Access, stop: threading.Event | None = None) -> str:
    return "".join(p.text for p in completion(access, BODY, stop or threading.Event()))


def test_an_answer_and_what_was_asked_for_it() -> None:
    with playing([answer("Five ", "days.")]) as played:
        assert text_of(access_to(played, key="s3cret")) == "Five days."
        (asked,) = played.chats()
    assert asked.body == BODY
    assert asked.headers["authorization"] == "Bearer s3cret"
    assert asked.headers["host"] == played.address
    assert asked.headers["user-agent"].startswith("cloister/")


def test_a_path_before_the_interface_is_kept() -> None:
    with playing([answer("Five.")]) as played:
        played.replies["/gate/v1/chat/completions"] = [answer("Six.")]
        assert text_of(access_to(played, path="/gate/v1/")) == "Six."


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with playing([answer("Five.")]) as played:
        assert text_of(access_to(played)) == "Five."


# each plays the answer “Five 🌿 days.”
FIVE = sse(said("Five 🌿"), said(" days."), ended("stop"))
PLAIN = b"".join(part for part in FIVE if isinstance(part, bytes))
AWKWARD: dict[str, Reply] = {
    "sound": Reply([*FIVE, *sse("[DONE]")]),
    "in chunks": Reply([*FIVE, *sse("[DONE]")], chunked=True),
    "byte by byte": Reply([PLAIN[at : at + 1] for at in range(len(PLAIN))]),
    "byte by byte in chunks": Reply([PLAIN[at : at + 1] for at in range(len(PLAIN))], chunked=True),
    "without [DONE]": Reply(FIVE),
    "without [DONE], the last chunk missing": Reply(FIVE, chunked=True, reset=True),
    "without a finish_reason": Reply([*FIVE[:2], *sse("[DONE]")]),
    "carriage returns": Reply([PLAIN.replace(b"\n", b"\r\n")]),
    "no space after data:": Reply([PLAIN.replace(b"data: ", b"data:")]),
    "no data: at all": Reply([PLAIN.replace(b"data: ", b"")]),
    "no empty lines": Reply([PLAIN.replace(b"\n\n", b"\n")]),
    "comments between": Reply([b": ping\n\n", FIVE[0], b": ping\n\n", *FIVE[1:]]),
    "a role first": Reply(
        [*sse({"choices": [{"delta": {"role": "assistant", "content": None}}]}), *FIVE]
    ),
    "reasoning first": Reply(
        [*sse({"choices": [{"delta": {"reasoning_content": "Hm, "}}]}), *FIVE]
    ),
    "the end of its length": Reply(sse(said("Five 🌿 days."), ended("length"))),
    "the counts last": Reply(
        [*FIVE, *sse({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}})]
    ),
    "not streamed": value(
        {"choices": [{"message": {"content": "Five 🌿 days."}, "finish_reason": "stop"}]}
    ),
    "silence after the end": Reply([*FIVE, HANG]),
    "nonsense after the end": Reply([*FIVE, *sse("[DONE]"), b"data: {nonsense\n\n"]),
}


@pytest.mark.parametrize("form", AWKWARD)
def test_it_is_understood(form: str) -> None:
    with playing([AWKWARD[form]]) as played:
        assert text_of(access_to(played)) == "Five 🌿 days."
        assert len(played.chats()) == 1


def test_the_servers_own_counts_are_there() -> None:
    with playing([AWKWARD["the counts last"]]) as played:
        *_, last = completion(access_to(played), BODY, threading.Event())
    assert last == Piece(prompt_tokens=9, completion_tokens=3)


FAILING: list[tuple[Reply, type[CloisterError], str]] = [
    (Reply([b"<html>Sign in</html>"], kind="text/html"), ModelError, "web page.*llm.url"),
    (Reply([b"data: {oops}\n\n"]), ModelError, "no JSON"),
    (Reply([b"data: " + b"x" * 1_100_000]), ModelError, "longer than"),
    (Reply([b"hello"]), Busy, "without an answer"),
    (Reply([*sse(said("Five"))]), ModelError, "broke the answer off"),
    (Reply([*sse(said("Five"))], chunked=True, reset=True), ModelError, "broke the answer off"),
    (Reply(sse(said("Five"), {"error": {"message": "out of memory"}})), ModelError, "out of mem"),
    (Reply([b'error: {"code": 500, "message": "slot lost"}\n\n']), ModelError, "slot lost"),
    (Reply(sse({"error": "Model is overloaded", "error_type": "overloaded"})), Busy, "too much"),
    (value({"error": {"message": "bad key s3cret"}}, 401), ModelError, "bad key ….*llm.key_file"),
    (value({"detail": "no"}, 403), ModelError, "does not accept the key: no"),
    (value({"error": {"message": "gone"}}, 404), ModelError, "“m”.*gone.*llm.model"),
    (value({"object": "error", "message": "too long"}, 400), ModelError, "too long.*max_prompt"),
    (value({"detail": [{"msg": "a"}, {"msg": "b"}]}, 422), ModelError, "a; b"),
    (value({"error": "x" * 5000}, 500), ModelError, r"status 500\): x{299}…\. See"),
    (Reply([b"<h1>Bad gateway</h1>"], 502, "text/html"), Busy, r"not ready \(status 502\)\. Ask"),
    (value({"error": {"message": "Loading model"}}, 503), Busy, "Loading model"),
    (value({}, 307, Location="http://elsewhere.example/v1"), ModelError, "not followed"),
    (Reply([b"\x00\x01 no HTTP\r\n\r\n"], raw=True), Busy, "without an answer"),
    (Reply([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"], raw=True), Busy, "without"),
]


@pytest.mark.parametrize(("reply", "kind", "told"), FAILING)
def test_what_went_wrong_is_told(reply: Reply, kind: type[CloisterError], told: str) -> None:
    with playing([reply]) as played, pytest.raises(kind, match=told) as error:
        text_of(access_to(played, key="s3cret"))
    assert f"The LLM server at {played.address}" in str(error.value)
    assert "s3cret" not in str(error.value)


def test_control_characters_of_the_server_reach_no_terminal() -> None:
    reply = value({"error": "\x1b[2Jgone\u202e"}, 500)
    with playing([reply]) as played, pytest.raises(ModelError) as error:
        text_of(access_to(played))
    assert "\x1b" not in str(error.value)
    assert "\u202e" not in str(error.value)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int) -> None:
    with playing([value({}, status), value({}, status), answer("Five.")]) as played:
        assert text_of(access_to(played)) == "Five."
        assert len(played.chats()) == 3


def test_it_is_not_asked_for_ever() -> None:
    with playing([value({}, 503)]) as played:
        with pytest.raises(Busy):
            text_of(access_to(played))
        assert len(played.chats()) == 1 + QUICK.retries


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
def test_a_refusal_is_not_asked_again(status: int) -> None:
    with playing([value({}, status), answer("Five.")]) as played:
        with pytest.raises(ModelError):
            text_of(access_to(played))
        assert len(played.chats()) == 1


def test_a_connection_that_is_lost_before_the_first_token_is_made_again() -> None:
    role = sse({"choices": [{"delta": {"role": "assistant"}}]})
    with playing([Reply([], raw=True), Reply(role, reset=True), answer("Five.")]) as played:
        assert text_of(access_to(played)) == "Five."
        assert len(played.chats()) == 3


@pytest.mark.parametrize(
    "begun", [said("Five"), {"choices": [{"delta": {"reasoning_content": "Hm"}}]}]
)
@pytest.mark.parametrize("then", [[], sse({"error": {"message": "busy", "code": 503}})])
def test_nothing_is_asked_again_after_the_first_token(begun: object, then: Sequence[bytes]) -> None:
    with playing([Reply([*sse(begun), *then]), answer("Six.")]) as played:
        got = []
        with pytest.raises(CloisterError):
            got.extend(completion(access_to(played), BODY, threading.Event()))
        assert len(played.chats()) == 1


def test_retry_after_is_respected() -> None:
    with playing([value({}, 429, Retry_After="1"), answer("Five.")]) as played:
        started = time.monotonic()
        assert text_of(access_to(played)) == "Five."
        assert 1.0 <= time.monotonic() - started < 3


@pytest.mark.parametrize(
    "after",
    ["600", format_datetime(datetime.now(UTC) + timedelta(hours=1))],
    ids=["seconds", "date"],
)
def test_a_long_retry_after_is_told_instead(after: str) -> None:
    with playing([value({}, 429, Retry_After=after)]) as played:
        with pytest.raises(Busy, match=r"asks to wait \d{3,4} s"):
            text_of(access_to(played))
        assert len(played.chats()) == 1


@pytest.mark.parametrize("after", ["soon", "-5", "1e9", "Mon, 99 Nov", ""])
def test_a_retry_after_that_is_none_does_not_matter(after: str) -> None:
    with playing([value({}, 503, Retry_After=after), answer("Five.")]) as played:
        assert text_of(access_to(played)) == "Five."


def test_a_server_that_is_not_there_is_told_after_the_tries() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    access = Access(read_address(f"http://localhost:{port}"), limits=QUICK)
    with pytest.raises(Busy, match=f"localhost:{port} cannot be reached: .*refused.*llm.url"):
        text_of(access)


@pytest.mark.parametrize(
    ("limits", "parts", "told"),
    [
        ({"first_token": 0.2}, [HANG], "no first token within 0.2 s .llm.first_token_seconds"),
        ({"first_token": 0.3}, [b": ping\n\n", 0.2] * 5, "no first token"),
        ({"token": 0.2}, [*sse(said("Five")), HANG], "no further token .*llm.token_seconds"),
        ({"answer": 0.5}, [*sse(said("Five")), 0.2] * 9, "no whole answer .*llm.answer_seconds"),
    ],
)
def test_each_time_limit_is_told(limits: dict[str, float], parts: Any, told: str) -> None:
    with playing([Reply(parts)]) as played:
        started = time.monotonic()
        with pytest.raises(Busy, match=told):
            text_of(access_to(played, **limits))
        assert time.monotonic() - started < 2
        assert len(played.chats()) == 1


def test_a_head_that_does_not_come_is_not_waited_for() -> None:
    reply = Reply([b"HTTP/1.1 200 OK\r\nA:", HANG], raw=True)
    with playing([reply]) as played, pytest.raises(Busy, match="no first token"):
        text_of(access_to(played, first_token=0.2))


@pytest.mark.parametrize("parts", [[HANG], [*sse(said("Five")), HANG]])
def test_stopping_ends_the_connection_at_once(parts: Any) -> None:
    """Also before the server has said anything: its place is free for others."""
    stop = threading.Event()
    with playing([Reply(parts)]) as played:
        threading.Timer(0.3, stop.set).start()
        started = time.monotonic()
        text_of(access_to(played), stop)
        assert time.monotonic() - started < 1
        assert played.gone.wait(1)


def test_leaving_an_answer_ends_the_connection_at_once() -> None:
    with playing([Reply([*sse(said("Five")), HANG])]) as played:
        pieces = completion(access_to(played), BODY, threading.Event())
        assert next(pieces).text == "Five"
        assert not played.gone.is_set()
        pieces.close()
        assert played.gone.wait(1)
    until = time.monotonic() + 2
    while any(thread.name == "llm-server" for thread in threading.enumerate()):
        assert time.monotonic() < until, "a thread is left"
        time.sleep(0.01)


def test_stopping_ends_the_wait_before_a_further_try() -> None:
    stop = threading.Event()
    with playing([value({}, 429, Retry_After="8")]) as played:
        threading.Timer(0.2, stop.set).start()
        started = time.monotonic()
        assert text_of(access_to(played), stop) == ""
        assert time.monotonic() - started < 2


def test_a_server_that_does_not_know_how_to_count_is_asked_without() -> None:
    refused = value({"error": {"message": "Unknown field: stream_options"}}, 400)
    body = {**BODY, "stream_options": {"include_usage": True}}
    with playing([refused, answer("Five.")]) as played:
        found = [p.text for p in completion(access_to(played), body, threading.Event())]
        assert "".join(found) == "Five."
        assert "stream_options" in played.chats()[0].body
        assert "stream_options" not in played.chats()[1].body


def test_many_that_are_left_leave_nothing_behind() -> None:
    with playing([Reply([*sse(said("Five")), HANG])]) as played:
        access = access_to(played)
        for _ in range(50):
            pieces = completion(access, BODY, threading.Event())
            next(pieces)
            pieces.close()
        until = time.monotonic() + 3
        while played.open or any(t.name == "llm-server" for t in threading.enumerate()):
            assert time.monotonic() < until, "a connection or a thread is left"
            time.sleep(0.01)


def test_nothing_at_all_is_told() -> None:
    with playing([NOTHING]) as played, pytest.raises(ModelError, match="nothing is at this path"):
        text_of(access_to(played))
