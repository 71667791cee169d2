"""XML: articles (JATS) and feeds (RSS, Atom) as they are read, anything else as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingest.parsers import article, feed
from ingest.parsers.archive import damaged
from ingest.parsers.builder import clean
from ingest.parsers.text import paragraphs
from ingest.parsers.web import markup_text
from rag.parsed import Block, Page, Parsed

_ROOT = re.compile(
    r"\A\ufeff?(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^<>\[]*(?:\[[^\]]*\])?[^>]*>)*<([\w.:-]+)",
    re.DOTALL,
)
_READ: dict[str, Callable[[Any], Parsed | None]] = {
    "article": article.read,
    "rss": feed.read,
    "feed": feed.read,
    "rdf:RDF": feed.read,
}


def parse(path: Path, name: str) -> Parsed:
    """An XML file as one page. Raises CorruptDocument for a damaged article or feed."""
    from lxml.etree import LxmlError

    data = path.read_bytes()
    text = clean(markup_text(data))
    found = _ROOT.match(text[:20_000])
    tag = found.group(1) if found else ""
    if tag in _READ:
        try:
            root = parse_xml(data)
        except (LxmlError, ValueError) as error:
            raise damaged(name, type(error).__name__) from error
        if parsed := _READ[tag](root):
            return parsed
    return Parsed((Page(1, text, tuple(Block(*span, "code") for span in paragraphs(text))),))


def parse_xml(data: bytes) -> Any:
    """The root of an XML text; entities stay unread, and nothing is fetched. Raises LxmlError."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(data, parser)
