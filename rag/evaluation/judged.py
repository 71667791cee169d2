"""Questions as the judge sees them, beside what is right: what it is fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag.evaluation.metrics import holds_answer
from rag.evaluation.questions import Item
from rag.library import Library


@dataclass(frozen=True, slots=True)
class Judged:
    """A question's features and whether the documents answer it.

    `right` says whether its best evidence holds a gold answer, None where that cannot be told.
    """

    features: Mapping[str, float]
    answerable: bool
    right: bool | None


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
    from rag.condensing import condense
    from rag.evidence import TermWeights

    judge = Judge(library.embedder, TermWeights(library.indexes.words), library.reader())
    found = []
    for item in items:
        question = condense(item.question, item.history)
        passages = library.search(
            question, item.asked_of(collections), library.settings.retrieval_passages
        )
        evidence = judge.evidence(question, passages)
        tell()
        if not evidence.spans:  # nothing is found, so nothing is judged
            continue
        known = bool(item.answers) or not item.answerable
        right = holds_answer(evidence.spans[0].text, item.answers) if known else None
        found.append(Judged(evidence.features, item.answerable, right))
    return found
