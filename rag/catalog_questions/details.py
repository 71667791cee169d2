"""What a question about the library says beside its frame: a topic, a folder, days."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from rag.catalog_questions.folding import folded, folded_words
from rag.catalog_questions.phrases import Phrases
from rag.catalog_questions.small import NOT_IN_NAMES, OF, PREPOSITIONS
from rag.days import Days, find_days

_MOST_WORDS = 10
_MOST_NAME_WORDS = 4
_LONGEST_PART = 16
_QUOTES = "\"'“”„«»‘’ "
_INNER_QUOTES = re.compile(r"[\"“”„«»]")
# a German compound of so many letters says what several words do
_LONG_WORD = 13
_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d+)* ")
_DURING = re.compile(r"(?:in|on|during|within|am|im|in der|en|pendant|durante|nel|nella|a|au|el) ")


@dataclass(frozen=True, slots=True)
class Details:
    """What stood with a frame; `here` where the library was named.

    Days are `vague` where they are those of a month or a year. `written` is the tag of a language.
    """

    topic: str = ""
    titled: bool = False
    folder: str = ""
    collection: str = ""
    since: str = ""
    until: str = ""
    written: str = ""
    sender: str = ""
    here: bool = False
    vague: bool = False

    @property
    def met(self) -> set[str]:
        """Which of the needs that a frame may have are met."""
        held = {
            "topic": self.topic,
            "place": self.folder or self.collection or self.here,
            "days": self.since,
            "language": self.written,
            "sender": self.sender,
            "day": self.since and not self.until and not self.vague,
        }
        return {name for name, value in held.items() if value}


@dataclass(frozen=True, slots=True)
class DetailReader:
    """Reads details in one language; `period` where “this week” may stand without “since”.

    `own` and `bare` are as the frame's; `mails` may have a sender.
    """

    phrases: Phrases
    today: date
    period: bool = False
    own: bool = True
    bare: bool = False
    mails: bool = False

    def read(self, text: str, found: Details) -> Details | None:
        """What all of a text says, added to what was found; None where some is not understood."""
        return next(self._readings(text, 0, found), None)

    def _readings(self, text: str, start: int, found: Details) -> Iterator[Details]:
        """The ways to understand all of `text[start:]`, the likeliest first."""
        while start < len(text) and text[start] in " ,":
            start += 1
        if start == len(text):
            yield found
            return
        plain = folded(text)
        if matched := self.phrases.here.match(plain, start):
            yield from self._readings(text, matched.end(), replace(found, here=True))
        if matched := self.phrases.filler.match(plain, start):
            yield from self._readings(text, matched.end(), found)
        for word in list(re.finditer(r"\S+", text[start:]))[:_LONGEST_PART]:
            stop = start + word.end()
            for more in self._valued(text[start:stop], found):
                yield from self._readings(text, stop, more)

    def _valued(self, part: str, found: Details) -> Iterator[Details]:
        """What one part says, as `in the folder hr` does; nothing may be said twice."""
        plain = folded(part)
        for name, pattern in self.phrases.valued.items():
            if not (matched := pattern.fullmatch(plain)):
                continue
            start, end = matched.span("x" if matched["x"] else "y")
            value = part[start:end]
            if name == "topic" and not found.topic:
                topic = self.topic(value)
                if topic and not self._is_other(matched["by"], topic, plain[start:end]):
                    yield replace(found, topic=topic)
            elif name == "named" and not found.topic and (title := self.title(value)):
                yield replace(found, topic=title, titled=True)
            elif name == "folder" and not found.folder and (folder := self._name(value)):
                yield replace(found, folder=folder)
            elif name == "collection" and not found.collection and (of := self._name(value)):
                yield replace(found, collection=of)
            elif name == "since" and not found.since and (days := self._days(plain[start:end])):
                yield replace(found, since=days.first.isoformat(), vague=days.vague)
            elif name == "sender" and not found.sender and (who := self.sender(value)):
                yield replace(found, sender=who)
        if not found.written:
            for pattern, tag in self.phrases.languages:
                if pattern.fullmatch(plain):
                    yield replace(found, written=tag)
        if self.period and not found.since:
            bare = _DURING.sub("", plain, count=1)
            if days := self._days(plain) or self._days(bare):
                first, last = days.first.isoformat(), days.last.isoformat()
                yield replace(found, since=first, until=last, vague=days.vague)

    def _days(self, plain: str) -> Days | None:
        return find_days(plain, self.today)

    def topic(self, text: str) -> str:
        """A topic as it was written, without its article; empty where it cannot be one."""
        topic = self._without_article(self._without_term(text).strip(_QUOTES)).strip(_QUOTES)
        topic = " ".join(_INNER_QUOTES.sub(" ", topic).split())
        words = folded_words(topic)
        telling = [word for word in words if word not in self.phrases.articles]
        if not telling or len(words) > _MOST_WORDS or self._says_more(words):
            return ""
        if words[0] == "to" or self._days(folded(topic)):
            return ""
        if words[-1] in self.phrases.surfaces or self.phrases.ending.search(folded(topic)):
            return ""
        return topic

    def _says_more(self, words: Sequence[str]) -> bool:
        """Whether these words say something of a topic, or how documents are to be dealt with."""
        phrases = self.phrases
        if (phrases.clause | phrases.apart) & set(words) or phrases.verbs & set(words[1:]):
            return True
        alone = len(words) == 1 or words[1] in PREPOSITIONS
        return words[0] in phrases.hardly and alone

    def _is_other(self, by: str, topic: str, value: str) -> bool:
        """Whether what looks like a topic may be something else.

        German “zu” goes with verbs (“zu unterschreiben”, “zum Unterschreiben”), an English “on the”
        with places where nothing says that the library is meant, and “about” with numbers.
        """
        if self.bare and self.phrases.loose.fullmatch(by):
            return True
        verb = by == "zum" and topic.isalpha() and topic.endswith("en")
        place = by == "on" and not self.own and value.startswith("the ")
        return verb or place or (by == "zu" and topic.islower()) or bool(_NUMBER.match(topic))

    def title(self, text: str) -> str:
        """What a document is called, as it was written; empty where nothing is called so."""
        title = text.strip(_QUOTES)
        if matched := self.phrases.fresh.match(folded(title)):
            title = title[matched.end() :].strip(_QUOTES)
        words = folded_words(title)
        refused = self.phrases.clause | self.phrases.apart
        if not words or len(words) > _MOST_WORDS or refused & set(words):
            return ""
        # a German noun has a capital; what ends “Haben Sie den Vertrag unterschrieben?” has none
        last = re.findall(r"\w+", title)[-1]
        return "" if self.phrases.language == "de" and last.islower() else title

    def tells(self, title: str) -> bool:
        """Whether a title says more than a kind of document, as “policy on gifts” does."""
        no = self.phrases.articles | PREPOSITIONS | OF
        words = [word for word in folded_words(title) if word not in no]
        return len(words) > 1 or any(self._is_compound(word) for word in words)

    def sender(self, text: str) -> str:
        """Who sent mails, as it was written; empty where that may be something else."""
        who = self._name(self._without_article(text.strip(_QUOTES)))
        # “from phishing attacks a year” names nobody
        phrases = self.phrases
        refused = phrases.apart | phrases.verbs | phrases.articles | NOT_IN_NAMES
        if not self.mails or refused & set(folded_words(who)) or self._days(folded(text)):
            return ""
        return who

    def _is_compound(self, word: str) -> bool:
        return self.phrases.language == "de" and len(word) >= _LONG_WORD

    def shorter(self, title: str) -> str:
        """A title without its last addition, as “for managers”; empty where that says little."""
        *_, last = [None, *self.phrases.joins.finditer(folded(title))]
        start = title[: last.start()].strip() if last else ""
        words = folded_words(start)
        return start if len(words) > 1 or any(map(self._is_compound, words)) else ""

    def _name(self, text: str) -> str:
        """The name of a folder or a collection."""
        name = text.strip(_QUOTES).strip("/")
        words = folded_words(name)
        if not words or len(words) > _MOST_NAME_WORDS or self.phrases.clause & set(words):
            return ""
        leads = words[0] in OF or words[0] in self.phrases.articles
        return "" if leads and len(words) > 1 else name

    def _without_term(self, text: str) -> str:
        """What is left of “the word “leave””."""
        matched = self.phrases.term.match(folded(text))
        return text[matched.end() :] if matched else text

    def _without_article(self, text: str) -> str:
        plain = folded(text)
        for article in self.phrases.articles:
            opening = article if article.endswith("'") else f"{article} "
            if plain.startswith(opening):
                return text[len(opening) :].lstrip()
        return text
