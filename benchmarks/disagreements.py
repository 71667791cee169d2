"""How many answers tell of another version that disagrees, on the sample questions' dev part.

Each that does is printed with what it tells, to be judged: the sample library has two versions of
its travel and of its backup policy, and no other document twice. Without an LLM, since answers are
then what is found. The time that looking at other versions takes is given as a share of that of all
answers. Then every sentence of every passage that was found is taken as if it were cited, and each
with which another document disagrees is printed too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from _common import (
    QUESTIONS,
    SAMPLES,
    Figure,
    Options,
    bench_settings,
    command,
    environment,
    run_benchmark,
    run_quietly,
    say,
    scratch,
)

from rag.condensing import condense
from rag.disagreeing import Versions
from rag.evaluation.questions import Item, read_questions
from rag.evidence import passage_sentences
from rag.library import Library
from rag.records import Question


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    items = [item for item in read_questions(QUESTIONS) if item.split == "dev"]
    with scratch() as folder:
        settings = bench_settings(folder / "home", llm_model="none")
        run_quietly(command("ingest", "sync", str(SAMPLES), "--wait"), environment(settings))
        say("the sample library is taken in")
        library = Library(settings)
        try:
            library.load()
            items = items[:5] if options.small else items
            return [*asked(library, items), *all_sentences(library, items)]
        finally:
            library.close()


def asked(library: Library, items: Sequence[Item]) -> Sequence[Figure]:
    """The figures of these questions, each asked of the library."""
    clock = _Clock()
    answered = telling = 0
    started = time.perf_counter()
    for number, item in enumerate(items, 1):
        with patch.object(Versions, "others", clock.timed(Versions.others)):
            events = list(library.ask(Question(item.question, history=item.history)))
        answer: Any = events[-1].data
        answered += not answer["abstained"]
        telling += bool(answer["disagreements"])
        for told in answer["disagreements"]:
            say(f"{item.id} ({item.kind}), {number} of {len(items)}: {item.question}")
            say(f"  {answer['text']}\n  {told['source']}: {told['quote']}")
    seconds = time.perf_counter() - started
    return [
        Figure("looking at other versions / whole answer", clock.seconds / seconds, "×"),
        Figure("questions asked", len(items), "questions"),
        Figure("answered", answered, "answers"),
        Figure("tell of another version", telling, "answers"),
    ]


def all_sentences(library: Library, items: Sequence[Item]) -> Sequence[Figure]:
    """The figures of all sentences that are found for these questions, each counted once."""
    seen: set[tuple[str, int, int]] = set()
    disagreeing = 0
    for item in items:
        query = condense(item.question, item.history)
        passages = library.search(query, limit=library.settings.retrieval_passages)
        versions = Versions(library.catalog, "", passages)
        for span in (span for passage in passages for span in passage_sentences(passage)):
            place = span.passage.document_id, span.passage.page, span.passage.start + span.start
            others = () if place in seen else versions.others(span)
            seen.add(place)
            disagreeing += bool(others)
            for other in others:
                say(f"{span.passage.source}: {span.text}")
                say(f"  {other.age or 'unknown'}, {other.span.passage.source}: {other.span.text}")
    return [
        Figure("sentences found", len(seen), "sentences"),
        Figure("with which another document disagrees", disagreeing, "sentences"),
    ]


class _Clock:
    """The seconds spent in a method."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, method: Any) -> Any:
        def timed(*arguments: Any) -> Any:
            begun = time.perf_counter()
            try:
                return method(*arguments)
            finally:
                self.seconds += time.perf_counter() - begun

        return timed


if __name__ == "__main__":
    sys.exit(run_benchmark("disagreements", __doc__ or "", measure))
