"""What a drafted question must be, as far as rules can tell; the rest is a person's to judge."""

from __future__ import annotations

import re

from rag.evaluation.metrics import holds_answer, plain
from rag.kinds import shows_kind, wanted_kind
from rag.questioning.targets import Target
from rag.words import telling_terms, terms

NO_QUESTION = "it is no question"
GIVEN_AWAY = "it gives its answer away"
ELSEWHERE = "it says what its passage does not"
LEANS = "it is not understood without its passage"
OTHER_KIND = "it asks for another kind of thing"
NOT_ANSWERED = "its passage does not answer it"
TWICE = "it was asked already"

# so much of a question's words must be those of its sentence, title or headings
_SHARED = 0.8
_FEWEST_WORDS, _MOST_CHARACTERS = 4, 200
_LEANING = re.compile(
    r"\b(?:this|these|that (?:is|was)|it|its|they|them|their|he|she|his|her|above|below|following|"
    r"mentioned|(?:the|this|given) (?:sentence|passage|text|document|author|answer|question))\b",
    re.IGNORECASE,
)
_AROUND = ' *_"“”'
_LABEL = re.compile(r"^\W*(?:question|q|frage)\s*\d*\s*[:.)]\s*", re.IGNORECASE)


def question_in(written: str) -> str:
    """The first question in what an LLM wrote, on one line; empty where there is none."""
    text = " ".join(written.split())
    head, mark, _ = text.partition("?")
    return _LABEL.sub("", head).strip(_AROUND) + mark if mark else ""


def wrong_with(question: str, target: Target) -> str | None:
    """What is wrong with a question, by its words alone; None where nothing is."""
    if len(question.split()) < _FEWEST_WORDS or len(question) > _MOST_CHARACTERS:
        return NO_QUESTION
    if holds_answer(question, [target.answer]):
        return GIVEN_AWAY
    passage = target.passage
    asked = set(telling_terms(question)) - set(terms(target.begins))
    said = set(terms(target.sentence))
    known = said | set(terms(f"{passage.title}\n{passage.context}"))
    if len(asked & said) < 2 or len(asked & known) < _SHARED * len(asked):
        return ELSEWHERE
    if _LEANING.search(question):
        return LEANS
    kind = wanted_kind(question)
    if kind == "yes_no" or shows_kind(target.answer, kind) is False:
        return OTHER_KIND
    return None


def same_words(question: str) -> str:
    """A question in the form in which two that are the same are equal."""
    return plain(question)
