"""What limits or turns what a sentence says: “not”, “only”, “if”, “at most”, “may”, “by”."""

from __future__ import annotations

import re
from collections import Counter
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
# what narrows a statement, or takes it back, by what it does
_LIMITS = {
    kind: re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for kind, words in {
        "but": r"(?:all|every\w*|any\w*|no|none|nobody|nothing)(?: [^\W\d_]+){0,2} but(?! also)",
        "only": "only|solely|exclusively|nur|lediglich|ausschließlich",
        "rarely": "rarely|seldom|hardly|scarcely|selten|kaum",
        "mostly": "mostly|usually|generally|partly|meistens|teilweise",
        "nearly": "nearly|almost|beinahe|nahezu",
        # “to 31 March” is as much
        "until": r"until|till|bis(?! zu)|(?<!up )to(?= \d{1,2}\.? (?-i:[A-ZÄÖÜ]))",
        "false": "false|untrue|falsch|unwahr",
    }.items()
}
# what may be, what must be, and what should, and what is denied or narrowed of it
_MODALS = {
    **dict.fromkeys("not no never without nicht nie niemals ohne".split(), "not"),
    **dict.fromkeys("kein keine keinen keinem keiner keines".split(), "not"),
    **dict.fromkeys(("only", "nur"), "only"),
    **dict.fromkeys(("may", "can", "could", "might"), "may"),
    **dict.fromkeys(("cannot", "can't", "couldn't"), "may not"),
    **dict.fromkeys(("mustn't", "shan't"), "must not"),
    "shouldn't": "should not",
    **dict.fromkeys(
        "don't doesn't didn't isn't aren't wasn't weren't won't hasn't haven't hadn't".split(),
        "not",
    ),
    **dict.fromkeys(("must", "shall"), "must"),
    **dict.fromkeys(("should", "ought"), "should"),
}
# what turns about who did what to whom, what is more, and what comes first
_DIRECTIONS = {
    word: word
    for word in (
        "by from to against than before after von durch gegen als vor nach bevor nachdem par "
        "contre avant après que por contra antes después"
    ).split()
} | dict.fromkeys(("until", "till"), "to")
# between the cells of a row, or two statements
_STOP = re.compile(r"[;|]")
_UP = re.compile(r"\bup\s*$", re.IGNORECASE)
_NUMBERED = re.compile(r"\.?\s*\d")
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


def limits(text: str) -> Counter[str]:
    """How often a text narrows what it says, or takes it back, by kind: `only`, `until`, …"""
    found = {kind: len(pattern.findall(text)) for kind, pattern in _LIMITS.items()}
    return +Counter(found)


def modals(text: str) -> dict[str, set[str]]:
    """What a text says may, must or should be, or denies: each telling word with what is before it.

    “Staff may not travel first” gives `may not` for “travel” and for “travel first”, and the empty
    text for “staff” and “first”.
    """
    return _preceded(text, _MODALS)


def directions(text: str) -> dict[str, set[str]]:
    """By, to, before or than what a text says something, in the form of `modals`."""
    return _preceded(text, _DIRECTIONS)


def _preceded(text: str, before: Mapping[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    pending: list[str] = []
    last, of_last, end = "", "", 0
    for match in _WORD.finditer(text):
        if _STOP.search(text, end, match.start()):
            pending = []
        end = match.end()
        word = match.group().lower().replace("’", "'")
        if word in before:
            if not _is_other(match):
                pending.append(before[word])
            continue
        if word == "not":
            continue
        for term in telling_terms(match.group()):
            if last:
                found.setdefault(f"{last} {term}", set()).add(of_last)
            last, of_last = term, " ".join(pending)
            found.setdefault(term, set()).add(of_last)
            pending = []
    return found


def _is_other(match: re.Match[str]) -> bool:
    """Whether a word is not what it looks like: the month of May, “No. 3”, or “up to”."""
    word, text = match.group(), match.string
    if word == "May":
        return match.start() > 0
    if word.lower() == "no":
        return bool(_NUMBERED.match(text, match.end()))
    return word == "to" and bool(_UP.search(text[: match.start()]))
