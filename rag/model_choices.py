"""The models that a question may choose among, and what is to be known of each to choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from rag.errors import ModelError
from rag.llm_room import adapter_need, known_need
from rag.llm_shelf import LLMShelf, packed, settings_for
from rag.model_pick import NONE, Pick, allowed, name_in_use
from rag.models.adapter import NONE as NO_ADAPTER
from rag.models.adapter import adapters_of, list_adapters
from rag.models.fitting import gigabytes
from rag.models.folder import EMBEDDER, list_models
from rag.models.hardware import free_bytes
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model as a question names it, with the size of its files and its licence.

    `loaded`: it answers at once. Where it does not fit beside what is loaded, `problem` says so.
    """

    name: str
    bytes: int
    licence: str
    loaded: bool
    in_use: bool
    problem: str = ""


class Keeper(Protocol):
    """The library as far as its models go."""

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""

    @property
    def other_llms(self) -> LLMShelf:
        """The LLM in use and those beside it."""


def model_choices(library: Keeper, compared: bool = True) -> list[ModelChoice]:
    """The one in use first, then those of the models folder, last `none` for quotes alone.

    Only the one in use where no other may be chosen. With `compared` False what they need is not
    compared with the memory, for which torch has to be there.
    """
    settings, shelf = library.settings, library.other_llms
    used = name_in_use(shelf.in_use)
    found = [_choice(settings, shelf, pick, compared) for pick in _picks(settings)]
    mine = [one for one in found if one.name == used]
    if not mine:
        mine = [ModelChoice(used, 0, "", used == NONE or bool(shelf.in_use.device), True)]
    if settings.llm_url or not settings.llm_others:
        return mine
    names = {pick.name for pick in _picks(settings) if allowed(settings, pick)}
    return mine + [one for one in found if one.name in names and one.name != used]


def _picks(settings: Settings) -> Iterator[Pick]:
    adapters = list_adapters(settings.models_path, lambda _: None)
    for folder in list_models(settings.models_path, lambda _: None):
        if folder.task == EMBEDDER:
            continue
        yield Pick(folder)
        for adapter in adapters_of(adapters, folder):
            yield Pick(folder, adapter)
    yield Pick(None)


def _choice(settings: Settings, shelf: LLMShelf, pick: Pick, compared: bool) -> ModelChoice:
    used = name_in_use(shelf.in_use)
    if pick.folder is None:
        return ModelChoice(NONE, 0, "", True, used == NONE)
    loaded = pick.name in shelf.loaded or pick.name == used
    parts = [pick.folder.path, *([pick.adapter.path] if pick.adapter else [])]
    return ModelChoice(
        pick.name,
        sum(_size(path) for path in parts),
        pick.folder.licence,
        loaded,
        pick.name == used,
        "" if loaded or not compared else _problem(settings, shelf, pick),
    )


def _problem(settings: Settings, shelf: LLMShelf, pick: Pick) -> str:
    """Why a model cannot be loaded beside the LLM in use; empty where it can."""
    from rag.models.device import pick_device

    if pick.folder is None:
        return ""
    own, device = settings_for(settings, pick), pick_device(settings.llm_device)
    base = pick.folder.name if pick.adapter and shelf.holds(pick.folder.name) else ""
    try:
        beside = bool(pick.adapter) and not packed(settings)  # the adapter's own is told apart then
        whole = replace(own, llm_adapter=NO_ADAPTER) if beside else own
        need = 0 if base else known_need(pick.folder.path, whole, device)
        if beside:
            need += adapter_need(own, pick).bytes
    except (ModelError, OSError):
        return "cannot be understood"
    free = free_bytes(device) + shelf.freeable(base)
    if need <= free:
        return ""
    return f"does not fit: needs {gigabytes(need)}, {gigabytes(max(0, free))} are free"


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
