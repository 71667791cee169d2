"""What a tuning, of an LLM or an embedder, is asked for, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rag.models.folder import ModelFolder
from rag.tuning.examples import Example
from rag.tuning.recipe import Schedule

if TYPE_CHECKING:
    from rag.tuning.training import Training

CHECKPOINT = "checkpoint.pt"

R_co = TypeVar("R_co", bound=Schedule, covariant=True)
Tell = Callable[[str], None]
Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Job(Generic[R_co]):
    """What is asked for: something made of `base` in the folder `out`, from the examples in `data`.

    Where that is None they are `given`, and come from people's ratings; an embedder takes none of
    those. `minutes` ends the training after so long; `licence` and `command` are for the card.
    `force` allows the result where it is not better than its base.
    """

    base: ModelFolder
    data: Path | None
    out: Path
    recipe: R_co
    minutes: float | None = None
    force: bool = False
    licence: str = "not stated"
    command: str = ""
    given: tuple[Example, ...] = ()

    def ending(self, stop: Stop) -> Stop:
        """As `stop`, but says so too when the minutes are over, which begin now."""
        until = time.monotonic() + 60 * self.minutes if self.minutes else float("inf")
        return lambda: stop() or time.monotonic() > until

    def told_of(self, training: Training, device: str, packages: Iterable[str]) -> dict[str, Any]:
        """What the cards of both kinds tell of how it was trained, by the names of their fields."""
        return {
            "command": self.command,
            "data": self.data.name if self.data else "answers that people rated right",
            "licence": self.licence,
            "device": device,
            "versions": {name: version(name) for name in packages},
            "steps": training.done,
            "best_step": training.best.step,
            "seconds": round(training.seconds, 1),
            "looks": [{"step": look.step, "loss": round(look.loss, 4)} for look in training.looks],
            "losses": training.log,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended; one without scores was interrupted, after `done` of `steps`."""

    done: int
    steps: int
    usable: str | None = None
    scores: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.scores is not None
