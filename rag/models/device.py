"""Where a model runs and in which precision, chosen from what the machine has."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.errors import ModelError, UsageError

# bfloat16 is taken where a product takes at most this share of float32's time, which is measured
# in so many turns
_PAYS, _TURNS = 0.8, 6


def pick_device(wanted: str) -> str:
    """A torch device: `auto` is the first GPU, else the CPU. Raises UsageError for a wrong one."""
    import torch

    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UsageError(f"“{wanted}” is no device; use auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"The device {wanted} is set, but no CUDA GPU can be used here. Use auto.")
    return "cuda:0" if str(device) == "cuda" else str(device)


def pick_precision(wanted: str, device: str) -> Any:
    """A torch dtype: `auto` is bfloat16 where the device computes in it faster, else float32."""
    import torch

    named = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if wanted in named:
        return named[wanted]
    if wanted != "auto":
        raise UsageError(f"“{wanted}” is no precision; use auto, {', '.join(named)}.")
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if _bfloat16_pays() else torch.float32


@lru_cache
def _bfloat16_pays() -> bool:
    """Multiply the same matrices both ways; emulated bfloat16 is several times slower.

    One thread's processor time is what counts, which other programs change little: on a busy
    machine the precision, and with it the vectors, must be what they are on a quiet one.
    """
    from rag.models.lanes import Lanes

    (pays,) = Lanes(1).map(lambda _: _bfloat16_share() < _PAYS, [None])
    return pays


def _bfloat16_share() -> float:
    """The time of a product in bfloat16 to that in float32, each the best of turns, in a lane."""
    import torch

    sides = {
        dtype: (torch.ones(256, 384, dtype=dtype), torch.ones(384, 1536, dtype=dtype))
        for dtype in (torch.bfloat16, torch.float32)
    }
    best = dict.fromkeys(sides, math.inf)
    for turn in range(_TURNS):
        for dtype, (left, right) in sides.items():
            start = time.thread_time()
            left @ right
            spent = time.thread_time() - start
            best[dtype] = min(best[dtype], spent) if turn else best[dtype]  # the first warms up
    return best[torch.bfloat16] / max(best[torch.float32], 1e-9)


def be_quiet() -> None:
    """No bars and reports of transformers' own on the terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


@contextmanager
def told_if_not_loaded(what: str, path: Path, *others: type[Exception]) -> Iterator[None]:
    """Raises ModelError for what libraries raise of a model that they cannot load."""
    from safetensors import SafetensorError

    known: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, RuntimeError, *others)
    known = (*known, SafetensorError)
    try:
        yield
    except known as error:
        raise not_loaded(what, path, error) from error


def not_loaded(what: str, path: Path, error: Exception) -> ModelError:
    """Why a model does not load, without the place where it lies on this machine."""
    reason = str(error).replace(str(path), path.name).replace(str(path.parent), "")
    reason = reason.strip()[:300].rstrip(" .")  # many end with a full stop of their own
    return ModelError(
        f"The {what} {path.stem} cannot be loaded: {reason}. "
        "Fetch it again, or name another one in the settings."
    )
