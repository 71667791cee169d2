"""The documents of the parsing benchmark and what is known of them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import CloisterError

_TRUTHS = ("groundtruth", "expected_outputs")
_VECTORS = "must_include_vectors.json"
_NO_DOCUMENTS = ("README.md", "LICENSE", "SHA256SUMS", _VECTORS)
# what markitdown writes of its own: Markdown marks, links' targets, headings, images' data
_OWN_WORDS = re.compile(
    r"data:image|^\]\(|^```|^#* ?Email Message|^## Content|^\| --- |^\*\*Authors|^\*\*Subject"
)
_RUN = re.compile(r"<a:t>([^<]*)</a:t>|</a:(p)>")
_NAMES = {"xlsm": "xlsx", "nxml": "jats", "ods": "odf", "odp": "odf", "odt": "odf"}


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents by their path under `folder`, their truths, strings, and pages as they are."""

    folder: Path
    documents: tuple[str, ...]
    truths: dict[str, str]
    strings: dict[str, tuple[list[str], list[str]]]
    pages: dict[str, list[str]]
    timed: tuple[str, ...]

    def format_of(self, path: str) -> str:
        """The name that the report gives a document's format."""
        suffix = path.rpartition(".")[2].lower()
        if "/jats/" in f"/{path}":
            return "jats"
        return _NAMES.get(suffix, suffix)


def load_corpus(folder: Path) -> Corpus:
    """Every document under the folder. Raises CloisterError where there is none."""
    documents, truths = [], {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.parent.name in _TRUTHS or path.name in _NO_DOCUMENTS:
            continue
        documents.append(name)
        truth = _truth(path)
        if truth is not None:
            truths[name] = truth.read_text("utf-8")
    if not truths:
        raise CloisterError(f"“{folder}” holds no documents with truths beside them.")
    pages = {name: found for name in documents if (found := _pages(folder / name))}
    timed = tuple(name for name in pages if name.endswith(".pdf") and any(pages[name]))
    return Corpus(folder, tuple(documents), truths, _strings(folder, documents), pages, timed)


def _truth(path: Path) -> Path | None:
    candidates = (
        path.parent.parent / "groundtruth" / f"{path.name}.md",
        path.parent.parent / "groundtruth" / f"{path.stem}.md",
        path.parent / "expected_outputs" / f"{path.stem}.md",
    )
    if path.suffix != ".pdf":
        candidates = candidates[:1]
    return next((p for p in candidates if p.is_file() and p.stat().st_size), None)


def _strings(folder: Path, documents: list[str]) -> dict[str, tuple[list[str], list[str]]]:
    found: dict[str, tuple[list[str], list[str]]] = {}
    for path in folder.rglob(_VECTORS):
        for entry in json.loads(path.read_text("utf-8")):
            name = (path.parent / entry["filename"]).relative_to(folder).as_posix()
            # a file that comes again is the same with other options of markitdown's
            if name in documents and name not in found:
                wanted = [s for s in entry["must_include"] if not _OWN_WORDS.search(s)]
                unwanted = [s for s in entry["must_not_include"] if not _OWN_WORDS.search(s)]
                found[name] = (wanted, unwanted)
    return found


def _pages(path: Path) -> list[str]:
    """The text of each page or slide, taken from the file by simple means; empty if it has none."""
    if path.suffix == ".pdf":
        return list(_pdf_pages(path))
    if path.suffix == ".pptx":
        return list(_slides(path))
    return []


def _pdf_pages(path: Path) -> Iterator[str]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return
    for page in document:
        yield page.get_textpage().get_text_range()
    document.close()


def _slides(path: Path) -> Iterator[str]:
    """The runs of each slide, in the order in which the presentation names the slides."""
    with zipfile.ZipFile(path) as archive:
        deck = archive.read("ppt/presentation.xml").decode()
        relations = archive.read("ppt/_rels/presentation.xml.rels").decode()
        targets = {}
        for element in re.findall(r"<Relationship [^>]*>", relations):
            values = dict(re.findall(r'(\w+)="([^"]*)"', element))
            targets[values["Id"]] = values["Target"].lstrip("/").removeprefix("ppt/")
        for key in re.findall(r'<p:sldId [^>]*r:id="([^"]+)"', deck):
            xml = archive.read(f"ppt/{targets[key]}").decode()
            yield "".join(text or "\n" for text, _ in _RUN.findall(xml))
