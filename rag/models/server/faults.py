"""What a failure of the server means for the asker, and whether asking again may help."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from rag.errors import Busy, CloisterError, ModelError
from rag.models.server.access import Access
from rag.models.server.exchange import Head
from rag.models.server.pieces import said_error
from rag.printing import printable

_AGAIN = (429, 502, 503, 504)
_LONGEST_MESSAGE = 300


class Fault(Exception):
    """A try that failed with `error`; `again` where the next may not, `after` so many seconds."""

    def __init__(self, error: CloisterError, again: bool = False, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again
        self.after = after


def not_reached(access: Access, reason: str) -> Fault:
    """No connection came about."""
    return Fault(
        Busy(
            f"{access.named} cannot be reached: {printable(reason)}. Start it, or correct llm.url; "
            "then ask again."
        ),
        again=True,
    )


def not_trusted(access: Access, reason: str) -> Fault:
    """Its certificate is not one that is trusted."""
    return Fault(
        ModelError(
            f"{access.named} has a certificate that is not trusted: {printable(reason)}. Nothing "
            "was sent. Name the file of its authority's certificate with llm.ca_file."
        )
    )


def broken_off(access: Access, begun: bool) -> Fault:
    """The connection ended within the reply, after its first token where it was `begun`."""
    if begun:
        return Fault(ModelError(f"{access.named} broke the answer off. Ask again."))
    return Fault(
        Busy(f"{access.named} closed the connection without an answer. Ask again in a minute."),
        again=True,
    )


def late(access: Access, what: str, seconds: float, setting: str) -> Fault:
    """A time limit is over; no further try is made."""
    return Fault(
        Busy(
            f"{access.named} gave no {what} within {seconds:g} s ({setting}). Ask again when it "
            "has less to do, or have the operator raise the limit."
        )
    )


def no_stream(access: Access, reason: str) -> Fault:
    """The reply is not what was asked for."""
    return Fault(
        ModelError(
            f"{access.named} gave a reply that cannot be read: {reason}. See that llm.url is the "
            "address of an OpenAI-compatible server, not of a proxy before it (docs/servers.md)."
        )
    )


def of_status(access: Access, head: Head, body: bytes, model: str) -> Fault:
    """What a reply with another status than 200 means. The server's own words are shortened."""
    status, words = head.status, message_in(access, body)
    said = f": {words}" if words else ""
    if status in _AGAIN:
        reason = "has too much to do" if status == 429 else f"is not ready (status {status})"
        error: CloisterError = Busy(f"{access.named} {reason}{said}. Ask again in a minute.")
        return Fault(error, True, _after(head.headers))
    if 300 <= status < 400:
        where = printable(head.headers.get("location", "")[:200])
        error = ModelError(
            f"{access.named} sends on to “{where}”, which is not followed. Set llm.url to the "
            "server's own address."
        )
    elif status in (401, 403):
        error = ModelError(
            f"{access.named} does not accept the key{said}. Set llm.key_file or llm.key_variable."
        )
    elif status == 404:
        error = ModelError(
            f"{access.named} knows no model “{model}”, or nothing is at this path{said}. Correct "
            "llm.model or llm.url, and restart Cloister where the server's model was changed."
        )
    elif status < 500:
        error = ModelError(
            f"{access.named} refused the request (status {status}){said}. Lower "
            "llm.max_prompt_tokens or llm.max_new_tokens where it is too long for the model."
        )
    else:
        error = ModelError(f"{access.named} failed (status {status}){said}. See its log.")
    return Fault(error)


def of_words(access: Access, message: str, code: int | None, kind: str, begun: bool) -> Fault:
    """What an error within the stream means."""
    words = _shortened(access, message)
    if code in _AGAIN or "overload" in kind.lower():
        error: CloisterError = Busy(f"{access.named} has too much to do: {words}. Ask again.")
        return Fault(error, again=not begun)
    return Fault(ModelError(f"{access.named} broke the answer off: {words}. See its log."))


def message_in(access: Access, body: bytes) -> str:
    """The server's own words in the body of an error; empty where there are none to show."""
    text = body.decode("utf-8", "replace").strip()
    if not text or text.startswith("<"):
        return ""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _shortened(access, text)
    if isinstance(found, dict):
        return _shortened(access, said_error(found).message)
    return ""


def _shortened(access: Access, text: str) -> str:
    words = " ".join(printable(access.without_key(text)).split())
    words = words if len(words) <= _LONGEST_MESSAGE else f"{words[: _LONGEST_MESSAGE - 1]}…"
    return words.rstrip(".")


def _after(headers: Mapping[str, str]) -> float:
    """The seconds of `Retry-After`, a number or a date (RFC 9110, 10.2.3); 0 without one."""
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit() and len(given) < 10:
        return float(given)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
