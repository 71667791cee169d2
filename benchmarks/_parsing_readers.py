"""Documents read by Cloister and by its peers, each peer in a process of its own."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _common import bench_settings, embedder_folder, run_quietly, say

from ingest.chunking import Chunker
from ingest.conversion import Converter
from ingest.formats import KINDS, kind_of
from ingest.sandbox import Sandbox
from rag.errors import CloisterError, DocumentError
from rag.parsed import Page, Parsed
from rag.tokens import tokenizer_offsets

_HERE = Path(__file__).resolve().parent
_PEERS = _HERE / ".peers"
_PACKAGES = (
    "markitdown[docx,pptx,xlsx,xls,pdf,outlook]==0.1.9",
    "kreuzberg==4.10.4",
    "pypdf==7.1.1",
    "pdfplumber==0.11.10",
)
# the formats that each reads; None: it says itself
LIBRARIES: dict[str, tuple[str, ...] | None] = {
    "markitdown": None,
    "kreuzberg": None,
    "pypdf": ("pdf",),
    "pdfplumber": ("pdf",),
}
_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Reading:
    """What a library made of a document. `seconds` has one entry a round."""

    text: str = ""
    pages: list[str] | None = None
    tables: int = 0
    places: int = 0
    seconds: list[float] = field(default_factory=list)
    error: str = ""
    parsed: Parsed | None = None


def read_own(folder: Path, paths: Sequence[str], rounds: int) -> dict[str, Reading]:
    """Each document through the sandbox, as an ingest reads it, without OCR.

    Those of old Office go through LibreOffice, where it is installed.
    """
    readings = {}
    with Sandbox(ocr_pages=0) as sandbox, tempfile.TemporaryDirectory() as home:
        settings = bench_settings(Path(home))
        (settings.home / "run").mkdir(parents=True, exist_ok=True)
        with closing(Converter(settings)) as converter:
            # the first document would pay for the start of the process
            for path in paths[:1]:
                _read(sandbox, converter, folder / path, 1)
            for path in paths:
                readings[path] = _read(sandbox, converter, folder / path, rounds)
    return readings


def _read(sandbox: Sandbox, converter: Converter, path: Path, rounds: int) -> Reading:
    seconds, parsed, error = [], None, ""
    for _ in range(rounds):
        started = time.perf_counter()
        try:
            with path.open("rb") as file:
                kind = kind_of(path.name, file.read(4096))
            if new := KINDS[kind].becomes:
                with converter.converted(path, path.name, kind) as result:
                    parsed = sandbox.parse(result, path.name, new)
            else:
                parsed = sandbox.parse(path, path.name, kind)
        except DocumentError as failure:
            error = f"{failure.code}: {failure}"
        seconds.append(time.perf_counter() - started)
    if parsed is None:
        return Reading(seconds=seconds, error=error)
    texts = [_shown(page) for page in parsed.pages]
    return Reading(
        "\n".join(texts),
        texts,
        _tables(parsed),
        sum(len(page.places) for page in parsed.pages),
        seconds,
        parsed=parsed,
    )


def _shown(page: Page) -> str:
    """A page's text below its label, such as a sheet's name, where the text does not begin so."""
    return page.text if page.text.startswith(page.label) else f"{page.label}\n{page.text}"


def _tables(parsed: Parsed) -> int:
    """The runs of rows."""
    kinds = [["", *(block.kind for block in page.blocks)] for page in parsed.pages]
    return sum(a != "row" == b for page in kinds for a, b in itertools.pairwise(page))


def read_peer(library: str, folder: Path, paths: Sequence[str], rounds: int) -> dict[str, Reading]:
    """Each document by a library of the peers' environment, which is made if need be."""
    files = [str(folder / path) for path in paths]
    child = subprocess.run(
        [str(_python()), "-P", str(_HERE / "_parsing_peers.py"), library, str(rounds)],
        input=json.dumps(files[:1] + files),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    lines = [json.loads(line) for line in child.stdout.splitlines() if line.startswith('{"path"')]
    if child.returncode or len(lines) != len(files) + 1:
        raise CloisterError(f"{library} failed:\n{child.stderr[-2000:]}")
    return {path: _reading(line) for path, line in zip(paths, lines[1:], strict=True)}


def _reading(line: dict[str, Any]) -> Reading:
    return Reading(**{key: value for key, value in line.items() if key != "path"})


def _python() -> Path:
    """The peers' Python, once their packages are there."""
    python, done = _PEERS / "bin" / "python", _PEERS / "installed.json"
    wanted = json.dumps([sys.version_info[:2], *_PACKAGES])
    if not (done.is_file() and done.read_text() == wanted):
        say("fetching the peers' libraries into benchmarks/.peers (about 500 MB), once")
        venv.create(_PEERS, with_pip=True)
        run_quietly([str(python), "-m", "pip", "install", "--quiet", *_PACKAGES])
        done.write_text(wanted)
    return python


def count_chunks(readings: Iterable[Reading]) -> dict[str, int]:
    """The chunks of everything read, and how many are exactly their span of the page."""
    settings = bench_settings(Path("unused"))
    offsets = tokenizer_offsets(embedder_folder(settings))
    chunker = Chunker(offsets, settings.chunk_tokens, settings.chunk_overlap)
    counts = {"documents": 0, "chunks": 0, "exact": 0, "boxed": 0, "in PDFs": 0}
    for reading in readings:
        if reading.parsed is None:
            continue
        counts["documents"] += 1
        pages = {page.number: page for page in reading.parsed.pages}
        for chunk in chunker.chunks(reading.parsed, "key"):
            page = pages[chunk.page]
            counts["chunks"] += 1
            counts["exact"] += page.text[chunk.start : chunk.end] == chunk.text
            counts["in PDFs"] += page.width > 0
            counts["boxed"] += any(
                place.start < chunk.end and chunk.start < place.end for place in page.places
            )
    return counts
