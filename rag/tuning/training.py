"""A training: steps, looks at what is held out, and a checkpoint to go on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.checkpoints import load_checkpoint, save_checkpoint
from rag.errors import ModelError, UsageError
from rag.tuning.learner import Learner, is_out_of_memory
from rag.tuning.recipe import Schedule

Tell = Callable[[str], None]
Stop = Callable[[], bool]

_CHECKPOINT_SECONDS = 300.0
_TELL_SECONDS = 20.0
# a line of the log is the mean of so many steps
_LOG_STEPS = 10
_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """The mean loss of a token of what is held out, after so many steps."""

    step: int
    loss: float


class Training:
    """A training that can be interrupted: the same call goes on with what the checkpoint holds.

    On a CPU with the same number of threads, an interrupted and resumed training ends with the
    same bits as one that was not interrupted: the order of the examples follows from the seed, the
    random numbers of a step from the seed and the step, nothing of a half-done step is kept, and
    the pieces that a step is computed in are as large as the checkpoint says, whatever memory is
    free now. Where memory runs out the pieces are made smaller, and the step is done again.
    """

    def __init__(
        self,
        network: Learner,
        recipe: Schedule,
        batches: Sequence[Sequence[Any]],
        held_out: Sequence[Any],
        checkpoint: Path,
        made_of: dict[str, Any],
        tell: Tell,
    ) -> None:
        """Take up the checkpoint where there is one. `batches` are those of all steps.

        `made_of` tells what the result depends on. Raises UsageError for a checkpoint of a
        training with something else.
        """
        import torch

        self._network = network
        self._recipe = recipe
        self._held_out = held_out
        self._path = checkpoint
        self._made_of = made_of
        self._tell = tell
        self._optimizer = torch.optim.AdamW(
            network.parameters, lr=recipe.learning_rate, weight_decay=0.0
        )
        self._batches = list(batches)
        self.steps = len(self._batches)
        self._between = max(1, self.steps // (recipe.epochs * recipe.looks))
        self.done = 0
        self.looks: list[Look] = []
        self.log: list[dict[str, float]] = []
        self.seconds = 0.0
        self._losses: list[float] = []
        self._best: dict[str, Any] = {}
        if saved := load_checkpoint(checkpoint):
            self._resume(saved)
        self._clock = _Clock(self.seconds, self.done)

    @property
    def best(self) -> Look:
        """The look with the lowest loss."""
        return min(self.looks, key=lambda look: look.loss)

    def run(self, stop: Stop) -> bool:
        """Train until the end, and leave the network with its best weights.

        False where `stop` said so first; then the checkpoint holds what was done. Raises
        ModelError where memory is short even for one example at a time, StorageError where the
        checkpoint cannot be written.
        """
        for batch in self._batches[self.done :]:
            if not self._look_if_due(stop):
                return self._interrupted()
            if self._is_over():
                break
            if not self._step(batch, stop):
                return self._interrupted()
            self._save_if_due()
        if not self._look_if_due(stop):
            return self._interrupted()
        self._save()
        self._network.load(self._best)
        return True

    def _step(self, batch: Sequence[Any], stop: Stop) -> bool:
        """Learn from a batch. False, and nothing learned, where `stop` says so within it."""
        import torch

        rate = self._recipe.rate(self.done, self.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        total = self._in_memory(batch, lambda: self._gradient(batch, stop))
        if total is None:
            return False
        torch.nn.utils.clip_grad_norm_(self._network.parameters, _CLIP)
        self._optimizer.step()
        self.done += 1
        self._losses.append(total)
        if len(self._losses) == _LOG_STEPS or self.done == self.steps:
            mean = round(sum(self._losses) / len(self._losses), 4)
            self.log.append({"step": self.done, "loss": mean, "rate": rate})
            self._losses = []
        self._progress(total)
        return True

    def _gradient(self, batch: Sequence[Any], stop: Stop) -> float | None:
        """The loss of a batch, whose gradient the weights then have; None where `stop` said so."""
        import torch

        self._network.model.train()
        torch.manual_seed(self._recipe.seed + self.done)
        self._optimizer.zero_grad()
        parts = self._network.pieces(batch)
        tokens = sum(part.tokens for part in parts)
        total = 0.0
        for part in parts:
            if stop():
                return None
            loss = self._network.loss(part) / tokens
            loss.backward()
            total += float(loss.detach())
        return total

    def _in_memory(self, rows: Sequence[Any], compute: Callable[[], float | None]) -> float | None:
        """What `compute` gives, with smaller and smaller pieces of the rows where memory is short.

        Raises ModelError where it is short for single rows.
        """
        while True:
            try:
                return compute()
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).strip().partition("\n")[0][:200]
            # out of the handler, so that the failed step's tensors are let go
            self._optimizer.zero_grad()
            if not self._network.halve(rows):
                raise ModelError(
                    f"The memory is too short to train on one example at a time ({reason}). "
                    "Give the command with a smaller --max-tokens and another --out, or end other "
                    "programs and give the same command again."
                )
            self._tell(
                f"memory was short: from now on at most {self._network.most_tokens:,} tokens "
                "are computed at once"
            )

    def _look_if_due(self, stop: Stop) -> bool:
        """Look at what is held out, where that is due. False where `stop` said so within it."""
        due = self.done % self._between == 0 or self.done == self.steps
        if not due or (self.looks and self.looks[-1].step == self.done):
            return True
        loss = self._in_memory(self._held_out, lambda: self._held_out_loss(stop))
        if loss is None:
            return False
        if not self.looks or loss < self.best.loss:
            self._best = self._network.state()
        self.looks.append(Look(self.done, loss))
        self._tell(f"step {self.done} of {self.steps}: loss {loss:.4f} on what is held out")
        self._save()
        return True

    def _held_out_loss(self, stop: Stop) -> float | None:
        import torch

        self._network.model.eval()
        total, tokens = 0.0, 0
        with torch.no_grad():
            for part in self._network.pieces(self._held_out):
                if stop():
                    return None
                total += float(self._network.loss(part))
                tokens += part.tokens
        return total / tokens

    def _is_over(self) -> bool:
        since = [look for look in self.looks if look.step > self.best.step]
        return len(since) >= self._recipe.patience

    def _progress(self, loss: float) -> None:
        if self._clock.silent_for() < _TELL_SECONDS:
            return
        each = self._clock.seconds_a_step(self.done)
        self._tell(
            f"step {self.done} of {self.steps}: loss {loss:.4f}, "
            f"{each / self._recipe.batch:.2f} s an example, "
            f"about {_span(each * (self.steps - self.done))} left"
        )
        self._clock.told()

    def _interrupted(self) -> bool:
        self._save()
        return False

    def _save_if_due(self) -> None:
        if self._clock.unsaved_for() > _CHECKPOINT_SECONDS:
            self._save()

    def _save(self) -> None:
        self.seconds = self._clock.seconds()
        save_checkpoint(
            self._path,
            {
                "made_of": self._made_of,
                "done": self.done,
                "most_tokens": self._network.most_tokens,
                "adapter": self._network.state(),
                "best": self._best,
                "optimizer": self._optimizer.state_dict(),
                "looks": [[look.step, look.loss] for look in self.looks],
                "log": self.log,
                "losses": self._losses,
                "seconds": self.seconds,
            },
        )
        self._clock.saved()

    def _resume(self, saved: dict[str, Any]) -> None:
        known = saved["made_of"]
        if changed := [k for k, v in self._made_of.items() if known.get(k) != v]:
            name = changed[0]
            raise UsageError(
                f"{self._path.parent} holds a training that was begun with something else: "
                f"{name.replace('_', ' ')} was {known.get(name)}, and is {self._made_of[name]} "
                "now. Give the same command to go on with it, another --out, or delete its "
                f"{self._path.name}."
            )
        self._network.most_tokens = saved["most_tokens"]
        self._network.load(saved["adapter"])
        if saved["optimizer"]["state"]:
            self._optimizer.load_state_dict(saved["optimizer"])
        self.done, self.seconds = saved["done"], saved["seconds"]
        self.looks = [Look(step, loss) for step, loss in saved["looks"]]
        self.log, self._losses, self._best = saved["log"], saved["losses"], saved["best"]
        self._tell(f"going on after step {self.done} of {self.steps}")


class _Clock:
    """Seconds of a training over all its runs, and since something was told or saved."""

    def __init__(self, before: float, done: int) -> None:
        self._before = before
        self._done = done
        self._start = self._told = self._saved = time.monotonic()

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._start

    def seconds_a_step(self, done: int) -> float:
        """The mean of this run, its looks at what is held out included."""
        return (time.monotonic() - self._start) / (done - self._done)

    def silent_for(self) -> float:
        return time.monotonic() - self._told

    def told(self) -> None:
        self._told = time.monotonic()

    def unsaved_for(self) -> float:
        return time.monotonic() - self._saved

    def saved(self) -> None:
        self._saved = time.monotonic()


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"
