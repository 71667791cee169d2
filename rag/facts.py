"""Numbers, names, negations and kinds of answers in a text: what a paraphrase may not change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

from rag.sentences import sentence_spans

_I = re.IGNORECASE

Wanted = Literal["number", "date", "money", "person", "percent", "duration", "yes_no", "other"]

_SPACES = "\u00a0\u202f\u2009 "
# a date or fraction in figures, or a number with its sign, groups of three, decimals, halves
_NUMBER = re.compile(
    r"\d{4}-\d\d?-\d\d?|\d+(?:/\d+)+|\d+(?:\.\d+){2,}|"
    rf"(?:(?<![\w)\]])[-\u2212](?=\d))?(?:[1-9]\d{{0,2}}(?:[.,’'{_SPACES}]\d{{3}}(?!\d))+|\d+)"
    r"(?:[.,]\d+)?[½¼¾]?|[½¼¾]"
)
_MARKS_OF_GROUPS = re.compile(rf"[.,’'{_SPACES}](?=\d{{3}}(?!\d))")
_SCALES = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "millions": 10**6, "billion": 10**9,
    "billions": 10**9, "tausend": 1000, "millionen": 10**6, "mio": 10**6,
    "milliarde": 10**9, "milliarden": 10**9, "mrd": 10**9, "mille": 1000, "milliard": 10**9,
    "milliards": 10**9, "bn": 10**9,
}  # fmt: skip
_SCALE = re.compile(r"[\s\u00a0]{0,2}([a-z]+)", re.IGNORECASE)
_UNITS = {
    "%": "%", "percent": "%", "per cent": "%", "prozent": "%", "pour cent": "%",
    "€": "€", "euro": "€", "euros": "€", "eur": "€", "$": "$", "dollar": "$", "dollars": "$",
    "usd": "$", "£": "£", "pound": "£", "pounds": "£", "gbp": "£", "chf": "chf", "francs": "chf",
}  # fmt: skip
_UNIT_AFTER = re.compile(
    r"[\s\u00a0]{0,2}(%|€|\$|£|(?:per ?cent|prozent|pour cent|euros?|eur|dollars?|usd|pounds?|gbp|"
    r"chf|francs)\b)",
    re.IGNORECASE,
)
_UNIT_BEFORE = re.compile(r"(€|\$|£|\b(?:eur|usd|gbp|chf))[\s\u00a0]?$", re.IGNORECASE)
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
# what denies, and what takes something out; “No. 3” does neither
_NEGATION = re.compile(
    r"\b(?:not|no(?!\.?\s*\d)|nobody|nothing|nowhere|never|none|neither|nor|without|cannot|unless|"
    r"except(?:ing)?|excluding|nicht|nichts|niemand\w*|niemals|nirgends|kein\w*|nie|ohne|außer|"
    r"ausser|pas|jamais|aucun\w*|sans|sauf|non|nessun\w*|senza|nunca|ning[uú]n\w*|nadie|sin|niet|"
    r"geen|nooit|zonder|inte|aldrig|ikke|uten|não|nenhum\w*|sem)\b|n['’]t\b",
    re.IGNORECASE,
)
# these are also names when they are capitals: a month, a country, a group, a department
_ALSO_WORDS = frozenset("a i it us who may march will mark bill art pat rob sue august".split())
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
        r"\d(?:[\d.,]*\d)?|\b(?:" + "|".join(_WORD_NUMBERS) + r")\b", re.IGNORECASE
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


def numbers(text: str) -> set[str]:
    """The numbers of a text: “1,200” is “1200”, “five” is “5”, “1.5 million” is “1500000”."""
    return {value for value, _ in measured(text)}


def measured(text: str) -> set[tuple[str, str]]:
    """The numbers of a text, each with its currency or “%”, or with nothing.

    Dates and fractions in figures (04/03/2026, 1/2) and versions (1.2.3) are one number each.
    """
    found = {(value, unit) for value, unit, _, _ in _figures(text)}
    for match in _WORD.finditer(text):
        if value := _in_words(match.group().lower()):
            unit = _UNIT_AFTER.match(text, match.end())
            found.add((value, _unit_of(unit)))
    return found


def number_places(text: str) -> list[tuple[int, int, str]]:
    """Start, end and value of each number of a text that is written in figures."""
    return [(start, end, value) for value, _, start, end in _figures(text)]


def _figures(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Value, unit, start and end of each number in figures."""
    for match in _NUMBER.finditer(text):
        scale = _SCALE.match(text, match.end())
        factor = _SCALES.get(scale.group(1).lower()) if scale else None
        end = scale.end() if scale and factor else match.end()
        after = _UNIT_AFTER.match(text, end)
        unit = _unit_of(after or _UNIT_BEFORE.search(text[: match.start()]))
        yield _value(match.group(), factor, bool(unit)), unit, match.start(), end


def _value(figures: str, factor: int | None, counted: bool) -> str:
    """A number's value as plain digits; the zeros of “3.10” stay where it has no unit."""
    plain = _MARKS_OF_GROUPS.sub("", figures) if re.match(r"[-\u2212]?[1-9]", figures) else figures
    plain = plain.replace(",", ".").replace("\u2212", "-")
    if not re.fullmatch(r"-?\d+(?:\.\d+)?", plain):
        return plain
    if factor:
        return f"{(Decimal(plain) * factor).normalize():f}"
    if "." in plain:
        return plain.rstrip("0").rstrip(".") if counted else plain
    sign = "-" if plain.startswith("-") else ""
    return sign + (plain.removeprefix("-").lstrip("0") or "0")


def _in_words(word: str) -> str | None:
    """The value of a number in words, as “five” or “twenty-eight”; None for any other word."""
    tens, _, ones = word.partition("-")
    if not ones:
        return _WORD_NUMBERS.get(word)
    both = (_WORD_NUMBERS.get(tens), _WORD_NUMBERS.get(ones))
    if None in both or not (20 <= int(both[0] or 0) <= 90 and 0 < int(both[1] or 0) < 10):
        return None
    return str(int(both[0] or 0) + int(both[1] or 0))


def _unit_of(match: re.Match[str] | None) -> str:
    if match is None:
        return ""
    return _UNITS.get(re.sub(r"per ?cent", "percent", match.group(1).lower()), "")


def codes(text: str) -> set[str]:
    """Names with a number in them, like “KP-400”, “V 11” or “40B”, in capitals without marks."""
    return {re.sub(r"[\s-]", "", found).upper() for found in _CODE.findall(text)}


def names(text: str) -> list[str]:
    """Capitalised words that do not open a sentence or an item, and words of capitals, in order.

    In lower case, but for those that would then be other words, or that are capitals throughout.
    """
    openings = {start for start, _ in sentence_spans(text)}
    found: dict[str, None] = {}
    for match in _WORD.finditer(text):
        word = match.group()
        before = text[: match.start()].rstrip(" \"'“‘(«")
        opens = not before or before[-1] in "\n•-–|"
        opens = opens or any(at in openings for at in range(len(before), match.start() + 1))
        if (word.isupper() and len(word) > 1) or (word[0].isupper() and not opens):
            found[name_of(word)] = None
    return list(found)


def is_date_word(word: str) -> bool:
    """Whether a word names a month or a day of the week."""
    return bool(_DATE_WORD.fullmatch(word))


def name_of(word: str) -> str:
    """A word as `names` gives it."""
    bare = word.removesuffix("'s").removesuffix("’s")
    telling = bare.isupper() or bare.lower() in _ALSO_WORDS
    return bare if telling else bare.lower()


def negations(text: str) -> int:
    """How often a text denies, or takes something out."""
    return len(_NEGATION.findall(text))


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
