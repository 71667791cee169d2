r"""A small Markdown-like markup: the sources of the generated documents are written in it.

A source starts with a front matter (``key: value`` lines between two ``---`` lines).
The body knows headings (``#`` to ``###``), paragraphs, ``- `` and ``1. `` lists, tables
(lines that start with ``|``; the first row is the header), ``\pagebreak`` and ``\toc``.
Inside text, ``**bold**`` and inline footnotes ``^[text of the note]`` are known.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

FOOTNOTE = re.compile(r"\^\[(.+?)\]")
BOLD = re.compile(r"\*\*(.+?)\*\*")
SECTION = re.compile(r"^=== (slide|sheet)(?:: *(.*))?$")
_MARKERS = re.compile(r"^(#{1,3}|-|\d+\.)\s+(.*)$")


@dataclass
class Block:
    """One block of a document: a heading, paragraph, list item, table, page break or contents."""

    kind: str
    text: str = ""
    level: int = 0
    rows: list[list[str]] = field(default_factory=list)


@dataclass
class Source:
    """A parsed source file: its front matter and the lines of its body."""

    meta: dict[str, str]
    lines: list[str]

    def blocks(self) -> list[Block]:
        """Return the blocks of the whole body."""
        return parse_blocks(self.lines)

    def sections(self) -> list[tuple[str, list[str]]]:
        """Return the (name, lines) of every slide or sheet of the body."""
        sections: list[tuple[str, list[str]]] = []
        for line in self.lines:
            match = SECTION.match(line)
            if match:
                sections.append(((match.group(2) or "").strip(), []))
            elif sections:
                sections[-1][1].append(line)
        return sections


def read_source(path: Path) -> Source:
    """Read a source file and split its front matter from its body."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != "---":
        raise ValueError(f"{path.name}: a source starts with a front matter")
    end = lines.index("---", 1)
    pairs = (line.split(":", 1) for line in lines[1:end] if line.strip())
    meta = {key.strip(): value.strip() for key, value in pairs}
    return Source(meta, lines[end + 1 :])


def table_row(line: str) -> list[str]:
    """Split a ``| a | b |`` line into its cells."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def parse_blocks(lines: list[str]) -> list[Block]:
    """Parse the lines of a body into blocks; lines that follow each other are joined."""
    blocks: list[Block] = []
    open_block: Block | None = None
    for line in lines:
        stripped = line.strip()
        if not stripped:
            open_block = None
        elif stripped.startswith("|"):
            if open_block is None or open_block.kind != "table":
                open_block = Block("table")
                blocks.append(open_block)
            open_block.rows.append(table_row(stripped))
        elif stripped in ("\\pagebreak", "\\toc"):
            blocks.append(Block(stripped[1:]))
            open_block = None
        elif (match := _MARKERS.match(stripped)) is not None:
            open_block = _marked_block(match.group(1), match.group(2))
            blocks.append(open_block)
        elif open_block is None or open_block.kind in ("heading", "table"):
            open_block = Block("paragraph", stripped)
            blocks.append(open_block)
        else:
            open_block.text += " " + stripped
    return blocks


def _marked_block(marker: str, text: str) -> Block:
    """Make the heading or list item that a line marker stands for."""
    if marker.startswith("#"):
        return Block("heading", text, level=len(marker))
    if marker == "-":
        return Block("bullet", text)
    return Block("numbered", text, level=int(marker[:-1]))
