"""Two sentences that say the same thing: how alike they are, and whether the values agree.

A value is a number with its unit, a day, a time, how often something happens, a name, or whether
it is so at all. What is merely worded otherwise is no other value.
"""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from difflib import SequenceMatcher
from functools import cached_property
from typing import Literal

from rag.days import take_days
from rag.kinds import is_date_word
from rag.names import codes, name_places
from rag.numbers import WORD_NUMBERS, measured
from rag.qualifiers import bounds, modals, negations
from rag.words import telling_terms

Conflict = Literal["number", "date", "interval", "name", "negation", "limit"]

_NUMBERING = re.compile(
    r"^\s*(?:[-*•#]+\s+)?(?:[(\[]?(?:\d{1,3}(?:\.\d+)*|[a-zA-Z])[.)\]]\s+|"
    r"\d{1,2}(?:\.\d{1,2})*\s+(?=[A-ZÀ-Þ]))?"
)
# where a text points to itself or to another one
_REFERENCE = re.compile(
    r"(?:\b(?:sections?|sec|clauses?|articles?|art|annex|appendix|pages?|chapters?|figures?|fig|"
    r"tables?|nos?|paragraphs?|para|step|abschnitt|ziffer|absatz|abs|kapitel|seite|anlage|nr|"
    r"tabelle|chapitre|annexe)\b\.?|§)\s*\d+(?:\.\d+)*",
    re.IGNORECASE,
)
_CURRENCY = r"(?:EUR|USD|GBP|CHF)"
_CODE = re.compile(rf"\b(?!{_CURRENCY}\b)[A-Z]{{1,5}}(?:[- ]?[A-Z])*[- ]\d+[A-Z]?\b")
_TIME = re.compile(
    r"\b(?P<hour>\d{1,2})(?:[:h](?P<minute>\d\d))\s*(?P<half>[ap]\.?m\b)?|"
    r"\b(?P<full>\d{1,2})\s*(?P<of>[ap]\.?m\b)",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_QUARTER = re.compile(r"(?<![^\W_])Q[1-4]\b|\b(?:first|second|third|fourth) quarter\b")
# units that a text may give in another one, in the smallest of them
_SMALLEST = {
    "minute": ("second", 60), "hour": ("second", 3600), "day": ("second", 86_400),
    "week": ("second", 604_800), "year": ("month", 12), "cm": ("mm", 10), "m": ("mm", 1000),
    "km": ("mm", 10**6), "g": ("mg", 1000), "kg": ("mg", 10**6), "t": ("mg", 10**9),
    "l": ("ml", 1000), "kw": ("w", 1000), "mw": ("w", 10**6), "mb": ("kb", 1000),
    "gb": ("kb", 10**6), "tb": ("kb", 10**9),
}  # fmt: skip
_EACH = r"(?:every|each|once (?:a|per)|jede[nrs]?|einmal (?:im|pro))"
_INTERVALS = {
    name: re.compile(rf"\b(?:{words}|{_EACH} (?:{unit}))\b", re.IGNORECASE)
    for name, words, unit in (
        ("day", "daily|nightly|täglich", "day|night|morning|evening|tag|nacht"),
        ("week", "weekly|wöchentlich", "week|woche"),
        ("month", "monthly|monatlich", "month|monat"),
        ("quarter", "quarterly|vierteljährlich", "quarter|quartal"),
        ("year", "yearly|annually|jährlich", "year|jahr"),
    )
}
# how much two sentences must share besides their values to say the same thing, of their telling
# words (Dice), with names among them or without; and where one word alone turns the meaning
_ALIKE, _ALIKE_WITHOUT_NAMES, _NEARLY_EQUAL = 0.6, 0.75, 0.8
_LEAST_SHARED = 2
# so many telling words that follow one another with a number among them are enough
_LEAST_TELLING, _MASK = 3, "0"
# a sentence of more values is not compared: it is a row of figures, and costs their square
_MOST_VALUES = 24
# in a text of German, or in a heading, a capital makes no name
_MANY_CAPITALS = 0.5

_Amounts = set[tuple[str, str]]


class Statement:
    """A sentence with what is compared of it, which is found once however often it is compared."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def frame(self) -> Counter[str]:
        """Its telling words without its numbers, days and intervals."""
        return _frame(self.text)

    @cached_property
    def bare(self) -> Counter[str]:
        """Its frame without names."""
        return _without(self.frame, self.text)

    @cached_property
    def masked(self) -> list[str]:
        """Its words, each number as the same one."""
        return _masked(self.text)

    @property
    def comparable(self) -> bool:
        """Whether it gives few enough values to be compared: a row of many figures does not."""
        return self.masked.count(_MASK) <= _MOST_VALUES


def likeness(one: Statement, other: Statement) -> float:
    """How much two sentences share besides their values, 0 to 1; 0 where it is too little."""
    mine, its = one.frame, other.frame
    whole = _dice(mine, its)
    if (mine & its).total() >= min(_LEAST_SHARED, mine.total(), its.total()) and whole >= _ALIKE:
        return whole
    if _shares_a_run(one.masked, other.masked):
        return whole
    bare, its_bare = one.bare, other.bare
    if (bare & its_bare).total() < _LEAST_SHARED:
        return 0.0
    return whole if _dice(bare, its_bare) >= _ALIKE_WITHOUT_NAMES else 0.0


def conflict(one: str, other: str) -> Conflict | None:
    """Of which kind the value is that two sentences which say the same thing give differently.

    None where they agree, or one of them only says more; and where both name a year or a quarter
    of their own and other values with it: those are of different times.
    """
    mine, its = _Values(one), _Values(other)
    amounts = _replaced(mine.amounts, its.amounts)
    days = bool(mine.days - its.days and its.days - mine.days)
    years = bool(mine.years - its.years and its.years - mine.years)
    intervals = bool(mine.intervals - its.intervals and its.intervals - mine.intervals)
    named = _names_replaced(one, other)
    if (years or _quarters(one) != _quarters(other)) and (amounts or intervals or named):
        return None
    if amounts:
        return "number"
    if days or years:
        return "date"
    if intervals:
        return "interval"
    same = _dice(_frame(one), _frame(other))
    if same >= _NEARLY_EQUAL and negations(one) % 2 != negations(other) % 2:
        return "negation"
    if named:
        return "name"
    if same >= _NEARLY_EQUAL and (_bounded_otherwise(one, other) or _allowed_otherwise(one, other)):
        return "limit"
    return None


def _shares_a_run(mine: list[str], its: list[str]) -> bool:
    """Whether both hold the same words around a number: “an advance of up to 400 euros can be”."""
    matcher = SequenceMatcher(None, mine, its, autojunk=False)
    start, _, size = matcher.find_longest_match()
    run = mine[start : start + size]
    return _MASK in run and len(telling_terms(" ".join(run))) > _LEAST_TELLING


def _masked(text: str) -> list[str]:
    bare = re.sub(r"\d[\d.,:]*\d|\d", f" {_MASK} ", _NUMBERING.sub("", text.lower()))
    return [_MASK if word in WORD_NUMBERS else word for word in re.findall(r"\w+", bare)]


class _Values:
    """What a sentence says in figures, days, times and intervals, each written one way."""

    def __init__(self, text: str) -> None:
        bare = _CODE.sub(" ", _REFERENCE.sub(" ", _NUMBERING.sub("", text)))
        rest, self.days = take_days(bare)
        times = {_clock(match) for match in _TIME.finditer(rest)}
        found = measured(_TIME.sub(" ", rest))
        # “2024” is a year, “2024 euros” is none
        self.years = {value for value, unit in found if not unit and _YEAR.fullmatch(value)}
        self.amounts = {_in_smallest(v, u) for v, u in found if u or v not in self.years} | times
        self.intervals = {name for name, said in _INTERVALS.items() if said.search(text)}


def _replaced(mine: _Amounts, its: _Amounts) -> bool:
    """Whether each has an amount that the other lacks, of one unit; one without agrees with any."""
    only = [a for a in mine if not _held(a, its)]
    its_only = [a for a in its if not _held(a, mine)]
    return any(u == v or not (u and v) for _, u in only for _, v in its_only)


def _held(amount: tuple[str, str], among: _Amounts) -> bool:
    value, unit = amount
    return any(v == value and (u == unit or not (u and unit)) for v, u in among)


def _in_smallest(value: str, unit: str) -> tuple[str, str]:
    smallest, factor = _SMALLEST.get(unit, (unit, 1))
    if factor == 1 or not re.fullmatch(r"-?\d+(?:\.\d+)?", value):
        return value, unit
    return f"{(Decimal(value) * factor).normalize():f}", smallest


def _clock(match: re.Match[str]) -> tuple[str, str]:
    hour = int(match["hour"] or match["full"])
    half = (match["half"] or match["of"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    return f"{hour}:{match['minute'] or '00'}", "time"


def _names_replaced(one: str, other: str) -> bool:
    """Whether each names somebody or something that the other does not, and nothing else does."""
    mine, its = _names(one), _names(other)
    only = {name for name in mine if not _said(name, other)}
    its_only = {name for name in its if not _said(name, one)}
    if not (only and its_only) or _capitals(one) > _MANY_CAPITALS < _capitals(other):
        return False
    if any(_stands_for(a, b) or _stands_for(b, a) for a, b in ((one, other), (other, one))):
        return False
    return _dice(_without(_frame(one), one), _without(_frame(other), other)) >= _NEARLY_EQUAL


def _names(text: str) -> set[str]:
    named = {name for name in name_places(text) if not is_date_word(name)}
    weekdays = {w.lower() for w in re.findall(r"[^\W\d_]+", text) if is_date_word(w)}
    return named | weekdays | {c for c in codes(text) if not re.match(_CURRENCY, c)}


def _said(name: str, text: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(name)}", text, re.IGNORECASE)) or name in codes(text)


def _stands_for(one: str, other: str) -> bool:
    """Whether a word of capitals in one text is what words of the other begin with: HR."""
    initials = "".join(word[0] for word in re.findall(r"\b[A-ZÀ-Þ][a-zß-ÿ]+", other))
    return any(word in initials for word in re.findall(r"\b[A-Z]{2,5}\b", one) if word not in other)


def _capitals(text: str) -> float:
    words = re.findall(r"[^\W\d_]+", text)[1:]
    return len([word for word in words if word[0].isupper()]) / max(1, len(words))


def _bounded_otherwise(one: str, other: str) -> bool:
    mine, its = bounds(one), bounds(other)
    return bool(mine - its and its - mine)


def _allowed_otherwise(one: str, other: str) -> bool:
    """Whether a word may be in one sentence and must be in the other."""
    mine, its = modals(one), modals(other)
    pairs = [mine[term] | its[term] for term in mine.keys() & its.keys() if mine[term] != its[term]]
    return {"may", "must"} in pairs


def _quarters(text: str) -> set[str]:
    return set(_QUARTER.findall(text))


def _frame(text: str) -> Counter[str]:
    """The telling words of a sentence without its numbers, days and intervals."""
    bare = _TIME.sub(" ", take_days(_NUMBERING.sub("", text))[0])
    for said in _INTERVALS.values():
        bare = said.sub(" ", bare)
    words = re.findall(r"[^\W\d_]+", bare)
    kept = [w for w in words if w.lower() not in WORD_NUMBERS and not is_date_word(w)]
    return Counter(telling_terms(" ".join(kept)))


def _without(frame: Counter[str], text: str) -> Counter[str]:
    """A frame without the names of its text, its opening too where a name may follow it."""
    opening = re.match(r"\W*([A-ZÀ-Þ]\w+) [A-ZÀ-Þ]", text)
    named = [*name_places(text), *([opening[1]] if opening else [])]
    return frame - Counter(telling_terms(" ".join(named)))


def _dice(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0
