"""HTML: what a reader of the page would read, and nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.parsers.builder import PageBuilder, clean, described, flat
from ingest.parsers.grid import filled
from ingest.parsers.text import decode
from rag.parsed import BlockKind, Parsed

if TYPE_CHECKING:
    from bs4 import Tag
    from bs4.element import PageElement

_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE
)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_DROPPED = frozenset(
    str.split(
        "script style noscript template nav form button select input textarea svg math iframe "
        "object embed canvas audio video map head dialog menu"
    )
)
_FURNITURE = frozenset(("header", "footer", "aside"))
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_ROLES = frozenset(("navigation", "search"))
_FURNITURE_ROLES = frozenset(("banner", "contentinfo", "complementary"))
_DIGITS = 7
# in a cell of a table that holds tables, if they are to be read as one
_LONGEST_CELL = 400
_ITEMS = ("li", "dd", "dt")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    str.split(
        "address article aside blockquote body caption center dd details dir div dl dt fieldset "
        "figcaption figure footer h1 h2 h3 h4 h5 h6 header hr html li main ol p pre section "
        "summary table tbody td tfoot th thead tr ul"
    )
)


def parse(path: Path, name: str) -> Parsed:
    """An HTML file as one page; scripts, navigation, forms and hidden parts are left out."""
    builder = PageBuilder()
    title = add_html(builder, markup_text(path.read_bytes()))
    return Parsed((builder.page(),), title or builder.heading())


def markup_text(data: bytes) -> str:
    """HTML or XML as text, in the encoding that it declares for itself if it fits."""
    found = _CHARSET.search(data[:4096])
    return decode(data, found.group(1).decode("ascii") if found else "")


def add_html(builder: PageBuilder, html: str, *, whole: bool = False) -> str:
    """Append the blocks of an HTML text; returns its `<title>`, or empty.

    `whole`: headers and footers of the page are text too, as in a book.
    """
    from bs4 import BeautifulSoup

    # XHTML's declaration, which is none of HTML's
    soup = BeautifulSoup(_DECLARATION.sub("", clean(html)), "lxml")
    title = flat(soup.title.get_text()) if soup.title else ""
    root = soup.body or soup
    _Walk(builder).walk(root, whole=whole)
    return title


@dataclass(slots=True)
class _Open:
    """An element whose children are being read. `inside` an article, headers are content."""

    children: Iterator[PageElement]
    kind: BlockKind
    block: bool
    inside: bool
    # of a numbered list, the next item's; else 0
    number: int = 0


class _Walk:
    """Turns elements into blocks; text between block elements gathers in `_inline`.

    It keeps its own stack, as pages may be nested without end.
    """

    def __init__(self, builder: PageBuilder) -> None:
        self._builder = builder
        self._inline: list[str] = []
        # of the list item whose text is about to come
        self._number = ""
        self._stack: list[_Open] = []

    def walk(self, root: Tag, *, whole: bool) -> None:
        """Add what is in `root`."""
        from bs4 import Tag

        self._open(root, inside=whole)
        while self._stack:
            top = self._stack[-1]
            child = next(top.children, None)
            if child is None:
                if top.block:
                    self._flush()
                self._stack.pop()
            elif isinstance(child, Tag):
                self._tag(child, inside=top.inside or child.name in ("main", "article"))
            elif _is_text(child):
                self._inline.append(str(child))

    def _open(self, tag: Tag, *, inside: bool) -> None:
        block = tag.name in _BLOCKS or not self._stack
        kind = self._stack[-1].kind if self._stack else "paragraph"
        if block:
            self._flush()
            kind = "list" if tag.name in _ITEMS else "paragraph"
        number = _first_number(tag) if tag.name == "ol" else 0
        if tag.name == "li" and self._stack and self._stack[-1].number:
            self._number = f"{self._stack[-1].number}. "
            self._stack[-1].number += 1
        self._stack.append(_Open(iter(tag.children), kind, block, inside, number))

    def _tag(self, tag: Tag, *, inside: bool) -> None:
        name = tag.name
        furniture = name in _FURNITURE or tag.get("role") in _FURNITURE_ROLES
        if name in _DROPPED or _hidden(tag) or (furniture and not inside):
            return
        if name == "br":
            self._inline.append("\v")
        elif name == "img":
            self._inline.append(f" {described(str(tag.get('alt', '')))} ")
        elif name in _HEADINGS:
            self._flush()
            self._builder.add(_text(tag), "heading", _HEADINGS[name])
        elif name == "pre":
            self._flush()
            for line_break in tag.find_all("br"):
                line_break.replace_with("\n")
            self._builder.add(tag.get_text().strip("\n"), "code")
        elif name == "table" and self._table(tag):
            return
        else:
            self._open(tag, inside=inside)

    def _table(self, table: Tag) -> bool:
        """Add a table's rows; false where it is only there for the layout."""
        rows = [row.find_all(["td", "th"], recursive=False) for row in _own_rows(table)]
        if all(len(row) < 2 for row in rows) or _is_layout(table, rows):
            return False
        self._flush()
        if table.caption:
            self._builder.add(_text(table.caption))
        cells = [
            [(_text(c), _attribute(c, "colspan"), _attribute(c, "rowspan")) for c in row]
            for row in rows
        ]
        self._builder.rows(filled(cells))
        return True

    def _flush(self) -> None:
        lines = [flat(line) for line in "".join(self._inline).split("\v")]
        self._inline.clear()
        kind = self._stack[-1].kind if self._stack else "paragraph"
        text = "\n".join(line for line in lines if line)
        if text:
            self._builder.add(self._number + text, kind)
            self._number = ""


def _first_number(tag: Tag) -> int:
    """What a list begins to count at; 0 where its items show letters, or count down."""
    start = _attribute(tag, "start") or "1"
    plain = _attribute(tag, "type") in (None, "1") and not tag.has_attr("reversed")
    return int(start) if plain and start.isdecimal() and len(start) < _DIGITS else 0


def _attribute(tag: Tag, name: str) -> str | None:
    value = tag.get(name)
    return value.strip() if isinstance(value, str) else None


def _own_rows(table: Tag) -> list[Tag]:
    """A table's rows, but none of the tables in its cells."""
    parts = [table, *table.find_all(["thead", "tbody", "tfoot"], recursive=False)]
    order = {id(row): place for place, row in enumerate(table.find_all("tr"))}
    rows = [row for part in parts for row in part.find_all("tr", recursive=False)]
    return sorted(rows, key=lambda row: order[id(row)])


def _is_layout(table: Tag, rows: Iterable[Iterable[Tag]]) -> bool:
    """Whether a table with tables in it only places them: it has no header, or much in a cell."""
    if table.find("table") is None:
        return False
    short = all(len(cell.get_text()) <= _LONGEST_CELL for row in rows for cell in row)
    return not short or table.find(["p", "h1", "h2", "h3", "form"]) is not None


def _text(tag: Tag) -> str:
    for dropped in tag.find_all(["script", "style", "template"]):
        dropped.decompose()
    for picture in tag.find_all("img"):
        picture.replace_with(f" {described(str(picture.get('alt', '')))} ")
    for line_break in tag.find_all("br"):
        line_break.replace_with(" ")
    return flat(tag.get_text(" " if tag.find(_BLOCKS) else ""))


def _hidden(tag: Tag) -> bool:
    if not tag.attrs:
        return False
    role, style = tag.get("role"), tag.get("style")
    return (
        tag.has_attr("hidden")
        or tag.get("aria-hidden") == "true"
        or (isinstance(role, str) and role in _ROLES)
        or (isinstance(style, str) and bool(_HIDDEN.search(style)))
    )


def _is_text(node: PageElement) -> bool:
    from bs4.element import CData, NavigableString, PreformattedString

    return isinstance(node, NavigableString) and (
        isinstance(node, CData) or not isinstance(node, PreformattedString)
    )
