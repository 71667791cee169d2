"""Checkpoints of a training: written whole or not at all, read without running code in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rag.errors import StorageError
from rag.files import flush


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; an older checkpoint stays until this one is on the disk."""
    import torch

    part = path.with_suffix(".part")
    torch.save(state, part)
    flush(part)
    part.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote, on the CPU; None where there is no file.

    Raises StorageError for a damaged one.
    """
    import torch

    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise StorageError(
            f"The checkpoint {path.name} is damaged. Delete it and start the training anew."
        ) from error
    return state
