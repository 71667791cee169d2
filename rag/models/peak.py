"""The most memory that was in use since a moment: what a model takes, measured.

On a CUDA device it is what torch's allocator counted (`torch.cuda.max_memory_allocated`). Elsewhere
it is this process's resident memory beyond that at the start: the kernel's high-water mark
(`VmHWM` of `/proc/self/status`), which writing 5 to `/proc/self/clear_refs` sets back (Linux'
`Documentation/filesystems/proc.rst`), else the most that was seen whenever it was looked at.
"""

from __future__ import annotations

from pathlib import Path

GPU, HIGH_WATER, SEEN = "gpu", "high-water", "seen"
# each way with what it is for people
HOW = {
    GPU: "GPU memory, by torch's own count",
    HIGH_WATER: "the process's memory beyond what it had before the model, by the kernel's mark",
    SEEN: "the process's memory beyond what it had before the model, looked at after each answer",
}
_PROC = Path("/proc/self")
_RESET = "5"
# a mark that was set back is this near to what is in use, for other threads may allocate meanwhile
_NEAR = 16 * 2**20


class Peak:
    """Counts from when it is made, on a torch device. `how` is one of `HOW`."""

    def __init__(self, device: str, proc: Path = _PROC) -> None:
        self._device, self._proc = device, proc
        self.how = GPU if device.startswith("cuda") else self._reset()
        self._before = self._now()
        self._most = self._before

    def bytes(self) -> int | None:
        """The most so far beyond what there was at the start; None where nothing tells."""
        if self.how == GPU:
            import torch

            self._most = torch.cuda.max_memory_allocated(self._device)
        elif self._before is not None:
            seen = self._value("VmHWM" if self.how == HIGH_WATER else "VmRSS")
            self._most = max(self._most or 0, seen or 0)
        if self._before is None or self._most is None:
            return None
        return max(0, self._most - self._before)

    def _now(self) -> int | None:
        if self.how == GPU:
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
            return torch.cuda.memory_allocated(self._device)
        return self._value("VmRSS")

    def _reset(self) -> str:
        """Set the kernel's mark back, where it lets this process; else it is of no use."""
        try:
            (self._proc / "clear_refs").write_text(_RESET)
        except OSError:
            return SEEN
        mark, now = self._value("VmHWM"), self._value("VmRSS")
        return HIGH_WATER if mark and now and mark - now < _NEAR else SEEN

    def _value(self, name: str) -> int | None:
        try:
            lines = (self._proc / "status").read_text("ascii", errors="replace").splitlines()
        except OSError:
            return None
        for line in lines:
            words = line.replace(":", " ").split()
            if len(words) > 1 and words[0] == name and words[1].isdecimal():
                return int(words[1]) * 1024
        return None
