"""OpenDocument presentations: a page a slide, the speaker's notes after the slide's text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.parsers.builder import PageBuilder
from ingest.parsers.odf import (
    DRAW,
    PRESENTATION,
    TABLE,
    add_table,
    open_odf,
    paragraphs,
    plain,
)
from ingest.parsers.slides import on_most
from rag.parsed import Page, Parsed

_FURNITURE = ("date-time", "footer", "header", "page-number")


def parse(path: Path, name: str) -> Parsed:
    """An ODP file; a page's label is its slide's title.

    Raises CorruptDocument when it is damaged, ProtectedDocument when it has a password.
    """
    body, title = open_odf(path, name, "presentation")
    slides = body.findall(f"{DRAW}page")
    furniture = on_most(
        {plain(shape) for shape in _shapes(slide) if len(paragraphs(shape)) == 1}
        for slide in slides
    )
    pages = tuple(_page(number, slide, furniture) for number, slide in enumerate(slides, 1))
    return Parsed(pages, title or next((page.label for page in pages if page.label), ""))


def _page(number: int, slide: Any, furniture: frozenset[str]) -> Page:
    builder = PageBuilder()
    shapes = list(_shapes(slide))
    heading = next((shape for shape in shapes if _role(shape) == "title"), None)
    label = plain(heading) if heading is not None else ""
    builder.add(label, "heading", 1)
    last = []
    for shape in shapes:
        if shape is heading or _role(shape) in _FURNITURE:
            continue
        table = next(shape.iter(f"{TABLE}table"), None)
        if table is not None:
            add_table(builder, table)
        elif plain(shape) in furniture:
            last.append(plain(shape))
        else:
            _add_shape(builder, shape)
    for notes in slide.iterfind(f"{PRESENTATION}notes"):
        for shape in _shapes(notes):
            if _role(shape) not in _FURNITURE:
                _add_shape(builder, shape)
    for text in last:
        builder.add_furniture(text)
    return builder.page(number, label)


def _role(shape: Any) -> str:
    return str(shape.get(f"{PRESENTATION}class", ""))


def _shapes(parent: Any) -> Iterator[Any]:
    """The shapes with those of groups in their place."""
    for child in parent:
        if child.tag in (f"{DRAW}g", f"{DRAW}a"):
            yield from _shapes(child)
        elif isinstance(child.tag, str) and child.tag.startswith(DRAW):
            yield child


def _add_shape(builder: PageBuilder, shape: Any) -> None:
    kept = paragraphs(shape)
    for text in kept:
        builder.add(text, "list" if len(kept) > 1 else "paragraph")
