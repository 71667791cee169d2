"""How well and how fast documents are read, beside other libraries on the same files.

`--data FOLDER` holds documents beside truths: `…/groundtruth/NAME.md` for `…/sources/NAME` (or a
PDF without its suffix), `expected_outputs/NAME.md` for PDFs, and `must_include_vectors.json` with
strings that a text must or must not hold. `--write` puts the report into docs/parsing.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _common import ROOT, say, write_between
from _parsing_corpus import Corpus, load_corpus
from _parsing_readers import LIBRARIES, Reading, count_chunks, read_own, read_peer
from _parsing_report import report, worst
from _parsing_scores import holds, pages_right, score

PAGE = ROOT / "docs" / "parsing.md"
_BEGIN, _END = "<!-- figures -->", "<!-- /figures -->"
_ROUNDS = 3


def main() -> int:
    """Read everything by every library, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder with documents and truths")
    parser.add_argument("--write", action="store_true", help="put the report into docs/parsing.md")
    parser.add_argument("--worst", action="store_true", help="list each document that a peer wins")
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")
    parser.add_argument("--small", action="store_true", help="Cloister only, each PDF timed once")
    given = parser.parse_args()
    if given.data is None:
        say("parsing: left out, as it needs --data FOLDER (documents beside truths)")
        return 0
    corpus = load_corpus(given.data)
    readings = _read_all(corpus, small=given.small)
    scores = {name: _scores(corpus, found) for name, found in readings.items()}
    results = {
        "scores": scores,
        "rates": {name: _rate(corpus, found) for name, found in readings.items()},
        "chunks": count_chunks(readings["cloister"].values()),
    }
    text = report(corpus, results)
    if given.json:
        print(json.dumps(results, ensure_ascii=False))
    elif given.write:
        write_between(PAGE, _BEGIN, _END, text)
    else:
        print(text)
    if given.worst:
        print("\n".join(worst(scores)))
    return 0


def _read_all(corpus: Corpus, *, small: bool) -> dict[str, dict[str, Reading]]:
    pdfs = [path for path in corpus.timed if corpus.format_of(path) == "pdf"]
    others = [path for path in corpus.documents if path not in set(pdfs)]
    rounds = 1 if small else _ROUNDS
    readings = {
        "cloister": read_own(corpus.folder, pdfs, rounds) | read_own(corpus.folder, others, 1)
    }
    for library, formats in {} if small else LIBRARIES.items():
        say(f"reading by {library}")
        rest = others if formats is None else [p for p in others if corpus.format_of(p) in formats]
        readings[library] = read_peer(library, corpus.folder, pdfs, rounds)
        readings[library] |= read_peer(library, corpus.folder, rest, 1)
    return readings


def _scores(corpus: Corpus, readings: Mapping[str, Reading]) -> dict[str, dict[str, Any]]:
    scores: dict[str, dict[str, Any]] = {}
    for path, reading in readings.items():
        entry: dict[str, Any] = {"format": corpus.format_of(path), "error": reading.error}
        if path in corpus.truths:
            found = score(corpus.truths[path], reading.text)
            entry |= {
                "recall": found.recall,
                "precision": found.precision,
                "order": found.order,
                "rows": found.rows,
            }
        if path in corpus.strings:
            wanted, unwanted = corpus.strings[path]
            missing = [string for string in wanted if not holds(reading.text, string)]
            present = [string for string in unwanted if string in reading.text]
            entry |= {"strings": len(wanted) + len(unwanted), "wrong": missing + present}
        if path in corpus.pages and reading.pages is not None:
            entry["pages"] = pages_right(corpus.pages[path], reading.pages)
        scores[path] = entry
    return scores


def _rate(corpus: Corpus, readings: Mapping[str, Reading]) -> dict[str, Any]:
    """Pages a second over the PDFs that every library reads; tables and places that it gave."""
    timed = [readings[path] for path in corpus.timed if path in readings]
    rounds = [sum(times) for times in zip(*(reading.seconds for reading in timed), strict=True)]
    pages = sum(len(corpus.pages[path]) for path in corpus.timed)
    return {
        "pages": pages,
        "seconds": sorted(rounds)[len(rounds) // 2],
        "failed": sum(bool(reading.error) for reading in timed),
        "tables": sum(reading.tables for reading in timed),
        "places": sum(reading.places for reading in timed),
    }


if __name__ == "__main__":
    sys.exit(main())
