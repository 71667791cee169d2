"""Steps recorded as CUDA graphs: the processor launches one thing a token, not a thousand."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import NamedTuple

import torch

from rag.models.batch.steps import Steps, highest
from rag.models.batch.ways import Way, in_force

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
# a single row may be as many times as wrong
_WORST = 3
# a way of computing must save this share of a replay's time
_QUICKER = 0.01
# tokens of the row by which ways are judged: about those of a question with its passages
_PROBE, _PIECE = 1000, 256


class Written(NamedTuple):
    """The scores of a step, `[rows, vocabulary]`, and the `highest` of each row, `[2, rows]`."""

    scores: torch.Tensor
    best: torch.Tensor


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A recorded step of so many rows and columns, and the tensors that it reads and writes.

    `given` are the tokens and the lengths, `[2, rows]`; `ways` are those in which it was made.
    """

    given: torch.Tensor
    written: Written
    replay: Callable[[], None]
    ways: tuple[Way, ...]

    def give(self, filled: list[list[int]]) -> None:
        """Say which tokens and lengths the next replay has."""
        # memory that is not pinned is copied before the call returns, without waiting for the GPU
        self.given.copy_(torch.tensor(filled), non_blocking=True)


class Recorder:
    """Writes as `Steps.write` does, by recordings: one for each power of two of rows and columns.

    Rows that fill up to the power of two write to the shelf's last column, which no request uses:
    the last token that one may have is never read. Recordings name the shelf's memory, so new
    memory ends them. All are made in `ways`, and in the ways of each of `tried` instead where that
    is right and faster for so many rows and columns.
    """

    def __init__(
        self,
        steps: Steps,
        record: Record,
        ways: Sequence[Way] = (),
        tried: Sequence[Sequence[Way]] = (),
    ) -> None:
        self._steps = steps
        self._record = record
        self._ways, self._tried = tuple(ways), tuple(map(tuple, tried))
        self._recorded: dict[tuple[int, int], _Recorded | None] = {}
        self._memory: tuple[tuple[int, ...], ...] = ()

    @property
    def ways(self) -> list[str]:
        """The names of the ways, and of those that are tried."""
        every = itertools.chain(self._ways, *self._tried)
        return list(dict.fromkeys(way.name for way in every))

    def write(self, tokens: Sequence[int], lengths: Sequence[int]) -> Written:
        """See `Steps.write`; what cannot be recorded is run as it is."""
        recorded = self.made(tokens, lengths)
        if recorded is None:
            scores = self._steps.write(tokens, lengths)
            return Written(scores, highest(scores))
        recorded.give(self._filled(tokens, lengths))
        recorded.replay()
        scores, best = recorded.written
        return Written(scores[: len(tokens)], best[:, : len(tokens)])

    def made(self, tokens: Sequence[int], lengths: Sequence[int]) -> _Recorded | None:
        """The recording for such a step, made and judged by it if there is none; None: it cannot.

        The step may be written afterwards: what was written for a trial is written over.
        """
        shelf = self._steps.shelf
        if shelf.memory != self._memory:
            self._recorded.clear()
            self._memory = shelf.memory
        filled = self._filled(tokens, lengths)
        end = min(_power(max(lengths) + 1, _LEAST_COLUMNS), shelf.columns)
        shape = len(filled[0]), end
        if shape not in self._recorded:
            self._recorded[shape] = self._begun(*shape, filled, len(tokens))
        return self._recorded[shape]

    def _filled(self, tokens: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
        shelf = self._steps.shelf
        fill = min(_power(len(tokens), 1), shelf.rows) - len(tokens)
        return [[*tokens, *[0] * fill], [*lengths, *[shelf.columns - 1] * fill]]

    def _begun(self, rows: int, end: int, filled: list[list[int]], asked: int) -> _Recorded | None:
        """The best recording by a step of which the first `asked` rows are asked for."""
        first = self._made(rows, end, self._ways)
        if first is None:
            return self._made(rows, end, ()) if self._ways else None
        for ways in self._tried:
            other = self._made(rows, end, ways)
            # the one that is right writes over what a wrong one left: 0 · NaN is NaN
            first.give(self._aside(rows))
            first.replay()
            if other and _betters(other, first, filled, asked):
                first = other
        return first

    def _made(self, rows: int, end: int, ways: Sequence[Way]) -> _Recorded | None:
        device = self._steps.device
        given = torch.tensor(self._aside(rows), device=device)
        best = torch.zeros((2, rows), device=device)

        def run() -> torch.Tensor:
            scores = self._steps.write_at(given[0], given[1], end)
            best.copy_(highest(scores))
            return scores

        try:
            with in_force(ways):
                replay, scores = self._record(run)
        except Exception:  # noqa: BLE001 - whatever it raises, the step can be run as it is
            return None
        return _Recorded(given, Written(scores, best), replay, tuple(ways))

    def _aside(self, rows: int) -> list[list[int]]:
        """Rows that write where nobody reads."""
        return [[1] * rows, [self._steps.shelf.columns - 1] * rows]


def pays(steps: Steps, record: Record) -> bool:
    """Whether a recorded step of one row is right and faster; the shelf's first row is spent."""
    recorder = Recorder(steps, record)
    token, length = [1], [1]
    steps.read(0, [0], 0)
    right = steps.write(token, length)
    error = _error(recorder.write(token, length).scores, right)
    if not error <= _ERROR or None in recorder._recorded.values():
        return False
    plain = _seconds(lambda: steps.write(token, length))
    recorded = _seconds(lambda: recorder.write(token, length).scores)
    return recorded < plain * (1 - _SAVED)


def probe(steps: Steps) -> Run:
    """A step of one row with a long text, which this reads; the shelf's first row is spent."""
    length = fill(steps, 0, _probed(steps))
    return lambda: steps.write([1], [length])


def fill(steps: Steps, row: int, length: int) -> int:
    """Read a text of so many tokens into a row, another one for each row; returns its length."""
    vocabulary = steps.model.config.get_text_config(decoder=True).vocab_size
    random = torch.Generator().manual_seed(20 + row)
    ids = torch.randint(vocabulary, (length,), generator=random).tolist()
    for begin in range(0, length, _PIECE):
        steps.read(row, ids[begin : begin + _PIECE], begin)
    return length


def _probed(steps: Steps) -> int:
    return max(1, min(_PROBE, steps.shelf.columns - 2))


class Choice:
    """Judges ways by recorded steps of one row with a long text; the shelf's first row is spent."""

    def __init__(self, steps: Steps, record: Record) -> None:
        self._steps, self._record = steps, record
        self.length = _probed(steps)
        self._right = probe(steps)()

    def seconds(self, ways: Sequence[Way]) -> float:
        """How long a step takes in these ways; infinity where it is wrong or not recorded."""
        recorder, given = Recorder(self._steps, self._record, ways), ([1], [self.length])
        recorded = recorder.made(*given)
        if recorded is None or recorded.ways != tuple(ways):
            return math.inf

        def step() -> torch.Tensor:
            return recorder.write(*given).scores

        return _seconds(step) if _error(step(), self._right) <= _ERROR else math.inf

    def best(self, ways: Sequence[Way]) -> tuple[list[Way], float]:
        """Those ways that make a step faster, each beside those before, and what it then takes."""
        chosen: list[Way] = []
        least = self.seconds(chosen)
        for way in ways:
            if (seconds := self.seconds([*chosen, way])) < least * (1 - _QUICKER):
                chosen.append(way)
                least = seconds
        return chosen, least

    def betters(self, ways: Sequence[Way], least: float) -> bool:
        """Whether a step in these ways is faster than one that takes so long."""
        return self.seconds(ways) < least * (1 - _QUICKER)


def cuda_graph(run: Run) -> tuple[Callable[[], None], torch.Tensor]:
    """Record work on the current CUDA device, whose inputs are tensors that stay where they are."""
    stream = torch.cuda.current_stream()
    side = _side(torch.cuda.current_device())
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


@cache
def _side(device: int) -> torch.cuda.Stream:
    """The stream of a device on which work is run before it is recorded.

    One for all recordings: cuBLAS takes a workspace for each stream, of 32 MiB on a Hopper card,
    and gives none back.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _error(scores: torch.Tensor, right: torch.Tensor) -> float:
    """The error of all rows together, or a third of the worst row's where that is more."""
    found, right = scores.float(), right.float()
    errors = (found - right).square().mean(dim=-1).sqrt() / right.std(dim=-1)
    return max(float(errors.square().mean().sqrt()), float(errors.max()) / _WORST)


def _betters(other: _Recorded, first: _Recorded, filled: list[list[int]], asked: int) -> bool:
    """Whether a recording gives what the first one gives for the rows asked for, and sooner.

    The first one runs last, so that the shelf keeps what it wrote there.
    """
    for recorded in (other, first):
        recorded.give(filled)
    seconds = _replayed(other), _replayed(first)
    right = _error(other.written.scores[:asked], first.written.scores[:asked]) <= _ERROR
    return right and seconds[0] < seconds[1] * (1 - _QUICKER)


def _replayed(recorded: _Recorded) -> float:
    def work() -> torch.Tensor:
        recorded.replay()
        return recorded.written.best

    work()
    return _seconds(work)


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
