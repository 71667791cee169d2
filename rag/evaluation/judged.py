"""Questions as the judge sees them, beside what is right: what it is fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rag.evaluation.metrics import holds_answer
from rag.evaluation.questions import Item
from rag.library import Library


@dataclass(frozen=True, slots=True)
class Judged:
    """A question's features and whether the documents answer it.

    `right` says whether the quote that answers it holds a gold answer, None where that cannot be
    told. `collection` is the one that it names, and `documents` are those that answer it; for a
    question that none answers, the one in which an answer was looked for first.
    """

    features: Mapping[str, float]
    answerable: bool
    right: bool | None
    collection: str | None
    documents: tuple[str, ...]


def judge_all(
    library: Library,
    items: Sequence[Item],
    collections: Sequence[str] | None,
    tell: Callable[[], None],
) -> list[Judged]:
    """What the judge sees in each question for which something is found; the library is loaded.

    `collections` (None: all) are for the questions that name none of their own. `tell` is called
    after each question. Raises as `Library.search`.
    """
    from rag.answerability import Judge
    from rag.condensing import asked_last, condense
    from rag.disagreeing import Versions
    from rag.evidence import TermWeights

    weights = TermWeights(library.indexes.words)
    judge = Judge(library.embedder, weights, library.reader(), library.second_reader())
    found = []
    for item in items:
        question = condense(item.question, item.history, library.settings.question_max_chars)
        passages = library.search(
            question, item.asked_of(collections), library.settings.retrieval_passages
        )
        find = partial(judge.evidence, question, asked=asked_last(item.question, question))
        evidence = find(passages)
        tell()
        if not evidence.spans:  # nothing is found, so nothing is judged
            continue
        known = bool(item.answers) or not item.answerable
        # as an answer does, it follows the newest version
        best = Versions(library.catalog, question, passages).newest(evidence, find).evidence
        right = holds_answer(best.spans[0].text, item.answers) if known else None
        sources = tuple(gold.source for gold in item.evidence) or (passages[0].source,)
        found.append(Judged(best.features, item.answerable, right, item.collection, sources))
    return found
