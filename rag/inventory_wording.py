"""The sentences of an answer about the library itself."""

from __future__ import annotations

from rag.catalog.holdings import Held, Holdings, Scope
from rag.records import NO_FILTERS

_LONGEST_TITLE = 120
_LONGEST_SOURCE = 300
# by the first of the kinds that were asked for
_NOUNS = {
    "pdf": ("PDF", "PDFs"),
    "docx": ("Word document", "Word documents"),
    "xlsx": ("spreadsheet", "spreadsheets"),
    "csv": ("CSV file", "CSV files"),
    "pptx": ("presentation", "presentations"),
    "markdown": ("Markdown file", "Markdown files"),
    "html": ("HTML file", "HTML files"),
    "text": ("text file", "text files"),
    "odt": ("ODT file", "ODT files"),
    "json": ("JSON file", "JSON files"),
    "xml": ("XML file", "XML files"),
    "eml": ("e-mail", "e-mails"),
    "image": ("image", "images"),
}


def number_of(n: int, scope: Scope, at_least: bool = False) -> str:
    """“3 PDFs in the folder “hr””: a number of the documents meant, and which those are."""
    one, many = noun_of(scope)
    number = f"{'at least ' if at_least else ''}{n:,}" if n else "no"
    return f"{number} {one if n == 1 else many}{where_of(scope)}"


def noun_of(scope: Scope) -> tuple[str, str]:
    """What one and several of the documents meant are called."""
    return _NOUNS.get(next(iter(scope.kinds), ""), ("document", "documents"))


def where_of(scope: Scope) -> str:
    """Which documents a question itself is about, as it follows “documents”; empty for all."""
    said = ""
    if scope.folder:
        said += f" in the folder “{scope.folder}”"
    if scope.collection:
        said += f" in the collection “{scope.collection}”"
    if scope.since and scope.until == scope.since:
        said += f" changed or added on {scope.since}"
    elif scope.since and scope.until:
        said += f" changed or added from {scope.since} to {scope.until}"
    elif scope.since:
        said += f" changed or added since {scope.since}"
    return said


def whole_of(scope: Scope) -> str:
    """What was asked: the library, or the part of it that the asker chose."""
    chosen = scope.asked is not None or scope.filters != NO_FILTERS
    return "The part of the library that was asked" if chosen else "The library"


def mentioning(topic: str, n: int) -> str:
    """What so many documents do with a topic: of several words, a passage has all that tell."""
    if len(topic.split()) == 1:
        return f"{'mentions' if n == 1 else 'mention'} “{topic}”"
    return f"{'has' if n == 1 else 'have'} a passage with all words of “{topic}”"


def in_titles(n: int, of: int) -> str:
    """That so many of these documents have the topic in their titles."""
    if not n:
        return ""
    if n == of:
        return f", {'in its' if n == 1 else 'all in their'} title or file name too"
    return f", {n:,} of them in {'its' if n == 1 else 'their'} title or file name too"


def left_out(holdings: Holdings) -> list[str]:
    """What of the library's files does not answer, and why."""
    said = []
    uncounted = [
        f"{n:,} {one if n == 1 else many}"
        for n, one, many in (
            (holdings.archives, "archive", "archives"),
            (holdings.textless, "file without text", "files without text"),
        )
        if n
    ]
    if uncounted:
        said.append(f"Not counted: {' and '.join(uncounted)}.")
    if holdings.waiting:
        verb = "is" if holdings.waiting == 1 else "are"
        said.append(f"{holdings.waiting:,} more {verb} waiting to be read.")
    if holdings.failed:
        said.append(f"{holdings.failed:,} could not be read; the library page says why.")
    return said


def line_of(held: Held, dated: bool = False) -> str:
    """A document by its title, and where it is; `dated` adds when it was sent, changed or added."""
    source = held.source
    if held.inside and source.startswith(f"{held.inside}/"):
        source = f"{source[len(held.inside) + 1 :]} in {held.inside}"
    place = _cut(source, _LONGEST_SOURCE)
    if dated:
        place += f", {held.dated_by} on {held.dated}"
    title = _cut(held.title, _LONGEST_TITLE)
    if held.named:
        return f"{title} ({place})"
    return place


def _cut(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
