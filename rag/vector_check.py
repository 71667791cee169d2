"""A child process that opens the vector index and looks chunks up by their own vectors.

Chroma can crash the process that opens a damaged index, so it is opened here first. Reads a job
as JSON from standard input and writes {"missing": […], "extra": […]} to standard output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from rag.catalog import Catalog
from rag.catalog.contents import index_rows
from rag.vectors import VectorIndex


def check(catalog: Catalog, index: VectorIndex, fingerprint: str, sample: int | None) -> object:
    """Ids that the index should find and does not, and ids that it holds for no chunk.

    With `sample`, only about so many chunks are looked up, spread over the whole.
    """
    missing: list[str] = []
    wanted: set[str] = set()
    step = 1 if sample is None else max(1, len(index) // sample)
    for rows in index_rows(catalog, embedded_by=fingerprint):
        wanted.update(row.id for row in rows)
        looked = rows[::step]
        if looked:
            vectors = np.stack([row.vector for row in looked])
            missing.extend(index.missing([row.id for row in looked], vectors))
    held = {name for batch in index.ids() for name in batch}
    missing.extend(sorted(wanted - held - set(missing)))
    return {"missing": missing, "extra": sorted(held - wanted)}


def main() -> None:
    """Check what standard input asks for."""
    job = json.load(sys.stdin)
    catalog = Catalog(Path(job["home"]) / "catalog.sqlite")
    index = VectorIndex(Path(job["path"]), job["fingerprint"])
    json.dump(check(catalog, index, job["fingerprint"], job["sample"]), sys.stdout)
    index.close()


if __name__ == "__main__":
    main()
