"""The memory that this machine, or this process's control group, has and has left."""

from __future__ import annotations

from pathlib import Path

_UNKNOWN = 4 * 2**30
_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def free_memory(proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """Bytes that this process can still take without swapping; 4 GiB where nothing tells.

    The least of what the machine has and what each limit of a control group (version 2) leaves.
    What a group holds of files that are not in use counts as free, as it does for the machine.
    """
    machine = _value(proc / "meminfo", "MemAvailable")
    left = [_left(group) for group in _own_groups(proc, groups)]
    known = [free for free in (machine and machine * 1024, *left) if free is not None]
    return min(known, default=_UNKNOWN)


def total_memory(proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """Bytes that this process can have at most; 4 GiB where nothing tells.

    The least of what the machine has and of each limit of a control group (version 2).
    """
    machine = _value(proc / "meminfo", "MemTotal")
    limits = [_text(group / "memory.max").strip() for group in _own_groups(proc, groups)]
    known = [int(limit) for limit in limits if limit.isdecimal()]
    return min([*known, machine * 1024] if machine else known, default=_UNKNOWN)


def _own_groups(proc: Path, groups: Path) -> list[Path]:
    """The folders of this process's group and of those that it lies in."""
    lines = _text(proc / "self" / "cgroup").splitlines()
    own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
    folder = groups / own
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(groups))]


def _left(group: Path) -> int | None:
    """The bytes that a group may still take; None where it has no limit."""
    limit, used = _text(group / "memory.max").strip(), _text(group / "memory.current").strip()
    if not (limit.isdecimal() and used.isdecimal()):
        return None
    unused = _value(group / "memory.stat", "inactive_file") or 0
    return max(0, int(limit) - int(used) + unused)


def _value(path: Path, name: str) -> int | None:
    """The number after a name in a file of one name a line."""
    for line in _text(path).splitlines():
        words = line.replace(":", " ").split()
        if len(words) > 1 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, ValueError):
        return ""
