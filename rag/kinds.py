"""Kinds of things that a question asks for, and whether a text shows one."""

from __future__ import annotations

import re
from typing import Literal

from rag.numbers import WORD_NUMBERS

_I = re.IGNORECASE

Wanted = Literal["number", "date", "money", "person", "percent", "duration", "yes_no", "other"]

_MONTH = (
    r"jan(?:uary)?|feb(?:ruary)?|(?-i:Mar(?:ch)?)|apr(?:il)?|(?-i:May)|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|"
    r"janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre"
)
_DATE_WORD = re.compile(
    rf"{_MONTH}|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:mon|diens|donners|frei|sams|sonn)tags?",
    re.IGNORECASE,
)
_SHOWS: dict[str, re.Pattern[str]] = {
    "number": re.compile(
        r"\d(?:[\d.,]*\d)?|\b(?:" + "|".join(WORD_NUMBERS) + r")\b", re.IGNORECASE
    ),
    "date": re.compile(
        rf"\b(?:1[5-9]|20)\d\d\b|\b(?:{_MONTH})\b|\b\d{{1,2}}[:.h]\d{{2}}\b|\b\d+ ?(?:am|pm)\b|"
        r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b\d{4}-\d\d-\d\d\b",
        re.IGNORECASE,
    ),
    "money": re.compile(
        r"[€$£]\s?\d|\d\s?(?:€|\$|£)|\b(?:eur|usd|chf|gbp|euros?|dollars?)\b", re.IGNORECASE
    ),
    "percent": re.compile(r"\d\s?%|\bper ?cent\b|\bprozent\b|\bpour cent\b", re.IGNORECASE),
    "duration": re.compile(
        r"\b(?:\w+)[ -](?:minutes?|hours?|days?|weeks?|months?|years?|stunden?|tagen?|wochen?|"
        r"monaten?|jahren?|jours?|semaines?|mois|ans|heures?)\b",
        re.IGNORECASE,
    ),
    "person": re.compile(r"\b[A-ZÀ-Þ][\w'’-]+ (?:[a-z]{2,3} )?[A-ZÀ-Þ][\w'’-]+|\b[A-Z]{2,}\b"),
}
_ASKS: tuple[tuple[Wanted, re.Pattern[str]], ...] = (
    ("percent", re.compile(r"\b(what|which) (percentage|percent|share)|\bhow many per ?cent", _I)),
    (
        "money",
        re.compile(
            r"\bhow much (does|do|did|is|are|was|were|will|would|may|can)?.*\b(cost|paid?|spend|"
            r"price|earn|reimburse|charge|claim)|\bwhat (is|are|was) the (\w+ )*"
            r"(price|cost|fee|salary|budget|allowance|rate|fine|premium)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "duration",
        re.compile(r"\bhow (long|soon|quickly|often)\b|\bwie lange\b|\bcombien de temps", _I),
    ),
    (
        "number",
        re.compile(
            r"\bhow (many|much|old|large|big|far|high|tall)\b|\bwie ?viele?\b|\bcombien\b", _I
        ),
    ),
    (
        "date",
        re.compile(r"\bwhen\b|\b(what|which) (date|day|year|month|time)\b|\bwann\b|\bquand\b", _I),
    ),
    ("person", re.compile(r"\bwho(m|se)?\b|\bwer\b|\bqui\b", _I)),
    (
        "yes_no",
        re.compile(r"^\s*(is|are|was|were|do|does|did|can|may|must|should|has|have|will)\b", _I),
    ),
)


def is_date_word(word: str) -> bool:
    """Whether a word names a month or a day of the week."""
    return bool(_DATE_WORD.fullmatch(word))


def wanted_kind(question: str) -> Wanted:
    """What kind of thing a question asks for."""
    for kind, pattern in _ASKS:
        if pattern.search(question):
            return kind
    return "other"


def shows_kind(text: str, kind: Wanted) -> bool | None:
    """Whether a text holds a thing of that kind; None where every text may."""
    pattern = _SHOWS.get(kind)
    return bool(pattern.search(text)) if pattern else None


def first_of_kind(text: str, kind: Wanted) -> re.Match[str] | None:
    """The first thing of that kind in a text."""
    pattern = _SHOWS.get(kind)
    return pattern.search(text) if pattern else None
