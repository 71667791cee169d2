"""Which build of PyTorch is installed, from where, and what is found out before."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from tools import torch_build
from tools.torch_build import (
    CPU_INDEX,
    NoTorch,
    Offer,
    applies,
    choose,
    has_nvidia_gpu,
    probe,
    read_line,
    read_report,
    wanted_build,
)

CPU = Offer("2.13.0+cpu", cuda=False, bytes=190_000_000)
PLAIN_CPU = Offer("2.13.0", cuda=False)
CUDA = Offer("2.13.0", cuda=True, bytes=530_000_000)
INDEX = ("--index-url", CPU_INDEX)


@pytest.mark.parametrize(
    ("choice", "gpu", "build"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cuda", False, "cuda"),
    ],
)
def test_wanted_build(choice: str, gpu: bool, build: str) -> None:
    assert wanted_build(choice, gpu) == build


def test_unknown_choice() -> None:
    with pytest.raises(NoTorch, match="auto, cpu, cuda"):
        wanted_build("rocm", False)


@pytest.mark.parametrize(
    ("choice", "build", "configured", "index", "expected"),
    [
        # a CPU build among pip's own sources: nothing else is asked
        ("auto", "cpu", CPU, None, ("cpu", "torch==2.13.0", ())),
        ("auto", "cpu", PLAIN_CPU, None, ("cpu", "torch==2.13.0", ())),
        ("cpu", "cpu", CPU, None, ("cpu", "torch==2.13.0", ())),
        # only the CUDA build, or nothing, there: PyTorch's CPU index
        ("auto", "cpu", CUDA, CPU, ("cpu", "torch==2.13.0", INDEX)),
        ("cpu", "cpu", CUDA, CPU, ("cpu", "torch==2.13.0", INDEX)),
        ("auto", "cpu", None, CPU, ("cpu", "torch==2.13.0", INDEX)),
        # no CPU build anywhere: auto goes on, after saying so
        ("auto", "cpu", CUDA, None, ("cuda", "torch===2.13.0", ())),
        # the CPU index answering with something else does not count
        ("auto", "cpu", CUDA, CUDA, ("cuda", "torch===2.13.0", ())),
        # a GPU
        ("auto", "cuda", CUDA, None, ("cuda", "torch===2.13.0", ())),
        ("cuda", "cuda", CUDA, None, ("cuda", "torch===2.13.0", ())),
        ("auto", "cuda", CPU, None, ("cpu", "torch==2.13.0", ())),
    ],
)
def test_choose(
    choice: str,
    build: str,
    configured: Offer | None,
    index: Offer | None,
    expected: tuple[str, str, tuple[str, ...]],
) -> None:
    plan = choose(choice, build, "2.13.0", configured, index)
    assert (plan.build, plan.requirement, plan.arguments) == expected
    assert bool(plan.notice) == (plan.build != build)  # whatever was not asked for is told


def test_the_cuda_build_without_a_gpu_is_announced_with_its_size() -> None:
    assert "about 3 GB to download" in choose("auto", "cpu", "2.13.0", CUDA, None).notice


@pytest.mark.parametrize(
    ("choice", "build", "configured"),
    [
        ("cpu", "cpu", CUDA),  # asked for by name: never gigabytes of CUDA
        ("cpu", "cpu", None),
        ("auto", "cpu", None),
        ("cuda", "cuda", CPU),
        ("cuda", "cuda", None),
        ("auto", "cuda", None),
    ],
)
def test_choose_has_nothing(choice: str, build: str, configured: Offer | None) -> None:
    with pytest.raises(NoTorch, match="pip config list"):
        choose(choice, build, "2.13.0", configured, None)


def report(version: str, url: str, requires: list[str]) -> dict[str, Any]:
    metadata = {"name": "torch", "version": version, "requires_dist": requires}
    return {"install": [{"metadata": metadata, "download_info": {"url": url}}]}


NVIDIA = 'nvidia-cudnn-cu13==9.1; platform_system == "Linux" and platform_machine == "x86_64"'


@pytest.mark.parametrize(
    ("system", "machine", "version", "requires", "cuda"),
    [
        ("Linux", "x86_64", "2.13.0", ["filelock", NVIDIA], True),
        ("Linux", "aarch64", "2.13.0", ["filelock", NVIDIA], False),
        ("Darwin", "arm64", "2.13.0", ["filelock", NVIDIA], False),
        ("Linux", "x86_64", "2.13.0", ["filelock", "sympy"], False),
        ("Linux", "x86_64", "2.13.0", ["cuda-toolkit==13; platform_system=='Linux'"], True),
        ("Linux", "x86_64", "2.13.0+cpu", ["filelock"], False),
        ("Linux", "x86_64", "2.13.0+cu130", ["filelock"], True),
        ("Linux", "x86_64", "2.13.0", ['nvidia-ml-py; extra == "monitor"'], False),
    ],
)
def test_read_report(
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    machine: str,
    version: str,
    requires: list[str],
    cuda: bool,
) -> None:
    monkeypatch.setattr(torch_build.platform, "system", lambda: system)
    monkeypatch.setattr(torch_build.platform, "machine", lambda: machine)
    found = read_report(report(version, "https://example.org/torch.whl", requires))
    assert found == Offer(version, cuda, None)


def test_read_report_knows_the_size_of_a_local_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"x" * 123)
    found = read_report(report("2.13.0+cpu", wheel.as_uri(), []))
    assert found == Offer("2.13.0+cpu", False, 123)
    assert read_report({"install": []}) is None


def test_conditions() -> None:
    assert applies("nvidia-x", "Linux", "x86_64")
    assert applies('nvidia-x; sys_platform == "linux"', "Linux", "x86_64")
    assert not applies('nvidia-x; sys_platform == "linux"', "Darwin", "arm64")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "  Downloading https://x.org/torch-2.13.0-cp311-cp311-manylinux_x86_64.whl (531.0 MB)",
            Offer("2.13.0", True, 531_000_000),
        ),
        (
            "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (1.2 GB)",
            Offer("2.13.0", True, 1_200_000_000),
        ),
        (
            "Downloading torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (191.8 MB)",
            Offer("2.13.0+cpu", False, 191_800_000),
        ),
        ("  Downloading torch-2.13.0-cp311-none-any.whl.metadata (29 kB)", None),
        ("Collecting torch==2.13.0", None),
    ],
)
def test_read_line(monkeypatch: pytest.MonkeyPatch, line: str, expected: Offer | None) -> None:
    monkeypatch.setattr(torch_build.platform, "system", lambda: "Linux")
    assert read_line(line) == expected


def fake_python(folder: Path, code: str) -> Path:
    """A program that stands for `python -m pip install …`."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(code))
    path.chmod(0o755)
    return path


def test_probe_stops_a_large_download_at_once(tmp_path: Path) -> None:
    python = fake_python(
        tmp_path,
        """
        import time
        print("Collecting torch==2.13.0")
        print("  Downloading torch-2.13.0-cp311-cp311-manylinux_x86_64.whl (531.0 MB)", flush=True)
        time.sleep(60)
        """,
    )
    started = time.monotonic()
    found = probe(python, "torch==2.13.0")
    assert found is not None
    assert found.bytes == 531_000_000
    assert time.monotonic() - started < 10


def test_probe_gives_up_in_time(tmp_path: Path) -> None:
    python = fake_python(tmp_path, "import time; time.sleep(60)")
    started = time.monotonic()
    assert probe(python, "torch==2.13.0", seconds=1) is None
    assert time.monotonic() - started < 10


def test_probe_without_any_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert probe(Path(sys.executable), "torch==2.13.0") is None


def test_gpu_is_seen_by_its_device_or_driver(tmp_path: Path) -> None:
    assert not has_nvidia_gpu(tmp_path)
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text("NVRM")
    assert has_nvidia_gpu(tmp_path)
