"""The comparisons of a library on the disk: `comparisons/` in the data directory, a folder each.

No text of a document is in them: questions, figures, what went wrong, and hashes. `rows.jsonl` has
a line for each answer as soon as it is there, so that a broken-off comparison goes on;
`overview.json` tells what it is, and `result.json` what came out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag.checkpoints import write_text
from rag.errors import DISK_ERRORS, NotFound, storage_error
from rag.settings import Settings

FOLDER = "comparisons"
_ID = re.compile(r"cmp_[0-9a-f]{16}", re.ASCII)
_ROWS, _OVERVIEW, _RESULT = "rows.jsonl", "overview.json", "result.json"


@dataclass(frozen=True, slots=True)
class Row:
    """What a model made of a question, in figures. `passages` is a hash of what it was given.

    `memory` is the most bytes that the model took until then, measured as `how` says. `beside` says
    that it was timed while a server answered others.
    """

    model: str
    question: str
    passages: str
    scores: Mapping[str, float]
    failure: str
    abstained: bool
    confidence: float
    answerable: float
    timings_ms: Mapping[str, int]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    device: str = ""
    precision: str | None = None
    quantization: str | None = None
    memory: int | None = None
    how: str = ""
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Overview:
    """What a comparison is, to be listed: when it was begun and when it ended (empty: it has not).

    Moments are ISO 8601, UTC. `done` of `total` answers are there.
    """

    id: str
    name: str
    models: tuple[str, ...]
    questions: int
    begun: str
    ended: str = ""
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class Ledger:
    """The answers of one comparison so far, in its file. One process writes it at a time."""

    folder: Path
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Keep an answer, on the disk before this returns. Raises StorageError."""
        try:
            with (self.folder / _ROWS).open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(row))}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _failed(error) from error
        self.rows[row.model, row.question] = row

    def drop(self, question: str) -> None:
        """Forget the answers to a question, whose passages are others now. Raises StorageError."""
        self.rows = {key: row for key, row in self.rows.items() if key[1] != question}
        lines = (f"{json.dumps(asdict(row))}\n" for row in self.rows.values())
        write_text(self.folder / _ROWS, "".join(lines))


def open_ledger(settings: Settings, comparison: str, again: bool = False) -> Ledger:
    """The answers of a comparison, made if it is new; with `again` none of them.

    A last line that a kill cut off is left out. Raises StorageError.
    """
    folder = _folder(settings, comparison)
    try:
        if again and folder.is_dir():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folder)
        path = folder / _ROWS
        if not path.exists():
            return ledger
        lines = path.read_text("utf-8", errors="replace").split("\n")
        for line in lines:
            row = _row(line)
            if row:
                ledger.rows[row.model, row.question] = row
        if lines[-1]:  # what follows must begin a line of its own
            write_text(path, "".join(f"{json.dumps(asdict(r))}\n" for r in ledger.rows.values()))
    except OSError as error:
        raise _failed(error) from error
    return ledger


def write_overview(settings: Settings, overview: Overview) -> None:
    """Keep what a comparison is. Raises StorageError."""
    path = _folder(settings, overview.id) / _OVERVIEW
    write_text(path, json.dumps(asdict(overview), ensure_ascii=False))


def write_result(settings: Settings, comparison: str, result: Mapping[str, Any]) -> None:
    """Keep what came out. Raises StorageError."""
    path = _folder(settings, comparison) / _RESULT
    write_text(path, json.dumps(result, ensure_ascii=False))


def read_result(settings: Settings, comparison: str) -> Mapping[str, Any] | None:
    """What came out, as JSON values; None where it has not ended. Raises NotFound."""
    read_overview(settings, comparison)
    found: Mapping[str, Any] | None = _read(_folder(settings, comparison) / _RESULT)
    return found


def read_overview(settings: Settings, comparison: str) -> Overview:
    """What a comparison is, with how many answers there are now.

    Raises NotFound, also for one that is damaged.
    """
    overview = _overview(_read(_folder(settings, comparison) / _OVERVIEW))
    if overview is None or overview.id != comparison:
        raise NotFound(f"There is no comparison {comparison[:80]}.")
    return overview


def list_overviews(settings: Settings) -> list[Overview]:
    """All comparisons, the newest first; what is damaged is left out."""
    return sorted(_overviews(settings), key=lambda one: (one.begun, one.id), reverse=True)


def delete(settings: Settings, comparison: str) -> None:
    """Delete all that is kept of one. Raises NotFound and StorageError."""
    read_overview(settings, comparison)
    try:
        shutil.rmtree(_folder(settings, comparison))
    except OSError as error:
        raise _failed(error) from error


def _overviews(settings: Settings) -> Iterator[Overview]:
    parent = settings.home / FOLDER
    if not parent.is_dir():
        return
    for path in parent.iterdir():
        try:
            yield read_overview(settings, path.name)
        except NotFound:
            continue


def _folder(settings: Settings, comparison: str) -> Path:
    if not _ID.fullmatch(comparison):
        raise NotFound(f"There is no comparison {comparison[:80]}.")
    return settings.home / FOLDER / comparison


def _read(path: Path) -> Any:
    """What a file of this module holds; None where it is not there, or damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _overview(stored: Any) -> Overview | None:
    try:
        found = Overview(**{**stored, "models": tuple(stored["models"])})
    except (KeyError, TypeError):
        return None
    texts = (found.id, found.name, found.begun, found.ended, *found.models)
    numbers = (found.questions, found.done, found.total)
    sound = all(isinstance(one, str) for one in texts) and all(isinstance(n, int) for n in numbers)
    return found if sound else None


def _row(line: str) -> Row | None:
    try:
        return Row(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None


def _failed(error: OSError) -> Exception:
    return storage_error(error) if error.errno in DISK_ERRORS else error
