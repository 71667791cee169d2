"""Documents by words in their names: in a source or title, however case and accents are written."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, true

from rag.catalog.schema import contents, documents

# accents of Latin, Greek and Cyrillic letters, written as signs of their own; those of other
# scripts make other letters
_ACCENTS = re.compile("[\u0300-\u036f]+")
_ESCAPE = "\\"


def named_with(connection: Connection, words: str) -> ColumnElement[bool]:
    """What holds of a document (joined with its content) that has each of these words in its name.

    SQLite folds the case of ASCII only, which it does quickly: all other names are given to a
    function of the connection.
    """
    wanted = folded(words).split()
    if not wanted:
        return true()
    driver: Any = connection.connection.driver_connection
    driver.create_function("named", 2, _named, deterministic=True)
    name = documents.c.source + " " + func.coalesce(contents.c.title, "")
    plain = and_(*(name.like(f"%{_escaped(word)}%", escape=_ESCAPE) for word in wanted))
    return case((name.op("GLOB")("*[^ -~]*"), func.named(name, " ".join(wanted)) == 1), else_=plain)


def _named(name: str, words: str) -> bool:
    """Whether a name has each of the words, which are folded."""
    known = folded(name)
    return all(word in known for word in words.split(" "))


def _escaped(word: str) -> str:
    """A word with LIKE's own signs taken for what they are."""
    return re.sub(r"[\\%_]", r"\\\g<0>", word)


def folded(text: str) -> str:
    """A text as it is compared: without case and accents."""
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFKC", bare)
