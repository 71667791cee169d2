"""Turns a page's text into pieces that a template escapes and lays out.

Nothing here makes HTML: text stays text. Offsets count code points, as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.records import Block, Page

_NUMBERS = re.compile(r"\s*\[\d+\]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text, marked or not; `first` is the beginning of the passage."""

    text: str
    marked: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A block as it is shown."""

    kind: str
    level: int
    pieces: tuple[Piece, ...]


def show_page(page: Page, start: int = 0, end: int = 0) -> list[Shown]:
    """The page's blocks in order, `page.text[start:end]` marked where `start < end`.

    Joined, the pieces hold every character of the page's text but white space between blocks.
    """
    shown: list[Shown] = []
    first = True
    for block in _covering(page):
        pieces = tuple(_cut(page.text, block, start, end, first))
        first = first and not any(piece.marked for piece in pieces)
        shown.append(Shown(block.kind, block.level, pieces))
    return shown


def _covering(page: Page) -> Iterator[Block]:
    """The page's blocks, with one more for any text that stands between them."""
    at = 0
    for block in sorted(page.blocks, key=lambda b: b.start):
        yield from _loose(page.text, at, block.start)
        yield block
        at = max(at, block.end)
    yield from _loose(page.text, at, len(page.text))


def _loose(text: str, start: int, end: int) -> Iterator[Block]:
    """A block for what stands in a gap, without the white space around it; none for none."""
    between = text[start:end]
    if kept := between.strip():
        start += between.index(kept)
        yield Block(start, start + len(kept))


def _cut(text: str, block: Block, start: int, end: int, first: bool) -> Iterator[Piece]:
    a, b = max(start, block.start), min(end, block.end)
    if a >= b:
        yield Piece(text[block.start : block.end])
        return
    if block.start < a:
        yield Piece(text[block.start : a])
    yield Piece(text[a:b], marked=True, first=first)
    if b < block.end:
        yield Piece(text[b : block.end])


def without_numbers(sentence: str) -> str:
    """A sentence without the citation numbers that its text may hold; marks are set instead."""
    return _NUMBERS.sub("", sentence).strip()


def human_bytes(size: int) -> str:
    """A size as people read it, in powers of 1000."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5 or unit == "GB":
            break
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
