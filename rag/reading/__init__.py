"""The readers: small models that tell which stretch of a passage answers, if one does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rag.settings import Settings

if TYPE_CHECKING:
    from rag.reading.reader import Reader
    from rag.reading.second import SecondReader

WEIGHTS = Path(__file__).with_name("reader.safetensors")
SECOND_WEIGHTS = Path(__file__).with_name("second.safetensors")
# what the second reader is a change of; over any other weights it would read nonsense
SECOND_BASE = "SmolLM2-135M-Instruct"


def load_reader(settings: Settings) -> Reader | None:
    """The reader that the settings name, or None where they name none. Raises ModelError."""
    if not _is_named(settings):
        return None
    from rag.models.folder import find_model, verify
    from rag.reading.reader import Reader

    folder = find_model(settings.models_path, settings.reader_model)
    verify(folder)
    return Reader(folder.path, settings.embedder_device, settings.embedder_precision)


def load_second(settings: Settings) -> SecondReader | None:
    """The second reader, or None where there is to be none. Raises ModelError."""
    if second_base(settings) is None:
        return None
    from rag.models.folder import find_model, verify
    from rag.reading.second import SecondReader

    folder = find_model(settings.models_path, SECOND_BASE)
    verify(folder)
    return SecondReader(folder.path, settings.embedder_device, settings.embedder_precision)


def second_base(settings: Settings) -> Path | None:
    """The folder of the model that the second reader changes, where passages are read twice.

    They are with a first reader, unless the settings say otherwise or that model is not there.
    """
    if not _is_named(settings) or settings.reader_second != "auto":
        return None
    folder = settings.models_path / SECOND_BASE
    return folder if (folder / "config.json").is_file() else None


def _is_named(settings: Settings) -> bool:
    return settings.reader_model not in ("", "none")
