"""Names for the parts that judge passages, so that a recorded answer tells which ones did."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

from rag import __version__
from rag.answerability import Calibration
from rag.files import hash_of
from rag.records import MadeWith, to_json
from rag.settings import Settings

_DIGITS = 12


def made_with(settings: Settings, calibration: Calibration, embedder: str) -> MadeWith:
    """What decides every answer of a library alike; `embedder` is its fingerprint."""
    return MadeWith(
        cloister=__version__,
        calibration=fingerprint_of(calibration),
        reader=_reader() if settings.reader_model not in ("", "none") else "none",
        embedder=embedder,
        threshold=calibration.threshold,
    )


def fingerprint_of(calibration: Calibration) -> str:
    """12 hex digits over all that was fitted."""
    text = json.dumps(to_json(calibration), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


@lru_cache
def _reader() -> str:
    """12 hex digits of the SHA-256 of the reader's weights."""
    from rag.reading.model import WEIGHTS

    return hash_of(WEIGHTS)[:_DIGITS]
