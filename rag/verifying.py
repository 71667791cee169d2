"""Verifies sentences of answers against the passages that the LLM was given.

A sentence is `quoted` where it is one or more sentences of a passage word for word, `supported`
where one sentence of a passage holds all of its content words, numbers, names, negations, limits
and conditions, in the same relation as far as that can be told from where they stand, and
`unsupported` otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.evidence import (
    Span,
    TermWeights,
    coverage,
    find_quote,
    held_terms,
    passage_sentences,
    whole_sentences,
)
from rag.kinds import is_date_word
from rag.names import codes, name_of, name_places
from rag.numbers import WORD_NUMBERS, measured, number_places, numbers
from rag.qualifiers import bounds, conditions, directions, limits, modals, negations
from rag.records import Passage, Support
from rag.tables import LabelledRow, labelled_row
from rag.words import content_terms, telling_terms, terms

# Share of a sentence's weighted content words that its evidence must hold: all. At .9 a long
# sentence could change one, and say the opposite.
COVERAGE_NEEDED = 1.0 - 1e-9
_SHORTEST = 3
_NUMBER_TERMS = frozenset(term for word in WORD_NUMBERS for term in terms(word))
_CURRENCIES = ("EUR", "USD", "GBP", "CHF")
_TOKEN = re.compile(r"\w+")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
# between the clauses of a sentence, each of which says something of its own; not within numbers
_CLAUSES = re.compile(
    r"[;|]|,(?!\d)|\b(?:and|but|while|whereas|or|und|aber|oder|während|et|mais|ou|y|pero|e|ma)\b",
    re.IGNORECASE,
)


# what adds to a sentence and may be left out of it
_ASIDE = re.compile(r"\([^()]*\)|,\s+(?:which|who|whose|where)\b[^,.;]*(?=[,.;]|$)")


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
        if "|" in sentence:  # a row is its document's, or it is nothing
            return Verdict("unsupported", 0.0)
        # numbers are compared by value: “5” is “five” and “1800” is “1,800”
        weights = {
            term: weight
            for term, weight in self._weights.weights(sentence).items()
            if not _is_number(term)
        }
        most = 0.0
        for passage in passages:
            for one in passage_sentences(passage):
                covered = coverage(weights, held_terms(_told(one), passage))
                most = max(most, covered)
                if covered >= COVERAGE_NEEDED and self._agrees(sentence, one):
                    return Verdict("supported", round(covered, 4), one)
        return Verdict("unsupported", round(most, 4))

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

    def _agrees(self, sentence: str, span: Span) -> bool:
        """Whether what a sentence says with numbers, names and negations is what a stretch says."""
        row = labelled_row(span)
        text = _told(span)
        above = f"{span.passage.title}\n{span.passage.context}"
        around = f"{above}\n{text}"
        return (
            _says_some_of(sentence, text)
            and numbers(sentence) <= numbers(around)
            and _codes(sentence) <= _codes(around)
            and _units_agree(sentence, around)
            and _names_agree(sentence, text, above)
            and self._opening_is_held(sentence, around)
            and not _replaces(sentence, text)
            and not _repeats_more(sentence, around)
            and negations(sentence) == negations(text)
            and conditions(sentence) == conditions(text)
            and _limits_agree(sentence, text, row)
            and bounds(sentence) <= bounds(text)
            and _same_before(modals(sentence), modals(text))
            and (_labels_agree(sentence, row) if row else _clauses_agree(sentence, text))
        )

    def _opening_is_held(self, sentence: str, around: str) -> bool:
        """Whether the evidence has the word that opens a sentence: it may be a name."""
        opening = _WORD.match(sentence.lstrip("\"'“„«("))
        if opening is None or numbers(opening.group()):
            return True
        return set(telling_terms(opening.group())) <= set(terms(around))


def _told(span: Span) -> str:
    """What a stretch says; a row of a table with its labels: a number counts in its own column."""
    row = labelled_row(span)
    return row.told if row else span.text


def _is_number(term: str) -> bool:
    return term.isdigit() or term in _NUMBER_TERMS


def _codes(text: str) -> set[str]:
    """The codes of a text; “EUR 500” is an amount."""
    return {code for code in codes(text) if not code.startswith(_CURRENCIES)}


def _bare(text: str) -> str:
    """A text without the marks around it."""
    return text.strip().rstrip(".!?…:; ").strip("\"'“”„«» ")


def _units_agree(sentence: str, around: str) -> bool:
    """Whether no amount of a sentence is given in another currency or unit by the evidence.

    A number without a unit agrees with any: a table has them in its header.
    """
    there = measured(around)
    return all(
        (value, unit) in there or (value, "") in there or all(v != value for v, _ in there)
        for value, unit in measured(sentence)
        if unit
    )


def _says_some_of(sentence: str, text: str) -> bool:
    """Whether a sentence says anything that a text says, and not its title alone."""
    shared = set(content_terms(sentence)) & set(terms(text))
    return bool(shared or numbers(sentence) & numbers(text))


def _replaces(sentence: str, text: str) -> bool:
    """Whether a number, a name or the first word of a sentence is not in the text itself, but in
    its title, and may stand in the place of something that the sentence leaves out."""
    told = set(terms(text))
    opening = _WORD.match(sentence.lstrip("\"'“„«("))
    first = set(telling_terms(opening.group())) if opening else set()
    foreign = set(name_places(sentence)) - set(_words(text)) or numbers(sentence) - numbers(text)
    if not foreign and first <= told:
        return False
    left_out = set(telling_terms(text)) - set(terms(sentence))
    return any(not _is_number(term) for term in left_out) or not numbers(text) <= numbers(sentence)


def _names_agree(sentence: str, text: str, above: str) -> bool:
    """Whether the evidence, or what stands above it, has the names of a sentence.

    Those of the evidence must come in their order, and no more often.
    """
    wanted, there = name_places(sentence), set(_words(text))
    if not set(wanted) <= there | set(_words(above)):
        return False
    opening = _WORD.search(sentence)
    if opening and opening.group()[0].isupper():
        first = name_of(opening.group())
        if first in name_places(text) and wanted[:1] != [first]:
            wanted = [first, *wanted]
    rest = iter(list(_forms(text)))
    ordered = [name for name in wanted if name in there and not is_date_word(name)]
    return all(any(name in forms for forms in rest) for name in ordered)


def _repeats_more(sentence: str, around: str) -> bool:
    """Whether a sentence has one of its words more often than the evidence has.

    “Higher prices led to higher wages” is not said by “Lower prices led to higher wages”.
    """
    words = (term for term in content_terms(sentence) if not _is_number(term))
    return bool(Counter(words) - Counter(terms(around)))


def _same_before(said: Mapping[str, set[str]], there: Mapping[str, set[str]]) -> bool:
    """Whether what stands before a sentence's words stands before them in the evidence too."""
    return all(before <= there[term] for term, before in said.items() if term in there)


def _clauses_agree(sentence: str, text: str) -> bool:
    """Whether a sentence says by whom and from where what a text says, and keeps to its clauses."""
    return (
        _same_before(directions(sentence), directions(text))
        and not any(_from_another_clause(part, text) for part in [sentence, *_clauses(sentence)])
        and _numbers_in_order(sentence, text)
    )


def _clauses(text: str) -> list[str]:
    return [part for part in _CLAUSES.split(text) if part.strip()]


def _limits_agree(sentence: str, text: str, row: LabelledRow | None) -> bool:
    """Whether a sentence is narrowed as a text is; by a row as the cells are that it speaks of."""
    if row is None:
        return limits(sentence) == limits(_without_asides(text, sentence))
    said = set(terms(sentence))
    spoken_of = [cell for _, cell in row.labelled if said & set(telling_terms(cell))]
    return limits("; ".join(spoken_of)) <= limits(sentence) <= limits(text)


def _without_asides(text: str, sentence: str) -> str:
    """A text without what it has in brackets or relative clauses of which a sentence says nothing.

    What they limit is not what the sentence says.
    """
    said = set(terms(sentence))
    kept = text
    for aside in _ASIDE.findall(text):
        rest = kept.replace(aside, " ", 1)
        if not (set(telling_terms(aside)) - set(terms(rest))) & said:
            kept = rest
    return kept


def _numbers_in_order(sentence: str, text: str) -> bool:
    """Whether the numbers of a sentence come in the order in which the text has them.

    They need not where the words come along: “5 million in 2023” is “in 2023 5 million”, and
    clauses may change places. “From 50 to 30” is not “from 30 to 50”.
    """
    there = numbers(text)
    said, known = _steps(sentence), _steps(text)
    order = [step for step in said if step[1] and step[0] in there]
    if _is_within(order, [step for step in known if step[1]]):
        return True
    if any(_is_within(said[at:] + said[:at], known) for at in range(1, len(said))):
        return True
    parts = [_steps(part) for part in _clauses(text)]
    mine = [_steps(part) for part in _clauses(sentence) if numbers(part)]
    return len(mine) > 1 and all(any(_is_within(one, part) for part in parts) for one in mine)


def _steps(text: str) -> list[tuple[str, bool]]:
    """The telling words and the numbers of a text in order, each with whether it is a number."""
    figures = number_places(text)
    found = [(start, value, True) for start, _, value in figures]
    for word in _WORD.finditer(text):
        if any(start <= word.start() < end for start, end, _ in figures):
            continue
        values = numbers(word.group())
        steps = [(value, True) for value in values]
        steps = steps or [(term, False) for term in telling_terms(word.group())]
        found += [(word.start(), *step) for step in steps]
    return [(step, is_number) for _, step, is_number in sorted(found, key=lambda one: one[0])]


def _is_within(said: Sequence[tuple[str, bool]], known: Sequence[tuple[str, bool]]) -> bool:
    """Whether all steps of one text are among those of another in the same order."""
    rest = iter(known)
    return all(step in rest for step in said)


def _labels_agree(sentence: str, row: LabelledRow) -> bool:
    """Whether a sentence that has the label of a column has what stands in it, and no other cell.

    “Price: 90; Weight: 12” does not say that the price is 12.
    """
    said, values = set(terms(sentence)), numbers(sentence)
    for label, cell in row.labelled:
        wanted, telling = set(telling_terms(label)), set(telling_terms(cell))
        if (
            wanted
            and wanted <= said
            and not (numbers(cell) <= values and (not telling or telling & said or numbers(cell)))
        ):
            return False
    return True


def _from_another_clause(said: str, window: str) -> bool:
    """Whether a number of a clause stands in one clause and its subject in another number's.

    “Managers get 30 days and staff get 25” does not say that staff get 30.
    """
    wanted = numbers(said)
    clauses = _clauses(window)
    values = [numbers(part) for part in clauses]
    # the minutes of 9:00 and 17:00 tell nothing
    alone = {value for value in wanted if sum(value in found for found in values) == 1}
    telling = alone or wanted
    mine = [part for part, found in zip(clauses, values, strict=True) if found & telling]
    others = [part for part, found in zip(clauses, values, strict=True) if found - wanted]
    others = [part for part in others if part not in mine]
    if not mine or not others:
        return False
    words = {term for term in content_terms(said) if not _is_number(term)}
    near = {term for part in mine for term in terms(part)}
    return any(words & set(terms(part)) - near for part in others)


def _forms(text: str) -> Iterator[tuple[str, ...]]:
    """Each word of a text in every form in which `names` may give it."""
    for word in _WORD.findall(text):
        yield word.lower(), name_of(word), name_of(word).lower()


def _words(text: str) -> list[str]:
    """The words of a text in every form in which `names` may give them."""
    return [form for forms in _forms(text) for form in forms]
