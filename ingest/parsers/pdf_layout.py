"""From the lines of a PDF to pages with blocks: paragraphs, headings, rows, furniture."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ingest.parsers.pdf_lines import Line, Sheet, around
from rag.records import Block, BlockKind, Box, Page, Place

_MARKER = re.compile(r"(?:[•●▪■◦○‣∙·*–—-]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)]|\(?[ivx]{1,4}[.)])$")
_DIGITS = re.compile(r"\d+")
_FIGURE = re.compile(r"[($€£+-]*\d[\d.,:/'’-]*[)%€$£]*")
_ENDS = (".", "!", "?", ":", ";", "。", "”", '"')
_ROUND = ".,;:!?()[]“”‘’\"'"
_EDGE = 0.12  # of the page's height, where running headers and footers stand
_EDGE_LINES = 4
_FEWEST_PAGES = 4  # in a shorter document a header stands on every page
_SHARE = 0.5  # of the pages that a header stands on
_CELL_LINES = 8


@dataclass(slots=True)
class Group:
    """Lines that belong together."""

    lines: list[Line]
    kind: BlockKind = "paragraph"
    level: int = 0
    context: str = ""
    box: Box = field(init=False)

    def __post_init__(self) -> None:
        self.box = self.lines[0].box
        for line in self.lines[1:]:
            self.box = around(self.box, line.box)

    def add(self, line: Line) -> None:
        """Append a line."""
        self.lines.append(line)
        self.box = around(self.box, line.box)


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
        groups = _groups(sheet, edge)
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
    return _DIGITS.sub("#", line.text.casefold())


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


def _groups(sheet: Sheet, edge: set[int]) -> list[Group]:
    lines = sheet.lines
    usual = _usual_gap(lines)
    margins = _margins(lines)
    groups: list[Group] = []
    i = 0
    while i < len(lines):
        line = lines[i]
        start, end = _row(lines, i, edge)
        if end > i:
            # the first cell's lines were taken for a paragraph
            for _ in range(i - start):
                groups[-1].lines.pop()
                if not groups[-1].lines:
                    groups.pop()
            # a footnote's raised number stands beside its text as a cell would
            marked = end - start == 2 and len(lines[start].words) == 1
            note = marked and len(lines[start].text) <= 3 and lines[start].size < lines[i].size
            groups.append(Group(lines[start:end], "list" if note else "row"))
            i = end
            continue
        last = groups[-1] if groups and id(line) not in edge else None
        if _tabular(line):
            groups.append(Group([line], "row"))
        elif (
            last
            and last.kind == "paragraph"
            and id(last.lines[-1]) not in edge
            and _joins(last, line, usual, margins)
        ):
            last.add(line)
        else:
            groups.append(Group([line]))
        i += 1
    return groups


def _usual_gap(lines: Sequence[Line]) -> float:
    """The space between the lines of a paragraph, in points: a low quartile of all."""
    gaps = sorted(
        b.box[1] - a.box[3]
        for a, b in itertools.pairwise(lines)
        if -a.size < b.box[1] - a.box[3] < 1.5 * a.size and abs(a.size - b.size) < 0.1 * a.size
    )
    return gaps[len(gaps) // 4] if gaps else 0.0


def _margins(lines: Sequence[Line]) -> dict[int, float]:
    """How far right the lines reach that begin near a place: bucket of 20 points to x."""
    right: dict[int, float] = {}
    for line in lines:
        bucket = int(line.box[0] // 20)
        for near in (bucket - 1, bucket, bucket + 1):
            right[near] = max(right.get(near, 0.0), line.box[2])
    return right


def _tabular(line: Line) -> bool:
    """Whether a line has cells: words with a wide gap between, after any list marker."""
    words = line.words
    first = 1 if _MARKER.match(words[0].text) or _DIGITS.match(words[0].text) else 0
    wide = 1.3 * line.size
    gaps = (b.box[0] - a.box[2] for a, b in zip(words[first:], words[first + 1 :], strict=False))
    return any(gap > wide for gap in gaps)


def _joins(group: Group, line: Line, usual: float, margins: dict[int, float]) -> bool:
    """Whether a line continues the paragraph above it."""
    last = group.lines[-1]
    size = last.size
    gap = line.box[1] - last.box[3]
    return (
        abs(size - line.size) <= 0.12 * max(size, line.size)
        and -0.8 * size < gap <= usual + 0.35 * size
        and line.box[1] > last.box[1] - 0.3 * size
        and line.box[0] < group.box[2]
        and line.box[2] > group.box[0]
        and last.bold == line.bold
        and not _MARKER.match(line.words[0].text)
        and not (_ended_early(last, line, margins) and last.text.endswith(_ENDS))
    )


def _ended_early(line: Line, following: Line, margins: dict[int, float]) -> bool:
    """Whether the next line's first word would have fitted on this one."""
    first = following.words[0].box
    need = line.box[2] + 0.3 * line.size + first[2] - first[0]
    return need < margins.get(int(line.box[0] // 20), line.box[2])


def _row(lines: Sequence[Line], i: int, edge: set[int]) -> tuple[int, int]:
    """The row whose cells are written one after the other, and whose second cell begins at `i`.

    A cell begins right of the one before, and no lower than it ends. Returns the span of
    its lines, or an empty one.
    """
    if i == 0 or not _beside(lines[i - 1], lines[i]):
        return i, i
    line = lines[i]
    start = i - 1
    while start > 0 and i - start <= _CELL_LINES and id(lines[start - 1]) not in edge:
        above, here = lines[start - 1], lines[start]
        level = above.box[1] >= line.box[1] - 0.9 * line.size
        same_cell = abs(above.box[0] - here.box[0]) < 2 and -2 < here.box[1] - above.box[3] < 2
        if not (level or same_cell) or _beside(above, here):
            break
        start -= 1
    end = i + 1
    while end < len(lines) and id(lines[end]) not in edge:
        last, here = lines[end - 1], lines[end]
        below = abs(last.box[0] - here.box[0]) < 2 and -2 < here.box[1] - last.box[3] < 3
        if not (_beside(last, here) or below):
            break
        end += 1
    tall = max(x.box[3] for x in lines[start:end]) - min(x.box[1] for x in lines[start:end])
    if i - start > _CELL_LINES or tall > 2 * _CELL_LINES * line.size:
        return i, i
    return start, end


def _beside(left: Line, right: Line) -> bool:
    return (
        right.box[0] >= left.box[2] - 1
        and right.box[1] < left.box[3] - 0.3 * left.size
        and right.box[3] > left.box[1] - 3 * left.size * _CELL_LINES
    )


def _classify(groups: list[Group], style: Style, edge: set[int]) -> None:
    """Find headings and list items, and give rows their table's header."""
    for before, group, after in zip(groups, groups[1:], groups[2:], strict=False):
        if before.kind == after.kind == "row" and _narrow_row(before, group, after):
            group.kind = "row"
    header, since = "", 9
    for position, group in enumerate(groups):
        if id(group.lines[0]) in edge:
            continue
        if group.kind == "row":
            text = " ".join(line.text for line in group.lines)
            if since > 1:
                following = groups[position + 1 : position + 2]
                wordy = not any(_FIGURE.fullmatch(word) for word in text.split())
                header = text if wordy and following and following[0].kind == "row" else ""
            else:
                group.context = header
            since = 0
            continue
        since += 1
        group.level = style.level(group)
        if group.level:
            group.kind, since = "heading", 9
        elif _MARKER.match(group.lines[0].words[0].text):
            group.kind = "list"


def _narrow_row(before: Group, group: Group, after: Group) -> bool:
    """Whether a line between two rows is one too, its columns only standing close."""
    line = group.lines[0]
    return (
        len(group.lines) == 1
        and len(line.words) > 1
        and abs(line.size - before.lines[-1].size) < 0.5
        and 0 <= line.box[1] - before.box[1] < 3 * line.size
        and 0 <= after.box[1] - line.box[1] < 3 * line.size
        and abs(line.box[0] - before.box[0]) < 2
        and not line.text.endswith(_ENDS)
    )


class _Writer:
    """Writes groups as a page's text, with the place of each word."""

    def __init__(self, sheet: Sheet, compounds: frozenset[str]) -> None:
        self._sheet = sheet
        self._compounds = compounds
        self._margins = _margins(sheet.lines)
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
        for position, line in enumerate(group.lines):
            self._line(line)
            if position + 1 < len(group.lines):
                self._join(line, group.lines[position + 1], group.kind)
        if not furniture and self._length > start:
            self._blocks.append(Block(start, self._length, group.kind, group.level, group.context))
        self._last = group.kind

    def _line(self, line: Line) -> None:
        width, height = self._sheet.width or 1.0, self._sheet.height or 1.0
        for position, word in enumerate(line.words):
            if position:
                self._put(" ")
            start = self._length
            self._put(word.text)
            x0, y0, x1, y1 = word.box
            box = (_part(x0, width), _part(y0, height), _part(x1, width), _part(y1, height))
            self._places.append(Place(start, self._length, box))

    def _join(self, line: Line, following: Line, kind: BlockKind) -> None:
        """What stands between two lines of a group: a space, nothing, or a line end."""
        last, first = line.words[-1].text, following.words[0].text
        if line.hyphen or (last.endswith(("-", "\u2010")) and len(last) > 1 and last[-2].isalpha()):
            whole = (last[:-1] + "-" + first).strip(_ROUND).casefold()
            if first[0].islower() and "-" not in last[:-1] and whole not in self._compounds:
                self._unhyphenate()
            return
        hard = kind == "paragraph" and _ended_early(line, following, self._margins)
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


def _part(value: float, whole: float) -> float:
    return min(1.0, max(0.0, round(value / whole, 5)))
