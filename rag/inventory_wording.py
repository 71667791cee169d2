"""The sentences of an answer about the library itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

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
    "doc": ("Word document", "Word documents"),
    "xls": ("spreadsheet", "spreadsheets"),
    "ods": ("spreadsheet", "spreadsheets"),
    "ppt": ("presentation", "presentations"),
    "odp": ("presentation", "presentations"),
    "msg": ("e-mail", "e-mails"),
    "rtf": ("RTF file", "RTF files"),
    "epub": ("EPUB book", "EPUB books"),
    "code": ("file of code", "files of code"),
    "notebook": ("Jupyter notebook", "Jupyter notebooks"),
}
_LANGUAGES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "pl": "Polish",
    "ru": "Russian",
    "zh": "Chinese",
    "ja": "Japanese",
    "sv": "Swedish",
    "da": "Danish",
    "cs": "Czech",
    "tr": "Turkish",
    "uk": "Ukrainian",
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
    if scope.language:
        said += f" in {_LANGUAGES.get(scope.language, scope.language)}"
    if scope.sender:
        said += f" from “{scope.sender}”"
    if scope.folder:
        said += f" in the folder “{scope.folder}”"
    if scope.collection:
        said += f" in the collection “{scope.collection}”"
    came = "dated" if scope.dated else "changed or added"
    if scope.year:
        return f"{said} dated {scope.year}, by the file, the mail, the title or the file name"
    if scope.since and scope.until == scope.since:
        said += f" {came} on {scope.since}"
    elif scope.since and scope.until:
        said += f" {came} from {scope.since} to {scope.until}"
    elif scope.since:
        said += f" {came} since {scope.since}"
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


def kinds_named(held: Mapping[str, int]) -> str:
    """“4 PDFs, 2 text files and 1 e-mail”: so many documents of each kind, most first."""
    numbers: Counter[tuple[str, str]] = Counter()
    for kind, n in held.items():
        numbers[_NOUNS.get(kind, (f"{kind.upper()} file", f"{kind.upper()} files"))] += n
    ranked = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    *said, last = [f"{n:,} {one if n == 1 else many}" for (one, many), n in ranked]
    return f"{', '.join(said)} and {last}" if said else last


def length_of(held: Held) -> str:
    """How long a document is, as it follows its name."""
    said = f"{held.passages:,} passage{'s' if held.passages > 1 else ''}"
    return f"{said} on {held.pages:,} pages" if held.pages > 1 else said


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


def line_of(held: Held, dated: bool = False, more: str = "") -> str:
    """A document by its title, and where it is.

    `dated` adds when it was sent, changed or added; `more` is said besides.
    """
    source = held.source
    if held.inside and source.startswith(f"{held.inside}/"):
        source = f"{source[len(held.inside) + 1 :]} in {held.inside}"
    place = _cut(source, _LONGEST_SOURCE)
    if dated:
        place += f", {held.dated_by} on {held.dated}"
    if more:
        place += f", {more}"
    title = _cut(held.title, _LONGEST_TITLE)
    if held.named:
        return f"{title} ({place})"
    return place


def _cut(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
