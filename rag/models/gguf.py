"""GGUF files become safetensors once, in a process that gives the memory it took back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rag.errors import ModelError


def convert(
    gguf: Path, folder: Path, name: str, progress: Callable[[str], None], starter: bool = False
) -> None:
    """Write a GGUF file's model as a folder of bfloat16 safetensors; see `rag.models.conversion`.

    Raises ModelError, saying why not.
    """
    with gguf.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{gguf.name} is no GGUF file. Fetch or carry it in again.")
    how_long = "; about 20 s" if starter else ""
    progress(f"{name}: converting to bfloat16 safetensors, once{how_long} …")
    started = time.monotonic()
    command = [sys.executable, "-m", "rag.models.conversion", str(gguf), str(folder)]
    command += ["--starter"] if starter else []
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    result = subprocess.run(
        command, stdout=2, stderr=subprocess.PIPE, text=True, check=False, env=environment
    )
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["it was ended from outside"])[-1]
        needs = "It needs about 1.5 GB of free memory; try" if starter else "Try"
        raise ModelError(
            f"The model {name} could not be converted: {last.rstrip('.')}. {needs} again, or "
            "report this with the line above."
        )
    progress(f"{name}: converted in {time.monotonic() - started:.1f} s")
