"""Which build of PyTorch to install, decided before anything large is downloaded.

On Linux, PyPI's own build brings gigabytes of CUDA libraries. A machine without an NVIDIA GPU has
no use for them, so it takes a CPU build where one can be had: from pip's configured sources, else
from PyTorch's CPU index.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CPU, CUDA = "cpu", "cuda"
CHOICES = ("auto", CPU, CUDA)
PROBE_SECONDS = 90

# a CPU build is about 200 MB, a CUDA build two to five times that without its libraries
_CPU_BYTES = 300_000_000
_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
_DOWNLOADING = re.compile(r"Downloading (\S+?\.whl) \(([\d.]+) (kB|MB|GB)\)")
_CUDA_LIBRARY = re.compile(r"(nvidia|cuda|triton)\b")
_CONDITION = re.compile(r"""(platform_system|sys_platform|platform_machine)\s*==\s*["'](\w+)["']""")


class NoTorch(Exception):
    """No source that can be reached has the build that is needed; the message says what to do."""


@dataclass(frozen=True)
class Offer:
    """What a source would give: `version` with its local label, `bytes` None where unknown."""

    version: str
    cuda: bool
    bytes: int | None = None


@dataclass(frozen=True)
class Plan:
    """What to install from where; `build` is `cpu` or `cuda`, `notice` a warning to show first."""

    build: str
    requirement: str
    arguments: tuple[str, ...] = ()
    bytes: int | None = None
    notice: str = ""


def has_nvidia_gpu(root: Path = Path("/")) -> bool:
    """Whether an NVIDIA GPU and its driver are here, without loading anything."""
    if (root / "dev/nvidia0").exists() or (root / "proc/driver/nvidia/version").exists():
        return True
    if not (root / "dev/dxg").exists():  # Windows' Linux shows its GPU by this and nvidia-smi
        return False
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU 0" in listed.stdout


def wanted_build(choice: str, gpu: bool) -> str:
    """`cpu` or `cuda` for TORCH=auto|cpu|cuda. Raises NoTorch for anything else."""
    if choice not in CHOICES:
        raise NoTorch(f"TORCH={choice} is not known. Use one of: {', '.join(CHOICES)}.")
    if choice == "auto":
        return CUDA if gpu else CPU
    return choice


def choose(
    choice: str, build: str, version: str, configured: Offer | None, cpu_index: Offer | None
) -> Plan:
    """The build to install, from what pip's configured sources and the CPU index offer.

    Raises NoTorch when nothing that would do can be had.
    """
    pinned = f"torch=={version}"
    if build == CUDA:
        if configured and configured.cuda:
            # === keeps out a build with a local label, which would count as newer
            return Plan(CUDA, f"torch==={version}", (), configured.bytes)
        if configured and choice == "auto":
            notice = "There is an NVIDIA GPU, but pip's sources have only a CPU build of PyTorch."
            return Plan(CPU, pinned, (), configured.bytes, notice)
        raise NoTorch(
            f"pip's configured sources have no CUDA build of torch {version}. Check that they can "
            "be reached (`pip config list`), or use TORCH=cpu."
        )
    if configured and not configured.cuda:
        return Plan(CPU, pinned, (), configured.bytes)
    if cpu_index and not cpu_index.cuda:
        return Plan(CPU, pinned, ("--index-url", CPU_INDEX), cpu_index.bytes)
    if configured and choice == "auto":
        notice = (
            "No CPU build of PyTorch can be reached (neither pip's sources nor "
            f"{urlsplit(CPU_INDEX).hostname} has one).\n"
            "      The default build is next, with its CUDA libraries: about 3 GB to download and "
            "7 GB on disk.\n"
            "      It works without a GPU. To avoid it press Ctrl-C and give pip a CPU wheel "
            "(PIP_FIND_LINKS)."
        )
        return Plan(CUDA, f"torch==={version}", (), configured.bytes, notice)
    raise NoTorch(
        f"No source that can be reached has a CPU build of torch {version}. Check the network and "
        "`pip config list`, or carry its wheel in and set PIP_FIND_LINKS to that folder"
        + (" (TORCH=auto would take the CUDA build)." if configured else ".")
    )


def probe(
    python: Path, requirement: str, arguments: Sequence[str] = (), seconds: float = PROBE_SECONDS
) -> Offer | None:
    """What pip would install for `requirement`, or None when no source has it in time.

    An index that describes its wheels (PEP 658) is asked for the description alone. From another
    one pip would download the wheel to look into it: it is stopped at once, by then its name and
    size are known.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [str(python), "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--no-deps", "--only-binary=:all:", "--progress-bar=off", "--no-color"]
        command += ["--disable-pip-version-check", "--report", str(report)]
        pip = subprocess.Popen(
            [*command, *arguments, requirement],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        timer = threading.Timer(seconds, pip.kill)
        timer.start()
        try:
            large = next(filter(None, map(read_line, pip.stdout or [])), None)
            if large is None:
                pip.wait()
        finally:
            timer.cancel()
            pip.kill()
            pip.wait()
            if pip.stdout:
                pip.stdout.close()
        if large:
            return large
        if pip.returncode or not report.is_file():
            return None
        return read_report(json.loads(report.read_text("utf-8")))


def read_line(line: str) -> Offer | None:
    """The offer that a line of pip's output tells of when it begins to download a wheel."""
    found = _DOWNLOADING.search(line)
    if not found:
        return None
    size = int(float(found[2]) * _UNITS[found[3]])
    version = unquote(found[1]).rsplit("/", 1)[-1].split("-")[1]
    return Offer(version, _is_cuda(version, None, size), size)


def read_report(report: Mapping[str, Any]) -> Offer | None:
    """The offer in a report of `pip install --dry-run`."""
    for item in report.get("install", []):
        metadata = item["metadata"]
        url = urlsplit(item["download_info"]["url"])
        size = None
        if url.scheme == "file":
            size = Path(url2pathname(url.path)).stat().st_size
        version = str(metadata["version"])
        return Offer(version, _is_cuda(version, metadata.get("requires_dist", []), size), size)
    return None


def _is_cuda(version: str, requires: Sequence[str] | None, size: int | None) -> bool:
    label = version.partition("+")[2]
    if label:
        return label != "cpu"
    if requires is not None:
        return any(
            _CUDA_LIBRARY.match(requirement) and applies(requirement) for requirement in requires
        )
    return platform.system() == "Linux" and (size or 0) > _CPU_BYTES


def applies(requirement: str, system: str = "", machine: str = "") -> bool:
    """Whether a requirement's platform conditions hold here; unknown ones are taken to hold."""
    here = {
        "platform_system": system or platform.system(),
        "platform_machine": machine or platform.machine(),
    }
    here["sys_platform"] = here["platform_system"].lower()
    condition = requirement.partition(";")[2]
    if " or " in condition or "extra ==" in condition:
        return "extra ==" not in condition
    return all(here[name] == value for name, value in _CONDITION.findall(condition))
