"""The models of a comparison: named as a question names one, found, told apart.

`none` stands for quotes alone, without an LLM; `MODEL+ADAPTER` for a model with an adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.errors import CloisterError, UsageError
from rag.llm_shelf import settings_for
from rag.model_pick import NONE, find_pick, joined, name_in_use, named_by
from rag.models.adapter import adapters_of, check_adapter, find_adapter, list_adapters
from rag.models.catalogue import entry_of
from rag.models.folder import EMBEDDER, ModelFolder, find_model, list_models
from rag.models.licences import UNKNOWN, Licence, licences
from rag.settings import Settings

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
    used = name_in_use(named_by(own))
    yield Choice(NONE, used == NONE)
    adapters = list_adapters(own.models_path, _ignore)
    for model in list_models(own.models_path, _ignore):
        if model.task == EMBEDDER:
            continue
        for adapter in ("", *(one.name for one in adapters_of(adapters, model))):
            names = (joined(model.name, adapter), joined(model.path.name, adapter))
            yield Choice(names[0], used in names)


def _entry(settings: Settings, name: str) -> Entry:
    """One model. Raises as `find_pick` and `check_adapter` do."""
    # models of this machine are compared, whatever server answers otherwise
    own = replace(settings, llm_url="")
    pick = find_pick(own, name)
    own = settings_for(own, pick)
    if pick.folder is None:
        return Entry(NONE, own, NONE, _QUOTES, "yes", "No model is used.")
    folder = find_model(own.models_path, own.llm_model)  # one that is not recorded is hashed
    marks = [folder.name, folder.revision]
    if pick.adapter:
        found = find_adapter(own.models_path, pick.adapter.path.name)
        check_adapter(found, folder)
        marks.append(found.id)
    licence = _licence(folder)
    return Entry(
        name=pick.name,
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
