"""Rewrites constraints.txt from the packages of the environment that runs it: `make pins`."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
HEAD = """\
# The exact version of everything that pip installs here; `make pins` rewrites it.
# No CUDA package is among them: a CUDA build of torch pins its own.
"""
_OWN = {"cloister", "pip", "setuptools", "wheel"}
# of extras that are seldom installed where pins are made: their lines stay
_OPTIONAL = ("bitsandbytes", "xllamacpp")
_CUDA = re.compile(r"(nvidia|cuda|triton)\b")


def pin_lines() -> list[str]:
    """`name==version` of each installed package, without torch's local label."""
    pins = {}
    for found in distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        if name not in _OWN and not _CUDA.match(name):
            pins[name] = found.version.partition("+")[0]
    for line in CONSTRAINTS.read_text("utf-8").splitlines():
        name, _, version = line.partition("==")
        if name in _OPTIONAL:
            pins.setdefault(name, version)
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


if __name__ == "__main__":
    CONSTRAINTS.write_text(HEAD + "\n".join(pin_lines()) + "\n", "utf-8")
    print(f"{len(pin_lines())} packages pinned in {CONSTRAINTS.name}")
