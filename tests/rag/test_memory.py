"""Free memory is the least of what each limit leaves."""

from __future__ import annotations

from pathlib import Path

from rag.memory import free_memory


def files(folder: Path, **contents: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_the_least_of_machine_and_limits(tmp_path: Path) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    assert free_memory(proc, groups) == 4 * 2**30
    files(proc, meminfo="MemTotal: 9000 kB\nMemAvailable:    8000 kB")
    assert free_memory(proc, groups) == 8_192_000
    files(proc / "self", cgroup="0::/app/worker")
    files(groups / "app" / "worker", memory__max="max", memory__current="5")
    assert free_memory(proc, groups) == 8_192_000
    files(groups / "app", memory__max="7000000", memory__current="5000000")
    assert free_memory(proc, groups) == 2_000_000
    files(groups / "app", memory__stat="anon 1\ninactive_file 500000")
    assert free_memory(proc, groups) == 2_500_000
    files(groups, memory__max="100", memory__current="200")
    assert free_memory(proc, groups) == 0


def test_this_machine_has_some() -> None:
    assert free_memory() > 2**20
