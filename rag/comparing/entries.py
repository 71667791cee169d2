"""The models of a comparison: named as `cloister models use` takes them, found, told apart.

`none` stands for quotes alone, without an LLM; `MODEL+ADAPTER` for a model with an adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.errors import CloisterError, UsageError
from rag.models.adapter import check_adapter, find_adapter, list_adapters
from rag.models.catalogue import entry_of
from rag.models.folder import EMBEDDER, ModelFolder, find_model, list_models
from rag.models.licences import UNKNOWN, Licence, licences
from rag.settings import Settings

NONE = "none"
WITH = "+"
MOST_MODELS = 12
_QUOTES = "quotes are the documents' own"
_UNKNOWN_LICENCE = "Neither model nor licence is in the catalogue: look it up."


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that is here, with its adapter (empty: none), as the settings would use it.

    `fingerprint` changes with the model's or the adapter's files. `commercial` is one of the
    answers of `rag.models.licences`, which `commercial_words` says in words.
    """

    name: str
    settings: Settings
    fingerprint: str
    licence: str
    commercial: str
    commercial_words: str

    @property
    def is_none(self) -> bool:
        """Whether no LLM is meant."""
        return self.settings.llm_model == NONE


@dataclass(frozen=True, slots=True)
class Skipped:
    """A model that was asked for and could not be compared, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What may be compared: its name, and whether it is in use now."""

    name: str
    in_use: bool


def find_entries(
    settings: Settings, names: Sequence[str]
) -> tuple[tuple[Entry, ...], tuple[Skipped, ...]]:
    """The models of these names, in order, and those that are not here or cannot be used.

    Raises UsageError for fewer than two that can, or for one that is named twice.
    """
    if not 2 <= len(names) <= MOST_MODELS:
        raise UsageError(
            f"A comparison is of 2 to {MOST_MODELS} models, and {len(names)} "
            f"{'was' if len(names) == 1 else 'were'} named. `none` counts as one: quotes without "
            "an LLM."
        )
    found: list[Entry] = []
    skipped = []
    for name in names:
        try:
            entry = _entry(settings, name.strip())
        except CloisterError as error:
            skipped.append(Skipped(name.strip(), str(error)))
            continue
        if entry.name in [one.name for one in found]:
            raise UsageError(f"{entry.name} is named twice. Name each model once.")
        found.append(entry)
    if len(found) < 2:
        reasons = " ".join(f"{one.name}: {one.reason}" for one in skipped)
        raise UsageError(f"Fewer than two of these models can be compared. {reasons}")
    return tuple(found), tuple(skipped)


def choices(settings: Settings) -> Iterator[Choice]:
    """What is here to be compared: `none`, each LLM, and each adapter on its base."""
    own = replace(settings, llm_url="")
    yield Choice(NONE, own.llm_model in ("", NONE))
    models = [one for one in list_models(own.models_path, _ignore) if one.task != EMBEDDER]
    in_use = {own.llm_model, own.llm_model.replace("/", "--")}
    adapters = list_adapters(own.models_path, _ignore)
    for model in models:
        used = bool({model.name, model.path.name} & in_use)
        yield Choice(model.name, used and not own.llm_adapter)
        for adapter in adapters:
            if model.name == adapter.record.base:
                yield Choice(
                    f"{model.name}{WITH}{adapter.name}", used and own.llm_adapter == adapter.name
                )


def _entry(settings: Settings, name: str) -> Entry:
    """One model. Raises as `rag.model_change.chosen` and `find_adapter` do."""
    from rag.model_change import chosen

    model, _, adapter = name.partition(WITH)
    # models of this machine are compared, whatever server answers otherwise
    own = chosen(replace(settings, llm_url=""), model, adapter)
    if own.llm_model == NONE:
        return Entry(NONE, own, NONE, _QUOTES, "yes", "No model is used.")
    folder = find_model(own.models_path, own.llm_model)
    marks = [folder.name, folder.revision]
    if adapter:
        found = find_adapter(own.models_path, adapter)
        check_adapter(found, folder)
        marks.append(found.id)
    licence = _licence(folder)
    return Entry(
        name=f"{own.llm_model}{WITH}{adapter}" if adapter else own.llm_model,
        settings=own,
        fingerprint=" ".join(marks),
        licence=licence.name if licence else folder.licence or "not recorded",
        commercial=licence.commercial.answer if licence else UNKNOWN,
        commercial_words=licence.commercial.words if licence else _UNKNOWN_LICENCE,
    )


def _licence(folder: ModelFolder) -> Licence | None:
    """The licence of the weights: the catalogue's, else the recorded one where it is known."""
    model = entry_of(folder.name)
    if model:
        return licences()[model.weights_licence]
    by_key = {key.casefold(): licence for key, licence in licences().items()}
    return by_key.get(folder.licence.casefold())


def _ignore(_: object) -> None:
    """What is damaged is left out."""
