"""Source code and configuration: the file's own text, nothing reformatted."""

from __future__ import annotations

from pathlib import Path

from ingest.parsers.builder import clean
from ingest.parsers.text import paragraphs
from ingest.parsers.web import markup_text
from rag.parsed import Block, Page, Parsed


def parse(path: Path, name: str) -> Parsed:
    """A source file as one page; a block is what stands between blank lines."""
    # XML says its encoding as HTML does; other languages have no such line
    text = clean(markup_text(path.read_bytes()))
    return Parsed((Page(1, text, tuple(Block(*span, "code") for span in paragraphs(text))),))
