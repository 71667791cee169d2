"""Turns a page's text into pieces that a template escapes and lays out.

Nothing here makes HTML: text stays text. Offsets count code points, as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rag.parsed import Block, Page

# parsers write a table's row as `A | B`; Markdown's own rows are `| A | B |` over `|---|---|`
_BETWEEN_CELLS = re.compile(r"(?:^|(?<=\s))\|(?=\s)")
_BETWEEN_MARKDOWN_CELLS = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[\s|:-]*-[\s|:-]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text, marked or not; `first` is the beginning of the passage."""

    text: str
    marked: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, each cell as its pieces."""

    cells: tuple[tuple[Piece, ...], ...]
    header: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A block as it is shown: pieces, or the rows of a table (`kind` is then `table`)."""

    kind: str
    level: int
    pieces: tuple[Piece, ...]
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class PagesRead:
    """A document that passages are from, with its best passage of each page."""

    title: str
    source: str
    pages: tuple[Mapping[str, Any], ...]


def show_page(page: Page, start: int = 0, end: int = 0) -> list[Shown]:
    """The page's blocks in order, `page.text[start:end]` marked where `start < end`.

    Rows that follow one another are one table. Joined, the pieces hold every character of the
    page's text but white space between blocks and what separates a table's cells.
    """
    shown: list[Shown] = []
    unmarked, headed = True, False
    for block in _covering(page):
        # a row without a header, below rows that have one, begins another table
        joins = _is_table(shown) and block.kind == "row" and bool(block.context or not headed)
        lines = _lines_of(page.text, block) or ([[(block.start, block.end)]] if joins else [])
        spans = [span for line in lines for span in line] or [(block.start, block.end)]
        cut = [tuple(_cut(page.text, span, start, end)) for span in spans]
        marked = [at for at, pieces in enumerate(cut) if any(piece.marked for piece in pieces)]
        if unmarked and marked:
            cut[marked[0]] = _with_first(cut[marked[0]])
            unmarked = False
        if not lines:
            shown.append(Shown(block.kind, block.level, cut[0]))
            continue
        cells = iter(cut)
        rows = tuple(Row(tuple(next(cells) for _ in line)) for line in lines)
        if joins:
            rows = _with_header(shown.pop().rows, bool(block.context)) + rows
        headed = bool(block.context)
        shown.append(Shown("table", 0, (), rows))
    return shown


def by_page(passages: Sequence[Mapping[str, Any]]) -> list[PagesRead]:
    """Passages by document, then by page, each in the order in which it comes first."""
    documents: dict[str, dict[int, Mapping[str, Any]]] = {}
    for passage in passages:
        documents.setdefault(passage["document_id"], {}).setdefault(passage["page"], passage)
    read = []
    for pages in documents.values():
        best = next(iter(pages.values()))
        read.append(PagesRead(best["title"], best["source"], tuple(pages.values())))
    return read


def newer_versions(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Newer documents that nearly say what the answer cites, each once, by where they say it.

    One that says something else is told as that.
    """
    cited = {citation["chunk_id"] for citation in answer["citations"]}
    told = {other["document_id"] for other in answer.get("disagreements", ())}
    found: dict[str, Mapping[str, Any]] = {}
    for passage in answer["passages"]:
        if passage["chunk_id"] in cited:
            for twin in passage.get("twins", ()):
                newer = twin["relation"] == "similar" and twin["age"] == "newer"
                if newer and twin["document_id"] not in told:
                    found.setdefault(twin["document_id"], twin)
    return list(found.values())


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


def _is_table(shown: list[Shown]) -> bool:
    return bool(shown and shown[-1].rows)


def _lines_of(text: str, block: Block) -> list[list[tuple[int, int]]]:
    """The spans of a row block's cells, line by line; none where nothing separates cells."""
    if block.kind != "row":
        return []
    rows, at = [], block.start
    for line in text[block.start : block.end].split("\n"):
        if not _RULE.fullmatch(line):
            rows.append([_stripped(text, a, b) for a, b in _cells(line, at)])
        at += len(line) + 1
    return rows if any(len(row) > 1 for row in rows) else []


def _cells(line: str, at: int) -> Iterator[tuple[int, int]]:
    """The spans between the separators of a line that begins at `at`."""
    kept = line.strip()
    between = _BETWEEN_CELLS
    begin = line.index(kept)
    end = begin + len(kept)
    if len(kept) > 1 and kept[0] == kept[-1] == "|":
        between, begin, end = _BETWEEN_MARKDOWN_CELLS, begin + 1, end - 1
    for match in between.finditer(line, begin, end):
        yield at + begin, at + match.start()
        begin = match.end()
    yield at + begin, at + end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    kept = part.strip()
    start += part.index(kept)
    return start, start + len(kept)


def _with_header(rows: tuple[Row, ...], header: bool) -> tuple[Row, ...]:
    """The rows, the only one so far as the header of what follows where there is one."""
    return (replace(rows[0], header=True),) if header and len(rows) == 1 else rows


def _with_first(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    at = next(i for i, piece in enumerate(pieces) if piece.marked)
    return (*pieces[:at], replace(pieces[at], first=True), *pieces[at + 1 :])


def _cut(text: str, span: tuple[int, int], start: int, end: int) -> Iterator[Piece]:
    a, b = max(start, span[0]), min(end, span[1])
    if a >= b:
        yield Piece(text[span[0] : span[1]])
        return
    if span[0] < a:
        yield Piece(text[span[0] : a])
    yield Piece(text[a:b], marked=True)
    if b < span[1]:
        yield Piece(text[b : span[1]])


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
