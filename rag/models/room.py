"""Whether there is memory for another model beside what is loaded already."""

from __future__ import annotations

import traceback
from pathlib import Path

from rag import heap
from rag.models.fitting import use_of
from rag.models.hardware import Memory, empty_cuda
from rag.models.shape import read_config
from rag.settings import Settings


def needed_bytes(folder: Path, settings: Settings, device: str) -> int:
    """The memory that has to be free to load a model's folder and answer as the settings say.

    0 where `llm.check_fit` is off. Raises ModelError for a configuration that cannot be understood.
    """
    if not settings.llm_check_fit:
        return 0
    config, place = read_config(folder), Memory(device, "", 0)
    return use_of(settings, config, place, folder).needed(config, place).peak


def let_go(error: BaseException) -> None:
    """Free what a failure's traceback keeps, a model that did not load, and `give_back`."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)  # a frame that still runs is left
            chain += [one.__cause__, one.__context__]
    give_back()


def give_back() -> None:
    """Free what no longer has a name, and return it to the system.

    Models refer to themselves, and both a GPU's memory and the C library's are kept for later.
    """
    import gc

    gc.collect()
    empty_cuda()
    heap.give_back()
