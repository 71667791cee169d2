"""Looks at a PDF's packed parts before pdfium unpacks them: a small one must not become huge."""

from __future__ import annotations

import base64
import binascii
import mmap
import re
import zlib
from pathlib import Path

from rag.errors import CorruptDocument

_STREAM = re.compile(rb"\bstream\r?\n")
_FLATE = re.compile(rb"/(?:FlateDecode|Fl)\b")
_IMAGE = re.compile(rb"/Subtype\s*/Image\b")
_LONGEST_VALUES = 4000
# what deflate makes of a byte at most
_MOST_GROWTH = 1032
_RATIO = 150
_RATIO_FROM = 8_000_000
_BLOCK = 1 << 16
_UNPACKED = 1 << 20
_SPACES = bytes(range(33))


def check_streams(path: Path, name: str) -> None:
    """Raise CorruptDocument where a part but an image would expand more than 150-fold, from 8 MB.

    Images are unpacked only where OCR reads their page, in a limited size. What is packed in
    other ways than Flate, or encrypted, is not looked at.
    """
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for found in _STREAM.finditer(data):
                _check_stream(data, found.start(), found.end(), name)


def _check_stream(data: mmap.mmap, values_end: int, start: int, name: str) -> None:
    values = data[max(0, values_end - _LONGEST_VALUES) : values_end]
    values = values[values.rfind(b" obj") + 1 :]
    layers = len(_FLATE.findall(values))
    if not layers or _IMAGE.search(values):
        return
    end = data.find(b"endstream", start)
    end = len(data) if end < 0 else end
    if layers == 1 and (end - start) * _MOST_GROWTH < _RATIO_FROM:
        return
    packed = _unwrapped(data[start:end], values)
    size = _inflated(packed, min(layers, 3), max(_RATIO_FROM, _RATIO * len(packed)))
    if size > max(_RATIO_FROM, _RATIO * len(packed)):
        raise CorruptDocument(
            f"“{name}” holds {len(packed):,} bytes that expand to more than {size:,}; refused, as "
            "such files are made to exhaust a machine's memory. If it is genuine, print it to a "
            "new PDF."
        )


def _unwrapped(data: bytes, values: bytes) -> bytes:
    """The packed bytes of what was written as text; as it is, where it is not such text."""
    try:
        if b"/ASCIIHexDecode" in values:
            return binascii.unhexlify(data.translate(None, _SPACES).partition(b">")[0])
        if b"/ASCII85Decode" in values:
            return base64.a85decode(data.translate(None, _SPACES).partition(b"~>")[0])
    except ValueError:
        pass
    return data


def _inflated(packed: bytes, layers: int, most: int) -> int:
    """How long a stream of so many layers of Flate is unpacked, as far as above `most`."""
    unpackers = [zlib.decompressobj() for _ in range(layers)]
    sizes = [0] * layers

    def feed(layer: int, block: bytes) -> bool:
        """Unpack a block, and what comes of it by the layers above; false where it is enough."""
        unpacker, waiting = unpackers[layer], block
        while waiting and sizes[layer] <= most:
            part = unpacker.decompress(waiting, _UNPACKED)
            waiting = unpacker.unconsumed_tail
            sizes[layer] += len(part)
            if layer + 1 < layers and part and not feed(layer + 1, part):
                return False
            if not part and unpacker.eof:
                return True
        return sizes[layer] <= most

    try:
        for at in range(0, len(packed), _BLOCK):
            if not feed(0, packed[at : at + _BLOCK]):
                break
    except zlib.error:
        # damaged, encrypted or otherwise packed: pdfium stops there too
        pass
    return max(sizes)
