"""The thread in which a model writes all running completions together, step by step."""

from __future__ import annotations

import threading
import time
from collections import deque

import torch

from rag.errors import ModelError
from rag.models.batch.heads import Heads
from rag.models.batch.recorder import Recorder
from rag.models.batch.request import NO_MEMORY, Request
from rag.models.batch.room import Room
from rag.models.batch.shortage import empty_cuda_cache, is_shortage
from rag.models.batch.steps import Steps, highest
from rag.models.threads import all_cores

# a prompt is read in pieces, and the running completions write a token between two of them
PIECE = 256


class Loop:
    """Requests join, write and leave between steps; see `submit`.

    The first rows of the shelf write, in the order of `_rows`; the row after them is that of the
    prompt which is being read. The thread runs while there is work, and ends when the program's
    main thread has ended, so that it never keeps the process from ending. It is no daemon: one
    that is within torch when Python ends aborts the process.
    """

    def __init__(
        self, steps: Steps, room: Room, heads: Heads, recorder: Recorder | None = None
    ) -> None:
        """With a recorder the shelf's memory stays when there is no work."""
        self._steps = steps
        self._shelf = steps.shelf
        self._recorder = recorder
        self._room = room
        self._heads = heads
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque()
        self._thread: threading.Thread | None = None
        self._running = False
        self._rows: list[_Row] = []
        self._joining: _Row | None = None

    @property
    def active(self) -> int:
        """How many requests wait, are read or write."""
        return len(self._waiting) + len(self._rows) + (self._joining is not None)

    def submit(self, request: Request) -> None:
        """Have a request written as soon as there is room. Raises ModelError where never is."""
        if not self._room.ever(request.columns):
            raise ModelError(
                f"The prompt of {len(request.ids):,} tokens and {request.sampler.most:,} new ones "
                f"do not fit into the LLM's cache of {self._room.tokens:,} tokens. Shorten the "
                "question, lower max_new_tokens, or raise llm.cache_mb."
            )
        with self._lock:
            self._waiting.append(request)
            if not self._running:
                thread = threading.Thread(target=self._run, name="generate", daemon=False)
                try:
                    thread.start()
                except RuntimeError as error:  # Python is ending
                    self._waiting.clear()
                    raise ModelError(f"The LLM cannot begin: {error}") from error
                self._thread, self._running = thread, True

    def close(self, until: float) -> None:
        """Wait for the thread to end, until a monotonic time at most, and give all memory back.

        What still runs where it has not ended goes on; nothing may be submitted any more.
        """
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(max(0.0, until - time.monotonic()))
        if thread is None or not thread.is_alive():
            self._shelf.clear()
            self._heads.clear()

    def _run(self) -> None:
        all_cores()
        if self._steps.device.type == "cuda":
            torch.cuda.set_device(self._steps.device)
        with torch.inference_mode():
            while self._goes_on():
                try:
                    self._step()
                except Exception as error:  # noqa: BLE001 - a fault of one step ends no other
                    self._fail_all(error)

    def _goes_on(self) -> bool:
        """Whether there is work; where not, the thread is given up."""
        with self._lock:
            if self._waiting or self._rows or self._joining:
                return True
            if self._recorder is None:
                self._shelf.clear()
            self._running = False
            return False

    def _step(self) -> None:
        self._drop()
        self._admit()
        if self._joining:
            self._read(self._joining)
        if self._rows:
            self._write()

    def _drop(self) -> None:
        """Part with the requests that nobody wants any more."""
        with self._lock:
            gone = [request for request in self._waiting if not request.wanted]
            for request in gone:
                self._waiting.remove(request)
        for request in gone:
            request.end()
        if self._joining and not self._joining.request.wanted:
            self._joining.request.end()
            self._joining = None
        for row in [row for row in self._rows if not row.request.wanted]:
            self._leave(row)
            row.request.end()

    def _admit(self) -> None:
        """Let the next request join where there is room for it; the first come is the first."""
        with self._lock:
            if self._joining or not self._waiting:
                return
            request, more = self._waiting[0], len(self._waiting) - 1
        columns = [row.request.columns for row in self._rows] + [request.columns]
        shape = self._room.shape(columns, (self._shelf.rows, self._shelf.columns), more)
        if shape == (0, 0):
            return
        with self._lock:
            self._waiting.remove(request)
        try:
            if shape != (self._shelf.rows, self._shelf.columns):
                self._shelf.reserve(*shape)
            self._joining = self._begun(request)
        except Exception as error:  # noqa: BLE001 - it ends this request, whatever it is
            self._refuse(request, error)

    def _begun(self, request: Request) -> _Row:
        """The row of a request, with what others have read of its prompt."""
        row = _Row(request)
        row.keep = self._heads.worth(request.ids)
        if found := self._heads.find(request.ids):
            head, row.read = found
            self._shelf.put_head(len(self._rows), head, row.read)
        return row

    def _read(self, row: _Row) -> None:
        """Read a piece of the prompt that joins; after the last one, write its first token."""
        request, number = row.request, len(self._rows)
        try:
            end = min(len(request.ids), row.read + PIECE)
            if row.read < row.keep < end:
                end = row.keep
            scores = self._steps.read(number, request.ids[row.read : end], row.read)
            row.read = end
            if end == row.keep and end < len(request.ids):
                self._heads.keep(request.ids[:end], lambda: self._shelf.head(number, end))
            if end < len(request.ids):
                return
            self._joining = None
            self._rows.append(row)
            self._give(row, scores, None)
        except Exception as error:  # noqa: BLE001 - it ends this request, whatever it is
            if row in self._rows:
                self._leave(row)
            self._joining = None
            self._refuse(request, error)

    def _write(self) -> None:
        """A token for every row. Without memory for it the row that joined last is ended."""
        rows = list(self._rows)
        try:
            given = [row.last for row in rows], [row.read for row in rows]
            if self._recorder:
                scores, best = self._recorder.write(*given)
            else:
                scores = self._steps.write(*given)
                best = highest(scores)
        except Exception as error:  # noqa: BLE001 - it ends these requests, whatever it is
            ended = rows[-1:] if is_shortage(error) else rows
            for row in ended:
                self._leave(row)
                self._refuse(row.request, error)
            return
        tokens, heights = best.tolist()
        for row in rows:
            row.read += 1
        for row, own, token, height in zip(rows, scores, tokens, heights, strict=True):
            try:
                self._give(row, own, (int(token), height))
            except Exception as error:  # noqa: BLE001 - it ends this request, whatever it is
                self._leave(row)
                self._refuse(row.request, error)

    def _give(self, row: _Row, scores: torch.Tensor, best: tuple[int, float] | None) -> None:
        """Write a row's next token by its scores; it leaves after its last one."""
        request = row.request
        token, height = best or (int(scores.argmax()), float(scores.max()))
        if height != height:
            self._shelf.wipe(self._rows.index(row))  # 0 · NaN is NaN: no later row may meet it
            raise ModelError(
                "The LLM could not answer this question: it computed numbers that are none. Set "
                "llm.precision to bfloat16 or float32, or fetch the model again, which may be "
                "damaged."
            )
        sampler = request.sampler
        request.give(token if sampler.plain else sampler.choose(scores))
        if request.done:
            self._leave(row)
            request.end()

    def _leave(self, row: _Row) -> None:
        """Take a row out, so that the first rows are again those that write."""
        number, last = self._rows.index(row), len(self._rows) - 1
        if number < last:
            self._shelf.move(last, number, self._rows[last].read)
            self._rows[number] = self._rows[last]
        self._rows.pop()
        if self._joining:
            self._shelf.move(last + 1, last, self._joining.read)

    def _refuse(self, request: Request, error: Exception) -> None:
        if is_shortage(error):
            self._heads.clear()
            if self._steps.device.type == "cuda":
                empty_cuda_cache()
            failure = ModelError(NO_MEMORY)
            failure.__cause__ = error
            error = failure
        request.fail(error)

    def _fail_all(self, error: Exception) -> None:
        """Give up all that runs, and its memory; what waits goes on."""
        rows, self._rows = self._rows, []
        joining, self._joining = self._joining, None
        for row in [*rows, *([joining] if joining else [])]:
            row.request.fail(error)
        self._shelf.clear()
        self._heads.clear()


class _Row:
    """A request that is read or writes; `read` of its tokens have keys and values on the shelf.

    When so many tokens are read as `keep` says, they are kept for other requests.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.read = 0
        self.keep = 0

    @property
    def last(self) -> int:
        """The token that is read next."""
        return self.request.written[-1]
