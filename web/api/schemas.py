"""What the REST interface takes and gives, as models that validate and describe it.

Replies are described by the records themselves, so the description cannot drift from them.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, RootModel

from rag.model_change import ModelState
from rag.models.footprint import Machine
from rag.models.listing import TASKS, Entry, Here
from rag.questions import MOST_FILTERS
from rag.records import DEFAULT_COLLECTION, Answer, Collection, Passage
from rag.replaying import Replay
from web.api.inputs import Day, Flag, Identifier, Input, Name, Number, OptionalInput, Text, Whole
from web.cursors import MOST_CURSOR
from web.documents import MOST_WORDS


class Parameters(Input):
    """How the answer is generated; what is left out has the collection's or the server's value.

    The operator's limits may be narrower than those told here.
    """

    temperature: Number | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_k: Whole | None = Field(None, ge=0, le=1000)
    top_p: Number | None = Field(None, ge=0.01, le=1)
    min_new_tokens: Whole | None = Field(None, ge=0, le=4096)
    max_new_tokens: Whole | None = Field(None, ge=1, le=4096)
    repetition_penalty: Number | None = Field(None, ge=0.5, le=2)
    seed: Whole | None = Field(None, ge=0, le=2**31 - 1)
    system_prompt: Text | None = Field(None, max_length=4000)


class FiltersInput(Input):
    """Which documents may answer: those for which all that is given here holds.

    `documents` are ids; what is in an archive or mail counts with it. `folder` is a path below
    which the source lies. Of `languages` (BCP 47) `de` takes `de-CH` too. `since` and `until` are
    the first and the last day on which the file may have been changed last; a mail, and what
    came in it, counts by the day on which it was sent, uploads, and what is in another archive, by
    the day on which they were added.
    """

    documents: tuple[Identifier, ...] = Field((), max_length=MOST_FILTERS)
    folder: Text = Field("", max_length=4000)
    kinds: tuple[Name, ...] = Field((), max_length=MOST_FILTERS)
    languages: tuple[Name, ...] = Field((), max_length=MOST_FILTERS)
    since: Day = ""
    until: Day = ""


class TurnInput(Input):
    """An earlier question of the conversation and its answer."""

    question: Text = Field(min_length=1, max_length=10_000)
    answer: Text = Field("", max_length=20_000)


class AskInput(Input):
    """A question. Without `collections` all are asked; `stream` asks for events.

    Here and in all bodies null is as good as left out, where nothing else is said of it.
    """

    question: Text
    collections: list[Name] | None = Field(None, min_length=1, max_length=50)
    filters: FiltersInput = FiltersInput()
    history: list[TurnInput] = Field([], max_length=20)
    parameters: Parameters = Parameters.model_construct()
    model: Text = Field(
        "",
        max_length=300,
        description="Which model of the models folder is to write it: `NAME`, `NAME+ADAPTER`, or "
        "`none` for quotes alone. Without it the collection's, else the LLM in use.",
    )
    stream: Flag = False


class CollectionPath(BaseModel):
    """A collection's name."""

    name: Name


class CollectionInput(Input):
    """A collection to be made: up to 63 of a-z, 0-9, - and _, a letter or digit first."""

    name: Name


class CollectionChange(Input):
    """What is to be set; null forgets a parameter or the model, what is left out stays."""

    parameters: Parameters | None = None
    model: Text | None = Field(
        None,
        max_length=300,
        description="Which model writes the answers, as a question names one.",
    )


class SearchInput(Input):
    """A search for passages."""

    query: Text
    collections: list[Name] | None = Field(None, min_length=1, max_length=50)
    filters: FiltersInput = FiltersInput()
    limit: Whole = Field(10, ge=1, le=100)


class ListQuery(Input):
    """Which part of the list; `cursor` is the `next` of the part before, the rest as it was."""

    limit: int = Field(100, ge=1, le=100)
    cursor: str | None = Field(None, max_length=MOST_CURSOR)
    collection: Name | None = None
    parent: Identifier | None = None
    q: Text = Field("", max_length=MOST_WORDS)


class SpanQuery(Input):
    """A span of the page's text whose boxes are wanted."""

    start: int = Field(0, ge=0, le=100_000_000)
    end: int = Field(0, ge=0, le=100_000_000)


class DocumentPath(BaseModel):
    """A document's id."""

    document_id: Identifier


class PagePath(DocumentPath):
    """A page of a document, counted from 1."""

    number: int = Field(ge=1, le=10_000_000)


class AnswerPath(BaseModel):
    """An answer's id."""

    answer_id: Identifier


class ModelPath(BaseModel):
    """A model's name in the models folder, or its id."""

    model_id: str = Field(min_length=1, max_length=200)


class ActivateInput(OptionalInput):
    """With which adapter of the models folder the model is to answer.

    `auto`: with the one that comes with Cloister for it, where there is one; `none`: with none.
    """

    adapter: Text = Field("auto", max_length=200)


class Problem(BaseModel):
    """What went wrong and what to do next (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class AnswerOutput(RootModel[Answer]):
    """The whole answer."""


class ReplayOutput(RootModel[Replay]):
    """A recorded answer made again."""


class ModelStateOutput(RootModel[ModelState]):
    """The LLM in use, and changes of it."""


class PassagesOutput(BaseModel):
    """Passages, the best first."""

    passages: list[Passage]


class CollectionOutput(RootModel[Collection]):
    """A collection, and what answers from it are generated with."""


class CollectionsOutput(BaseModel):
    """The collections, `default` first."""

    collections: list[Collection]


class DocumentOutput(BaseModel):
    """A document of the library.

    `parent` is the archive or mail that it came in, `members` counts the files taken out of it.
    """

    id: str
    title: str
    source: str
    collection: str
    kind: str
    state: str
    bytes: int
    pages: int
    chunks: int
    language: str | None = Field(
        description="The language of most of its text, as a tag (BCP 47); null where not clear."
    )
    unread_pages: list[int] = Field(
        description="Pages that could not be read: damaged ones, and scans where OCR is off."
    )
    searchable: bool
    progress: float
    created_at: str
    updated_at: str
    error: str | None
    error_code: str | None
    parent: str | None
    members: int
    synced: bool


class DocumentsOutput(BaseModel):
    """A part of the list of documents; `next` is the cursor of the part after it."""

    documents: list[DocumentOutput]
    next: str | None


class LeftOut(BaseModel):
    """A file within a file that is no document, by its path in there, and why."""

    name: str
    code: str
    reason: str


class LeftOutOutput(BaseModel):
    """The files within a document that were left out."""

    files: list[LeftOut]


class Received(BaseModel):
    """A file that was taken in; `source` is the name that its bytes had before, if they had one."""

    id: str
    name: str
    source: str
    state: str
    new: bool


class NotReceived(Problem):
    """A file that was not taken in, and why."""

    source: str


class ReceivedOutput(BaseModel):
    """What became of each file of an upload."""

    documents: list[Received]
    errors: list[NotReceived]


class BlockOutput(BaseModel):
    """A block of the page's text, `text[start:end]`."""

    start: int
    end: int
    kind: str
    level: int


class PageOutput(BaseModel):
    """A page's text; `boxes` cover the span that was asked for."""

    document_id: str
    page: int
    label: str
    text: str
    width: float
    height: float
    blocks: list[BlockOutput]
    boxes: list[tuple[float, float, float, float]]


class ModelsQuery(Input):
    """Which models: those for which all that is given here holds.

    `commercial`: the licence permits commercial use, be it with conditions. `fits`: this machine
    has the memory at one precision that loads here. `language` (BCP 47) is named by its
    makers. `family` is the beginning of a family's name. `here`: it is in the models folder.
    """

    commercial: bool = False
    fits: bool = False
    language: str = Field("", max_length=35)
    family: str = Field("", max_length=80)
    here: bool = False
    task: str = Field("", pattern=f"^({'|'.join(TASKS)})?$")


class ModelsOutput(BaseModel):
    """The models that are here, those of the catalogue, and the memory by which they fit or not.

    A model in both is named by the `catalogue` of the one and the `id` of the other. Bytes of the
    catalogue are those of the weights alone. This is not legal advice.
    """

    models: list[Here]
    catalogue: list[Entry]
    machine: Machine


class HealthOutput(BaseModel):
    """The process answers."""

    status: str


class IdentityQuery(Input):
    """What the server is to prove itself on."""

    challenge: str = Field(pattern="^[0-9a-f]{64}$")


class IdentityOutput(BaseModel):
    """The server's proof, in hexadecimal digits."""

    proof: str


class ReadyOutput(BaseModel):
    """Whether each part is ready, and why not."""

    ready: bool
    parts: dict[str, str]
    reason: str | None


# the multipart form is read as it streams in, so it is described here by hand
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        },
                        "collection": {"type": "string", "default": DEFAULT_COLLECTION},
                    },
                }
            }
        },
    }
}
