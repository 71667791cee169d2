"""How much memory a model of the catalogue takes, and how much this machine has.

The one place that says so: the catalogue, its commands and its pages ask here.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from rag.memory import total_memory
from rag.models.catalogue import Model

# bytes a parameter at each precision, the best first
PRECISIONS = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5}
GPU, RAM = "gpu", "ram"

_ASK_SECONDS = 10
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Machine:
    """The memory in which a model would lie: of the first GPU, else of the machine."""

    bytes: int
    kind: str


@dataclass(frozen=True, slots=True)
class Need:
    """What a model takes at a precision, in bytes, and whether the machine has as much."""

    precision: str
    bytes: int
    fits: bool


def needed_bytes(model: Model, precision: str) -> int:
    """Bytes of a model's weights at one of `PRECISIONS`; what an answer takes comes on top."""
    return round(model.parameters * PRECISIONS[precision])


def needs(model: Model, machine: Machine) -> tuple[Need, ...]:
    """What a model takes at each precision."""
    sizes = ((name, needed_bytes(model, name)) for name in PRECISIONS)
    return tuple(Need(name, size, size <= machine.bytes) for name, size in sizes)


def count_words(number: int) -> str:
    """A count of parameters as people say it: 135 M, 8.2 B."""
    if number < 999_500_000:
        return f"{number / 1e6:.0f} M"
    value = number / 1e9
    return f"{value:.0f} B" if value >= 99.5 else f"{value:.1f} B"


def this_machine(device: str) -> Machine:
    """Where models run with a setting as `llm.device`: the first GPU where there is one, else RAM.

    `cpu` is RAM. A number, as in `cuda:1`, is the GPU of that number.
    """
    number = device.partition(":")[2]
    gpus = () if device == "cpu" else _gpus()
    at = int(number) if number.isdecimal() else 0
    return Machine(gpus[at], GPU) if at < len(gpus) else Machine(total_memory(), RAM)


@lru_cache
def _gpus() -> tuple[int, ...]:
    """The bytes of each NVIDIA GPU, as its driver tells; torch need not be loaded for it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            query, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = done.stdout.split() if done.returncode == 0 else []
    return tuple(int(line) * _MIB for line in lines if line.isdecimal())
