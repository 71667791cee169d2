"""Whether a safetensors file is whole, before anything is made of it."""

from __future__ import annotations

from pathlib import Path

from rag.errors import ModelError

SUFFIX = ".safetensors"


def check_weights(path: Path, name: str, model: str) -> None:
    """Raises ModelError where the file's header and its length do not fit, as of one cut short.

    No weights are read. `name` is what the file is called in the model.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).replace(str(path), name)[:200].rstrip(".")
        raise ModelError(
            f"{name} of {model} is cut short or damaged: {reason}. Nothing was made of it; get a "
            "whole one."
        ) from error
