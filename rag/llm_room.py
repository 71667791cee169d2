"""What a model needs to be loaded beside others, and what fits there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from rag.errors import ModelError
from rag.model_pick import Pick
from rag.models.adapter import NONE, WEIGHTS
from rag.models.fitting import gigabytes, use_of
from rag.models.folder import EMBEDDER, list_models
from rag.models.hardware import Memory
from rag.models.room import needed_bytes
from rag.models.shape import read_config
from rag.settings import Settings

_MOST_NAMED = 3
# an adapter's tensors are read before they are put into those of the layers
_COPIES = 2


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that have to be free on a device; 0 where nothing is to be compared."""

    bytes: int
    device: str


def model_need(settings: Settings) -> Need:
    """What the LLM of the settings needs. Raises ModelError for one that is not understood."""
    from rag.models.device import pick_device

    device = pick_device(settings.llm_device)
    folder = settings.models_path / settings.llm_model
    return Need(needed_bytes(folder, settings, device), device)


def adapter_need(settings: Settings, pick: Pick) -> Need:
    """What an adapter needs beside the weights of its base: its own, and a cache to answer."""
    from rag.models.device import pick_device

    device = pick_device(settings.llm_device)
    if not settings.llm_check_fit or pick.folder is None or pick.adapter is None:
        return Need(0, device)
    config, place = read_config(pick.folder.path), Memory(device, "", 0)
    use = replace(use_of(settings, config, place, pick.folder.path), adapter=0)
    needed = use.needed(config, place)
    own = _COPIES * (pick.adapter.path / WEIGHTS).stat().st_size
    return Need(needed.cache + needed.overhead + own, device)


def no_room(settings: Settings, name: str, need: Need, free: int) -> ModelError:
    """The error of a model that does not fit beside the LLM in use, with those that do."""
    fitting = [one for one in _fitting(settings, need.device, free) if one != name]
    would = (
        f"What would fit beside it: {', '.join(fitting[:_MOST_NAMED])}."
        if fitting
        else "No other model that is here would fit beside it."
    )
    model, _, adapter = name.partition("+")
    return ModelError(
        f"{name} needs about {gigabytes(need.bytes)} on {need.device} beside the LLM in use, and "
        f"{gigabytes(max(0, free))} are free. {would} Leave the model out, free some memory, or "
        f"have it answer all questions: cloister models use {model} --adapter {adapter or 'none'}"
    )


def _fitting(settings: Settings, device: str, free: int) -> Iterator[str]:
    """The models that are here and fit into so many bytes, the largest first."""
    sized = []
    settings = replace(settings, llm_adapter=NONE)
    for folder in list_models(settings.models_path, lambda _: None):
        if folder.task == EMBEDDER or folder.path.name == settings.llm_model:
            continue
        try:
            sized.append((known_need(folder.path, settings, device), folder.name))
        except ModelError:
            continue
    return (name for bytes_, name in sorted(sized, reverse=True) if bytes_ <= free)


def known_need(folder: Path, settings: Settings, device: str) -> int:
    """As `needed_bytes`, and kept as long as the model's configuration is the same file."""
    return _known_need(folder, (folder / "config.json").stat().st_mtime_ns, settings, device)


@lru_cache(maxsize=256)
def _known_need(folder: Path, _: int, settings: Settings, device: str) -> int:
    return needed_bytes(folder, settings, device)
