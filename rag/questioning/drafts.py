"""A file of drafted questions, in the form of a question file, and what a person decided of each.

A draft has `"approved": false`; one that a person does not want has `"rejected": true` too. A line
without `approved` is a question that was never a draft.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from rag.errors import Busy, NotFound, UsageError
from rag.evaluation.files import write_rows
from rag.evaluation.questions import item_of, known_by, read_lines
from rag.evaluation.rated import split_of
from rag.questioning.checks import same_words
from rag.questioning.proposing import Proposal
from rag.questioning.targets import Target

Row = dict[str, Any]


class DraftFile:
    """The rows of a file; every change is written at once, whole or not at all.

    No other process has the file as drafts until this one is closed.
    """

    def __init__(self, path: Path, new: bool = False) -> None:
        """Read it. Where it is `new` it need not be there.

        Raises NotFound, UsageError, and Busy where another process has it.
        """
        self._path = path.resolve()
        self._lock_path = self._path.with_name(f".{self._path.name}.lock")
        if not new and not path.exists():
            read_lines(path)
        self._lock = self._locked(path)
        try:
            self.rows: list[Row] = [dict(row) for row in read_lines(path)]
        except BaseException as error:
            if not isinstance(error, NotFound) or not new or path.exists():
                self.close()
                raise
            self.rows = []

    def __enter__(self) -> DraftFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the file to others."""
        if not self._lock.closed:
            # while it is held, so that nobody holds the one that goes
            self._lock_path.unlink(missing_ok=True)
            self._lock.close()

    def waiting(self) -> list[Row]:
        """The drafts that nobody has decided on."""
        return [
            row for row in self.rows if row.get("approved") is False and not row.get("rejected")
        ]

    def has(self, question: str, but: Row | None = None) -> bool:
        """Whether the question stands there already, in these words; `but` does not count."""
        return any(
            same_words(row["question"]) == same_words(question)
            for row in self.rows
            if row is not but
        )

    def has_target(self, target: Target) -> bool:
        """Whether a question about that sentence stands there already."""
        place = _evidence(target)
        return any(place in row.get("evidence", ()) for row in self.rows)

    def add(self, target: Target, proposal: Proposal) -> Row:
        """Add a draft, which nobody has approved."""
        row = {
            "id": known_by(proposal.question),
            "question": proposal.question,
            "history": [],
            "answerable": True,
            "answers": [target.answer],
            "evidence": [_evidence(target)],
            "split": split_of(proposal.question),
            "approved": False,
            "drafted_by": proposal.model,
        }
        self.rows.append(row)
        self._save()
        return row

    def decide(self, row: Row, approved: bool) -> None:
        """Note a person's decision."""
        row["approved"] = approved
        if not approved:
            row["rejected"] = True
        self._save()

    def change(self, row: Row, question: str, answer: str) -> None:
        """Put other words in a draft's place; it stays undecided. Raises UsageError.

        One that has no answer may stay without.
        """
        if self.has(question, but=row):
            raise UsageError("That question stands in the file already. Change it.")
        changed = {
            **row,
            "id": known_by(question, collection=row.get("collection")),
            "question": question,
            "answers": [answer] if answer or row.get("answers") else [],
            "split": split_of(question),
        }
        try:
            item_of(changed)
        except ValueError as error:
            raise UsageError(f"That is no question: {error}.") from error
        row.update(changed)
        self._save()

    def _locked(self, path: Path) -> IO[str]:
        """The lock beside the file, held. Raises Busy and UsageError."""
        while True:
            try:
                lock = self._lock_path.open("a")
            except OSError as error:
                raise UsageError(f"{path} cannot be changed here: {error.strerror}.") from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock.fileno()), self._lock_path.stat()):
                    return lock
            except BlockingIOError as error:
                lock.close()
                raise Busy(
                    f"Another “cloister questions draft” or “approve” has {path} open. Wait until "
                    "it ends, or end it with Ctrl-C: what it did is kept."
                ) from error
            except FileNotFoundError:  # the one before went with its holder
                pass
            lock.close()

    def _save(self) -> None:
        write_rows(self._path, self.rows)


def _evidence(target: Target) -> Row:
    passage = target.passage
    return {"source": passage.source, "page": passage.page, "quote": target.sentence}
