"""Names for the parts that judge passages, so that a recorded answer tells which ones did."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

from rag import __version__
from rag.answerability import Calibration
from rag.files import hash_of
from rag.reading import SECOND_WEIGHTS, WEIGHTS
from rag.records import MadeWith, to_json
from rag.settings import Settings

_DIGITS = 12


def made_with(
    settings: Settings, calibration: Calibration, embedder: str, second: bool
) -> MadeWith:
    """What decides every answer of a library alike.

    `embedder` is its fingerprint, `second` whether passages are read a second time.
    """
    return MadeWith(
        cloister=__version__,
        calibration=fingerprint_of(calibration),
        reader=_readers(second) if settings.reader_model not in ("", "none") else "none",
        embedder=embedder,
        threshold=calibration.threshold,
    )


def fingerprint_of(calibration: Calibration) -> str:
    """12 hex digits over all that was fitted."""
    text = json.dumps(to_json(calibration), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


@lru_cache
def _readers(second: bool) -> str:
    """12 hex digits of the SHA-256 of the reader's weights, and of the second one's."""
    files = (WEIGHTS, SECOND_WEIGHTS) if second else (WEIGHTS,)
    return "+".join(hash_of(path)[:_DIGITS] for path in files)
