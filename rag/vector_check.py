"""A child process that opens the vector index and looks chunks up by their own vectors.

Chroma can crash the process that opens a damaged index, so it is opened here first. Reads a job
as JSON from standard input and writes {"missing": […], "extra": […]} to standard output.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rag.catalog import CATALOG_FILE, Catalog
from rag.comparison import compare_vectors
from rag.vectors import VectorIndex


def main() -> None:
    """Check what standard input asks for."""
    job = json.load(sys.stdin)
    catalog = Catalog(Path(job["home"]) / CATALOG_FILE)
    index = VectorIndex(Path(job["path"]), job["fingerprint"])
    found = compare_vectors(catalog, index, job["fingerprint"], job["sample"])
    json.dump(asdict(found), sys.stdout)
    index.close()


if __name__ == "__main__":
    main()
