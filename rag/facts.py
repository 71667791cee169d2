"""Numbers, names, negations and kinds of answers in a text: what a paraphrase may not change."""

from __future__ import annotations

import re
from typing import Literal

_I = re.IGNORECASE

Wanted = Literal["number", "date", "money", "person", "percent", "duration", "yes_no", "other"]

_NUMBER = re.compile(r"\d+(?:[.,   ’']\d+)*")
_UP_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_WORD_NUMBERS = {
    word: str(value)
    for value, word in enumerate(_UP_TO_TWENTY.split())
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70",
     "eighty": "80", "ninety": "90", "hundred": "100"}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_CODE = re.compile(r"\b[A-Z]{1,5}[- ]?\d+[A-Z]?\b|\b\d+[A-Z]{1,2}\b")
_NEGATION = re.compile(
    r"\b(not|no|never|none|neither|nor|without|cannot|nicht|kein\w*|nie|ohne|pas|jamais|aucun\w*|"
    r"sans)\b|n['’]t\b",
    re.IGNORECASE,
)
_MONTH = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|"
    r"janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre"
)
_SHOWS: dict[str, re.Pattern[str]] = {
    "number": re.compile(r"\d|\b(?:" + "|".join(_WORD_NUMBERS) + r")\b", re.IGNORECASE),
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


def numbers(text: str) -> set[str]:
    """The numbers of a text as plain digits: “1,200” is “1200”, “five” is “5”."""
    found = {re.sub(r"[.,](?=\d{3}\b)|[   ’']", "", n) for n in _NUMBER.findall(text)}
    found = {n.replace(",", ".") for n in found}
    found = {n.rstrip("0").rstrip(".") if "." in n else n.lstrip("0") or "0" for n in found}
    words = (word.lower() for word in _WORD.findall(text))
    return found | {_WORD_NUMBERS[word] for word in words if word in _WORD_NUMBERS}


def codes(text: str) -> set[str]:
    """Names with a number in them, like “KP-400”, “V 11” or “40B”, in capitals without marks."""
    return {re.sub(r"[\s-]", "", found).upper() for found in _CODE.findall(text)}


def names(text: str) -> set[str]:
    """Capitalised words that do not open a sentence, and words of capitals, in lower case."""
    found: set[str] = set()
    for match in _WORD.finditer(text):
        word = match.group()
        before = text[: match.start()].rstrip(" \"'“‘(«")
        opens = not before or before[-1] in ".!?:\n•-–|"
        if (word.isupper() and len(word) > 1) or (word[0].isupper() and not opens):
            found.add(word.lower().removesuffix("'s").removesuffix("’s"))
    return found


def negated(text: str) -> bool:
    """Whether a text denies something."""
    return bool(_NEGATION.search(text))


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
