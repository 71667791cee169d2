"""A model's licence, and that someone accepted it before the model was taken."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rag.errors import UsageError

# the name of a licence that nobody stated
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Licence:
    """A model's licence: its name, where it can be read, and its text where that is at hand."""

    model: str
    name: str
    url: str = ""
    text: str = ""

    @property
    def told(self) -> str:
        """What a person is told of it."""
        where = f" ({self.url})" if self.url else ""
        if self.name == UNKNOWN:
            return (
                f"No licence is stated for {self.model}{where}. Without one nobody but its makers "
                "may use it: ask them, or make sure that you have theirs."
            )
        return f"{self.model} has the licence “{self.name}”{where}."


# shows a licence and tells whether a person accepted it
Ask = Callable[[Licence], bool]


def accept(licence: Licence, given: str | None, ask: Ask | None) -> tuple[str, str]:
    """The account that accepted a licence and when; `given` is what a program says that it accepts.

    Raises UsageError where nobody did.
    """
    if given is not None:
        if given.strip().lower() != licence.name.lower():
            raise UsageError(
                f"{licence.told} What was accepted is “{given}”. Read it, and give "
                f"--accept-licence {licence.name}"
            )
    elif ask is None:
        raise UsageError(
            f"{licence.told} Nobody accepted it. Read it, and give --accept-licence {licence.name}"
        )
    elif not ask(licence):
        raise UsageError(f"The licence of {licence.model} was not accepted; nothing was taken.")
    return account(), now()


def account() -> str:
    """The name of the account that runs this process, or its number where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid())


def now() -> str:
    """The time as ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
