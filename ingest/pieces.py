"""The smallest parts that chunks are made of: whole blocks, or their sentences, or words."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from rag.parsed import Block, BlockKind, Page
from rag.sentences import sentence_spans
from rag.tokens import Offsets


@dataclass(frozen=True, slots=True)
class Piece:
    """`page.text[start:end]`, not to be cut further; `size` in tokens."""

    start: int
    end: int
    size: int
    kind: BlockKind
    context: str = ""

    def halves(self, text: str) -> Iterator[tuple[Piece, Piece]]:
        """The piece cut in two near its middle, at white space where there is some."""
        middle = (self.start + self.end) // 2
        for space in (text.rfind(" ", self.start + 1, middle), text.find(" ", middle, self.end)):
            if space > 0 and text[self.start : space].strip() and text[space : self.end].strip():
                middle = space
                break
        head, tail = text[self.start : middle], text[middle : self.end]
        one = Piece(self.start, self.start + len(head.rstrip()), 0, self.kind, self.context)
        begin = self.end - len(tail.lstrip())
        yield one, Piece(begin, self.end, 0, self.kind, self.context)


class Pieces:
    """Cuts the blocks of one page. Each block is tokenised once."""

    def __init__(self, page: Page, offsets: Offsets, tokens: int, roomy: int, longest: int) -> None:
        self._text = page.text
        self._blocks = page.blocks
        self._begins: dict[int, list[int]] = {}
        self._offsets = offsets
        self._tokens = tokens
        self._roomy = roomy
        self._longest = longest

    def of(self, block: Block, beside: int = 0) -> Iterator[Piece]:
        """A block in pieces of at most `tokens`, or `roomy` for a table's row.

        The first stands beside headings of `beside` tokens, and is cut so that all fit.
        """
        start, end = _stripped(self._text, block.start, block.end)
        if start >= end:
            return
        begins = self._begins.pop(block.start, None) or self._tokenised(start, end)
        size = max(1, len(begins))
        room = self._roomy - beside
        most = self._roomy if block.kind == "row" else self._tokens
        if 0 < room < most and block.kind != "row":
            most = room
        if size <= most and end - start <= self._longest:
            yield Piece(start, end, size, block.kind, block.context)
            return
        for first, last in self._parts(block, start, end, begins, min(most, self._tokens)):
            size = max(1, _count(begins, first, last))
            yield Piece(first, last, size, block.kind, block.context)

    def table_moves(self, position: int, taken: int) -> bool:
        """Whether the table that begins at a block fits a chunk, but not beside `taken` tokens."""
        blocks = self._blocks
        if blocks[position].kind != "row" or (position and blocks[position - 1].kind == "row"):
            return False
        total = 0
        for block in blocks[position:]:
            if block.kind != "row" or total > self._tokens:
                break
            start, end = _stripped(self._text, block.start, block.end)
            begins = self._begins[block.start] = self._tokenised(start, end)
            total += len(begins)
        return total <= self._tokens < total + taken

    def _tokenised(self, start: int, end: int) -> list[int]:
        """Where the tokens of a span begin."""
        return [start + begin for begin, _ in self._offsets(self._text[start:end])]

    def _parts(
        self, block: Block, start: int, end: int, begins: list[int], most: int
    ) -> Iterator[tuple[int, int]]:
        part = self._text[start:end]
        if block.kind == "code":
            spans = _lines(part)
        elif block.kind == "row":
            spans = _cells(part)
        else:
            spans = sentence_spans(part)
        for first, last in spans:
            first, last = start + first, start + last
            if _count(begins, first, last) <= most and last - first <= self._longest:
                yield first, last
            else:
                yield from self._words(first, last, begins, most)
            most = self._tokens

    def _words(
        self, start: int, end: int, begins: list[int], most: int
    ) -> Iterator[tuple[int, int]]:
        """A span cut after as many whole words as fit; a word that does not fit, anywhere."""
        at = start
        while at < end:
            first = bisect.bisect_left(begins, at)
            limit = begins[first + most] if first + most < len(begins) else end
            limit = min(limit, at + self._longest, end)
            if limit < end and not self._text[limit].isspace():
                limit = _last_space(self._text, at, limit) or max(limit, at + 1)
            piece = _stripped(self._text, at, limit)
            if piece[0] < piece[1]:
                yield piece
            at = limit
            most = self._tokens


def _last_space(text: str, start: int, end: int) -> int:
    """After the last white space between `start` and `end` with text before it, else 0."""
    at = end
    while at > start and not text[at - 1].isspace():
        at -= 1
    return at if text[start:at].strip() else 0


def _count(begins: list[int], start: int, end: int) -> int:
    return bisect.bisect_left(begins, end) - bisect.bisect_left(begins, start)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    begin = start + len(part) - len(part.lstrip())
    return begin, max(begin, start + len(part.rstrip()))


def _lines(text: str) -> list[tuple[int, int]]:
    return _split(text, "\n")


def _cells(text: str) -> list[tuple[int, int]]:
    return _split(text, " | ")


def _split(text: str, mark: str) -> list[tuple[int, int]]:
    """The spans between marks, each with the mark that follows it, white space stripped."""
    spans, at = [], 0
    while at < len(text):
        found = text.find(mark, at)
        end = len(text) if found < 0 else found + len(mark)
        begin, stop = _stripped(text, at, end)
        if begin < stop:
            spans.append((begin, stop))
        at = end
    return spans
