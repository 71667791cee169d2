"""Reads documents by one library, in an environment of its own; Cloister is not imported.

`_parsing_peers.py LIBRARY ROUNDS` reads a JSON list of paths from standard input and prints one
JSON line for each: its text, its pages where the library tells them apart, how many tables and
words with places it gave, the seconds of each round, or the error.
"""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

_SLIDE = re.compile(r"<!-- Slide number: \d+ -->")

Result = dict[str, Any]


def markitdown() -> Callable[[str], Result]:
    """Markdown of any format; slides are marked, pages are not."""
    converter = import_module("markitdown").MarkItDown(enable_plugins=False)

    def read(path: str) -> Result:
        text = converter.convert_local(path).markdown
        pages = _SLIDE.split(text)[1:] or None
        return {
            "text": text,
            "pages": pages,
            "tables": len(re.findall(r"^\|[ :|-]+\|$", text, re.MULTILINE)),
        }

    return read


def kreuzberg() -> Callable[[str], Result]:
    """Markdown of any format, page by page."""
    library = import_module("kreuzberg")
    config = library.ExtractionConfig(
        pages=library.PageConfig(extract_pages=True), output_format="markdown", use_cache=False
    )

    def read(path: str) -> Result:
        found = library.extract_file_sync(path, config=config)
        pages = [page["content"] for page in found.pages or ()] or None
        return {"text": found.content, "pages": pages, "tables": len(found.tables)}

    return read


def pypdf() -> Callable[[str], Result]:
    """The plain text of a PDF's pages."""
    reader = import_module("pypdf").PdfReader

    def read(path: str) -> Result:
        pages = [page.extract_text() for page in reader(path).pages]
        return {"text": "\n".join(pages), "pages": pages}

    return read


def pdfplumber() -> Callable[[str], Result]:
    """A PDF's text, the boxes of its words, and its tables."""
    opened = import_module("pdfplumber").open

    def read(path: str) -> Result:
        pages, tables, places = [], 0, 0
        with opened(path) as document:
            for page in document.pages:
                pages.append(page.extract_text())
                places += len(page.extract_words())
                tables += len(page.extract_tables())
                page.close()
        return {"text": "\n".join(pages), "pages": pages, "tables": tables, "places": places}

    return read


def main(library: str, rounds: str) -> None:
    """Load the library, then read each file as often as asked."""
    warnings.simplefilter("ignore")
    read = {f.__name__: f for f in (markitdown, kreuzberg, pypdf, pdfplumber)}[library]()
    for path in json.load(sys.stdin):
        seconds, result = [], {}
        for _ in range(int(rounds)):
            started = time.perf_counter()
            try:
                result = read(path)
            except Exception as error:  # noqa: BLE001 - each library has errors of its own
                result = {"error": f"{type(error).__name__}: {error}"[:300]}
            seconds.append(time.perf_counter() - started)
        print(json.dumps({"path": path, "seconds": seconds, **result}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
