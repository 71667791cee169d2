"""The library: settings, catalog, indexes and models, opened once and used by all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from rag.catalog import CATALOG_FILE, Catalog
from rag.catalog.collections import asked_model, asked_parameters, create_collection
from rag.catalog.filtering import check_passing
from rag.catalog_questions import catalog_question
from rag.errors import Busy, CloisterError, UsageError
from rag.once import Once
from rag.parameters import check_parameters
from rag.questions import check_filters, checked
from rag.reading import load_reader, load_second
from rag.records import DEFAULT_COLLECTION, NO_FILTERS, Filters, Passage, Question
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.answer_events import AnswerStream
    from rag.answering import Answerer
    from rag.catalog_questions import CatalogQuestion
    from rag.current_llm import CurrentLLM
    from rag.embedding import Embedder
    from rag.indexes import Indexes
    from rag.llm_shelf import LLMShelf
    from rag.model_change import ModelChange
    from rag.reading.reader import Reader
    from rag.reading.second import SecondReader
    from rag.retrieval import Retriever

log = logging.getLogger("cloister.library")

T = TypeVar("T")

# closing waits so long for a change of the LLM to give itself up
_CHANGE_SECONDS = 5.0


def open_catalog(settings: Settings) -> Catalog:
    """The library's catalog alone, with its default collection. Any process may open it."""
    catalog = Catalog(settings.home / CATALOG_FILE)
    # the crontab line in the README writes there
    (settings.home / "logs").mkdir(exist_ok=True)
    create_collection(catalog, DEFAULT_COLLECTION)
    return catalog


class Library:
    """One library. The process that loads it holds the data directory's lock.

    `load` may take seconds; until then `search` and `ask` raise Busy.
    """

    def __init__(self, settings: Settings) -> None:
        """Open the catalog only: quick, and no model or index is touched."""
        self.settings = settings
        self.catalog = open_catalog(settings)
        self._loading = threading.Lock()
        self._state: dict[str, str] = dict.fromkeys(("embedder", "indexes", "llm"), "loading")
        self._embedder: Embedder | None = None
        self._indexes: Indexes | None = None
        self._retriever: Retriever | None = None
        self._answerer: Answerer | None = None
        self._llm: CurrentLLM | None = None
        self._others: LLMShelf | None = None
        self._change: ModelChange | None = None
        # each is loaded when it is first asked for, and None where there is to be none
        self.reader: Callable[[], Reader | None] = Once(partial(load_reader, settings))
        self.second_reader: Callable[[], SecondReader | None] = Once(partial(load_second, settings))

    def load(self, llm: bool = True, mend: bool = True) -> None:
        """Load the models and open the indexes, mended; `llm` False leaves the LLM out.

        With `mend` False the indexes are left as they are, for a check that mends them itself.
        Raises ModelError or StorageError; `readiness` then says so as well.
        """
        from rag.heap import one_arena_a_core
        from rag.models.threads import one_core_each

        one_arena_a_core()
        one_core_each()
        with self._loading:
            if self._retriever is None:
                self._embedder = self._part("embedder", self._load_embedder)
                self._indexes = self._part("indexes", lambda: self._open_indexes(mend))
                self._retriever = self._make_retriever()
            if llm and self._answerer is None:
                self._answerer = self._part("llm", self._load_answerer)

    @property
    def embedder(self) -> Embedder:
        """The loaded embedder. Raises Busy before that."""
        return _loaded(self._embedder, "The embedder")

    @property
    def indexes(self) -> Indexes:
        """The open indexes. Raises Busy before that."""
        return _loaded(self._indexes, "The index")

    @property
    def current_llm(self) -> CurrentLLM:
        """The LLM that answers now, or none yet. It may be changed, see `model_change`."""
        if self._llm is None:
            from rag.current_llm import CurrentLLM

            self._llm = CurrentLLM()
        return self._llm

    @property
    def other_llms(self) -> LLMShelf:
        """The LLM in use and those that questions choose beside it."""
        if self._others is None:
            from rag.llm_shelf import LLMShelf

            self._others = LLMShelf(self)
        return self._others

    @property
    def model_change(self) -> ModelChange:
        """What changes the LLM, and tells how far that is."""
        if self._change is None:
            from rag.model_change import ModelChange

            self._change = ModelChange(self)
        return self._change

    @property
    def answerer(self) -> Answerer:
        """What answers from the documents. Raises Busy before it is there."""
        return _loaded(self._answerer, "The LLM")

    def use_model(self, model: str, adapter: str = "auto") -> None:
        """Begin to change the LLM to one of the models folder, and `llm.adapter`.

        Raises as `ModelChange.begin`, and Busy too while the library is being loaded.
        """
        _loaded(self._retriever, "The index")
        if self._state["llm"] == "loading" and self.model_change.state.changing is None:
            raise Busy("The LLM is still loading; try again in a few seconds.")
        self.model_change.begin(model, adapter)

    def adopt(self, settings: Settings) -> None:
        """Answer by the LLM in use now, under these settings."""
        self.settings = settings
        if self._answerer is None:
            self._answerer = self._make_answerer()
        self.tell("llm", "ready")

    def readiness(self) -> Mapping[str, str]:
        """For each part (`embedder`, `indexes`, `llm`): `ready`, `loading` or what went wrong.

        A part that is not loaded because of another one comes after that one.
        What else was told, such as of `ingest`, is there as well.
        """
        return dict(self._state)

    def tell(self, part: str, state: str) -> None:
        """Have `readiness` say of a part that it is `ready`, or what is wrong with it."""
        self._state = self._state | {part: state}

    @property
    def ready(self) -> bool:
        """Whether every part is ready that an answer needs: not `ingest`, which only reads."""
        return all(state == "ready" for name, state in self._state.items() if name != "ingest")

    def search(
        self,
        query: str,
        collections: Sequence[str] | None = None,
        limit: int = 10,
        filters: Filters = NO_FILTERS,
    ) -> list[Passage]:
        """The best passages.

        Raises UsageError (empty, too long, no day), UnknownCollection, NotFound (of a document in
        the filters), Busy.
        """
        query = checked(query, self.settings, "query")
        self._check(collections, filters)
        if not 1 <= limit <= 100:
            raise UsageError("limit must be from 1 to 100.")
        return _loaded(self._retriever, "The index").passages(query, collections, limit, filters)

    def ask(self, question: Question) -> AnswerStream:
        """Answer, as events: `sources`, `evidence`, then `token` and `sentence`, last `done`.

        Closing it, from any thread, stops generation at once. A question about the library itself
        is answered from the catalog: it needs no LLM, and the indexes only where it has a topic.
        What is asked of chosen documents is never one: it is of what they say.
        Raises the errors of `search` before the first event, and ModelError or Busy from within it.
        """
        checked(question.text, self.settings)
        self._check(question.collections, question.filters)
        of_collection = asked_parameters(self.catalog, question.collections)
        check_parameters(question.parameters, self.settings, of_collection)
        if question.model:
            question = replace(question, model=self.model_for(question))
        about_library = None
        if not question.filters.documents:
            about_library = catalog_question(question.text, question.history)
        if about_library and (answer := self._take_stock(question, about_library)):
            return answer
        if not question.model:
            question = replace(question, model=self.model_for(question))
        return self.answerer.ask(question)

    def model_for(self, question: Question) -> str:
        """The model that a question chooses, else its collection; empty: the LLM in use.

        Raises NotFound and UsageError where that is none that may be chosen.
        """
        if question.model:
            return self.other_llms.resolve(question.model)
        collection, model = asked_model(self.catalog, question.collections)
        if not model:
            return ""
        try:
            return self.other_llms.resolve(model)
        except UsageError as error:
            raise type(error)(
                f"The collection {collection} is to be answered by {model}, which cannot be: "
                f"{error} Or choose another for it: cloister collections set {collection} --model"
            ) from error

    def _take_stock(self, question: Question, asked: CatalogQuestion) -> AnswerStream | None:
        from rag.inventory import Inventory

        if asked.topic:
            _loaded(self._retriever, "The index")
        inventory = Inventory(
            self.settings, self.catalog, lambda: self.indexes, lambda: self.embedder
        )
        return inventory.ask(question, asked)

    def close(self) -> None:
        """Close indexes and catalog in order."""
        if self._change is not None:
            self._change.stop()
            self._change.wait(_CHANGE_SECONDS)
        if self._others is not None:
            self._others.close()
        with self._loading:
            if self._retriever is not None:
                self._retriever.close()
            self._retriever = self._answerer = None
            if self._indexes is not None:
                self._indexes.close()
                self._indexes = None
            self.catalog.close()

    def _check(self, collections: Sequence[str] | None, filters: Filters) -> None:
        """Raise now what would else be raised when the first passage is looked for."""
        check_filters(filters)
        if collections is None and not filters.given:
            return
        with self.catalog.read() as connection:
            check_passing(connection, collections, filters)

    def _part(self, name: str, load: Callable[[], T]) -> T:
        try:
            part = load()
        except BaseException as error:
            explained = isinstance(error, CloisterError)
            self.tell(name, str(error) if explained else "it failed; see logs/server.log")
            for other, state in self._state.items():
                if state == "loading":
                    self.tell(other, f"not loaded: the {name} is not ready")
            raise
        self.tell(name, "ready")
        return part

    def _load_embedder(self) -> Embedder:
        from rag.embedding import load_embedder

        return load_embedder(self.settings)

    def _open_indexes(self, mend: bool) -> Indexes:
        from rag.indexes import Indexes

        return Indexes(self.settings, self.catalog, self.embedder.fingerprint, log.warning, mend)

    def _make_retriever(self) -> Retriever:
        from rag.reranking import Reranker
        from rag.retrieval import Retriever

        reranker = Reranker(self.reader, self.indexes.words, self.settings.retrieval_rerank)
        return Retriever(self.settings, self.catalog, self.embedder, self.indexes, reranker)

    def _load_answerer(self) -> Answerer:
        from rag.generation import load_generator

        answerer = self._make_answerer()
        self.current_llm.put(load_generator(self.settings))
        return answerer

    def _make_answerer(self) -> Answerer:
        from rag.answerability import Judge, shipped_calibration
        from rag.answering import Answerer
        from rag.evidence import TermWeights
        from rag.provenance import made_with
        from rag.verifying import Verifier

        weights, second = TermWeights(self.indexes.words), self.second_reader()
        calibration = shipped_calibration(second is not None)
        return Answerer(
            settings=self.settings,
            catalog=self.catalog,
            retriever=_loaded(self._retriever, "The index"),
            judge=Judge(self.embedder, weights, self.reader(), second),
            calibration=calibration,
            verifier=Verifier(weights),
            llm=self.current_llm,
            others=self.other_llms,
            made_with=made_with(
                self.settings, calibration, self.embedder.fingerprint, second is not None
            ),
        )


def _loaded(part: T | None, name: str) -> T:
    if part is None:
        raise Busy(f"{name} is still loading; try again in a few seconds.")
    return part
