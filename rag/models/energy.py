"""The electric power that this machine draws, where something tells it.

Processors count joules in `/sys/class/powercap` (Intel's RAPL, AMD's too; most systems let root
alone read them). `nvidia-smi` tells the watts of NVIDIA's GPUs, as NVML has them.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_COUNTERS = Path("/sys/class/powercap")
_LOOK_SECONDS = 1.0
_GPU_SECONDS = 10
_MICRO = 1e-6


@dataclass(frozen=True, slots=True)
class Power:
    """Mean watts over some time; None where nothing tells."""

    processor: float | None
    gpu: float | None

    @property
    def watts(self) -> float | None:
        """Both together, or the one that is known; None where none is."""
        known = [watts for watts in (self.processor, self.gpu) if watts is not None]
        return sum(known) if known else None


def measure_power(
    seconds: float,
    counters: Path = _COUNTERS,
    gpu: Callable[[], float | None] | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Power:
    """The mean power over the next `seconds`. `gpu` tells the watts of all GPUs now."""
    look = gpu or gpu_watts
    started, before, seen = time.monotonic(), _joules(counters), []
    left = seconds
    while left > 0:
        if (watts := look()) is not None:
            seen.append(watts)
        wait(min(_LOOK_SECONDS, left))
        left -= _LOOK_SECONDS
    after, passed = _joules(counters), max(time.monotonic() - started, 1e-9)
    joules = sum(_difference(before[zone], after[zone]) for zone in before if zone in after)
    known = bool(before.keys() & after.keys())
    return Power(joules / passed if known else None, sum(seen) / len(seen) if seen else None)


def gpu_watts() -> float | None:
    """The watts that all of NVIDIA's GPUs draw now; None where `nvidia-smi` does not tell."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GPU_SECONDS, check=False
        )
        found = [float(line) for line in done.stdout.splitlines() if line.strip()]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return sum(found) if found and not done.returncode else None


def _joules(folder: Path) -> dict[str, tuple[float, float]]:
    """The counter of each processor package and where it begins anew, in joules, by zone.

    Zones within a package (`intel-rapl:0:1`) are part of it and are left out.
    """
    found = {}
    for zone in sorted(folder.glob("*-rapl:[0-9]*")):
        if zone.name.count(":") == 1 and (now := _number(zone / "energy_uj")) is not None:
            most = _number(zone / "max_energy_range_uj") or 0
            found[zone.name] = (now * _MICRO, most * _MICRO)
    return found


def _difference(before: tuple[float, float], after: tuple[float, float]) -> float:
    used = after[0] - before[0]
    return used if used >= 0 else used + after[1]


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None
