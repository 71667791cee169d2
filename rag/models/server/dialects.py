"""What the kinds of servers call the parameters of generation, and which they do not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.errors import UsageError
from rag.models.server.facts import LLAMA_CPP, LLAMA_CPP_PYTHON, OLLAMA, TGI

_FIELDS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_new_tokens": "min_tokens",
    "max_new_tokens": "max_tokens",
    "repetition_penalty": "repetition_penalty",
    "seed": "seed",
}
# where a kind differs; None: it has no such parameter, and would ignore it without a word
_DIFFERENT: Mapping[str, Mapping[str, str | None]] = {
    LLAMA_CPP: {"repetition_penalty": "repeat_penalty", "min_new_tokens": None},
    LLAMA_CPP_PYTHON: {"repetition_penalty": "repeat_penalty"},
    OLLAMA: {"top_k": None, "min_new_tokens": None, "repetition_penalty": None},
    TGI: {"top_k": None, "min_new_tokens": None, "repetition_penalty": None},
}
_OF_SAMPLING = ("top_k", "top_p", "seed")


def request_fields(kind: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as fields of a request to a server of this kind.

    At temperature 0 nothing is drawn, so what only shapes the draw is left out. Raises UsageError
    for a parameter that the server would ignore: an answer's record says what was used.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    temperature = given.get("temperature") or 0
    fields: dict[str, Any] = {"temperature": temperature}
    different = _DIFFERENT.get(kind, {})
    for name, value in given.items():
        if temperature == 0 and name in _OF_SAMPLING:
            continue
        if _does_nothing(kind, name, value):
            continue
        field = different.get(name, _FIELDS.get(name))
        if field is None:
            raise UsageError(
                f"{name} is {value}, but the LLM server ({kind or 'of an unknown kind'}) has no "
                "such parameter. Leave it out of the question, and out of the collection's "
                f"parameters (`cloister collections list` shows them). Where limits.{name} in "
                "cloister.toml fixes it, the operator must leave that out."
            )
        fields[field] = value
    return fields


def _does_nothing(kind: str, name: str, value: Any) -> bool:
    """Whether a value is the same as none at all, to a server that does not take it."""
    neutral = {"top_k": 0, "min_new_tokens": 0, "repetition_penalty": 1}
    if kind == TGI and name == "top_p" and value == 1:  # it takes what is below 1 only
        return True
    different = _DIFFERENT.get(kind, {})
    return name in different and different[name] is None and value == neutral.get(name)
