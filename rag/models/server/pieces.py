"""What an event of a streamed chat completion says: text, that the model still thinks, an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag.models.server.events import Malformed

# an end that is none: the server gave the answer up
_GIVEN_UP = ("abort", "error")
_OPEN, _CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer. `alive` where it has a token, be it of reasoning, which is left out.

    `finish` is why the model ended. The counts are the server's own, where it tells them.
    """

    text: str = ""
    alive: bool = False
    finish: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ServerSaid(Exception):
    """An error within the stream: the server's `message`, and its `code` where it gave a number."""

    def __init__(self, message: str, code: int | None, kind: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.kind = kind


def piece_of(event: Mapping[str, Any]) -> Piece:
    """What one event says. Raises ServerSaid for an error, Malformed for a form that is unknown."""
    if event.get("error") or event.get("object") == "error":
        raise said_error(event)
    used = event.get("usage")
    counts = _counts(used) if isinstance(used, dict) else (None, None)
    choices = event.get("choices") or []
    if not isinstance(choices, list):
        raise Malformed("its `choices` are no list")
    choice = choices[0] if choices else {}
    if not isinstance(choice, dict):
        raise Malformed("a choice in it is no object")
    if choice.get("index"):  # a second answer, which nobody asked for
        choice = {}
    said = choice.get("delta") or choice.get("message") or {}
    if not isinstance(said, dict):
        raise Malformed("its `delta` is no object")
    text = _text(said.get("content")) or _text(choice.get("text"))
    thought = said.get("reasoning_content") or said.get("reasoning")
    finish = choice.get("finish_reason")
    if finish in _GIVEN_UP:
        raise ServerSaid("it gave the answer up", None, str(finish))
    return Piece(text, bool(text or thought), str(finish or ""), *counts)


def said_error(event: Mapping[str, Any]) -> ServerSaid:
    """The error that an object holds, in whichever form: OpenAI's, FastAPI's, a bare text."""
    error = event.get("error") or event.get("detail") or event
    kind = event.get("error_type") or ""
    code, message = event.get("code"), error
    if isinstance(error, dict):
        code = error.get("code") or error.get("status") or code
        kind = error.get("type") or kind
        message = error.get("message") or error.get("error") or error
    elif isinstance(error, list):  # each field that is wrong
        message = "; ".join(str(e.get("msg", e)) if isinstance(e, dict) else str(e) for e in error)
    number = code if isinstance(code, int) and not isinstance(code, bool) else None
    return ServerSaid(str(message), number, str(kind))


class Whole:
    """Joins pieces of text so that no character is halved and no reasoning is shown.

    A character beyond the first plane may come as two escapes in two events. Where a server does
    not keep reasoning apart, an answer begins with `<think>`; it is left out up to its end.
    """

    def __init__(self) -> None:
        self._half = ""
        self._held = ""
        self._thinking: bool | None = None

    def add(self, text: str) -> str:
        """What may be shown now."""
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        text = text[:-1] if self._half else text
        sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return self._without_thoughts(sound)

    def end(self) -> str:
        """What is left: the half of a character, or what might have become a mark."""
        left = "" if self._thinking else self._held
        return left + ("\ufffd" if self._half else "")

    def _without_thoughts(self, text: str) -> str:
        if self._thinking is False:
            return text
        self._held += text
        if self._thinking is None:
            start = self._held.lstrip()
            if len(start) < len(_OPEN) and _OPEN.startswith(start):
                return ""
            self._thinking = start.startswith(_OPEN)
        if self._thinking:
            _, closed, after = self._held.partition(_CLOSE)
            if not closed:
                self._held = self._held[-len(_CLOSE) :]
                return ""
            self._held = after
        self._thinking = False
        text, self._held = self._held, ""
        return text


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    if content is None:
        return ""
    raise Malformed("its text is no text")


def _counts(usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return (
        prompt if isinstance(prompt, int) else None,
        completion if isinstance(completion, int) else None,
    )
