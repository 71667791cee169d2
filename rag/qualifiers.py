"""What limits or turns what a sentence says: “not”, “if”, “at most”, “may”, “by”."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rag.words import telling_terms

# what denies, and what takes something out; “No. 3” does neither
_NEGATION = re.compile(
    r"\b(?:not|no(?!\.?\s*\d)|nobody|nothing|nowhere|never|none|neither|nor|without|cannot|unless|"
    r"except(?:ing)?|excluding|nicht|nichts|niemand\w*|niemals|nirgends|kein\w*|nie|ohne|außer|"
    r"ausser|pas|jamais|aucun\w*|sans|sauf|non|nessun\w*|senza|nunca|ning[uú]n\w*|nadie|sin|niet|"
    r"geen|nooit|zonder|inte|aldrig|ikke|uten|não|nenhum\w*|sem)\b|n['’]t\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|provided(?= that|,| the)|as long as|on condition|wenn|falls|sofern|pourvu que|"
    r"à condition|a condición|siempre que|mits|indien)\b",
    re.IGNORECASE,
)
_UPPER = re.compile(
    r"\b(?:up to|at (?:the )?most|no(?:t)? more than|less than|fewer than|max(?:imum|imal)?|bis zu|"
    r"höchstens|jusqu['’]à|au plus|hasta|fino a)\b",
    re.IGNORECASE,
)
_LOWER = re.compile(
    r"\b(?:at (?:the )?least|no(?:t)? less than|(?<!no )(?<!not )more than|min(?:imum|imal)?|"
    r"mindestens|wenigstens|au moins|al menos|almeno)\b",
    re.IGNORECASE,
)
# what may be, what must be, and what should
_MODALS = {
    **dict.fromkeys(("may", "can", "could", "might", "cannot"), "may"),
    **dict.fromkeys(("must", "shall"), "must"),
    **dict.fromkeys(("should", "ought"), "should"),
}
# what turns about who did what to whom
_DIRECTIONS = {
    word: word for word in "by from against von durch gegen par contre por contra".split()
}
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def negations(text: str) -> int:
    """How often a text denies, or takes something out."""
    return len(_NEGATION.findall(text))


def conditions(text: str) -> int:
    """How many conditions a text names."""
    return len(_CONDITION.findall(text))


def bounds(text: str) -> set[str]:
    """Whether a text bounds an amount from above (`upper`), from below (`lower`), or both."""
    found = {"upper"} if _UPPER.search(text) else set()
    return found | ({"lower"} if _LOWER.search(text) else set())


def modals(text: str) -> dict[str, set[str]]:
    """What a text says may, must or should be: each telling word with the verbs before it.

    A word that no such verb precedes is there with the empty text.
    """
    return _preceded(text, _MODALS)


def directions(text: str) -> dict[str, set[str]]:
    """By, from or against whom or what a text says something, in the form of `modals`."""
    return _preceded(text, _DIRECTIONS)


def _preceded(text: str, before: Mapping[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    pending = ""
    for match in _WORD.finditer(text):
        word = match.group().lower()
        if word in before:
            # the month is no verb
            pending = "" if match.group() == "May" and match.start() else before[word]
            continue
        if word == "not":
            continue
        for term in telling_terms(match.group()):
            found.setdefault(term, set()).add(pending)
            pending = ""
    return found
