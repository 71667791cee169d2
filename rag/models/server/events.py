"""From the bytes of a streamed reply, cut anywhere, to the JSON objects in it.

Server-sent events by the HTML standard (https://html.spec.whatwg.org/multipage/server-sent-events.html)
and what servers send in their stead: objects without `data:`, one object over the whole reply,
events without an empty line between them, a page of HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST_EVENT = 1_000_000
LONGEST_REPLY = 32_000_000
MOST_LINES = 10_000
DONE = "[DONE]"
_END = re.compile(rb"\r\n|\n|\r")


class Malformed(Exception):
    """The reply is no stream of JSON objects; `str()` says what it is instead."""


class EventReader:
    """Takes a reply's bytes as they come; `done` once its last event was there."""

    def __init__(self) -> None:
        self.done = False
        self._rest = b""
        self._data: list[str] = []
        self._held = 0
        self._bare = False
        self._bytes = 0
        self._begun = False

    def feed(self, data: bytes) -> Iterator[Mapping[str, Any]]:
        """The objects that these bytes complete. Raises Malformed."""
        self._bytes += len(data)
        if self._bytes > LONGEST_REPLY:
            raise Malformed(f"it is longer than {LONGEST_REPLY:,} bytes")
        *lines, self._rest = self._lines(self._rest + data)
        for line in lines:
            if not self.done:
                yield from self._take(line)
        if len(self._rest) > LONGEST_EVENT:
            raise Malformed(f"an event in it is longer than {LONGEST_EVENT:,} bytes")

    def end(self) -> Iterator[Mapping[str, Any]]:
        """The objects that end with the reply. Raises Malformed where one is cut off."""
        last, self._rest = self._rest.rstrip(b"\r"), b""
        if last and not self.done:
            yield from self._take(last)
        if self._data and not self.done:
            yield self._parsed(self._taken())

    @staticmethod
    def _lines(data: bytes) -> list[bytes]:
        """The whole lines, without their ends (LF, CR or both), and what is left after them."""
        if not data.endswith(b"\r"):
            return _END.split(data)
        *lines, last = _END.split(data[:-1])
        return [*lines, last + b"\r"]  # a LF may follow

    def _take(self, raw: bytes) -> Iterator[Mapping[str, Any]]:
        line = raw.decode("utf-8", "replace")
        if not self._begun:
            line = line.removeprefix("\ufeff")
            self._begun = bool(line.strip())
            if line.lstrip().startswith("<"):
                raise Malformed("it is a web page")
        if not line.strip():
            if self._data and not self._bare:
                yield self._parsed(self._taken())
        elif line.startswith("data:"):
            yield from self._add(line[5:].removeprefix(" "))
        elif line.startswith("error:"):  # llama.cpp's way, some versions ago
            yield {"error": self._parsed(line[6:])}
        elif self._bare or line.lstrip().startswith("{"):
            self._bare = True
            yield from self._add(line)

    def _add(self, text: str) -> Iterator[Mapping[str, Any]]:
        """One more line of an event; it is one as soon as it can be read as one."""
        if not self._data and text.strip() == DONE:
            self.done = True
            return
        self._data.append(text)
        self._held += len(text)
        if self._held > LONGEST_EVENT or len(self._data) > MOST_LINES:
            raise Malformed(f"an event in it is longer than {LONGEST_EVENT:,} bytes")
        if not text.rstrip().endswith("}"):
            return
        try:
            found = json.loads("\n".join(self._data))
        except (ValueError, RecursionError):
            return  # it may go on
        self._taken()
        yield self._object(found)

    def _taken(self) -> str:
        """What is held of an event, which ends here."""
        text = "\n".join(self._data)
        self._data, self._held, self._bare = [], 0, False
        return text

    def _parsed(self, text: str) -> Mapping[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Malformed("an event in it is no JSON, or is cut off") from error
        return self._object(found)

    @staticmethod
    def _object(found: Any) -> Mapping[str, Any]:
        if not isinstance(found, dict):
            raise Malformed("an event in it is no JSON object")
        return found
