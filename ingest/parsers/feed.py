"""News feeds: RSS and Atom, an entry after the other."""

from __future__ import annotations

from typing import Any

from ingest.parsers.builder import PageBuilder, flat
from ingest.parsers.web import add_html
from rag.parsed import Parsed

_ENTRIES = ("item", "entry")
_BODIES = ("encoded", "content", "description", "summary", "subtitle")
_FACTS = ("creator", "author", "pubDate", "published", "updated")


def read(root: Any) -> Parsed:
    """A feed as one page: its title, then each entry's title, author, date and text."""
    builder = PageBuilder()
    channel = root.find("{*}channel")
    channel = root if channel is None else channel
    title = _first(channel, ("title",))
    builder.add(title, "heading", 1)
    _add_body(builder, channel)
    for entry in root.iter(*(f"{{*}}{tag}" for tag in _ENTRIES)):
        builder.add(_first(entry, ("title",)), "heading", 2)
        facts = (_first(entry, (fact,)) for fact in _FACTS)
        builder.add(" · ".join(fact for fact in facts if fact))
        _add_body(builder, entry)
    return Parsed((builder.page(),), title)


def _first(entry: Any, names: tuple[str, ...]) -> str:
    for name in names:
        found = entry.find(f"{{*}}{name}")
        if found is not None:
            return flat(" ".join(found.itertext()))
    return ""


def _add_body(builder: PageBuilder, entry: Any) -> None:
    """The fullest text that an entry carries; it is HTML within XML."""
    for name in _BODIES:
        found = entry.find(f"{{*}}{name}")
        text = "".join(found.itertext()) if found is not None else ""
        if text.strip():
            add_html(builder, text)
            return
