"""Steps recorded as CUDA graphs: the processor launches one thing a token, not a thousand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from rag.models.batch.steps import Steps

Run = Callable[[], torch.Tensor]
# records what `run` does: returns what does it again, and the tensor in which its result then is
Record = Callable[[Run], tuple[Callable[[], None], torch.Tensor]]

# looked at are 256 columns, or twice, four times … as many
_LEAST_COLUMNS = 256
_ROUNDS = 10
# it must save this share of a step's time
_SAVED = 0.05
# the root of the mean square of the scores' errors in their standard deviations, as of the trial
_ERROR = 0.1


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A recorded step of so many rows and columns, and the tensors that it reads and writes."""

    tokens: torch.Tensor
    lengths: torch.Tensor
    scores: torch.Tensor
    replay: Callable[[], None]


class Recorder:
    """Writes as `Steps.write` does, by recordings: one for each power of two of rows and columns.

    Rows that fill up to the power of two write to the shelf's last column, which no request uses:
    the last token that one may have is never read. Recordings name the shelf's memory, so new
    memory ends them.
    """

    def __init__(self, steps: Steps, record: Record) -> None:
        self._steps = steps
        self._record = record
        self._recorded: dict[tuple[int, int], _Recorded | None] = {}
        self._memory: tuple[int, ...] = ()

    def write(self, tokens: Sequence[int], lengths: Sequence[int]) -> torch.Tensor:
        """See `Steps.write`; what cannot be recorded is run as it is."""
        shelf = self._steps.shelf
        if shelf.memory != self._memory:
            self._recorded.clear()
            self._memory = shelf.memory
        rows = min(_power(len(tokens), 1), shelf.rows)
        end = min(_power(max(lengths) + 1, _LEAST_COLUMNS), shelf.columns)
        shape = rows, end
        if shape not in self._recorded:
            self._recorded[shape] = self._begun(rows, end)
        recorded = self._recorded[shape]
        if recorded is None:
            return self._steps.write(tokens, lengths)
        fill = rows - len(tokens)
        given = torch.tensor(
            [[*tokens, *[0] * fill], [*lengths, *[shelf.columns - 1] * fill]],
            device=self._steps.device,
        )
        recorded.tokens.copy_(given[0])
        recorded.lengths.copy_(given[1])
        recorded.replay()
        return recorded.scores[: len(tokens)]

    def _begun(self, rows: int, end: int) -> _Recorded | None:
        device, last = self._steps.device, self._steps.shelf.columns - 1
        tokens = torch.zeros(rows, dtype=torch.long, device=device)
        lengths = torch.full((rows,), last, device=device)
        try:
            replay, scores = self._record(lambda: self._steps.write_at(tokens, lengths, end))
        except Exception:  # noqa: BLE001 - whatever it raises, the step can be run as it is
            return None
        return _Recorded(tokens, lengths, scores, replay)


def pays(steps: Steps, record: Record) -> bool:
    """Whether a recorded step of one row is right and faster; the shelf's first row is spent."""
    recorder = Recorder(steps, record)
    token, length = [1], [1]
    steps.read(0, [0], 0)
    right = steps.write(token, length).float()
    error = (recorder.write(token, length).float() - right).square().mean().sqrt() / right.std()
    if not float(error) <= _ERROR or None in recorder._recorded.values():
        return False
    plain = _seconds(lambda: steps.write(token, length))
    recorded = _seconds(lambda: recorder.write(token, length))
    return recorded < plain * (1 - _SAVED)


def cuda_graph(run: Run) -> tuple[Callable[[], None], torch.Tensor]:
    """Record work on the current CUDA device, whose inputs are tensors that stay where they are."""
    stream = torch.cuda.current_stream()
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(stream)
    with torch.cuda.stream(side):
        for _ in range(2):  # what is set up at a first run must not be recorded
            run()
    stream.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            scores = run()
    finally:
        torch.cuda.set_stream(stream)  # torch stays on its own where recording fails
    return graph.replay, scores


def _seconds(work: Run) -> float:
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work().sum().item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def _power(number: int, least: int) -> int:
    power = least
    while power < number:
        power *= 2
    return power
