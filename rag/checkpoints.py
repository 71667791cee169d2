"""What a training writes: whole or not at all, and read without running code in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from rag.errors import StorageError
from rag.files import flush


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Make a file of what `write` puts into it; an older one stays until this one is on the disk.

    Raises StorageError where that cannot be written, a full disk for instance; no part is left.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        flush(path.parent)
    except Exception as error:
        part.unlink(missing_ok=True)
        if reason := _of_the_disk(error):
            raise StorageError(
                f"{path} cannot be written: {reason.strerror}. What was there before is kept. Mend "
                "that (free some space, if the disk is full) and give the same command again."
            ) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8; see `write_whole`."""
    write_whole(path, lambda file: file.write(text.encode()))


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; see `write_whole`."""
    import torch

    write_whole(path, lambda file: torch.save(state, file))


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


def _of_the_disk(error: BaseException | None) -> OSError | None:
    """The system's error that led to this one: torch raises others on top of it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
