"""Starts a converter that can do little harm: `python -m ingest.parsers.launch LIMITS PROGRAM …`.

LIMITS is `MEMORY_BYTES,SECONDS,FILE_BYTES`. What is started keeps the limits and is in a network of
its own with nothing in it, where the system lets us; unlike a parser it may write files, and start
programs that are under the same limits.
"""

from __future__ import annotations

import os
import resource
import sys

from ingest.parsers.limits import leave_network


def main() -> None:
    """Set the limits and become the program."""
    memory, seconds, size = (int(value) for value in sys.argv[1].split(","))
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    leave_network()
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
