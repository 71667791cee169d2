"""The models that are here and those of the catalogue, side by side, and which of them are asked.

A folder is taken for a model of the catalogue by its name: the hub id, or that without the
organisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ModelError
from rag.models.adapter import AUTO, Adapter, adapters_of, list_adapters, shipped_for
from rag.models.catalogue import Model, catalogue, entry_of
from rag.models.catalogue.records import EMBEDDER, LLM
from rag.models.folder import list_models, model_paths
from rag.models.footprint import Machine, needs, this_machine
from rag.models.leftovers import leftovers, size_of
from rag.models.licences import licences
from rag.settings import Settings

ADAPTER = "adapter"
TASKS = (LLM, EMBEDDER, ADAPTER)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which models are asked for: those for which all that is given here holds.

    `commercial`: commercial use is permitted, be it with conditions. `fits`: the machine has the
    memory at one precision that loads here, by the quick figure of `rag/models/footprint.py`.
    `language` is a tag (BCP 47) that the makers name. `family` is the beginning of a family's name.
    `here`: it is in the models folder. A model that the catalogue does not know is commercial for
    nobody and speaks nothing, as far as is known.
    """

    commercial: bool = False
    fits: bool = False
    language: str = ""
    family: str = ""
    here: bool = False
    task: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """A model or adapter in the models folder.

    `catalogue` is the id of its entry, or that of its base's; None where there is none. `fits`
    names the precisions at which it fits; None where it is not known. `adapters` are those that
    were made for it and may be used.

    Only a running server knows whether it is `loaded`, and whether a question that chooses it can
    have it beside what is in use (`fits_beside`); both are None else, and where none may choose it.
    """

    name: str
    task: str
    revision: str | None
    licence: str
    bytes: int
    in_use: bool
    catalogue: str | None
    fits: tuple[str, ...] | None
    adapters: tuple[str, ...] = ()
    loaded: bool | None = None
    fits_beside: bool | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue, in short. `bytes` are those of its weights at each precision."""

    id: str
    family: str
    developer: str
    task: str
    parameters: int
    active_parameters: int | None
    context: int
    released: str
    languages: tuple[str, ...]
    licence: str
    licence_summary: str
    commercial: str
    gated: str
    bytes: dict[str, int]
    fits: tuple[str, ...]
    here: bool
    in_use: bool


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What takes room in the models folder and is no model: broken off, or still under way.

    `doing` is `fetching`, `adding`, `tuning` or `removing`.
    """

    name: str
    doing: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What `choose` found, and the memory by which it fits or does not; all that is unfinished."""

    models: tuple[Here, ...]
    catalogue: tuple[Entry, ...]
    machine: Machine
    unfinished: tuple[Unfinished, ...] = ()


def choose(settings: Settings, choice: Choice, damaged: Callable[[ModelError], None]) -> Listing:
    """The models that a choice asks for. `damaged` hears of each record that cannot be read."""
    machine = this_machine(settings.llm_device)
    here = tuple(models_here(settings, machine, damaged))
    entries = (_entry(model, here, machine) for model in catalogue())
    return Listing(
        models=tuple(one for one in here if _here_chosen(one, choice)),
        catalogue=tuple(one for one in entries if _chosen(one, choice)),
        machine=machine,
        unfinished=tuple(
            Unfinished(one.name, one.doing, size_of(one.path))
            for one in leftovers(settings.models_path)
        ),
    )


def models_here(
    settings: Settings, machine: Machine, damaged: Callable[[ModelError], None]
) -> Iterator[Here]:
    """The models in the models folder, by name, and then the adapters; nothing is hashed."""
    # with llm.url, llm.model is a server's name of what it has
    llm = "" if settings.llm_url else settings.llm_model
    chosen = {
        name
        for used in (llm, settings.embedder_model)
        for name in (used, used.partition("@")[0], _found(settings, used))
    }
    adapters = list_adapters(settings.models_path, damaged)
    shipped: set[Path] = set()
    for folder in list_models(settings.models_path, damaged):
        entry = entry_of(folder.name)
        in_use = bool({folder.name, folder.path.name, str(folder.path)} & chosen)
        if in_use and folder.task != EMBEDDER and (own := shipped_for(folder)):
            shipped.add(own.path)
        yield Here(
            name=folder.name,
            task=folder.task,
            revision=folder.revision or None,
            licence=folder.licence,
            bytes=_size(folder.path),
            in_use=in_use,
            catalogue=entry.id if entry else None,
            fits=_fits(entry, machine) if entry else None,
            adapters=tuple(one.name for one in adapters_of(adapters, folder)),
        )
    for adapter in adapters:
        base = entry_of(adapter.record.base)
        yield Here(
            name=adapter.name,
            task=ADAPTER,
            revision=adapter.revision,
            licence=f"for {adapter.record.base}",
            bytes=_size(adapter.path),
            in_use=_adapts(adapter, settings, shipped),
            catalogue=base.id if base else None,
            fits=_fits(base, machine) if base else None,
        )


def _adapts(adapter: Adapter, settings: Settings, shipped: set[Path]) -> bool:
    """Whether an adapter is in use; `shipped` are Cloister's own for what is."""
    if settings.llm_adapter == AUTO:
        return adapter.path in shipped
    return settings.llm_adapter in (adapter.name, str(adapter.path))


def _entry(model: Model, here: tuple[Here, ...], machine: Machine) -> Entry:
    licence = licences()[model.weights_licence]
    found = [one for one in here if one.catalogue == model.id and one.task != ADAPTER]
    return Entry(
        id=model.id,
        family=model.family,
        developer=model.developer,
        task=model.task,
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        context=model.context,
        released=model.released,
        languages=model.languages,
        licence=licence.key,
        licence_summary=licence.summary,
        commercial=licence.commercial.answer,
        gated=model.gated,
        bytes={need.precision: need.bytes for need in needs(model, machine)},
        fits=_fits(model, machine),
        here=bool(found),
        in_use=any(one.in_use for one in found),
    )


def _found(settings: Settings, name: str) -> str:
    """Where the model of a setting lies; empty where it is not here."""
    paths = model_paths(settings.models_path, name) if name.strip(". @") else ()
    return next((str(path) for path in paths if path.is_dir()), "")


def _fits(model: Model, machine: Machine) -> tuple[str, ...]:
    return tuple(need.precision for need in needs(model, machine) if need.fits)


def _chosen(entry: Entry, choice: Choice) -> bool:
    return (
        (not choice.here or entry.here)
        and (not choice.task or entry.task == choice.task)
        and _known_chosen(entry_of(entry.id), entry.fits, choice)
    )


def _here_chosen(one: Here, choice: Choice) -> bool:
    model = entry_of(one.catalogue) if one.catalogue else None
    return (not choice.task or one.task == choice.task) and _known_chosen(model, one.fits, choice)


def _known_chosen(model: Model | None, fits: tuple[str, ...] | None, choice: Choice) -> bool:
    """Whether what the catalogue knows of a model, maybe nothing, is what is asked for."""
    if choice.fits and not fits:
        return False
    if not (choice.commercial or choice.language or choice.family):
        return True
    if model is None:
        return False
    return (
        (not choice.commercial or licences()[model.weights_licence].sellable)
        and (not choice.language or model.speaks(choice.language))
        and model.family.casefold().startswith(choice.family.casefold())
    )


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
