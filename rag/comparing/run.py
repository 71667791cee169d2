"""The comparison itself: passages once for all, then one model after another on the same ones."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag.catalog.collections import asked_parameters
from rag.catalog.passages import live_passages
from rag.comparing.entries import Entry, Skipped
from rag.comparing.holding import Held, Hold
from rag.comparing.plan import Plan
from rag.comparing.store import Ledger, Row
from rag.errors import Busy, ModelError, NotFound, UsageError
from rag.evaluation.questions import Item
from rag.evaluation.run import Result
from rag.evaluation.scoring import score
from rag.records import MadeWith, Passage, Question, to_json

if TYPE_CHECKING:
    from rag.library import Library

_ABOUT_LIBRARY = "about the library itself: answered from the catalog, whatever the model"
_CHANGED = "a document that it found was changed or removed while the models were compared"
_SEEDS = 2**31


class Stopped(Exception):
    """It was stopped; what was answered is kept."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is: `stage` of `model` (empty: no model's), answers done, seconds left if known.

    Stages are `searching`, `loading`, `answering`.
    """

    stage: str
    model: str
    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the passages that every model is given, and how long finding them took."""

    item: Item
    question: Question
    standalone: str
    passages: tuple[Passage, ...]
    digest: str
    retrieve_ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there is to be judged: the questions of all models, and what was left out and why."""

    items: tuple[Item, ...]
    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]
    left_out: tuple[tuple[Item, str], ...]


def run(
    library: Library,
    plan: Plan,
    ledger: Ledger,
    hold: Hold,
    tell: Callable[[Step], None],
    stop: threading.Event,
) -> Outcome:
    """Ask what `ledger` has no answer to. The library is loaded, be it without an LLM.

    Answers are not recorded in the library. A model that cannot be loaded or fails is skipped.
    Raises Stopped once `stop` is set, and StorageError.
    """
    runner = _Runner(library, plan, ledger, tell, stop)
    asked = runner.search()
    skipped = list(plan.skipped)
    for entry in plan.entries:
        try:
            runner.ask(entry, asked, hold)
        except (ModelError, NotFound, UsageError, Busy) as error:
            if stop.is_set():
                raise Stopped from error
            skipped.append(Skipped(entry.name, str(error)))
    items = tuple(one.item for one in asked if one.item.id not in runner.left_out)
    here = [
        entry
        for entry in plan.entries
        if items and all((entry.name, item.id) in ledger.rows for item in items)
    ]
    known = {item.id: item for item in plan.items}
    return Outcome(
        items,
        tuple(here),
        tuple(skipped),
        tuple((known[name], reason) for name, reason in runner.left_out.items()),
    )


class _Runner:
    def __init__(
        self,
        library: Library,
        plan: Plan,
        ledger: Ledger,
        tell: Callable[[Step], None],
        stop: threading.Event,
    ) -> None:
        self._library, self._plan, self._ledger = library, plan, ledger
        self._tell, self._stop = tell, stop
        self._answerer = library.answerer
        self._made_with: MadeWith = self._answerer.made_with
        self._seconds: dict[str, list[float]] = {}
        self._count = len(plan.items)
        self.left_out: dict[str, str] = {}

    def search(self) -> list[Asked]:
        """Find the passages of every question. What was answered from others is asked anew."""
        found = []
        for number, item in enumerate(self._plan.items):
            self._stop_if_told()
            self._tell(Step("searching", "", number, len(self._plan.items)))
            asked_of = item.asked_of(self._plan.collections)
            question = Question(item.question, asked_of, item.history)
            if _is_about_library(self._library, question):
                self.left_out[item.id] = _ABOUT_LIBRARY
                continue
            found.append(self._find(item, question))
        self._count = len(found)
        for one in found:
            rows = [row for row in self._ledger.rows.values() if row.question == one.item.id]
            if any(row.passages != one.digest for row in rows):
                self._ledger.drop(one.item.id)
        return found

    def _find(self, item: Item, question: Question) -> Asked:
        from rag.condensing import condense
        from rag.parameters import used_parameters

        settings = self._library.settings
        started = time.perf_counter()
        standalone = condense(item.question, item.history, settings.question_max_chars)
        passages = tuple(
            self._library.search(standalone, question.collections, settings.retrieval_passages)
        )
        took = round((time.perf_counter() - started) * 1000)
        digest = _digest(passages)
        of_collection = asked_parameters(self._library.catalog, question.collections)
        used = used_parameters({}, settings, of_collection)
        if (
            "seed" in used and "seed" not in of_collection
        ):  # of all models the same, also where it goes on after a stop
            limit = settings.limits_seed
            drawn = int(hashlib.sha256(item.id.encode()).hexdigest()[:8], 16) % _SEEDS
            used["seed"] = int(limit.nearest(drawn))
        return Asked(item, replace(question, parameters=used), standalone, passages, digest, took)

    def ask(self, entry: Entry, asked: Sequence[Asked], hold: Hold) -> None:
        """Have a model answer what it has not answered yet. Raises as `hold` does."""
        waiting = [one for one in asked if not self._has(entry, one)]
        if not waiting:
            return
        self._stop_if_told()
        self._at("loading", entry)
        with hold(entry, self._stop) as held:
            for one in waiting:
                self._stop_if_told()
                self._at("answering", entry)
                if self._still_there(one):
                    began = time.monotonic()
                    self._answer(entry, one, held)
                    self._seconds.setdefault(entry.name, []).append(time.monotonic() - began)
        self._at("answering", entry)

    def _answer(self, entry: Entry, asked: Asked, held: Held) -> None:
        with held.using() as generator:
            self._stop_if_told()
            answer = self._answerer.answer_again(
                asked.question,
                asked.standalone,
                asked.passages,
                generator,
                self._made_with,
                self._stop,
            )
        self._stop_if_told()  # what was cut off is no answer
        timings = {
            "retrieve": asked.retrieve_ms,
            **{stage: asked.retrieve_ms + ms for stage, ms in answer.timings_ms.items()},
        }
        record: dict[str, Any] = to_json(replace(answer, timings_ms=timings))
        scored = score(Result(asked.item, tuple(record["passages"]), record), self._library.catalog)
        self._ledger.add(
            Row(
                model=entry.name,
                question=asked.item.id,
                passages=asked.digest,
                scores=dict(scored.scores),
                failure=scored.failure,
                abstained=answer.abstained,
                confidence=answer.confidence,
                answerable=answer.answerable,
                timings_ms=timings,
                prompt_tokens=answer.usage.prompt_tokens,
                completion_tokens=answer.usage.completion_tokens,
                device=generator.info.device if generator else "",
                precision=generator.info.precision if generator else None,
                quantization=generator.info.quantization if generator else None,
                memory=held.peak.bytes() if held.peak else None,
                how=held.peak.how if held.peak else "",
                beside=held.beside,
            )
        )

    def _still_there(self, asked: Asked) -> bool:
        """Whether the passages may still be used; else the question is left out for all models."""
        if asked.item.id in self.left_out:
            return False
        ids = {passage.chunk_id for passage in asked.passages}
        live = live_passages(self._library.catalog, ids, asked.question.collections)
        if ids <= set(live):
            return True
        self.left_out[asked.item.id] = _CHANGED
        self._ledger.drop(asked.item.id)
        return False

    def _has(self, entry: Entry, asked: Asked) -> bool:
        return (entry.name, asked.item.id) in self._ledger.rows

    def _stop_if_told(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _at(self, stage: str, entry: Entry) -> None:
        total = self._count * len(self._plan.entries)
        done = len(self._ledger.rows)
        self._tell(Step(stage, entry.name, done, total, self._left(entry)))

    def _left(self, entry: Entry) -> float | None:
        """Seconds, by the mean of each model's answers; of those to come, of the slowest so far."""
        means = {name: sum(some) / len(some) for name, some in self._seconds.items()}
        if entry.name not in means:
            return None
        answered = dict.fromkeys((one.name for one in self._plan.entries), 0)
        for name, _ in self._ledger.rows:
            answered[name] = answered.get(name, 0) + 1
        slowest = max(means.values())
        return sum(
            (self._count - answered[one.name]) * means.get(one.name, slowest)
            for one in self._plan.entries
        )


def _is_about_library(library: Library, question: Question) -> bool:
    """Whether the catalog answers a question, and no model is asked."""
    from rag.catalog_questions import catalog_question
    from rag.inventory import Inventory

    asked = catalog_question(question.text, question.history)
    if asked is None:
        return False
    inventory = Inventory(
        library.settings, library.catalog, lambda: library.indexes, lambda: library.embedder
    )
    with suppress(NotFound):
        return inventory.ask(question, asked) is not None
    return False


def _digest(passages: Sequence[Passage]) -> str:
    """Changes with what a model is given."""
    digest = hashlib.sha256()
    for one in passages:
        digest.update(f"{one.chunk_id} {one.document_id} {one.start} {one.end}\n".encode())
        digest.update(one.text_in_context.encode("utf-8", "replace"))
    return digest.hexdigest()[:16]
