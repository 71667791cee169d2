"""What this machine has for a model: processor or GPU, and the memory that is free there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rag.memory import free_memory

RAM = "RAM"
_CPU = "cpu"
# what the drivers of NVIDIA and AMD make where they find a GPU
_MARKS = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory that models are loaded into: `device`, its name, the free bytes."""

    device: str
    name: str
    free: int


def memory_for(wanted: str) -> Memory:
    """The memory of a device as `llm.device` names it.

    Without a GPU torch is not imported. Raises UsageError for a device that is none or not here.
    """
    if wanted == _CPU or (wanted == "auto" and not may_have_gpu()):
        return Memory(_CPU, RAM, free_memory())
    from rag.models.device import pick_device

    place = pick_device(wanted)
    if not place.startswith("cuda"):
        return Memory(place, RAM, free_memory())
    import torch

    free, _ = torch.cuda.mem_get_info(place)
    return Memory(place, f"memory of the GPU {torch.cuda.get_device_name(place)}", int(free))


def may_have_gpu() -> bool:
    """Whether the system shows a GPU that torch may use; true where it cannot tell."""
    return os.name != "posix" or any(mark.exists() for mark in _MARKS)
