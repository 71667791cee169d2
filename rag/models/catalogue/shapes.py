"""The sizes of the catalogue's LLMs, kept beside it: to build each model takes a second or more.

`python -m rag.models.catalogue.shapes` writes them anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from rag.models.catalogue import catalogue
from rag.models.catalogue.records import LLM
from rag.models.shape import CacheLayers, Shape, shape_of

_FILE = Path(__file__).with_name("shapes.json")


@lru_cache
def shapes() -> Mapping[str, Shape]:
    """The sizes of each LLM that has a configuration, by its id."""
    found = {}
    for name, row in json.loads(_FILE.read_text("utf-8")).items():
        cache = tuple(CacheLayers(**layers) for layers in row.pop("cache"))
        found[name] = Shape(**row, cache=cache)
    return found


def write() -> None:
    """Build each model without weights, and write its sizes, one a line."""
    rows = [
        f" {json.dumps(model.id)}: "
        f"{json.dumps(asdict(shape_of(model.config)), separators=(',', ':'))}"
        for model in catalogue()
        if model.task == LLM and model.config
    ]
    _FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n", "utf-8")


if __name__ == "__main__":
    write()
