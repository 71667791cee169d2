"""Where the programs are kept that torch compiles on a GPU."""

from __future__ import annotations

import logging
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from rag.files import delete
from rag.models.device import pick_device
from rag.settings import Settings

_log = logging.getLogger("cloister.models")
# names the folder, and how torch begins the name of its own
_VARIABLE, _OWN = "TORCHINDUCTOR_CACHE_DIR", "torchinductor_"


def graphs_of(settings: Settings) -> str:
    """`llm.graphs`; nothing is compiled where its programs cannot be kept in the data directory.

    By itself torch keeps them in the folder for temporary files, under a name that another account
    can guess, and put its own programs there before. Torch makes the folder when it is imported in
    a child process too, so it must be there. What another version of torch made is of no use, and
    deleted.
    """
    wanted = settings.llm_graphs
    if wanted != "auto" or not pick_device(settings.llm_device).startswith("cuda"):
        return wanted
    named = os.environ.get(_VARIABLE, "")
    if named and not named.startswith(str(Path(tempfile.gettempdir(), _OWN))):
        return wanted  # the operator's
    every = settings.home.resolve() / "compiled"
    folder = every / f"torch-{version('torch')}"
    try:
        every.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        others = [other for other in every.iterdir() if other != folder]
    except OSError as error:
        _log.warning("The LLM's layers are not compiled: “%s” cannot be made: %s", folder, error)
        return "uncompiled"
    for other in others:
        delete(other)
    os.environ[_VARIABLE] = str(folder)
    return wanted
