"""Images, read by OCR: a page each; a TIFF may hold many."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.parsers import ocr
from ingest.parsers.archive import damaged
from ingest.parsers.pdf_layout import lay_out
from rag.errors import CorruptDocument, EmptyDocument, UnsupportedFormat
from rag.parsed import Parsed

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
_MOST_PIXELS = 150_000_000
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError)


def parse(path: Path, name: str) -> Parsed:
    """An image's text with the place of each word.

    Raises CorruptDocument when it is damaged or enormous, EmptyDocument when no text is found,
    UnsupportedFormat when OCR is turned off, ParserStopped for too many pages.
    """
    if not ocr.is_on():
        raise UnsupportedFormat(
            f"“{name}” is an image, and reading images (OCR) is turned off by ingest.ocr."
        )
    reader = ocr.Reader(name)
    sheets = []
    for image in _frames(path, name):
        width, height = (pixels / ocr.DOTS_PER_POINT for pixels in image.size)
        sheets.append(reader.read(_shrunk(image), width, height))
    ocr.even_sizes(sheets)
    if not any(sheet.lines for sheet in sheets):
        raise EmptyDocument(f"No text was found in the image “{name}”.")
    return Parsed(tuple(lay_out(sheets)))


def _frames(path: Path, name: str) -> Iterator[Image]:
    """The pages of an image, upright, on white."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                # an animation is one picture; each image of a TIFF is a page
                count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
                for index in range(count):
                    image.seek(index)
                    _check_size(image, name)
                    image.draft("RGB", (ocr.LONGEST_PIXELS, ocr.LONGEST_PIXELS))
                    yield _on_white(ImageOps.exif_transpose(image))
    except (*_DAMAGE, struct.error, Image.DecompressionBombError) as error:
        raise damaged(name, type(error).__name__) from error


def _check_size(image: Image, name: str) -> None:
    pixels = image.width * image.height
    if pixels > _MOST_PIXELS:
        raise CorruptDocument(
            f"“{name}” has {pixels:,} pixels, more than the {_MOST_PIXELS:,} that are read. Save "
            "it in a smaller size."
        )


def _on_white(image: Image) -> Image:
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    page = Image.new("RGB", image.size, "white")
    layer = image.convert("RGBA")
    page.paste(layer, mask=layer.getchannel("A"))
    return page


def _shrunk(image: Image) -> Image:
    image.thumbnail((ocr.LONGEST_PIXELS, ocr.LONGEST_PIXELS))
    return image
