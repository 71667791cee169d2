"""Answers that a long run keeps, so that one that broke off goes on.

Each row has the key of what made it: the program, its models and its settings. Rows of another key
are left where they are and are not taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _common import ROOT

from rag.errors import UsageError
from rag.models.folder import find_model
from rag.settings import Settings

Row = dict[str, Any]


def key_of(settings: Settings) -> str:
    """The key of answers by this program with these settings, 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for package in ("rag", "ingest", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in (".py", ".json", ".toml", ".safetensors"):
                digest.update(path.relative_to(ROOT).as_posix().encode())
                digest.update(path.read_bytes())
    digest.update(
        repr((settings.llm_model, settings.llm_adapter, settings.embedder_model)).encode()
    )
    for name in (settings.llm_model, settings.embedder_model):
        if name not in ("", "none") and ":" not in name:
            digest.update(find_model(settings.models_path, name).revision.encode())
    return digest.hexdigest()[:12]


class KeptAnswers:
    """Rows in a file of JSON lines, each there as soon as it is given; without a file in memory."""

    def __init__(self, path: Path | None, key: str) -> None:
        """Read what is there of this key. Raises UsageError for a file of something else."""
        self._path, self._key = path, key
        self.rows: list[Row] = []
        if path is None or not path.exists():
            return
        text = path.read_text("utf-8")
        for line in text.split("\n"):
            if not line.endswith("}"):  # empty, or broken off
                continue
            try:
                row = json.loads(line)
                if row["key"] == key:
                    self.rows.append(row)
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(
                    f"{path} holds no kept answers. Move it away, or name another file."
                ) from error
        if text and not text.endswith("\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def keep(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self.rows.append({"key": self._key, **row})
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(self.rows[-1], ensure_ascii=False)}\n")
