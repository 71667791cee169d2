"""Text of documents, names of files and models, as they may be written to a terminal.

They come from anywhere. A control character in them could move the cursor, rewrite what was
printed or send keys back; an embedded line end could fake a line of Cloister's own.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

REPLACEMENT = "�"
# joiners that some scripts and emoji need, and the soft hyphen of many PDFs; they do nothing
_HARMLESS = frozenset("\u200c\u200d\u00ad")
_SUSPECT = re.compile(r"[^\x20-\x7e]")


def printable(text: object) -> str:
    """`text` on one line, each control, format or unassigned character as `�`."""
    return _SUSPECT.sub(lambda match: REPLACEMENT if _acts(match[0]) else match[0], str(text))


def json_line(value: Any) -> str:
    """`value` as one line of JSON: letters as they are written, what `printable` replaces escaped.

    Nothing is lost, not even half of a surrogate pair, which a file's name may hold.
    """
    line = json.dumps(value, ensure_ascii=False)
    return _SUSPECT.sub(lambda m: json.dumps(m[0])[1:-1] if _acts(m[0]) else m[0], line)


def _acts(character: str) -> bool:
    return unicodedata.category(character)[0] == "C" and character not in _HARMLESS
