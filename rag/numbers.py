"""Numbers in a text, in figures and in words, with what they count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

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
    **{
        word: words.split()[0]
        for words in (
            "second seconds sec sekunde sekunden seconde secondes",
            "minute minutes min mins minuten",
            "hour hours h hr hrs stunde stunden heure heures",
            "day days tag tage tagen jour jours día días", "night nights nacht nächte nuit nuits",
            "week weeks woche wochen semaine semaines", "month months monat monate monaten mois",
            "year years jahr jahre jahren an ans année années",
            "mm millimetre millimetres millimeter millimeters",
            "cm centimetre centimetres centimeter centimeters", "m metre metres meter meters",
            "km kilometre kilometres kilometer kilometers", "mile miles", "foot feet ft",
            "mg milligram milligrams", "g gram grams gramm", "kg kilogram kilograms kilogramm",
            "t tonne tonnes ton tons tonnen", "ml millilitre millilitres",
            "l litre litres liter liters", "mbar", "bar", "kpa", "w watt watts", "kw", "mw",
            "kwh", "v volt volts", "kb", "mb", "gb", "tb",
        )
        for word in words.split()
    },
}  # fmt: skip
_MONEY = frozenset("€ $ £ chf %".split())
_CURRENCY = re.compile(
    r"€|\$|£|\b(?:euros?|eur|dollars?|usd|pounds?|gbp|francs?|franken|chf)\b", re.IGNORECASE
)
_WEIGHS = re.compile(r"\b(?:weigh\w*|lbs?|kg|heav\w+|loads?)\b", re.IGNORECASE)
_FRANCS = frozenset("franc francs franken".split())
_UNIT_AFTER = re.compile(
    r"[\s\u00a0-]{0,2}(%|€|\$|£|(?:per ?cent|pour cent|"
    + "|".join(sorted((word for word in _UNITS if word.isalpha()), key=len, reverse=True))
    + r")\b)",
    re.IGNORECASE,
)
_UNIT_BEFORE = re.compile(r"(€|\$|£|\b(?:eur|usd|gbp|chf))[\s\u00a0]?$", re.IGNORECASE)
_UP_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
WORD_NUMBERS = {
    word: str(value)
    for value, word in enumerate(_UP_TO_TWENTY.split())
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70",
     "eighty": "80", "ninety": "90", "hundred": "100"}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")


def currencies(text: str) -> set[str]:
    """The currencies that a text names: `€`, `$`, `£`, `chf`; pounds of weight are none."""
    found = (match.group().lower() for match in _CURRENCY.finditer(text))
    named = {"chf" if name in _FRANCS else _UNITS.get(name, "£") for name in found}
    return named - {"£"} if _WEIGHS.search(text) else named


def numbers(text: str) -> set[str]:
    """The numbers of a text: “1,200” is “1200”, “five” is “5”, “1.5 million” is “1500000”."""
    return {value for value, _ in measured(text)}


def measured(text: str) -> set[tuple[str, str]]:
    """The numbers of a text, each with its currency, “%” or unit, or with nothing.

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
        yield _value(match.group(), factor, unit in _MONEY), unit, match.start(), end


def _value(figures: str, factor: int | None, counted: bool) -> str:
    """A number's value as plain digits; the zeros of “3.10” stay where it is no money."""
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
        return WORD_NUMBERS.get(word)
    both = (WORD_NUMBERS.get(tens), WORD_NUMBERS.get(ones))
    if None in both or not (20 <= int(both[0] or 0) <= 90 and 0 < int(both[1] or 0) < 10):
        return None
    return str(int(both[0] or 0) + int(both[1] or 0))


def _unit_of(match: re.Match[str] | None) -> str:
    if match is None:
        return ""
    return _UNITS.get(re.sub(r"per ?cent", "percent", match.group(1).lower()), "")
