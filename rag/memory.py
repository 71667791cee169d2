"""The memory that this machine has left."""

from __future__ import annotations

from pathlib import Path

_UNKNOWN = 4 * 2**30


def free_memory() -> int:
    """Bytes that programs can still take without swapping; 4 GiB where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return _UNKNOWN
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return _UNKNOWN
