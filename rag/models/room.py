"""Whether there is memory for a model's weights beside what is loaded already."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rag.errors import ModelError
from rag.memory import free_memory

# beside the weights: what computing takes, and what is held twice for a moment while loading
_SHARE, _FIXED = 1.2, 300_000_000
_LONGEST_HEADER = 100_000_000
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2}
_FLOATS = ("F64", "F32", "F16", "BF16")


def needed_bytes(folder: Path, precision: Any) -> int:
    """The memory that a model's folder takes once it is loaded in a torch dtype, and loading it.

    Floating weights become that dtype, others (quantized ones) stay as they are. Raises ModelError
    for a damaged file.
    """
    width = int(precision.itemsize)
    weights = 0
    for path in sorted(folder.glob("*.safetensors")):
        for dtype, shape in _tensors(path):
            weights += math.prod(shape) * (width if dtype in _FLOATS else _BYTES.get(dtype, 1))
    return round(weights * _SHARE) + _FIXED


def free_bytes(device: str) -> int:
    """Bytes free for weights on a torch device, with what its allocator holds unused."""
    if not device.startswith("cuda"):
        return free_memory()
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def give_back() -> None:
    """Free what no longer has a name: models refer to themselves, and a GPU's memory is cached."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _tensors(path: Path) -> list[tuple[str, list[int]]]:
    """Kind and shape of each tensor of a safetensors file, from its header."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _LONGEST_HEADER:
                raise ValueError("header")
            header = json.loads(file.read(length))
        return [(t["dtype"], t["shape"]) for name, t in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path.name} of the model {path.parent.name} is damaged.") from error
