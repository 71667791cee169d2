"""Text from pixels, by rapidocr with the models that its package carries; nothing is fetched.

The models know Latin letters (accents too), digits and Chinese; they do not turn a page that
lies on its side or stands on its head.
"""

from __future__ import annotations

import ctypes
import functools
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.parsers.ocr_order import reading_order
from ingest.parsers.pdf_lines import Line, Sheet, Word, around
from rag.errors import ParserStopped
from rag.parsed import Box

if TYPE_CHECKING:
    from PIL.Image import Image

DOTS_PER_POINT = 2.5
LONGEST_PIXELS = 2000
_SHORTEST_PIXELS = 16
_MOST_THREADS = 4
_SURE = 0.5  # a line read with less confidence is left out
_LINE_HEIGHT = 1.35  # of a line's box, in its font size
_LARGE = 1.4  # times the usual height: a heading


@dataclass(slots=True)
class Allowance:
    """What the document being read may have read: pages left, and who must be told of each."""

    pages: int = 500
    begin: Callable[[], None] = lambda: None


_allowance = Allowance()


def allow(pages: int, begin: Callable[[], None]) -> None:
    """Let the next document have `pages` pages read (0: OCR is off); `begin` precedes each."""
    _allowance.pages, _allowance.begin = pages, begin


def is_on() -> bool:
    """Whether pixels are read at all. Ask before the first page of a document."""
    return _allowance.pages > 0


class Reader:
    """Reads the pages of one document, as many as are allowed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._most = self._left = _allowance.pages

    def read(self, image: Image, width: float, height: float) -> Sheet:
        """The lines of an image that shows a page of `width` by `height` points.

        Raises ParserStopped after the last page that is allowed.
        """
        if min(image.size) < _SHORTEST_PIXELS:
            return Sheet([], width, height, scanned=True)
        if not self._left:
            raise ParserStopped(
                f"“{self._name}” has more than {self._most:,} pages to be read by OCR, the limit "
                "set by ingest.ocr_pages. Split it, or ask the operator to raise the limit."
            )
        self._left -= 1
        _allowance.begin()
        lines = _read(image, width, height)
        return Sheet(reading_order(lines, width), width, height, scanned=True)


def even_sizes(sheets: Sequence[Sheet]) -> None:
    """Give the lines that were read one size each, as the heights of their boxes vary by chance.

    The usual height becomes the size of the document's other text, where it has some.
    """
    read = [line for sheet in sheets if sheet.scanned for line in sheet.lines]
    if not read:
        return
    usual = statistics.median(line.size for line in read)
    typed = [line.size for sheet in sheets if not sheet.scanned for line in sheet.lines]
    body = statistics.median(typed) if typed else usual
    for line in read:
        ratio = line.size / usual
        line.size = body if ratio < _LARGE else body * round(2 * ratio) / 2


def _read(image: Image, width: float, height: float) -> list[Line]:
    import numpy as np

    pixels = np.asarray(image.convert("RGB"))[:, :, ::-1]
    found = _engine()(pixels)
    if not found.txts or found.boxes is None:
        return []
    across, down = width / image.width, height / image.height
    words = found.word_results or ()
    lines = []
    for position, text in enumerate(found.txts):
        parts = words[position] if len(words) == len(found.txts) else ()
        corners = _around(found.boxes[position])
        boxes = [
            (x0 * across, y0 * down, x1 * across, y1 * down)
            for x0, y0, x1, y1 in _word_boxes(text, parts, corners)
        ]
        line = _line(text.split(), boxes)
        if line is not None:
            lines.append(line)
    return lines


def release() -> None:
    """Give the models' memory back, once the document is read."""
    if _engine.cache_info().currsize:
        _engine.cache_clear()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


@functools.cache
def _engine() -> Any:
    # ONNX Runtime would report its use to its makers; it looks at this when it is loaded
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import rapidocr

    models = Path(rapidocr.__file__).parent / "models"
    return rapidocr.RapidOCR(
        params={
            # named models are taken as they are; others would be looked for in the network
            "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),
            "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
            # one at a time, as a line among longer ones is padded to their length
            "Rec.rec_batch_num": 1,
            "Global.use_cls": False,
            "Global.return_word_box": True,
            "Global.text_score": _SURE,
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": _threads(),
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _threads() -> int:
    """Half of the cores: a second parser or the embedder has the others."""
    return max(1, min(_MOST_THREADS, (os.cpu_count() or 1) // 2))


def _word_boxes(text: str, parts: Sequence[Any], box: Box) -> list[Box]:
    """The box of each word of a line, from the boxes of its parts, or by its share of the line."""
    boxes: list[Box] = []
    pieces = [(str(part[0]), _around(part[2])) for part in parts if len(part) == 3]
    if "".join(piece for piece, _ in pieces) != "".join(text.split()):
        return _shares(text, box)
    for word in text.split():
        found: Box | None = None
        left = len(word)
        while left > 0:
            piece, place = pieces[0]
            found = around(found, place) if found else place
            taken = min(left, len(piece))
            left -= taken
            # a part that goes beyond this word begins the next one too
            pieces[:1] = [(piece[taken:], place)] if taken < len(piece) else []
        boxes.append(found or box)
    return boxes


def _shares(text: str, box: Box) -> list[Box]:
    x0, y0, x1, y1 = box
    step = (x1 - x0) / max(1, len(text))
    boxes, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        boxes.append((x0 + step * start, y0, x0 + step * at, y1))
    return boxes


def _line(texts: Sequence[str], boxes: Sequence[Box]) -> Line | None:
    if not texts:
        return None
    box = functools.reduce(around, boxes)
    words = [Word(text, place) for text, place in zip(texts, boxes, strict=True)]
    return Line(words, box, (box[3] - box[1]) / _LINE_HEIGHT, bold=False)


def _around(corners: Any) -> Box:
    xs = [float(corner[0]) for corner in corners]
    ys = [float(corner[1]) for corner in corners]
    return min(xs), min(ys), max(xs), max(ys)
