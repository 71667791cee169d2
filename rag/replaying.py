"""Makes a recorded answer again, and says what differs.

The same model, revision, adapter, precision, parameters and passages are taken; what was sampled is
drawn by its seed again, where that was recorded. Where one of them is not here any more, that is
said; the text is made again all the same as far as it can be.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.catalog.answers import read_answer
from rag.catalog.pages import read_page
from rag.errors import Busy, CloisterError, ModelError, NotFound, UsageError
from rag.generation import Generator, load_generator
from rag.model_pick import name_in_use
from rag.prompting import PROMPT_VERSION
from rag.records import NO_MODEL, MadeWith, ModelInfo, Passage, Question, Twin
from rag.settings import Settings, choices_of

if TYPE_CHECKING:
    from rag.library import Library

# a text of which no part is compared is one line to difflib
_SENTENCE_ENDS = (". ", "? ", "! ", "] ")
# the device of a model that a server has; how that draws by a seed is its own affair
_SERVER = "server"
_MODEL_PARTS = ("id", "revision", "adapter", "merged", "quantization", "precision", "device")
_OF_PRECISION = ("merged", "quantization", "precision")
_JUDGES = ("cloister", "calibration", "reader", "embedder", "prompt_tokens")


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as it was: `what`, the recorded value and the one now, each as text."""

    what: str
    recorded: str
    now: str


@dataclass(frozen=True, slots=True)
class Replay:
    """A recorded answer made again. It is the `same` where its text is, letter for letter.

    `text` is None where it could not be made again. `diff` has a line for each sentence that only
    one of both texts has, after “-” (recorded) or “+” (now).
    """

    answer: str
    same: bool
    recorded_text: str
    text: str | None
    differences: tuple[Difference, ...]
    diff: tuple[str, ...] = ()


def replay(library: Library, answer_id: str, stop: threading.Event | None = None) -> Replay:
    """Make a recorded answer again. `stop` ends it from another thread.

    Raises NotFound where it is not recorded (any more), UsageError for one from the catalog, Busy
    while the library or another model is loaded, or where `stop` was set.
    """
    stop = stop or threading.Event()
    record = read_answer(library.catalog, answer_id)
    if record.get("answered_from") == "catalog":
        raise UsageError(
            f"{answer_id} was answered from the catalog, without a model: what the library holds "
            "now is another question. Ask it again."
        )
    answerer = library.answerer
    found: list[Difference] = []
    if record["prompt_version"] != PROMPT_VERSION:
        found.append(Difference("prompt version", record["prompt_version"], PROMPT_VERSION))
    here = dict(_passages(library, record, found))
    passages = list(here.values())
    model = ModelInfo(**_known(ModelInfo, record["model"]))
    parameters = dict(record["parameters"])
    drawn_again = parameters.get("seed") is not None and model.device != _SERVER
    if parameters.get("temperature") and not drawn_again:
        found.append(Difference("temperature", f"{parameters['temperature']} (sampled)", "0"))
        parameters["temperature"] = 0.0
    made = record.get("made_with")
    made_with = MadeWith(**_known(MadeWith, made)) if made else None
    if made_with and len(passages) < len(record["passages"]):
        added = list(here).index(made_with.added) if made_with.added in here else None
        made_with = replace(made_with, prompt_passages=(), added=added)
    try:
        with _generator(library, model, stop) as generator:
            now = generator.info if generator else NO_MODEL
            found += _of_model(model, now)
            question = Question(
                text=record["question"],
                collections=tuple(record["collections"]) or None,
                parameters=parameters,
            )
            again = answerer.answer_again(
                question,
                record["standalone_question"],
                passages,
                generator,
                made_with,
                stop,
                looking="disagreements" in record,
            )
    except (ModelError, NotFound, UsageError) as error:
        found.append(Difference("model", _named(model), str(error)))
        return Replay(answer_id, False, record["text"], None, tuple(found))
    if stop.is_set():
        raise Busy("It was stopped before the answer was whole. Try again.")
    if made_with is not None and again.made_with is not None:
        found += _of_making(made_with, again.made_with)
    diff = _diff(record["text"], again.text)
    if diff:
        found.append(Difference("text", f"{len(record['text'])} characters",
                                f"{len(again.text)} characters"))  # fmt: skip
    return Replay(answer_id, not diff, record["text"], again.text, tuple(found), diff)


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a record of this version has; lists are tuples in it."""
    names = {field.name for field in fields(kind)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name in names
    }


def _passages(
    library: Library, record: Mapping[str, Any], found: list[Difference]
) -> Iterator[tuple[int, Passage]]:
    """The recorded passages whose text stands where it stood, each after its place (from 0).

    Of the others, it is told.
    """
    for number, stored in enumerate(record["passages"], 1):
        twins = tuple(Twin(**_known(Twin, twin)) for twin in stored.get("twins", ()))
        passage = replace(Passage(**_known(Passage, stored)), twins=twins)
        try:
            text = read_page(library.catalog, passage.document_id, passage.page).text
        except CloisterError:
            found.append(Difference(f"passage {number}", _place(passage), "gone"))
            continue
        if text[passage.start : passage.end] != passage.text:
            found.append(Difference(f"passage {number}", _place(passage), "changed"))
            continue
        yield number - 1, passage


def _place(passage: Passage) -> str:
    return f"{passage.source}, page {passage.page}, {passage.start}–{passage.end}"


@contextmanager
def _generator(
    library: Library, model: ModelInfo, stop: threading.Event
) -> Iterator[Generator | None]:
    """The recorded model: the one in use, else loaded for this once where there is memory for it.

    Another revision of it is taken where that is what is here, and the one in use in another
    precision where it cannot be loaded in its own. Raises ModelError, NotFound and UsageError where
    it is not here, does not fit beside the one in use, or a server's is in use.
    """
    if model.id == "none":
        yield None
        return
    active = library.current_llm.info
    in_use = (active.id, _adapter(active)) == (model.id, _adapter(model))
    if in_use and not _other_precision(model, active):
        with library.current_llm.use(stop) as generator:
            yield generator
        return
    others, name = library.other_llms, name_in_use(model)
    # one that questions choose has its adapter beside its weights
    if name in others.loaded or (model.merged is False and library.settings.llm_others):
        with others.use(name, stop) as chosen:
            if chosen is not None and not _other_precision(model, chosen.info):
                yield chosen
                return
    from rag.models.room import give_back

    with library.current_llm.loads(lambda: True), library.current_llm.holds(name):
        try:
            generator = _load_once(library, model)
        except (ModelError, NotFound, UsageError):
            if not in_use:
                raise
            with library.current_llm.use(stop) as other:
                yield other
            return
        try:
            yield generator
        finally:
            generator.close()
            del generator
            give_back()


def settings_for(settings: Settings, record: Mapping[str, Any]) -> Settings:
    """The settings with the LLM of a recorded answer, where it is here; else as they are."""
    model = ModelInfo(**_known(ModelInfo, record["model"]))
    try:
        return _as_recorded(settings, model)
    except CloisterError:
        return settings


def _as_recorded(settings: Settings, model: ModelInfo) -> Settings:
    """The settings with a recorded LLM in its precision. Raises as `chosen` does."""
    from rag.model_change import chosen

    if model.id == "none":
        return replace(settings, llm_model="none", llm_adapter="")
    own = chosen(settings, model.id, _adapter(model))
    for precision in (model.quantization, model.precision):
        if precision in choices_of("llm_precision"):
            return replace(own, llm_precision=precision)
    return own


def _other_precision(recorded: ModelInfo, now: ModelInfo) -> bool:
    """Whether a model computes otherwise now, as far as it was recorded how it did."""
    return any(one.what in _OF_PRECISION for one in _of_model(recorded, now))


def _load_once(library: Library, model: ModelInfo) -> Generator:
    from rag.models.device import pick_device
    from rag.models.folder import find_model
    from rag.models.hardware import free_bytes
    from rag.models.room import needed_bytes

    own = _as_recorded(library.settings, model)
    device = pick_device(own.llm_device)
    folder: Path = find_model(own.models_path, own.llm_model).path
    needed = needed_bytes(folder, own, device)
    if needed > free_bytes(device):
        library.other_llms.free_unused()
    if needed > (free := free_bytes(device)):
        raise ModelError(
            f"{model.id} is here, but not in use, and needs about {needed / 1e9:.1f} GB; "
            f"{free / 1e9:.1f} GB are free. Use it first: cloister models use {model.id} "
            f"--adapter {_adapter(model) or 'none'}"
        )
    generator = load_generator(own)
    if generator is None:
        raise ModelError(f"{model.id} is no model.")
    return generator


def _of_model(recorded: ModelInfo, now: ModelInfo) -> Iterator[Difference]:
    """What of the model differs; what was not recorded then is not compared."""
    for name in _MODEL_PARTS:
        before, after = getattr(recorded, name), getattr(now, name)
        # without a quantization, a known precision is that of the weights
        unknown = before is None and (
            name in ("precision", "merged")
            or (name == "quantization" and recorded.precision is None)
        )
        # one that was chosen, and not asked, was not looked at
        unknown = unknown or (name == "revision" and not before)
        if before != after and not unknown:
            yield Difference("model" if name == "id" else name, str(before), str(after))


def _of_making(recorded: MadeWith, now: MadeWith) -> Iterator[Difference]:
    for name in _JUDGES:
        before, after = getattr(recorded, name), getattr(now, name)
        # without an LLM's turn there was no prompt
        if before != after and not (name == "prompt_tokens" and 0 in (before, after)):
            yield Difference(name.replace("_", " "), str(before), str(after))
    for name in ("prompt_sha256", "draft_sha256"):
        before, after = getattr(recorded, name), getattr(now, name)
        if before != after:
            what = "prompt" if name.startswith("prompt") else "what the LLM wrote"
            yield Difference(what, before[:12] or "none", after[:12] or "none")


def _adapter(model: ModelInfo) -> str:
    """The adapter's name without its revision; empty where there is none."""
    return (model.adapter or "").partition("@")[0]


def _named(model: ModelInfo) -> str:
    adapter = f", adapter {model.adapter}" if model.adapter else ""
    return f"{model.id}@{model.revision}{adapter}"


def _diff(before: str, after: str) -> tuple[str, ...]:
    if before == after:
        return ()
    lines = difflib.ndiff(_sentences(before), _sentences(after))
    return tuple(line.rstrip() for line in lines if line[0] in "-+") or (
        "- " + before,
        "+ " + after,
    )


def _sentences(text: str) -> Sequence[str]:
    for end in _SENTENCE_ENDS:
        text = text.replace(end, f"{end.rstrip()}\n")
    return text.split("\n")
