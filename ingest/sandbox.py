"""Parses hostile files in processes that may do little and be killed at any time."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import queue
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from ingest.formats import KINDS
from ingest.intake import Intake, MemberStream, member_name
from ingest.parsers.wire import unpack, unpack_error
from rag.errors import DocumentError, ParserStopped
from rag.parsed import Parsed

log = logging.getLogger("cloister.ingest")

_FILES_PER_CHILD = 200
_ROOT = Path(__file__).resolve().parent.parent
_BLOCK = 1 << 20
# a reply is JSON in ASCII: at most twelve bytes a character, and the places of the words
_BYTES_PER_CHARACTER = 40
# and never more: it is held in Cloister's own memory, where it becomes up to 2.5 times as much
_LARGEST_REPLY = 256 << 20
# openpyxl loads NumPy, whose threads would each take address space
_SINGLE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Sandbox:
    """A pool of child processes that parse, one file each at a time.

    Any number of threads may call `parse`; `processes` files are read at once. A child serves
    many files, and a fresh one takes its place after a failure or 200 files. A file may take
    `seconds`, which begin anew with each of its pages (`ocr_pages` at most; 0: OCR is off) that
    has to be read by OCR, and with each file that is taken out of it: a long scan gets the time
    that it needs, one that hangs does not.
    """

    def __init__(
        self,
        processes: int = 1,
        seconds: float = 120,
        memory_mb: int = 2048,
        max_text_chars: int = 50_000_000,
        ocr_pages: int = 500,
    ) -> None:
        self._seconds = seconds
        self._ocr_pages = ocr_pages
        self._memory_bytes = memory_mb << 20
        self._characters = max_text_chars
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(processes):
            self._free.put(None)
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._closed = False

    def parse(self, path: Path, name: str, kind: str, intake: Intake | None = None) -> Parsed:
        """The file at `path`, called `name` in messages, read as `kind` (a key of KINDS).

        With an `intake` the files within it go there, one after another.
        Raises the DocumentError that its parser raised, EmptyDocument when it holds no text,
        ParserStopped when time or memory ran out, the parser crashed or the sandbox is closed.
        """
        request = {
            "path": str(path.resolve()),
            "name": name,
            "parser": KINDS[kind].parser,
            "seconds": self._seconds,
            "characters": self._characters,
            "ocr_pages": self._ocr_pages,
        }
        if intake:
            request |= {"unpacker": KINDS[kind].unpacker, "limits": asdict(intake.limits)}
        child = self._free.get()
        keep: _Child | None = None
        try:
            if child is None or not child.alive:
                child = self._start(child)
            limits = _Limits(self._seconds, self._characters, self._ocr_pages)
            reply = child.ask(json.dumps(request).encode(), limits, name, intake)
            parsed = self._read(reply, name)
            keep = child
            return parsed
        except DocumentError as error:
            if child is not None and not isinstance(error, ParserStopped):
                keep = child
            raise
        finally:
            if child is not None and (keep is None or child.served >= _FILES_PER_CHILD):
                self._stop(child)
                keep = None
            self._put_back(keep)

    def close(self) -> None:
        """Kill the children; a parse that is under way ends with ParserStopped."""
        idle: list[_Child | None] = []
        with self._lock:
            self._closed = True
            children = list(self._children)
        for child in children:
            # its pipes belong to the thread that reads them
            child.end()
        with contextlib.suppress(queue.Empty):
            while True:
                idle.append(self._free.get_nowait())
        for one in idle:
            if one is not None:
                self._stop(one)
            self._free.put(None)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, before: _Child | None) -> _Child:
        if before is not None:
            self._stop(before)
        with self._lock:
            if self._closed:
                raise ParserStopped("Cloister is stopping; the document will be read later.")
            child = _Child(self._memory_bytes)
            self._children.add(child)
            return child

    def _put_back(self, child: _Child | None) -> None:
        """Make room for the next file; once closed, a child that has just finished ends too."""
        with self._lock:
            closed = self._closed
            self._free.put(None if closed else child)
        if closed and child is not None:
            self._stop(child)

    def _stop(self, child: _Child) -> None:
        with self._lock:
            self._children.discard(child)
        child.close()

    def _read(self, reply: bytearray, name: str) -> Parsed:
        mark = reply[:1]
        del reply[:1]  # in place: it may be large
        try:
            if mark == b"+":
                return unpack(reply)
            found, where = unpack_error(reply)
        except ValueError as error:
            raise ParserStopped(
                f"Reading “{name}” was stopped: its parser's reply makes no sense. Do not trust "
                "this file."
            ) from error
        if where:
            log.warning("a parser failed: %s", where)
        raise found


@dataclass(frozen=True, slots=True)
class _Limits:
    """What one document may take."""

    seconds: float
    characters: int
    ocr_pages: int


class _Deadline:
    """When a document must have been read; each page that OCR begins moves it."""

    def __init__(self, limits: _Limits, name: str) -> None:
        self.limits = limits
        self._name = name
        self._pages = 0
        self._at = time.monotonic() + limits.seconds

    def left(self) -> float:
        """Seconds from now."""
        return self._at - time.monotonic()

    def next_member(self) -> None:
        """Allow for another file within the file; the intake counts them."""
        self._at = time.monotonic() + self.limits.seconds

    def next_page(self) -> None:
        """Allow for another page. Raises ParserStopped when there are more than may be read."""
        self._pages += 1
        if self._pages > self.limits.ocr_pages:
            raise ParserStopped(
                f"Reading “{self._name}” was stopped: its parser read more pages by OCR than "
                "allowed. Do not trust this file."
            )
        self._at = time.monotonic() + self.limits.seconds

    def missed(self) -> ParserStopped:
        """The error for a document that took too long."""
        page = f"a page by OCR, number {self._pages:,} in " if self._pages else ""
        return ParserStopped(
            f"Reading {page}“{self._name}” took longer than {self.limits.seconds:g} seconds, the "
            "limit set by ingest.parse_seconds. Split it, or ask the operator to raise the limit."
        )


class _Child:
    """One process and its pipes. One thread uses it at a time; any may kill it."""

    def __init__(self, memory_bytes: int) -> None:
        self.served = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-B", "-m", "ingest.parsers.child", str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            bufsize=0,
        )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, request: bytes, limits: _Limits, name: str, intake: Intake | None) -> bytearray:
        """The reply to a request. Raises ParserStopped at the deadline or when the child ends."""
        self.served += 1
        deadline = _Deadline(limits, name)
        stdin = self._process.stdin
        try:
            if stdin is None or stdin.closed:
                raise BrokenPipeError
            stdin.write(struct.pack(">Q", len(request)) + request)
        except (OSError, ValueError) as error:
            raise self._crashed(name) from error
        frame = self._frame(deadline, name)
        if frame == b"n":
            _tell_of_network()
            frame = self._frame(deadline, name)
        while intake and frame[:1] == b"m":
            deadline.next_member()
            stream = MemberStream(lambda: bytes(self._frame(deadline, name)))
            intake.take(member_name(bytes(frame[1:])), stream)
            stream.drain()
            frame = self._frame(deadline, name)
        return frame

    def _frame(self, deadline: _Deadline, name: str) -> bytearray:
        """What the child says next."""
        # a reply of no length is the sign that a page is about to be read by OCR
        while not (size := struct.unpack(">Q", self._take(8, deadline, name))[0]):
            deadline.next_page()
        limits = deadline.limits
        most = min(_LARGEST_REPLY, limits.characters * _BYTES_PER_CHARACTER + 64 * _BLOCK)
        if size > most:
            raise ParserStopped(
                f"Reading “{name}” was stopped: what its parser found in it takes "
                f"{size >> 20:,} MiB, more than the {most >> 20:,} MiB that one file may. Split it."
            )
        return self._take(size, deadline, name)

    def end(self) -> None:
        """Kill the process and whatever it started."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill the process, wait for it and close its pipes."""
        self.end()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _take(self, size: int, deadline: _Deadline, name: str) -> bytearray:
        stdout = self._process.stdout
        data = bytearray()
        while len(data) < size:
            left = deadline.left()
            try:
                if left <= 0 or stdout is None or not _readable(stdout.fileno(), left):
                    raise deadline.missed()
                block = os.read(stdout.fileno(), min(_BLOCK, size - len(data)))
            except (OSError, ValueError) as error:
                raise self._crashed(name) from error
            if not block:
                raise self._crashed(name)
            data += block
        return data

    def _crashed(self, name: str) -> ParserStopped:
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = 0
        how = f" ({signal.Signals(-code).name})" if code < 0 else ""
        return ParserStopped(
            f"Reading “{name}” crashed its parser{how}; nothing else was harmed. The file may be "
            "damaged: open it in the program that wrote it and save it again."
        )


@functools.cache
def _tell_of_network() -> None:
    """Warn, once, that hostile files are read by processes that have the network."""
    log.warning(
        "the system lets no process leave the network (user namespaces are forbidden, as in many "
        "containers): only Python keeps parsers from connecting, and nothing keeps LibreOffice "
        "from it. Allow user namespaces, or run Cloister where there is no network to reach."
    )


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _environment() -> dict[str, str]:
    """A child's environment: nothing of the parent's but where its packages are."""
    paths = [str(_ROOT), *(path for path in sys.path if path)]
    kept = {key: os.environ[key] for key in ("LANG", "LC_ALL", "TZ") if key in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", **_SINGLE}
