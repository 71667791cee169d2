"""Draws a page of a PDF as a PNG, in a child process.

PDFs come from anywhere and pdfium is native code that is not thread-safe: a child with limits
on memory and time may crash without harm. `python -m web.page_image FILE PAGE` is that child.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path

from rag.errors import Busy, CorruptDocument, ParserStopped

_WIDTH_PIXELS = 1400
_HEIGHT_PIXELS = 2600
_LARGEST_SCALE = 4.0
_SECONDS = 20
_MEMORY_BYTES = 2 << 30
_AT_ONCE = 2
_KEPT = 32
_PACKAGES = str(Path(__file__).resolve().parent.parent)


class PageImages:
    """Draws pages and keeps the last ones. Who asks must check first that the document is there."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, bytes_hash: str, number: int) -> bytes:
        """Page `number` of the PDF at `path`, as PNG. Raises DocumentError, Busy."""
        key = (bytes_hash, number)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        if not self._turns.acquire(timeout=_SECONDS):
            raise Busy("Too many pages are being drawn. Try again in a moment.")
        try:
            image = draw_in_child(path, number)
        finally:
            self._turns.release()
        with self._lock:
            self._kept[key] = image
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return image

    def forget(self) -> None:
        """Drop what is kept: a document was removed."""
        with self._lock:
            self._kept.clear()


def draw_in_child(path: Path, number: int) -> bytes:
    """Page `number`, counted from 1, as PNG. Raises CorruptDocument, ParserStopped."""
    command = [sys.executable, "-P", "-m", "web.page_image", str(path), str(number)]
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    try:
        done = subprocess.run(
            command,
            env={**kept, "PYTHONPATH": _PACKAGES},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ParserStopped("This page takes too long to draw. Its text is still here.") from error
    if done.returncode != 0 or not done.stdout:
        raise CorruptDocument("This page cannot be drawn. Its text is still here.")
    return done.stdout


def draw(path: str, number: int) -> None:
    """Write page `number` to standard output as PNG."""
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        page = document[number - 1]
        width, height = page.get_size()
        scale = min(_WIDTH_PIXELS / width, _HEIGHT_PIXELS / height, _LARGEST_SCALE)
        image = page.render(scale=scale).to_pil()
        image.save(sys.stdout.buffer, format="PNG", compress_level=6)


def limit_self() -> None:
    """Let this process use little, and write no file."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    limit_self()
    draw(sys.argv[1], int(sys.argv[2]))
