"""What this machine has for a model: processor or GPU, and the memory that is free there."""

from __future__ import annotations

import os
import sys
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

    name = f"memory of the GPU {torch.cuda.get_device_name(place)}"
    return Memory(place, name, free_bytes(place))


def free_bytes(device: str) -> int:
    """Bytes free for weights on a torch device, with what its allocator holds unused."""
    if not device.startswith("cuda"):
        return free_memory()
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def empty_cuda() -> None:
    """Give back what torch, where it is imported, holds of GPUs' memory and does not use."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        from rag.models.batch.shortage import empty_cuda_cache

        empty_cuda_cache()


def may_have_gpu() -> bool:
    """Whether the system shows a GPU that torch may use; true where it cannot tell."""
    return os.name != "posix" or any(mark.exists() for mark in _MARKS)
