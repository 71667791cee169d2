"""Where a training of a reader stands: its checkpoint, its log, and what it was made of."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from rag.checkpoints import load_checkpoint, save_checkpoint
from rag.errors import UsageError

_CHECKPOINT_SECONDS = 240
# steps whose mean loss is a line of the log
_LINE = 50
# so many batches are assembled ahead
_AHEAD = 4

Rows = TypeVar("Rows")
Batch = TypeVar("Batch")


class Trained(Protocol):
    """A network that tells what training changes, and takes it back."""

    def trained_state(self) -> dict[str, torch.Tensor]:
        """What training changes, by its names in the network."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Any:
        """Take the values of these names."""


class Progress:
    """Takes up what was done before, notes each step, and writes the checkpoint now and then."""

    def __init__(self, checkpoint: Path, network: Trained, made_of: Mapping[str, str]) -> None:
        """Load the checkpoint, where there is one, into the network.

        Raises UsageError for one of a training of something else, StorageError for a damaged one.
        """
        self._path = checkpoint
        self._network = network
        self._made_of = dict(made_of)
        self._saved = time.monotonic()
        self.done = 0
        self.optimizer: dict[str, Any] = {}
        self.log: list[dict[str, object]] = []
        self._losses: list[float] = []
        if saved := load_checkpoint(checkpoint):
            if saved["made_of"] != self._made_of:
                raise UsageError(
                    f"{checkpoint} is of a training with other options or examples. Give the same "
                    "command to go on with it, name another --checkpoint, or delete it."
                )
            network.load_state_dict(saved["state"], strict=False)
            self.done, self.optimizer = saved["step"], saved["optimizer"]
            self.log, self._losses = saved["log"], saved["losses"]
            print(f"resumed after step {self.done}", flush=True)

    def after(
        self, step: int, stage: str, index: int, of: int, loss: float, optimizer: Any
    ) -> None:
        """Note a step; write the log's line and the checkpoint where they are due."""
        self._losses.append(loss)
        if len(self._losses) == _LINE or index == of:
            mean = round(sum(self._losses) / len(self._losses), 4)
            row: dict[str, object] = {"stage": stage, "step": index, "of": of, "loss": mean}
            self.log.append(row)
            print(json.dumps(row), flush=True)
            self._losses = []
        if time.monotonic() - self._saved > _CHECKPOINT_SECONDS or index == of:
            saved = {"made_of": self._made_of, "step": step, "log": self.log}
            saved |= {"losses": self._losses}
            saved |= {"state": self._network.trained_state(), "optimizer": optimizer.state_dict()}
            save_checkpoint(self._path, saved)
            self._saved = time.monotonic()


def ahead(order: Iterable[Rows], assemble: Callable[[Rows], Batch]) -> Iterator[Batch]:
    """What is made of each of `order`, a few of them ahead of the one that is wanted."""
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for rows in order:
            waiting.append(pool.submit(assemble, rows))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def fingerprint(
    given: argparse.Namespace, options: Collection[str], files: Mapping[str, Path | None]
) -> dict[str, str]:
    """What a training's result depends on: these options, and the SHA-256 of these files."""
    made = {name: str(value) for name, value in vars(given).items() if name in options}
    digests = {name: hashlib.sha256(path.read_bytes()) for name, path in files.items() if path}
    return made | {name: digest.hexdigest() for name, digest in digests.items()}
