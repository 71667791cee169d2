"""What flows through Cloister: frozen records, no behaviour beyond their own arithmetic.

    bytes ─▶ Parsed(Page(Block, Place)) ─▶ Chunk ─▶ Passage ─▶ Citation, Sentence ─▶ Answer

Pages and what is on them are in `rag.parsed`, which also says how offsets and boxes count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rag.parsed import Box

State = Literal["pending", "parsing", "embedding", "live", "failed", "removed"]
# “catalog”: of a sentence about the library itself, which is so by the catalog
Support = Literal["supported", "quoted", "unsupported", "catalog"]

DEFAULT_COLLECTION = "default"
# of the pages that could not be read so many runs are named
_RUNS = 8


def with_context(context: str, text: str) -> str:
    """A text after what tells where it stands, on lines of its own, if anything does."""
    return f"{context}\n{text}" if context else text


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one page that is embedded and found: `page_text[start:end] == text`.

    `context` (title, headings, a table's header) is given to the embedder and the lexical
    index before the text, and is outside the span. `id` is a hash of the content and span.
    """

    id: str
    ordinal: int
    page: int
    start: int
    end: int
    text: str
    context: str = ""

    @property
    def embedded_text(self) -> str:
        """What the embedder is given."""
        return with_context(self.context, self.text)


@dataclass(frozen=True, slots=True)
class Document:
    """A document as the library lists it. `bytes` is its size; `source` its path or name.

    `parent` is the id of the document that it is a member of; `members` counts its own.
    `language` is the tag (BCP 47) of its text's language; None where that is not clear.
    `unread_pages` are the numbers of those that could not be read: what they say is not found.
    """

    id: str
    title: str
    source: str
    collection: str
    kind: str
    state: State
    bytes: int
    pages: int
    chunks: int
    searchable: bool
    progress: float
    created_at: str
    updated_at: str
    error: str | None = None
    error_code: str | None = None
    folder: str | None = None
    parent: str | None = None
    members: int = 0
    language: str | None = None
    unread_pages: tuple[int, ...] = ()

    @property
    def unread(self) -> str:
        """That pages could not be read, and which; empty where all could."""
        if not self.unread_pages:
            return ""
        pages = "page" if len(self.unread_pages) == 1 else "pages"
        return f"{pages} {_runs(self.unread_pages)} of {self.pages} could not be read"


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as it is listed: how many documents are in it, members included.

    `parameters` are what answers from it are generated with, where a question does not say, and
    `model` which model writes them, as a question names one; empty: the one in use.
    """

    name: str
    documents: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where something stands: `page_text[start:end]` of a document's page."""

    document_id: str
    title: str
    source: str
    page: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Twin(Stretch):
    """Another document that has a passage's text, the same or similar, and where.

    `age` tells whether that document is the older or the newer one, as far as anything does.
    """

    relation: Literal["same", "similar"]
    age: Literal["older", "newer"] | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that a question found, with what stands around it.

    Ranks count from 1; None where that half missed it. `dated` is the day on which it
    was sent, as a mail or in one, else its file last changed, or else added (ISO 8601).
    """

    chunk_id: str
    document_id: str
    title: str
    source: str
    page: int
    start: int
    end: int
    text: str
    score: float
    dense_rank: int | None = None
    lexical_rank: int | None = None
    context: str = ""
    similarity: float = 0.0
    dated: str = ""
    twins: tuple[Twin, ...] = ()

    @property
    def text_in_context(self) -> str:
        """What models are given of it: its context, then its text."""
        return with_context(self.context, self.text)


@dataclass(frozen=True, slots=True)
class Citation(Stretch):
    """Where a sentence's support stands: `page_text[start:end] == quote`, always."""

    n: int
    quote: str
    chunk_id: str
    url: str
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Disagreement(Stretch):
    """What another version says where the citation's document says something else.

    `older` tells whether the other one is the older version or else the newer one; None where
    nothing tells. `dated` is the day, month or year (ISO 8601) in its name, else that of the
    mail or file. `later` tells that it is no version, but a later one of a series, as the next
    meeting's minutes are, that answers the question too.
    """

    citation: int
    quote: str
    older: bool | None
    dated: str = ""
    later: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer, with the numbers of the citations that support it."""

    text: str
    support: Support
    score: float
    citations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model wrote an answer; `adapter` is its adapter's name and revision, as `name@…`.

    `precision` is what it computed in (bfloat16, …); None where that is not known. `merged` is
    whether the adapter was added to the weights, or else computed beside them, which rounds
    otherwise; None without an adapter, or where that is not known.
    """

    id: str
    revision: str
    device: str
    adapter: str | None = None
    quantization: str | None = None
    precision: str | None = None
    merged: bool | None = None


# an answer that no model wrote
NO_MODEL = ModelInfo("none", "", "none")


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What decides an answer's text beside its question, passages, model and parameters.

    `cloister` is a version; `calibration`, `reader` and `embedder` name what judged the passages,
    which decline below `threshold`. `prompt_tokens` is the budget of a prompt and `prompt_passages`
    the places (from 0) of the answer's passages in their order in it; the SHA-256 are those of the
    prompt and of what the LLM wrote before it was verified, empty where it was not asked. `added`
    is the place of a newer version's passage that was not judged, as it was put in afterwards.
    """

    cloister: str
    calibration: str
    reader: str
    embedder: str
    threshold: float
    prompt_tokens: int = 0
    prompt_passages: tuple[int, ...] = ()
    prompt_sha256: str = ""
    draft_sha256: str = ""
    added: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written by the LLM for one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question of a conversation and its answer."""

    question: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents may answer: those for which all that is given here holds.

    `documents` are ids; what is in an archive or mail counts with it. `folder` is a path below
    which the source lies. `kinds` are as a document's. `languages` are tags (BCP 47), of which
    “de” takes “de-CH” too. `since` and `until` are the first and the last day (ISO 8601) on which
    the file may have been changed last; a mail, and what came in it, counts by when it was
    sent, and what else has no file of its own by when it was added.
    """

    documents: tuple[str, ...] = ()
    folder: str = ""
    kinds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self != NO_FILTERS


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: of which collections (None: all) and documents, after which turns, and how.

    `parameters` may hold those of `rag.parameters`; what is left out has the collection's value,
    else that of the settings.
    `asker` is a key of who asks: askers share the LLM evenly.
    `model` is which model of the models folder is to write the answer, as `NAME`, `NAME+ADAPTER` or
    `none` (quotes alone); empty: the collection's, else the LLM in use.
    """

    text: str
    collections: tuple[str, ...] | None = None
    history: tuple[Turn, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    filters: Filters = NO_FILTERS
    asker: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer, as stored and as `POST /api/v1/ask` returns it.

    `confidence` is how likely it is right, from 0 to 1: how often answers like it were, or, where
    it declines, how likely the passages hold no answer. `answerable` is how likely they hold one.
    One that was `answered_from` the catalog is about the library itself: no model was asked.
    `disagreements` are what other versions of the cited documents say instead.
    """

    id: str
    question: str
    standalone_question: str
    collections: tuple[str, ...]
    text: str
    short_answer: str | None
    abstained: bool
    confidence: float
    answerable: float
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    model: ModelInfo
    prompt_version: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage = Usage()
    timings_ms: Mapping[str, int] = field(default_factory=dict)
    filters: Filters = NO_FILTERS
    answered_from: Literal["documents", "catalog"] = "documents"
    made_with: MadeWith | None = None
    disagreements: tuple[Disagreement, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a streamed answer, the last of which is `done` or `error`."""

    name: Literal["sources", "evidence", "loading", "token", "sentence", "done", "error"]
    data: Mapping[str, Any]


def _runs(numbers: Sequence[int]) -> str:
    """Numbers in ascending order as `1, 4–7 and 9`; of many runs, the first ones."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [f"{first}" if first == last else f"{first}–{last}" for first, last in runs]
    if len(shown) > _RUNS:
        shown = [*shown[:_RUNS], "others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def to_json(record: Any) -> Any:
    """A record as plain JSON values (dicts, lists, strings, numbers)."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        names = (f.name for f in dataclasses.fields(record))
        return {name: to_json(getattr(record, name)) for name in names}
    if isinstance(record, Mapping):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_json(value) for value in record]
    return record
