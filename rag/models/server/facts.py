"""What the server tells of itself: its model, how long its context is, how tokens are counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rag.errors import ModelError
from rag.models.server.access import Access
from rag.models.server.asking import ask_json
from rag.models.server.faults import Fault

VLLM, LLAMA_CPP, OLLAMA, TGI = "vLLM", "llama.cpp", "Ollama", "TGI"
LLAMA_CPP_PYTHON, UNKNOWN = "llama-cpp-python", ""

_log = logging.getLogger("cloister.egress")
_OWNERS = {"vllm": VLLM, "llamacpp": LLAMA_CPP, "library": OLLAMA}
_SHOWN = 10
_COUNT_SECONDS = 3.0
# after a count that failed, tokens are estimated for this long
_PAUSE_SECONDS = 60.0

_Asked = Callable[[str, str], Mapping[str, Any]]
_COUNTERS: Mapping[str, tuple[str, _Asked]] = {
    VLLM: ("/tokenize", lambda m, t: {"model": m, "prompt": t, "add_special_tokens": False}),
    LLAMA_CPP: ("/tokenize", lambda _, t: {"content": t}),
    TGI: ("/tokenize", lambda _, t: {"inputs": t, "add_special_tokens": False}),
    LLAMA_CPP_PYTHON: ("/extras/tokenize/count", lambda _, t: {"input": t}),
}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The model that will answer; `context_tokens` is None, `revision` empty where not told.

    `kind` is the program that serves it, empty where it is not known.
    """

    model: str
    kind: str = UNKNOWN
    revision: str = ""
    context_tokens: int | None = None


def read_facts(access: Access, wanted: str, only: bool = False) -> ServerFacts:
    """Ask the server. `wanted` is the model's name; with `only` its one model will do as well.

    Raises ModelError where it has no such model or several, Busy where it does not answer yet.
    """
    try:
        listed = ask_json(access, "GET", "/v1/models")
        rows = _models(listed)
        name = _chosen(access, [row["id"] for row in rows], wanted, only)
        row = next((row for row in rows if row["id"] == name), {})
        kind = _OWNERS.get(str(row.get("owned_by")), UNKNOWN)
        return _described(access, name, kind, row)
    except Fault as fault:
        raise fault.error from fault


class TokenCounter:
    """Counts a text's tokens: by the server's tokenizer where it has one, else by its length."""

    def __init__(self, access: Access, facts: ServerFacts) -> None:
        self._access = access
        self._model = facts.model
        self._way: tuple[str, _Asked] | None = None
        self._again_at = 0.0
        ways = [_COUNTERS[facts.kind]] if facts.kind in _COUNTERS else []
        if facts.kind == UNKNOWN:
            ways = [*_COUNTERS.values()]
        self._way = next((way for way in ways if self._asked(way, "a b c") is not None), None)

    @property
    def exact(self) -> bool:
        """Whether the server counts."""
        return self._way is not None

    def count(self, text: str) -> int:
        """How many tokens a text has, or at most has by an estimate."""
        if self._way is None or not text or time.monotonic() < self._again_at:
            return estimate(text)
        found = self._asked(self._way, text)
        if found is None:
            self._again_at = time.monotonic() + _PAUSE_SECONDS
            _log.warning(
                "%s does not count tokens just now: they are estimated", self._access.named
            )
            return estimate(text)
        return found

    def _asked(self, way: tuple[str, _Asked], text: str) -> int | None:
        path, asked = way
        try:
            body = asked(self._model, text)
            found = ask_json(self._access, "POST", path, body, _COUNT_SECONDS)
        except Fault:
            return None
        tokens = found
        if isinstance(found, dict):
            tokens = found.get("count", found.get("tokens"))
        if isinstance(tokens, list):
            tokens = len(tokens)
        sound = isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0
        return tokens if sound else None


def estimate(text: str) -> int:
    """Tokens by length: three bytes of UTF-8 each, more than most tokenizers make of a text."""
    return len(text.encode("utf-8", "replace")) // 3 + 1


def _models(listed: Any) -> list[Mapping[str, Any]]:
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        return []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _chosen(access: Access, names: list[str], wanted: str, only: bool) -> str:
    """The model's name as the server has it. Raises ModelError."""
    for name in (wanted, f"{wanted}:latest"):  # Ollama's own shorthand
        if name in names:
            return name
    if only and len(names) == 1:
        return names[0]
    if not names and not only:  # it lists none; the first question will tell
        return wanted
    has = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    if not names:
        raise ModelError(f"{access.named} lists no model. Set llm.model to the name of its model.")
    if only:
        raise ModelError(f"{access.named} has several models: {has}. Set llm.model to one of them.")
    raise ModelError(f"{access.named} has no model “{wanted}”. Set llm.model to one of: {has}.")


def _described(access: Access, name: str, kind: str, row: Mapping[str, Any]) -> ServerFacts:
    """Look where each kind of server tells more; what it does not tell is left open."""
    context = _number(row.get("max_model_len"))
    if kind == VLLM:
        return ServerFacts(name, kind, "", context)
    if kind == OLLAMA:
        running = _named(_told(access, "/api/ps"), name)
        digest = str(_named(_told(access, "/api/tags"), name).get("digest") or "")
        revision = digest.removeprefix("sha256:")[:12]
        return ServerFacts(name, kind, revision, _number(running.get("context_length")))
    props = _told(access, "/props")
    slot = props.get("default_generation_settings")
    if isinstance(slot, dict):
        length = _number(slot.get("n_ctx")) or _number(props.get("n_ctx"))
        return ServerFacts(name, kind or LLAMA_CPP, "", length or context)
    info = _told(access, "/info")
    if "model_id" in info:
        revision = str(info.get("model_sha") or "")[:12]
        length = _number(info.get("max_total_tokens")) or context
        return ServerFacts(name, kind or TGI, revision, length)
    return ServerFacts(name, kind, "", context)


def _told(access: Access, path: str) -> Mapping[str, Any]:
    try:
        found = ask_json(access, "GET", path)
    except Fault:  # it has answered before, so this path is what it does not serve
        return {}
    return found if isinstance(found, dict) else {}


def _named(listed: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The row of a model in one of Ollama's own lists."""
    rows = listed.get("models")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and name in (row.get("name"), row.get("model")):
            return row
    return {}


def _number(value: Any) -> int | None:
    sound = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if sound else None
