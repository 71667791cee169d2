"""Streams as servers send them, sound and not, cut anywhere."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.models.server.events import LONGEST_EVENT, EventReader, Malformed
from rag.models.server.pieces import ServerSaid, Whole, piece_of


def read(*parts: bytes) -> list[Any]:
    reader = EventReader()
    found = [event for part in parts for event in reader.feed(part)]
    return [*found, *reader.end()]


ONE, TWO = {"a": "é🌿"}, {"b": [1, {"c": None}]}
J1, J2 = json.dumps(ONE, ensure_ascii=False), json.dumps(TWO)


@pytest.mark.parametrize(
    "stream",
    [
        f"data: {J1}\n\ndata: {J2}\n\ndata: [DONE]\n\n",
        f"data: {J1}\r\n\r\ndata: {J2}\r\n\r\ndata: [DONE]\r\n\r\n",
        f"data: {J1}\r\rdata: {J2}\r\rdata: [DONE]\r\r",
        f"data:{J1}\n\ndata:{J2}\n\n",
        f": ping\n\ndata: {J1}\n\n:\n\n: ping\ndata: {J2}\n\n",
        f"event: message\nid: 7\nretry: 10\ndata: {J1}\n\nevent: x\ndata: {J2}\n\n",
        f"data: {J1}\ndata: {J2}\n",
        f"data: {J1}\n\ndata: {J2}",
        f"{J1}\n{J2}\n",
        f"\n\n{J1}\n\n{J2}",
        f"\ufeffdata: {J1}\n\ndata: {J2}\n\n",
        f'data: {J1}\n\ndata: {{"b":\ndata: [1,\ndata: {{"c": null}}\ndata: ]}}\n\n',
        json.dumps(ONE, indent=2) + "\n" + json.dumps(TWO, indent=2),
    ],
    ids=lambda stream: repr(stream[:24]),
)
def test_each_form_is_read_however_it_is_cut(stream: str) -> None:
    data = stream.encode()
    assert read(data) == [ONE, TWO]
    assert read(*(data[at : at + 1] for at in range(len(data)))) == [ONE, TWO]
    for at in range(1, len(data)):
        assert read(data[:at], data[at:]) == [ONE, TWO]


def test_nothing_is_read_after_the_end() -> None:
    reader = EventReader()
    data = f"data: {J1}\n\ndata: [DONE]\n\ndata: {J2}\n\n".encode()
    assert [*reader.feed(data), *reader.feed(b"data: nonsense\n\n"), *reader.end()] == [ONE]
    assert reader.done


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<!doctype html><p>Sign in</p>", "web page"),
        (b"\n <html>", "web page"),
        (b"data: {nonsense}\n\n", "no JSON"),
        (b"data: \xff\xfe\n\n", "no JSON"),
        (b'data: {"a": 1\n\n', "cut off"),
        (b'data: {"a": ', "cut off"),
        (b"data: [1]\n\n", "no JSON object"),
        (b"data: 7\n\n", "no JSON object"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "no JSON"),
        (b"data: " + b"x" * LONGEST_EVENT + b"xx", "longer"),
        (b"x" * (LONGEST_EVENT + 1), "longer"),
        (b"data: {\n" * (LONGEST_EVENT // 2 + 1), "longer"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_no_stream_is_told(data: bytes, told: str) -> None:
    with pytest.raises(Malformed, match=told):
        read(data)


def test_a_reply_without_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.models.server.events.LONGEST_REPLY", 100_000)
    pings = b": ping\n" * 1_000
    assert read(*[pings] * 14) == []
    with pytest.raises(Malformed, match="longer than 100,000 bytes"):
        read(*[pings] * 15)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_objects_or_malformed(parts: list[bytes]) -> None:
    with contextlib.suppress(Malformed):
        assert all(isinstance(event, dict) for event in read(*parts))


@pytest.mark.parametrize(
    ("event", "text", "alive"),
    [
        ({"choices": [{"delta": {"content": "Five"}}]}, "Five", True),
        ({"choices": [{"delta": {"role": "assistant"}}]}, "", False),
        ({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, "", False),
        ({"choices": [{"delta": {"content": None}}]}, "", False),
        ({"choices": [{"delta": None, "finish_reason": "stop"}]}, "", False),
        ({"choices": [{"delta": {"reasoning_content": "hm"}}]}, "", True),
        ({"choices": [{"delta": {"reasoning": "hm", "content": None}}]}, "", True),
        ({"choices": [{"delta": {"content": [{"type": "text", "text": "a"}, {"x": 1}]}}]}, "a", 1),
        ({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}, "whole", True),
        ({"choices": [{"text": "plain"}]}, "plain", True),
        ({"choices": [{"index": 1, "delta": {"content": "second"}}]}, "", False),
        ({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}, "", False),
        ({"choices": None}, "", False),
        ({}, "", False),
    ],
)
def test_the_text_of_an_event(event: dict[str, Any], text: str, alive: bool) -> None:
    piece = piece_of(event)
    assert (piece.text, piece.alive) == (text, alive)


def test_the_counts_and_the_reason_of_an_end() -> None:
    piece = piece_of(
        {
            "choices": [{"delta": {}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3},
        }
    )
    assert (piece.finish, piece.prompt_tokens, piece.completion_tokens) == ("length", 9, 3)
    assert piece_of({"usage": {"prompt_tokens": "many"}}).prompt_tokens is None


@pytest.mark.parametrize(
    ("event", "message", "code"),
    [
        ({"error": {"message": "out of memory", "code": 500}}, "out of memory", 500),
        ({"error": {"message": "busy", "type": "overloaded", "code": "x"}}, "busy", None),
        ({"error": "no more", "error_type": "overloaded"}, "no more", None),
        ({"object": "error", "message": "too long", "code": 400}, "too long", 400),
        ({"choices": [{"delta": {}, "finish_reason": "abort"}]}, "gave the answer up", None),
    ],
)
def test_an_error_within_the_stream(event: dict[str, Any], message: str, code: int | None) -> None:
    with pytest.raises(ServerSaid, match=message) as error:
        piece_of(event)
    assert error.value.code == code


@pytest.mark.parametrize(
    "event",
    [
        {"choices": "none"},
        {"choices": ["x"]},
        {"choices": [{"delta": "x"}]},
        {"choices": [{"delta": {"content": 7}}]},
    ],
)
def test_an_event_of_another_form_is_told(event: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        piece_of(event)


def shown(*texts: str) -> str:
    whole = Whole()
    return "".join([*map(whole.add, texts), whole.end()])


def test_a_character_in_two_halves_is_put_together() -> None:
    assert shown("leaf \ud83c", "\udf3f!") == "leaf 🌿!"
    assert shown("\ud83c", "x") == "\ufffdx"
    assert shown("\udf3f") == "\ufffd"
    assert shown("end \ud83c") == "end \ufffd"


@pytest.mark.parametrize("cut", range(1, 40))
def test_reasoning_before_an_answer_is_left_out(cut: int) -> None:
    text = "\n<think>Let me see. </thin k></think>It is five."
    assert shown(text[:cut], text[cut:]) == "It is five."
    assert shown(*text) == "It is five."


def test_what_only_looks_like_reasoning_stays() -> None:
    for text in ("<thin> air", "a <think> b </think>", "<", "<thi", " \n", ""):
        assert shown(text) == shown(*text) == text
    assert shown("<think>and nothing else") == ""
