"""Scientific articles in JATS, the XML of journals and archives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ingest.parsers.builder import PageBuilder, flat
from ingest.parsers.grid import filled
from rag.parsed import BlockKind, Parsed

_DEEPEST = 6
# not read as text: identifiers, formulas in other notations, what only programs read
_LEFT_OUT = frozenset(
    str.split(
        "tex-math alternatives object-id processing-meta permissions fn-type label-alternative"
    )
)
_SECTIONS = ("sec", "app", "ack", "glossary", "boxed-text", "notes", "bio", "fn-group", "app-group")


def read(root: Any) -> Parsed | None:
    """An article as one page; None where an XML file's `article` is none of JATS."""
    meta = root.find("{*}front/{*}article-meta")
    if meta is None and root.find("{*}body/{*}sec") is None:
        return None
    builder = PageBuilder()
    story = _Story(builder)
    title = story.front(meta) if meta is not None else ""
    for part in ("body", "back", "floats-group"):
        for found in root.iterfind(f"{{*}}{part}"):
            story.read(found, 1)
    return Parsed((builder.page(),), title)


class _Story:
    """Reads an article's elements into blocks."""

    def __init__(self, builder: PageBuilder) -> None:
        self._builder = builder

    def front(self, meta: Any) -> str:
        """Add title, authors, where they work, abstract and keywords; returns the title."""
        group = meta.find("{*}title-group/{*}article-title")
        title = _text(group) if group is not None else ""
        self._builder.add(title, "heading", 1)
        self._builder.add(", ".join(filter(None, map(_name, meta.iterfind(".//{*}contrib")))))
        self._builder.add("; ".join(filter(None, map(_text, meta.iterfind(".//{*}aff")))))
        for abstract in meta.iterfind("{*}abstract"):
            if abstract.find("{*}title") is None:
                self._builder.add("Abstract", "heading", 2)
            self.read(abstract, 1)
        words = [_text(word) for word in meta.iterfind("{*}kwd-group/{*}kwd")]
        self._builder.add(", ".join(filter(None, words)))
        return title

    def read(self, parent: Any, level: int) -> None:
        """Add the blocks of an element's children; `level` is that of its own heading."""
        self._children(parent, parent, level)

    def _children(self, children: Iterable[Any], parent: Any, level: int) -> None:
        for child in children:
            if not isinstance(child.tag, str):
                continue
            tag = child.tag.rpartition("}")[2]
            if tag == "title":
                label = parent.findtext("{*}label") or ""
                self._builder.add(f"{label} {_text(child)}", "heading", min(level, _DEEPEST))
            elif tag == "p":
                self._paragraph(child, level)
            elif tag in ("fig", "table-wrap", "supplementary-material", "fig-group"):
                self._figure(child, level)
            elif tag == "table":
                self._table(child)
            elif tag in ("list", "def-list"):
                self._list(child, level)
            elif tag == "ref-list":
                self._references(child, level + 1)
            elif tag in ("disp-formula", "disp-quote", "verse-group", "preformat", "code", "fn"):
                self._builder.add(
                    _text(child), "code" if tag in ("preformat", "code") else "paragraph"
                )
            elif tag in _SECTIONS:
                self.read(child, level + 1)
            elif tag not in ("label", "sec-meta", *_LEFT_OUT):
                self.read(child, level)

    def _paragraph(self, paragraph: Any, level: int) -> None:
        """A paragraph, and after it what stands in it but is a block of its own."""
        apart = ("list", "def-list", "fig", "table-wrap", "boxed-text", "supplementary-material")
        inner = [c for name in apart for c in paragraph.iterfind(f"{{*}}{name}")]
        self._builder.add(_text(paragraph, frozenset(apart)))
        self._children(inner, paragraph, level)

    def _figure(self, figure: Any, level: int) -> None:
        label = figure.findtext("{*}label") or ""
        caption = figure.find("{*}caption")
        words = " ".join(map(_text, caption)) if caption is not None else ""
        self._builder.add(f"{label} {words}".strip())
        for child in figure.iter("{*}table"):
            self._table(child)
        for foot in figure.iterfind("{*}table-wrap-foot"):
            self._builder.add(_text(foot))
        for inner in figure.iterfind("{*}fig"):
            self._figure(inner, level)

    def _table(self, table: Any) -> None:
        rows = []
        for row in table.iter("{*}tr"):
            cells = [c for c in row if isinstance(c.tag, str) and c.tag.endswith(("td", "th"))]
            rows.append([(_text(c), c.get("colspan"), c.get("rowspan")) for c in cells])
        self._builder.rows(filled(rows))

    def _list(self, parent: Any, level: int) -> None:
        for item in parent:
            if isinstance(item.tag, str):
                self._builder.add(_text(item), "list")

    def _references(self, parent: Any, level: int) -> None:
        title = parent.find("{*}title")
        self._builder.add(
            _text(title) if title is not None else "References", "heading", min(level, _DEEPEST)
        )
        kind: BlockKind = "list"
        for reference in parent.iterfind(".//{*}ref"):
            self._builder.add(_reference(reference), kind)


def _name(contributor: Any) -> str:
    name = contributor.find("{*}name")
    if name is None:
        return flat(
            contributor.findtext("{*}collab") or contributor.findtext("{*}string-name") or ""
        )
    return flat(f"{name.findtext('{*}given-names') or ''} {name.findtext('{*}surname') or ''}")


def _reference(reference: Any) -> str:
    """An entry of the list of references; one in parts has them set apart by points."""
    mixed = reference.find("{*}mixed-citation")
    if mixed is not None and (mixed.text or "").strip():
        return _text(reference)
    parts = []
    for citation in reference:
        if not isinstance(citation.tag, str):
            continue
        if citation.tag.endswith("label"):
            parts.append(_text(citation))
            continue
        people = [_person(p) for p in citation.iter("{*}name")]
        parts.append(", ".join(filter(None, people)))
        for child in citation:
            tag = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
            if tag not in ("person-group", "name", "label", "pub-id", ""):
                parts.append(_text(child))
        parts += [_text(p) for p in citation.iterfind("{*}pub-id")]
    return ". ".join(part for part in parts if part)


def _person(name: Any) -> str:
    return flat(f"{name.findtext('{*}surname') or ''} {name.findtext('{*}given-names') or ''}")


def _tex(source: str) -> str:
    """A formula without the document that it is wrapped into."""
    inner = source.partition("\\begin{document}")[2].partition("\\end{document}")[0] or source
    return inner.strip().strip("$").strip()


def _text(element: Any, without: frozenset[str] = frozenset()) -> str:
    """The text of an element on one line; blocks in it set apart by spaces."""
    parts: list[str] = []
    stack: list[Any] = [element]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        tag = item.tag.rpartition("}")[2] if isinstance(item.tag, str) else ""
        if not tag or (item is not element and tag in without):
            continue
        if tag == "tex-math":
            # beside MathML it says the same again
            if item.getparent() is None or item.getparent().find("{*}math") is None:
                parts.append(f" {_tex(item.text or '')} ")
            continue
        if tag in ("p", "break", "title", "label", "list-item", "def", "term", "institution"):
            parts.append(" ")
        parts.append(item.text or "")
        for child in reversed(item):
            stack.append(child.tail or "")
            stack.append(child)
    return flat("".join(parts))
