"""The reader: a small extractive model that finds the stretch of a passage that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.settings import Settings

if TYPE_CHECKING:
    from rag.reading.reader import Reader


def load_reader(settings: Settings) -> Reader | None:
    """The reader that the settings name, or None where they name none. Raises ModelError."""
    if settings.reader_model in ("", "none"):
        return None
    from rag.models.folder import find_model, verify
    from rag.reading.reader import Reader

    folder = find_model(settings.models_path, settings.reader_model)
    verify(folder)
    return Reader(folder.path, settings.embedder_device, settings.embedder_precision)
