"""Where the programs are kept that torch compiles on a GPU."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from rag.models.device import pick_device
from rag.settings import Settings

_log = logging.getLogger("cloister.models")
_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def graphs_of(settings: Settings) -> str:
    """`llm.graphs`; nothing is compiled where its programs cannot be kept in the data directory.

    By itself torch keeps them in the folder for temporary files, under a name that another account
    can guess, and put its own programs there before. Torch makes the folder when it is imported in
    a child process too, so it must be there.
    """
    wanted = settings.llm_graphs
    if wanted != "auto" or not pick_device(settings.llm_device).startswith("cuda"):
        return wanted
    named = os.environ.get(_VARIABLE, "")
    if named and Path(named).parent != Path(tempfile.gettempdir()):
        return wanted  # the operator's own
    folder = settings.home.resolve() / "compiled"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _log.warning("The LLM's layers are not compiled: “%s” cannot be made: %s", folder, error)
        return "uncompiled"
    os.environ[_VARIABLE] = str(folder)
    return wanted
