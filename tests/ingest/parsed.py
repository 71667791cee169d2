"""What every parser's result must keep, and how tests look at one."""

from __future__ import annotations

import importlib
from pathlib import Path

from ingest.formats import KINDS, kind_of
from rag.parsed import Block, Page, Parsed


def read(path: Path) -> Parsed:
    """The file parsed in this process, and checked."""
    kind = kind_of(path.name, path.read_bytes()[:4096])
    module, _, function = KINDS[kind].parser.partition(":")
    parsed: Parsed = getattr(importlib.import_module(module), function)(path, path.name)
    check(parsed)
    return parsed


def check(parsed: Parsed) -> None:
    """Blocks and places are in order, apart and inside; no text is unfit to store."""
    assert [page.number for page in parsed.pages] == list(range(1, len(parsed.pages) + 1))
    for page in parsed.pages:
        assert "\0" not in page.text
        assert "\r" not in page.text
        page.text.encode()
        at = 0
        for block in page.blocks:
            assert at <= block.start < block.end <= len(page.text)
            assert page.text[block.start : block.end].strip()
            assert (block.kind == "heading") == (block.level in range(1, 7))
            at = block.end
        at = 0
        for place in page.places:
            assert at <= place.start < place.end <= len(page.text)
            word = page.text[place.start : place.end]
            assert word == word.strip() != ""
            x0, y0, x1, y1 = place.box
            assert 0 <= x0 <= x1 <= 1
            assert 0 <= y0 <= y1 <= 1
            at = place.end


def blocks(page: Page) -> list[tuple[str, str]]:
    """The kind and text of each block."""
    return [(block.kind, text(page, block)) for block in page.blocks]


def text(page: Page, block: Block) -> str:
    """A block's text."""
    return page.text[block.start : block.end]


def outside(page: Page) -> str:
    """The visible text in no block."""
    kept, at = [], 0
    for block in page.blocks:
        kept.append(page.text[at : block.start])
        at = block.end
    kept.append(page.text[at:])
    return " ".join(" ".join(kept).split())
