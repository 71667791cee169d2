"""How an answer is generated: which parameters there are, what may be set, and what holds.

A question's own come first, then those of the collection where one collection is asked, then the
settings'. The operator's limits (`limits.…`) hold for all of them.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag.errors import UsageError
from rag.printing import printable
from rag.ranges import Range, shown
from rag.settings import Settings

SYSTEM_PROMPT = "system_prompt"
_OF_SAMPLING = ("top_k", "top_p", "seed")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `kind` is what its values are; of a text the limit is its length."""

    name: str
    kind: type[int] | type[float] | type[str]
    label: str
    help: str

    @property
    def widest(self) -> Range:
        """What may be set where the operator sets no limit."""
        return limit_of(self.name, Settings())


PARAMETERS = (
    Parameter("temperature", float, "Temperature", "0 is greedy and repeatable."),
    Parameter("top_k", int, "Top k", "Draw among so many tokens; 0: among all."),
    Parameter("top_p", float, "Top p", "Draw among the likeliest tokens of this share."),
    Parameter("min_new_tokens", int, "Fewest tokens", "Shortest generated answer."),
    Parameter("max_new_tokens", int, "Most tokens", "Longest generated answer."),
    Parameter(
        "repetition_penalty", float, "Repetition penalty", "Above 1: repeat less; 1: no penalty."
    ),
    Parameter("seed", int, "Seed", "The same seed draws the same answer again."),
    Parameter(SYSTEM_PROMPT, str, "System prompt", "What the LLM is told before the passages."),
)
_BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


def limit_of(name: str, settings: Settings) -> Range:
    """The operator's limit on a parameter."""
    found: Range = getattr(settings, f"limits_{name}")
    return found


def read_parameters(texts: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as a form has them; an empty text is none. Raises UsageError for no number."""
    found: dict[str, Any] = {}
    for parameter in PARAMETERS:
        text = texts.get(parameter.name, "").strip()
        if not text:
            continue
        try:
            found[parameter.name] = parameter.kind(text)
        except ValueError as error:
            wanted = "whole number" if parameter.kind is int else "number"
            given = printable(text[:40])
            raise UsageError(f"{parameter.name} is “{given}”, which is no {wanted}.") from error
    return found


def check_limits(given: Mapping[str, Any], settings: Settings, of_collection: bool = False) -> None:
    """Raises UsageError, with what is allowed, for a value that no question may have.

    With `of_collection` for one that no collection may have: its system prompt is not limited by
    what questions may bring themselves.
    """
    for name, value in given.items():
        parameter = _BY_NAME.get(name)
        if parameter is None:
            raise UsageError(f"{name} is no parameter; there are {', '.join(_BY_NAME)}.")
        if value is None:
            continue
        _check_kind(parameter, value)
        limit = limit_of(name, settings)
        if parameter.kind is str:
            _check_text(name, value, parameter.widest if of_collection else limit)
        elif value not in limit:
            allowed = f"the operator fixed it at {limit}" if limit.fixed else f"{limit} is allowed"
            raise UsageError(f"{name} is {value}; {allowed} (limits.{name}).")


def check_parameters(
    given: Mapping[str, Any], settings: Settings, of_collection: Mapping[str, Any]
) -> None:
    """Raises UsageError for what an answer cannot be generated with."""
    check_limits(given, settings)
    used_parameters(given, settings, of_collection)


def used_parameters(
    given: Mapping[str, Any], settings: Settings, of_collection: Mapping[str, Any]
) -> dict[str, Any]:
    """What an answer is generated with: the question's, the collection's, the settings'.

    A collection's or the settings' value that the limits do not allow is brought within them, and
    a fixed one always holds. Where something is drawn there is a seed, so that it can be drawn
    again; where nothing is, what shapes a draw is left out. Raises UsageError where an answer would
    have to be longer than it may be.
    """
    own = {name: value for name, value in given.items() if value is not None}
    used = {**_defaults(settings, of_collection), **own}
    if not used.get(SYSTEM_PROMPT):
        used.pop(SYSTEM_PROMPT, None)
    least, most = used.get("min_new_tokens", 0), used["max_new_tokens"]
    if least > most:
        if "min_new_tokens" in own:
            raise UsageError(
                f"min_new_tokens is {least}, more than max_new_tokens, which is {most}. Lower the "
                "one or raise the other."
            )
        used["min_new_tokens"] = most
    if not used["temperature"]:
        return {name: value for name, value in used.items() if name not in _OF_SAMPLING}
    if "seed" not in used:
        used["seed"] = _drawn(settings.limits_seed)
    return used


def _defaults(settings: Settings, of_collection: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        "temperature": settings.llm_temperature,
        "max_new_tokens": settings.llm_max_new_tokens,
        **of_collection,
    }
    for parameter in PARAMETERS:
        limit = limit_of(parameter.name, settings)
        if parameter.kind is str:
            continue
        if limit.fixed:
            values[parameter.name] = parameter.kind(limit.least)
        elif parameter.name in values:
            values[parameter.name] = parameter.kind(limit.nearest(values[parameter.name]))
    return values


def _check_kind(parameter: Parameter, value: Any) -> None:
    allowed: tuple[type, ...] = (int, float) if parameter.kind is float else (parameter.kind,)
    sound = isinstance(value, allowed) and not isinstance(value, bool)
    if not sound or (isinstance(value, float) and not math.isfinite(value)):
        names = {int: "whole number", float: "number", str: "text"}
        raise UsageError(f"{parameter.name} is no {names[parameter.kind]}.")


def _check_text(name: str, text: str, limit: Range) -> None:
    if text and len(text) not in limit:
        allowed = f"{shown(limit.most)} are allowed" if limit.most else "none of one's own is"
        raise UsageError(
            f"{name} has {len(text):,} characters; {allowed} (limits.{name}). Shorten it, or "
            "leave it out."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} is no text: it holds half a character.") from error


def _drawn(limit: Range) -> int:
    return int(limit.least) + secrets.randbelow(int(limit.most) - int(limit.least) + 1)
