"""Checks what is asked before anything is spent on it."""

from __future__ import annotations

from datetime import date

from rag.errors import TooLarge, UsageError
from rag.printing import printable
from rag.records import Filters
from rag.settings import Settings

# so many of each kind of filter may be given
MOST_FILTERS = 50


def checked(text: str, settings: Settings, what: str = "question") -> str:
    """A question or query as it will be asked. Raises UsageError if empty, TooLarge if long."""
    text = text.strip()
    if not text:
        raise UsageError(f"The {what} is empty. Write what you want to know.")
    if len(text) > settings.question_max_chars:
        raise TooLarge(
            f"The {what} has {len(text):,} characters; at most {settings.question_max_chars:,} "
            "are taken (question.max_chars). Shorten it."
        )
    return text


def check_filters(filters: Filters) -> None:
    """Raises UsageError where there are too many, one is no text, or a day is none."""
    for name in ("documents", "kinds", "languages"):
        if len(getattr(filters, name)) > MOST_FILTERS:
            raise UsageError(f"More than {MOST_FILTERS} {name} were given. Ask in several times.")
    for text in (filters.folder, *filters.documents, *filters.kinds, *filters.languages):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"A filter is no text: {printable(text[:80])}.") from error
    for name in ("since", "until"):
        day = getattr(filters, name)
        try:
            known = not day or date.fromisoformat(day).isoformat() == day
        except ValueError:
            known = False
        if not known:
            raise UsageError(f"{name} is “{day[:40]}”, which is no day. Write it as 2026-01-31.")
    if filters.since and filters.until and filters.until < filters.since:
        raise UsageError(
            f"No day is both from {filters.since} on and until {filters.until}. Swap the two."
        )
