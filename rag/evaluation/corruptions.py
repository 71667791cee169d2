"""Sentences of a text changed a little, so that it is known whether the text still says them.

Each change is small and keeps the sentence whole, as a small model's slip does. What cannot be
changed so is left out. A kind of change keeps what is said, or it does not: `FAITHFUL` and `FALSE`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from rag.kinds import is_date_word
from rag.numbers import WORD_NUMBERS, number_places, numbers
from rag.qualifiers import negations
from rag.sentences import sentence_spans
from rag.words import telling_terms


@dataclass(frozen=True, slots=True)
class Stated:
    """A sentence, the text that it is from, and words of other texts, to be put in its place."""

    sentence: str
    text: str
    others: Sequence[str] = ()


Change = Callable[[Stated, random.Random], str | None]
T = TypeVar("T")

_NAME = re.compile(r"(?<![\w'’-])[A-ZÀ-Þ][a-zà-ÿ]{2,}(?: [A-ZÀ-Þ][a-zà-ÿ]{2,})*\b")
_AUXILIARY = re.compile(r"\b(is|are|was|were|has|have|had|may|must|can|will|should|could|would)\b")
_WAS_NOT = re.compile(
    r"\b(is|are|was|were|has|have|had|may|must|can|will|should|do|does|did) not\b"
)
_DENIALS = (
    (_WAS_NOT, r"\1"),
    (re.compile(r"\bcannot\b"), "can"),
    (re.compile(r"\bnever "), ""),
    (re.compile(r"\b[Nn]o (?=[a-z])"), ""),
)
_UNITS = (
    ("euros", "dollars"), ("days", "weeks"), ("hours", "minutes"), ("months", "years"),
    ("day", "week"), ("hour", "minute"), ("month", "year"), ("kilometres", "metres"),
    ("km", "m"), ("kilometers", "meters"), ("miles", "feet"), ("kg", "g"), ("million", "billion"),
    ("millions", "billions"), ("per cent", "euros"), ("percent", "points"),
    ("litres", "millilitres"), ("mm", "cm"), ("bar", "kPa"), ("people", "households"),
    ("working days", "calendar days"),
)  # fmt: skip
_OPPOSITES = (
    ("before", "after"), ("more", "less"), ("first", "last"), ("increased", "decreased"),
    ("increase", "decrease"), ("higher", "lower"), ("largest", "smallest"), ("large", "small"),
    ("north", "south"), ("northern", "southern"), ("east", "west"), ("eastern", "western"),
    ("always", "rarely"), ("all", "some"), ("every", "hardly any"), ("early", "late"),
    ("maximum", "minimum"), ("most", "least"), ("longer", "shorter"), ("begins", "ends"),
    ("began", "ended"), ("won", "lost"), ("inside", "outside"), ("above", "below"),
    ("allowed", "forbidden"), ("may", "must"), ("can", "must"),
    ("high", "low"), ("new", "old"), ("often", "seldom"), ("major", "minor"), ("both", "one of"),
    ("internal", "external"), ("direct", "indirect"), ("private", "public"), ("bought", "sold"),
    ("open", "closed"), ("opens", "closes"), ("within", "after"), ("up to", "at least"),
)  # fmt: skip
_CONDITION = re.compile(
    r",?\s+(?:unless|except (?:for|where|that|when)|provided that|as long as|"
    r"(?<!ask )(?<!know )(?<!see )(?<!asked )(?<!wonder )(?<!only )(?<!even )if) "
    r"[^,.;:]{4,}(?=[.;]|$)",
    re.IGNORECASE,
)
_FIRST_CONDITION = re.compile(r"^(?:If|Unless|Provided that)\b[^,]{4,},\s+")
_BRACKET = re.compile(r"\s*\([^()]{2,80}\)")
_ASIDE = re.compile(r",\s+(?:which|who|where)\b[^,.;()]{4,}(?=[,.]|$)")
_LEAD = re.compile(
    r"^(?:However|Moreover|In addition|Furthermore|Also|Then|Today|For example|Therefore|Thus),\s+"
)
_PHRASE = re.compile(
    r"^((?:In|On|At|Since|After|Before|During|From|By|For|Within) [^,.;]{3,45}), ([^\s,;]+ [^;]+)$"
)
_HEDGES = re.compile(r"\b(?:if|only|unless|without|at least|at most|not)\b", re.IGNORECASE)
# what narrows a sentence: a word, or a phrase of time
_LIMIT = re.compile(
    r"\b(?:(?<!not )(?<!the )only|rarely|seldom|hardly|usually|mostly|partly|almost|nearly) |"
    r"^Until [^,.;]{3,30}, |,? until (?:\w+ ){0,3}\w+(?=[,.;]|$)",
    re.IGNORECASE,
)
_DIGIT_WORDS = {value: word for word, value in WORD_NUMBERS.items()}


def changes(stated: Stated, seed: int) -> Iterator[tuple[str, str]]:
    """Kind and text of every change that this sentence can take."""
    for kind, change in {**FAITHFUL, **FALSE}.items():
        made = change(stated, random.Random(f"{seed}\0{kind}\0{stated.sentence}"))
        if made and made != stated.sentence and made not in stated.text:
            yield kind, made


def _without(pattern: re.Pattern[str], sentence: str) -> str | None:
    found = pattern.search(sentence)
    if found is None or _HEDGES.search(found.group()):
        return None
    return _capital(f"{sentence[: found.start()]}{sentence[found.end() :]}")


def _shortened(stated: Stated, _: random.Random) -> str | None:
    """Without what is in brackets, a relative clause between commas, or a lead-in."""
    kept = (_without(pattern, stated.sentence) for pattern in (_BRACKET, _ASIDE, _LEAD))
    return next((text for text in kept if text and len(text.split()) >= 5), None)


def _turned(stated: Stated, _: random.Random) -> str | None:
    """With the phrase that opens it at its end."""
    found = _PHRASE.match(stated.sentence.rstrip("."))
    if found is None or "," in found[2] or negations(stated.sentence):
        return None
    phrase = found[1][0].lower() + found[1][1:]
    return f"{_capital(found[2])} {phrase}."


def _written_otherwise(stated: Stated, _: random.Random) -> str | None:
    """With a small number in words in figures, or the other way."""
    for word in re.finditer(r"(?<= )[a-z]+(?= )", stated.sentence):
        if word.group() in WORD_NUMBERS and word.group() not in ("one", "hundred"):
            return _put(stated.sentence, word.span(), WORD_NUMBERS[word.group()])
    for start, end, value in number_places(stated.sentence):
        around = stated.sentence[start - 1 : start] + stated.sentence[end : end + 1]
        if value in _DIGIT_WORDS and around == "  " and stated.sentence[start:end] == value:
            return _put(stated.sentence, (start, end), _DIGIT_WORDS[value])
    return None


def _other_number(stated: Stated, dice: random.Random) -> str | None:
    """With another number, which is nowhere in the text."""
    for start, end, value in _mixed(number_places(stated.sentence), dice):
        figures = stated.sentence[start:end]
        at = dice.choice([i for i, c in enumerate(figures) if c.isdigit()])
        wrong = [c for c in "123456789" if c != figures[at]]
        new = figures[:at] + dice.choice(wrong) + figures[at + 1 :]
        if new not in stated.text and value not in numbers(new):
            return _put(stated.sentence, (start, end), new)
    found = re.finditer(r"(?<= )[a-z]+(?= )", stated.sentence)
    words = [word for word in found if word.group() in WORD_NUMBERS]
    for word in _mixed(words, dice):
        new = dice.choice([w for w in WORD_NUMBERS if w != word.group()])
        if WORD_NUMBERS[new] not in numbers(stated.text):
            return _put(stated.sentence, word.span(), new)
    return None


def _number_of_the_text(stated: Stated, dice: random.Random) -> str | None:
    """With a number that stands elsewhere in the text."""
    own = {value for _, _, value in number_places(stated.sentence)}
    there = [stated.text[a:b] for a, b, value in number_places(stated.text) if value not in own]
    places = number_places(stated.sentence)
    if not there or not places:
        return None
    start, end, _ = dice.choice(places)
    return _put(stated.sentence, (start, end), dice.choice(there))


def _name_of_the_text(stated: Stated, dice: random.Random) -> str | None:
    """With a name that stands elsewhere in the text in place of one of its own."""
    own = _names(stated.sentence, stated.text)
    others = {n.group() for n in _names(stated.text, stated.text)}
    words = set(telling_terms(stated.sentence))
    others = {name for name in others if not set(telling_terms(name)) & words}
    if not own or not others:
        return None
    return _put(stated.sentence, dice.choice(own).span(), dice.choice(sorted(others)))


def _names_exchanged(stated: Stated, dice: random.Random) -> str | None:
    """With two of its names in each other's place, unless they only stand beside each other."""
    own = _names(stated.sentence, stated.text)
    for one, two in pairwise(own):
        between = stated.sentence[one.end() : two.start()]
        telling = [w for w in re.findall(r"\w+", between) if w not in ("and", "or", "the", "of")]
        if telling and not set(one.group().split()) & set(two.group().split()):
            head, tail = stated.sentence[: one.start()], stated.sentence[two.end() :]
            return f"{head}{two.group()}{between}{one.group()}{tail}"
    return None


def _numbers_exchanged(stated: Stated, dice: random.Random) -> str | None:
    """With two of its numbers in each other's place, unless they only stand beside each other."""
    text = stated.sentence
    for one, two in _mixed(list(pairwise(number_places(text))), dice):
        between = text[one[1] : two[0]]
        telling = [w for w in re.findall(r"[^\W\d_]+", between) if w not in ("and", "or", "the")]
        if telling and one[2] != two[2]:
            first, second = text[one[0] : one[1]], text[two[0] : two[1]]
            return f"{text[: one[0]]}{second}{between}{first}{text[two[1] :]}"
    return None


def _denied(stated: Stated, _: random.Random) -> str | None:
    """With a “not” more."""
    found = _AUXILIARY.search(stated.sentence)
    if found is None or stated.sentence[found.end() :].lstrip().startswith(("not", "n't", "never")):
        return None
    return _put(stated.sentence, (found.end(), found.end()), " not")


def _no_longer_denied(stated: Stated, _: random.Random) -> str | None:
    """With its “not” taken out, or its “never”."""
    for pattern, new in _DENIALS:
        if pattern.search(stated.sentence):
            return _capital(pattern.sub(new, stated.sentence, count=1))
    return None


def _taken_for_granted(stated: Stated, _: random.Random) -> str | None:
    """Without the verb that says that it may be, or ought to."""
    found = re.search(
        r"\b(?:may|might|can|could|should)(?: be (?=[a-z]+ed\b)|(?= [a-z]))", stated.sentence
    )
    if found is None or re.match(r" (?:be|not|have|only|also)\b", stated.sentence[found.end() :]):
        return None
    new = "is " if found.group().endswith("be ") else ""
    return " ".join(_put(stated.sentence, found.span(), new).split())


def _other_unit(stated: Stated, dice: random.Random) -> str | None:
    """With an amount in another unit."""
    counted = r"(?:\d[\d.,]*|\b(?:" + "|".join(WORD_NUMBERS) + r"))[\s-]"
    both = [pair for one, two in _UNITS for pair in ((one, two), (two, one))]
    for own, new in _mixed(both, dice):
        if found := re.search(rf"{counted}({re.escape(own)})\b", stated.sentence):
            return _put(stated.sentence, found.span(1), new)
    return None


def _crossed(stated: Stated, dice: random.Random) -> str | None:
    """With what another sentence of the text says of something else."""
    own = _halves(stated.sentence)
    if own is None:
        return None
    subject, verb, _ = own
    others = (stated.text[a:b] for a, b in sentence_spans(stated.text))
    halves = [h for h in map(_halves, others) if h and h[1] == verb]
    halves = [h for h in halves if not set(telling_terms(h[0])) & set(telling_terms(subject))]
    if not halves:
        return None
    return f"{subject} {verb} {dice.choice(halves)[2]}"


def _halves(sentence: str) -> tuple[str, str, str] | None:
    """What a simple sentence speaks of, its verb, and what it says of it."""
    found = _AUXILIARY.search(sentence)
    if found is None or "," in sentence[: found.start()]:
        return None
    subject, rest = sentence[: found.start()].strip(), sentence[found.end() :].strip()
    telling = set(telling_terms(subject))
    if not telling or len(subject.split()) > 8 or len(rest.split()) < 3:
        return None
    return subject, found.group(), rest


def _turned_about(stated: Stated, _: random.Random) -> str | None:
    """With “to” for “by” or “from”, or the other way, before a name or an article."""
    found = re.search(
        r"\b(?:by|from|(?<!up )(?<!due )to)(?= (?:[A-Z]|the\b|an?\b))", stated.sentence
    )
    if found is None:
        return None
    return _put(stated.sentence, found.span(), "by" if found.group() == "to" else "to")


def _opposite(stated: Stated, dice: random.Random) -> str | None:
    """With a word for its opposite."""
    both = [pair for one, two in _OPPOSITES for pair in ((one, two), (two, one))]
    for own, new in _mixed(both, dice):
        found = re.search(rf"\b{own}\b", stated.sentence)
        if found:
            return _put(stated.sentence, found.span(), new)
    return None


def _condition_dropped(stated: Stated, _: random.Random) -> str | None:
    """Without the condition or the exception that it names."""
    for pattern in (_FIRST_CONDITION, _CONDITION):
        found = pattern.search(stated.sentence)
        if found:
            left = stated.sentence[: found.start()] + stated.sentence[found.end() :]
            left = _capital(re.sub(r"^then ", "", left))
            if len(left.split()) >= 4:
                return left
    return None


def _limit_dropped(stated: Stated, _: random.Random) -> str | None:
    """Without the word or the phrase that narrows it, as “only” and “until 2020” do."""
    found = _LIMIT.search(stated.sentence)
    if found is None:
        return None
    left = _capital(stated.sentence[: found.start()] + stated.sentence[found.end() :])
    return left if len(left.split()) >= 4 else None


def _another_word(stated: Stated, dice: random.Random) -> str | None:
    """With a word of another text in place of one of its own."""
    found = re.finditer(r"(?<= )[a-z]{5,}(?= )", stated.sentence)
    words = [w for w in found if telling_terms(w.group()) and w.group() not in WORD_NUMBERS]
    known = set(telling_terms(stated.text))
    others = [w for w in stated.others if telling_terms(w) and not set(telling_terms(w)) & known]
    if not words or not others:
        return None
    return _put(stated.sentence, dice.choice(words).span(), dice.choice(others))


# what the text still says
FAITHFUL: Mapping[str, Change] = {
    "shortened": _shortened,
    "opening phrase at the end": _turned,
    "number written otherwise": _written_otherwise,
}
# what it no longer says
FALSE: Mapping[str, Change] = {
    "another number": _other_number,
    "number of another place": _number_of_the_text,
    "name of another place": _name_of_the_text,
    "two names exchanged": _names_exchanged,
    "two numbers exchanged": _numbers_exchanged,
    "negation added": _denied,
    "negation taken out": _no_longer_denied,
    "may be, taken for granted": _taken_for_granted,
    "another unit": _other_unit,
    "said of something else": _crossed,
    "to for by or from": _turned_about,
    "the opposite": _opposite,
    "condition left out": _condition_dropped,
    "limiting word left out": _limit_dropped,
    "another word": _another_word,
}


def _put(text: str, span: tuple[int, int], new: str) -> str:
    return f"{text[: span[0]]}{new}{text[span[1] :]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _names(sentence: str, text: str) -> list[re.Match[str]]:
    """The names in a sentence: capitalised words that the text nowhere has in lower case."""
    small = set(re.findall(r"\b[a-zà-ÿ]+\b", text))
    return [
        name
        for name in _NAME.finditer(sentence)
        if telling_terms(name.group())
        and not any(w.lower() in small or is_date_word(w) for w in name.group().split())
    ]


def _mixed(items: Sequence[T], dice: random.Random) -> list[T]:
    return dice.sample(list(items), len(items))
