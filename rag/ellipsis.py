"""A follow-up that names only what is to be asked about instead: “And in Japan?”"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPENING = re.compile(
    r"\s*(?:(?:ok|okay|so|well)[\s,]+)?(?:(?:and|or|but|und|oder|aber|et|ou|y)\b[\s,]*)?"
    r"(?:(?:what|how) about\b|was ist mit\b|wie (?:ist|sieht) es (?:aus )?mit\b|"
    r"qu['’]en est-il\b)?\s*",
    re.IGNORECASE,
)
# what may stand beside a name without asking for anything else
_BESIDE = frozenset(
    "a an the one version variant model type for of in at on to with from by about bei beim für im "
    "in der die das den dem des ein eine einen aus von vom mit nach à en au aux pour chez de du la "
    "le les un une version modèle modell".split()
)
# a name after these is asked about in whatever way the one before was
_FOR_ANY = frozenset("for about of für von pour de".split())
# what is no name though it has a capital: words that ask, days, and who speaks
_NO_NAMES = frozenset(
    "why when who whom where what which how warum wann wer wo was wie welche pourquoi quand qui où "
    "i no yes monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch "
    "donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche".split()
)
_ARTICLES = frozenset(
    "the a an der die das den dem des la le les un une ein eine einen "
    "our my your their its unser unsere mein meine ihr ihre notre votre".split()
)
_THINGS = (
    ("code", re.compile(r"\b[A-Z]{1,5}[- ]?\d+[A-Z]?\b|\b\d+[A-Z]{1,2}\b")),
    ("year", re.compile(r"\b(?:19|20)\d\d\b")),
    ("name", re.compile(r"\b[A-ZÀ-Þ][\w'’-]*(?: [A-ZÀ-Þ][\w'’-]*)*")),
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Thing:
    """What a text names. `before` is the preposition before it.

    One that is somebody has two names, or ends the question without an article; of “the VAT rate”
    and “der Urlaub” the very thing that is asked for would be lost.
    """

    kind: str
    start: int
    end: int
    before: str
    is_somebody: bool


def filled(question: str, before: str) -> str | None:
    """The question `before` with what `question` names in place of its own; None where unclear.

    “What is the limit in Paris?” and “And in Japan?” make “What is the limit in Japan?”. It is
    unclear where the follow-up says anything else, and where the question before names nothing of
    the kind, or several of which none stands behind the same preposition.
    """
    opening = _OPENING.match(question)
    at = opening.end() if opening else 0
    if not at:
        return None
    named = list(_things(question, at))
    if len(named) != 1:
        return None
    (new,) = named
    if question[new.start : new.end].casefold() in _NO_NAMES:
        return None
    rest = _WORD.findall(question[at : new.start].lower() + " " + question[new.end :].lower())
    if not _BESIDE.issuperset(rest):
        return None
    old = _counterpart(new, list(_things(before, 0)))
    if old is None:
        return None
    return before[: old.start] + question[new.start : new.end] + before[old.end :]


def _counterpart(new: _Thing, things: list[_Thing]) -> _Thing | None:
    """The one thing in whose place another is put."""
    alike = [one for one in things if one.kind == new.kind]
    behind = [one for one in alike if new.before and one.before == new.before]
    if len(behind) == 1:
        return behind[0]
    if len(alike) != 1 or (new.before and new.before not in _FOR_ANY):
        return None
    (old,) = alike
    return old if old.kind != "name" or old.before or old.is_somebody else None


def _things(text: str, start: int) -> Iterator[_Thing]:
    """What a text names from `start` on: codes, years and names; not what opens a question."""
    taken = 0
    found = sorted(
        (match.start(), kind, match.end())
        for kind, pattern in _THINGS
        for match in pattern.finditer(text, start)
    )
    for begin, kind, end in found:
        if begin < taken or (kind == "name" and _opens(text, begin) and not start):
            continue
        taken = end
        words = text[:begin].lower().split()
        ends = not text[end:].strip(" ?.!") and not (words and words[-1] in _ARTICLES)
        somebody = " " in text[begin:end] or ends
        yield _Thing(kind, begin, end, _preposition(text[:begin]), somebody)


def _opens(text: str, at: int) -> bool:
    before = text[:at].rstrip(" \"'“‘(«")
    return not before or before[-1] in ".?!:\n"


def _preposition(before: str) -> str:
    """The word in small letters before a thing, an article aside; empty where there is none."""
    words = re.findall(r"\S+", before)
    while words and words[-1].lower() in _ARTICLES:
        words.pop()
    word = words[-1] if words else ""
    return word if word.islower() and word in _BESIDE else ""
