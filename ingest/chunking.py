"""Cuts pages into chunks whose text is exactly a span of the page.

blocks ─▶ pieces (whole blocks, sentences, words) ─▶ groups of one section ─▶ chunks
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.context import Section, chunk_context
from ingest.pieces import Piece, Pieces
from rag.parsed import Page, Parsed
from rag.records import Chunk
from rag.tokens import LIMIT, Offsets

CHUNKER_VERSION = "2"

_LEAST_CONTEXT = 18
# no chunk is longer than this many characters for each token of its target, whatever it holds
_CHARACTERS_PER_TOKEN = 20


@dataclass(slots=True)
class _Group:
    """Pieces that become one chunk, the section they stand in, and their size in tokens."""

    section: Section
    pieces: list[Piece] = field(default_factory=list)
    size: int = 0

    @property
    def headings_only(self) -> bool:
        return all(piece.kind == "heading" for piece in self.pieces)

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.size += piece.size


class Chunker:
    """Cuts documents into chunks of about `tokens` tokens.

    `offsets` gives the character span of each token of a text, special tokens left out. A
    chunk's context and text together never exceed `limit` tokens; the text goes before the
    context. Neighbouring chunks of a section share up to `overlap` tokens.
    """

    def __init__(
        self, offsets: Offsets, tokens: int = 100, overlap: int = 0, limit: int = LIMIT
    ) -> None:
        self._offsets = offsets
        # titles, paths and headers come again and again
        self._known_offsets = functools.lru_cache(256)(offsets)
        self._limit = limit
        self._tokens = max(1, min(tokens, limit - 2))
        # a row, or a heading with what follows, may take this much rather than be cut
        self._roomy = max(self._tokens, limit - _LEAST_CONTEXT)
        self._overlap = min(overlap, self._tokens // 2)
        self._longest = _CHARACTERS_PER_TOKEN * self._tokens

    def chunks(self, parsed: Parsed, key: str) -> list[Chunk]:
        """The chunks of a document in order: see `each`."""
        return list(self.each(parsed, key))

    def each(self, parsed: Parsed, key: str) -> Iterator[Chunk]:
        """The chunks of a document in order, one by one; `key` names its content, for the ids.

        `page.text[start:end] == text` for each, and every visible character of every block is
        in one. No chunk crosses pages.
        """
        ordinal = 0
        section = Section(parsed.title)
        for page in parsed.pages:
            if page.label:
                section = Section(parsed.title, page.label)
            for group, after in self._groups(page, section):
                section = after
                for start, end, context in self._spans(page, group):
                    identity = f"{key}\0{page.number}\0{start}\0{end}"
                    digest = hashlib.sha256(identity.encode()).hexdigest()[:24]
                    text = page.text[start:end]
                    yield Chunk(f"c_{digest}", ordinal, page.number, start, end, text, context)
                    ordinal += 1

    def _groups(self, page: Page, section: Section) -> Iterator[tuple[_Group, Section]]:
        """The groups of a page, each with the section that holds after it."""
        pieces = Pieces(page, self._offsets, self._tokens, self._roomy, self._longest)
        group = _Group(section)
        for position, block in enumerate(page.blocks):
            if block.kind == "heading":
                if not group.headings_only:
                    yield group, section
                    group = _Group(section)
                title = page.text[block.start : block.end]
                if not group.pieces:
                    group.section = section.above(block.level)
                section = section.below(block.level, title)
            if not group.headings_only and pieces.table_moves(position, group.size):
                yield group, section
                group = _Group(section)
            beside = group.size if group.headings_only else 0
            for piece in pieces.of(block, beside):
                if group.pieces and not self._fits(page, group, piece):
                    yield group, section
                    group = self._next(page, group, section, piece)
                group.add(piece)
        if group.pieces:
            yield group, section

    def _fits(self, page: Page, group: _Group, piece: Piece) -> bool:
        last = group.pieces[-1]
        most = self._tokens
        if group.headings_only and piece.kind != "heading":
            most = self._roomy
        return (
            group.size + piece.size <= most
            and piece.end - group.pieces[0].start <= self._longest
            and not page.text[last.end : piece.start].strip()
            and _same_table(group, piece)
        )

    def _next(self, page: Page, group: _Group, section: Section, piece: Piece) -> _Group:
        """A new group, which begins with the end of the last one as far as they overlap."""
        fresh = _Group(section)
        last = group.pieces[-1]
        if page.text[last.end : piece.start].strip() or not _same_table(group, piece):
            return fresh
        room = min(self._overlap, self._tokens - piece.size)
        kept: list[Piece] = []
        for earlier in reversed(group.pieces):
            room -= earlier.size
            long = piece.end - earlier.start > self._longest
            if long or room < 0 or earlier.kind == "heading" or len(kept) + 1 == len(group.pieces):
                break
            kept.append(earlier)
        for earlier in reversed(kept):
            fresh.add(earlier)
        return fresh

    def _spans(self, page: Page, group: _Group) -> Iterator[tuple[int, int, str]]:
        """A group's chunks: one, but where its tokens together are more than their sum."""
        start, end = group.pieces[0].start, group.pieces[-1].end
        text = page.text[start:end]
        count = len(self._offsets(text))
        if count <= self._limit:
            yield start, end, self._context(text, count, group)
        elif len(group.pieces) > 1:
            half = len(group.pieces) // 2
            for part in (group.pieces[:half], group.pieces[half:]):
                yield from self._spans(page, _Group(group.section, list(part)))
        elif len(text) > 1:
            piece = group.pieces[0]
            for one, other in piece.halves(page.text):
                yield from self._spans(page, _Group(group.section, [one]))
                yield from self._spans(page, _Group(group.section, [other]))
        else:
            # a single character of more tokens than the embedder reads: nothing is lost but it
            yield start, end, ""

    def _context(self, text: str, count: int, group: _Group) -> str:
        headers = list(dict.fromkeys(piece.context for piece in group.pieces if piece.context))
        budget = self._limit - count - 1
        while budget > 0:
            context = chunk_context(self._known_offsets, group.section, text, headers, budget)
            if not context:
                break
            over = len(self._offsets(f"{context}\n{text}")) - self._limit
            if over <= 0:
                return context
            budget = min(budget, len(self._known_offsets(context))) - max(1, over)
        return ""


def _same_table(group: _Group, piece: Piece) -> bool:
    """Whether a row may join a group: not where rows of another table are, whose header differs."""
    if not piece.context:
        return True
    others = {other.context for other in group.pieces[-1:]} - {"", piece.context}
    return not others
