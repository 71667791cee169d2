"""How much memory a model of the catalogue takes, and how much this machine has.

The catalogue, its commands and its pages ask here. The weights of an LLM are those that
`rag/models/fit.py` tells; whether it fits is a quick figure, without what the settings ask for.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from rag.memory import total_memory
from rag.models.catalogue import Model
from rag.models.catalogue.shapes import shapes
from rag.models.fit import loading_of, weights_of
from rag.models.quantized import loads

# bytes a parameter at each precision, the best first; an LLM's layers are not all packed
PRECISIONS = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5}
_PACKED = ("int8", "int4")
GPU, RAM = "gpu", "ram"

# what an answer takes beside the weights: its cache, and what does not grow with them
_MARGIN, _FIXED = 1.2, 300_000_000

_ASK_SECONDS = 10
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Machine:
    """The memory in which a model would lie: of the first GPU, else of the machine."""

    bytes: int
    kind: str


@dataclass(frozen=True, slots=True)
class Need:
    """What a model's weights take at a precision, in bytes, and whether it can be used so here.

    It fits where the machine has a fifth more (or what loading takes, where that is more) and
    0.3 GB, and where the precision loads here.
    """

    precision: str
    bytes: int
    fits: bool
    loads: bool


def needed_bytes(model: Model, precision: str, kind: str = GPU) -> int:
    """Bytes of a model's weights at one of `PRECISIONS`; what an answer takes comes on top.

    Of an LLM only linear layers are packed: neither a mixture's experts nor the embedding. What
    is not packed in RAM is as in float32, at worst.
    """
    shape = shapes().get(model.id)
    if shape is None:
        return round(model.parameters * PRECISIONS[precision])
    return weights_of(shape, precision, _width(precision, kind), _place(kind))


def needs(model: Model, machine: Machine) -> tuple[Need, ...]:
    """What a model takes at each precision."""
    found = []
    for name in PRECISIONS:
        here = loads(name, _place(machine.kind), model.config)
        fits = here and _peak(model, name, machine) <= machine.bytes
        found.append(Need(name, needed_bytes(model, name, machine.kind), fits, here))
    return tuple(found)


def _peak(model: Model, precision: str, machine: Machine) -> float:
    """The bytes that must be there. 8 bits in RAM are loaded in float32, at worst, then packed."""
    kind = machine.kind
    weights = needed_bytes(model, precision, kind)
    if shape := shapes().get(model.id):
        loading = loading_of(shape, precision, _width(precision, kind), _place(kind), weights)
    else:
        loading = needed_bytes(model, "float32") if (precision, kind) == ("int8", RAM) else 0
    return max(weights * _MARGIN, loading) + _FIXED


def _place(kind: str) -> str:
    return "cpu" if kind == RAM else "cuda"


def _width(precision: str, kind: str) -> int:
    """Bytes of the numbers that are computed in; what a processor is good at is not measured."""
    if precision == "float32" or (kind == RAM and precision in _PACKED):
        return 4
    return 2


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
