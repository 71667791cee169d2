"""From the lines of a PDF to pages with blocks: paragraphs, headings, rows, furniture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.parsers.pdf_groups import (
    CELL_END,
    DIGITS,
    ENDS,
    MARKER,
    Group,
    ended_early,
    group_lines,
    is_narrow_row,
    right_margins,
)
from ingest.parsers.pdf_lines import Line, Sheet
from rag.parsed import Block, BlockKind, Page, Place

_FIGURE = re.compile(r"[($€£+-]*\d[\d.,:/'’-]*[)%€$£]*")
_ROUND = ".,;:!?()[]“”‘’\"'"
_EDGE = 0.12  # of the page's height, where running headers and footers stand
_EDGE_LINES = 4
_FEWEST_PAGES = 4  # in a shorter document a header stands on every page
_SHARE = 0.5  # of the pages that a header stands on


@dataclass(frozen=True, slots=True)
class Style:
    """A document's body size in points, and its heading sizes from large to small."""

    body: float
    headings: tuple[float, ...]

    def level(self, group: Group) -> int:
        """The heading level of a group of lines, 0 if it is none."""
        text = " ".join(line.text for line in group.lines)
        if len(text) > 160 or len(group.lines) > 3 or not any(c.isalpha() for c in text):
            return 0
        size = _rounded(group.lines[0].size)
        if size in self.headings:
            return min(6, self.headings.index(size) + 1)
        plain = not text.endswith((".", ",", ";", ":"))
        bold = all(line.bold for line in group.lines) and len(group.lines) < 3
        if bold and plain and size >= 0.95 * self.body and len(text) <= 100:
            return min(6, len(self.headings) + 1)
        return 0


def lay_out(sheets: Sequence[Sheet]) -> Iterator[Page]:
    """The pages of a document, given the lines of all of them."""
    style = _style(sheets)
    furniture = _furniture(sheets)
    compounds = _compounds(sheets)
    for number, sheet in enumerate(sheets, 1):
        edge = {id(line) for line in _edge_lines(sheet) if _key(line) in furniture}
        groups = group_lines(sheet, edge)
        _classify(groups, style, edge)
        writer = _Writer(sheet, compounds)
        for group in groups:
            writer.add(group, furniture=id(group.lines[0]) in edge)
        yield writer.page(number)


def _style(sheets: Sequence[Sheet]) -> Style:
    sizes: Counter[float] = Counter()
    for sheet in sheets:
        for line in sheet.lines:
            sizes[_rounded(line.size)] += len(line.text)
    if not sizes:
        return Style(0.0, ())
    body = max(sizes, key=lambda size: (sizes[size], size))
    return Style(body, tuple(sorted((s for s in sizes if s > 1.12 * body), reverse=True)))


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def _furniture(sheets: Sequence[Sheet]) -> frozenset[str]:
    """The edge lines, digits apart, that stand on most pages."""
    if len(sheets) < 2:
        return frozenset()
    share = _SHARE if len(sheets) >= _FEWEST_PAGES else 0.99
    pages: Counter[str] = Counter()
    for sheet in sheets:
        pages.update({_key(line) for line in _edge_lines(sheet)})
    return frozenset(key for key, count in pages.items() if count > share * len(sheets))


def _key(line: Line) -> str:
    return DIGITS.sub("#", line.text.casefold())


def _edge_lines(sheet: Sheet) -> list[Line]:
    top, bottom = _EDGE * sheet.height, (1 - _EDGE) * sheet.height
    ordered = sorted(sheet.lines, key=lambda line: line.box[1])
    upper = [line for line in ordered[:_EDGE_LINES] if line.box[3] <= top]
    lower = [line for line in ordered[-_EDGE_LINES:] if line.box[1] >= bottom]
    return upper + lower


def _compounds(sheets: Sequence[Sheet]) -> frozenset[str]:
    """The words with a hyphen inside that stand within a line somewhere in the document."""
    words = (word.text for sheet in sheets for line in sheet.lines for word in line.words)
    return frozenset(word.strip(_ROUND).casefold() for word in words if "-" in word[1:-1])


def _classify(groups: list[Group], style: Style, edge: set[int]) -> None:
    """Find headings and list items, and give rows their table's header."""
    for before, group, after in zip(groups, groups[1:], groups[2:], strict=False):
        if before.kind == after.kind == "row" and is_narrow_row(before, group, after):
            group.kind = "row"
    for one, other in pairwise(groups):
        if one.kind == other.kind == "row" and not {id(one.lines[0]), id(other.lines[0])} & edge:
            together = one.beside(other)
            one.table, other.table = one.table or together, together
    header, since = "", 9
    for position, group in enumerate(groups):
        if id(group.lines[0]) in edge:
            continue
        if group.kind == "row":
            text = group.text
            if since > 1:
                following = groups[position + 1 : position + 2]
                wordy = not any(_FIGURE.fullmatch(word) for word in text.split())
                header = text if wordy and following and following[0].kind == "row" else ""
            else:
                group.context = header
            since = 0
            continue
        # a sentence between two rows is no line of a cell, and begins another table
        since = since + 1 if not group.text.endswith(ENDS) else 9
        group.level = style.level(group)
        if group.level:
            group.kind, since = "heading", 9
        elif MARKER.match(group.lines[0].words[0].text):
            group.kind = "list"


class _Writer:
    """Writes groups as a page's text, with the place of each word."""

    def __init__(self, sheet: Sheet, compounds: frozenset[str]) -> None:
        self._sheet = sheet
        self._compounds = compounds
        self._margins = right_margins(sheet.lines)
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._places: list[Place] = []
        self._last: BlockKind | None = None

    def add(self, group: Group, *, furniture: bool) -> None:
        """Append a group; furniture gets no block."""
        if self._parts:
            self._put("\n" if group.kind == self._last == "row" else "\n\n")
        start = self._length
        for position in range(len(group.lines)):
            self._line(group, position)
            if position + 1 < len(group.lines):
                self._join(group, position)
        if not furniture and self._length > start:
            self._blocks.append(Block(start, self._length, group.kind, group.level, group.context))
        self._last = group.kind

    def _line(self, group: Group, number: int) -> None:
        width, height = self._sheet.width or 1.0, self._sheet.height or 1.0
        for position, word in enumerate(group.lines[number].words):
            if position:
                self._put(group.after_word(number, position - 1))
            start = self._length
            self._put(word.text)
            x0, y0, x1, y1 = word.box
            box = (x0 / width, y0 / height, x1 / width, y1 / height)
            if min(box) < 0 or max(box) > 1:
                box = (_clamped(box[0]), _clamped(box[1]), _clamped(box[2]), _clamped(box[3]))
            self._places.append(Place(start, self._length, box))

    def _join(self, group: Group, number: int) -> None:
        """What stands after a line of a group: a space, nothing, a bar, or a line end."""
        line, following = group.lines[number], group.lines[number + 1]
        if group.ends_cell(number):
            self._put(CELL_END)
            return
        last, first = line.words[-1].text, following.words[0].text
        if line.hyphen or (last.endswith(("-", "\u2010")) and len(last) > 1 and last[-2].isalpha()):
            whole = (last[:-1] + "-" + first).strip(_ROUND).casefold()
            if first[0].islower() and "-" not in last[:-1] and whole not in self._compounds:
                self._unhyphenate()
            return
        early = ended_early(line, following, self._margins)
        hard = group.kind == "paragraph" and early and not first[0].islower()
        self._put("\n" if hard else " ")

    def _unhyphenate(self) -> None:
        self._parts[-1] = self._parts[-1][:-1]
        self._length -= 1
        last = self._places[-1]
        if last.end - 1 > last.start:
            self._places[-1] = Place(last.start, last.end - 1, last.box)
        else:
            self._places.pop()

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def page(self, number: int) -> Page:
        """The page written so far."""
        return Page(
            number,
            "".join(self._parts),
            tuple(self._blocks),
            tuple(self._places),
            width=self._sheet.width,
            height=self._sheet.height,
        )


def _clamped(value: float) -> float:
    return min(1.0, max(0.0, value))
