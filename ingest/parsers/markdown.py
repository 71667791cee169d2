"""Markdown: the page's text is the file's own, the blocks are found by markdown-it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.parsers.builder import LONGEST_CONTEXT, PageBuilder, clean, flat
from ingest.parsers.text import decode
from rag.parsed import Block, BlockKind, Page, Parsed

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FRONT_TITLE = re.compile(r"^title:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE | re.IGNORECASE)
_MARKUP = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)
# a first heading further on is about what follows it, not about the whole file
_TITLE_WITHIN = 2000
# the line and what underlines it; a rule below a paragraph of more lines makes no heading of it
_LINES_OF_HEADING = 2
_LEAVES: dict[str, BlockKind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "fence": "code",
    "code_block": "code",
    "html_block": "paragraph",
    "tr_open": "row",
}


def parse(path: Path, name: str) -> Parsed:
    """A Markdown file as one page. Front matter, rules and link definitions are in no block."""
    text = clean(decode(path.read_bytes()))
    front = _FRONT.match(text)
    body = front.end() if front else 0
    blocks = tuple(_blocks(text, body))
    found = _FRONT_TITLE.search(front.group(1)) if front else None
    title = flat(found.group(1)) if found else _heading(text, blocks)
    return Parsed((Page(1, text, blocks),), title)


def add_markdown(builder: PageBuilder, text: str) -> None:
    """Append the blocks of a text in Markdown, headings without their marks."""
    for block in _blocks(text, 0):
        part = text[block.start : block.end]
        if block.kind == "heading":
            part = heading_text(part)
        builder.add(part, block.kind, block.level, block.context)


def heading_text(source: str) -> str:
    """A heading without its marks: `## Leave ##` is `Leave`."""
    return flat(source.split("\n")[0].lstrip(" #").rstrip(" #"))


def _heading(text: str, blocks: tuple[Block, ...]) -> str:
    first = next((b for b in blocks if b.kind == "heading" and b.level == 1), None)
    if first is None or first.start > _TITLE_WITHIN:
        return ""
    return heading_text(text[first.start : first.end])


def _blocks(text: str, body: int) -> Iterator[Block]:
    starts = [body, *(body + m.end() for m in re.finditer("\n", text[body:])), len(text)]
    header, in_head, item_lines = "", False, set[int]()
    covered = body
    for token in _tokens(text[body:]):
        if token.type == "list_item_open" and token.map:
            item_lines.add(token.map[0])
        elif token.type == "thead_open":
            header, in_head = "", True
        elif token.type == "thead_close":
            in_head = False
        if token.type not in _LEAVES or not token.map:
            continue
        # the line of dashes belongs to the header above it
        last = min(token.map[1] + in_head, len(starts) - 1)
        start, end = _stripped(text, max(starts[token.map[0]], covered), starts[last])
        if start >= end or not _visible(token, text[start:end]):
            continue
        covered = end
        kind = _LEAVES[token.type]
        if kind == "paragraph" and token.map[0] in item_lines:
            kind = "list"
        elif kind == "heading" and token.map[1] - token.map[0] > _LINES_OF_HEADING:
            kind = "paragraph"
        level = int(token.tag[1]) if kind == "heading" else 0
        yield Block(start, end, kind, level, header if kind == "row" else "")
        if in_head:
            header = text[start:end].split("\n")[0].strip().strip("|").strip()
            header = header[:LONGEST_CONTEXT]


def _tokens(source: str) -> list[Token]:
    from markdown_it import MarkdownIt

    # what stands within a line is of no interest here
    parser = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table")
    return parser.disable(["inline", "text_join"]).parse(source)


def _visible(token: Token, source: str) -> bool:
    return token.type != "html_block" or bool(_MARKUP.sub("", source).strip())


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
