"""Checks what is asked before anything is spent on it."""

from __future__ import annotations

from rag.errors import TooLarge, UsageError
from rag.settings import Settings


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
