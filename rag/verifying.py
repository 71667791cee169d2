"""Verifies sentences of answers against the passages that the LLM was given.

A sentence is `quoted` where it is one or more sentences of a passage word for word, `supported`
where a sentence or two of a passage hold its content words and all of its numbers, names and
negations, in the same relation as far as that can be told from where they stand, and `unsupported`
otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.evidence import (
    Span,
    TermWeights,
    coverage,
    find_quote,
    held_terms,
    whole_sentences,
    windows,
)
from rag.kinds import is_date_word
from rag.names import name_of, names
from rag.numbers import measured, number_places, numbers
from rag.records import Passage, Support
from rag.sentences import sentence_spans
from rag.words import content_terms, telling_terms, terms

# Share of a sentence's weighted content words that its evidence must hold. At .75 “sold for 740
# euros” passed as support of “bought for 740 euros”; at .9 only a long sentence may change a word.
COVERAGE_NEEDED = 0.9
_SHORTEST = 3
_TOKEN = re.compile(r"\w+")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
# between the clauses of a sentence, each of which says something of its own; not within numbers
_CLAUSES = re.compile(
    r"[;|]|,(?!\d)|\b(?:and|but|while|whereas|or|und|aber|oder|während|et|mais|ou|y|pero|e|ma)\b",
    re.IGNORECASE,
)
# what denies, and what takes something out; “No. 3” does neither
_NEGATION = re.compile(
    r"\b(?:not|no(?!\.?\s*\d)|nobody|nothing|nowhere|never|none|neither|nor|without|cannot|unless|"
    r"except(?:ing)?|excluding|nicht|nichts|niemand\w*|niemals|nirgends|kein\w*|nie|ohne|außer|"
    r"ausser|pas|jamais|aucun\w*|sans|sauf|non|nessun\w*|senza|nunca|ning[uú]n\w*|nadie|sin|niet|"
    r"geen|nooit|zonder|inte|aldrig|ikke|uten|não|nenhum\w*|sem)\b|n['’]t\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a sentence is supported, how well (0 to 1), and by which stretch of a passage."""

    support: Support
    score: float
    evidence: Span | None = None


class Verifier:
    """Checks sentences of answers against the passages that the LLM was given."""

    def __init__(self, weights: TermWeights) -> None:
        self._weights = weights

    def verify(self, sentence: str, passages: Sequence[Passage]) -> Verdict:
        """The best support that the passages give a sentence."""
        if len(content_terms(sentence)) < _SHORTEST and not numbers(sentence):
            return Verdict("unsupported", 0.0)
        for passage in passages:
            verdict = self._quoted(sentence, passage)
            if verdict is not None:
                return verdict
        # numbers are compared by value: “5” is “five” and “1800” is “1,800”
        weights = {
            term: weight
            for term, weight in self._weights.weights(sentence).items()
            if not term.isdigit()
        }
        most, best = 0.0, Verdict("unsupported", 0.0)
        for passage in passages:
            for window in windows(passage):
                covered = coverage(weights, held_terms(window.text, passage))
                most = max(most, covered)
                if covered < max(COVERAGE_NEEDED, best.score + 1e-9):
                    continue
                if self._agrees(sentence, window):
                    best = Verdict("supported", round(covered, 4), window)
        return best if best.evidence else Verdict("unsupported", round(most, 4))

    def _quoted(self, sentence: str, passage: Passage) -> Verdict | None:
        """The support of a passage that holds a sentence word for word.

        A part of one of its sentences may leave out what matters, so that one is what is cited.
        """
        bare = _bare(sentence)
        span = find_quote(passage, bare)
        whole = whole_sentences(span) if span else None
        if whole is None:
            return None
        if len(_TOKEN.findall(whole.text)) == len(_TOKEN.findall(bare)):
            return Verdict("quoted", 1.0, whole)
        return Verdict("supported", 1.0, whole) if self._agrees(sentence, whole) else None

    def _agrees(self, sentence: str, window: Span) -> bool:
        """Whether what a sentence says with numbers, names and negations is what a window says."""
        passage = window.passage
        around = f"{passage.title}\n{passage.context}\n{window.text}"
        return (
            numbers(sentence) <= numbers(self._nearest(sentence, window))
            and _units_agree(sentence, around)
            and _names_agree(sentence, window.text, around)
            and self._opening_is_held(sentence, around)
            and negations(sentence) == negations(window.text)
            and not _from_another_clause(sentence, window.text)
        )

    def _nearest(self, sentence: str, window: Span) -> str:
        """The one sentence of a window that says most of what the sentence says, and its place.

        Two sentences beside each other may support one, but not a number of the other.
        """
        weights = self._weights.weights(sentence)
        parts = [window.text[start:end] for start, end in sentence_spans(window.text)]
        part = max(parts, key=lambda part: coverage(weights, terms(part)), default=window.text)
        return f"{window.passage.title}\n{window.passage.context}\n{part}"

    def _opening_is_held(self, sentence: str, around: str) -> bool:
        """Whether the evidence has the word that opens a sentence: it may be a name."""
        opening = _WORD.match(sentence.lstrip("\"'“„«("))
        if opening is None or numbers(opening.group()):
            return True
        return set(telling_terms(opening.group())) <= set(terms(around))


def _bare(text: str) -> str:
    """A text without the marks around it."""
    return text.strip().rstrip(".!?…:; ").strip("\"'“”„«» ")


def _units_agree(sentence: str, around: str) -> bool:
    """Whether no amount of a sentence is given in another currency, or per cent, by the evidence.

    A number without a unit agrees with any: a table has them in its header.
    """
    there = measured(around)
    return all(
        (value, unit) in there or (value, "") in there or all(v != value for v, _ in there)
        for value, unit in measured(sentence)
        if unit
    )


def _names_agree(sentence: str, window: str, around: str) -> bool:
    """Whether the evidence has the names of a sentence, those beside each other in their order."""
    wanted = names(sentence)
    if not set(wanted) <= set(_words(around)):
        return False
    places = [_place(name, window) for name in wanted if not is_date_word(name)]
    there = [place for place in places if place >= 0]
    return there == sorted(there)


def _place(name: str, window: str) -> int:
    flags = re.IGNORECASE if name.islower() else re.NOFLAG
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", window, flags)
    return found.start() if found else -1


def _from_another_clause(sentence: str, window: str) -> bool:
    """Whether a number of a sentence stands in one clause and its subject in another number's.

    “Managers get 30 days and staff get 25” does not say that staff get 30.
    """
    said = numbers(sentence)
    clauses = [part for part in _CLAUSES.split(window) if part.strip()]
    values = [{value for _, _, value in number_places(part)} for part in clauses]
    mine = [part for part, found in zip(clauses, values, strict=True) if found & said]
    others = [part for part, found in zip(clauses, values, strict=True) if found - said]
    others = [part for part in others if part not in mine]
    if not mine or not others:
        return False
    words = set(content_terms(sentence))
    near = {term for part in mine for term in terms(part)}
    return any(words & set(terms(part)) - near for part in others)


def _words(text: str) -> list[str]:
    """The words of a text in every form in which `names` may give them."""
    found = _WORD.findall(text)
    return [form for word in found for form in (word.lower(), name_of(word), name_of(word).lower())]


def negations(text: str) -> int:
    """How often a text denies, or takes something out."""
    return len(_NEGATION.findall(text))
