"""Why the library cannot be asked yet, in words for a person."""

from __future__ import annotations

from rag.library import Library

LOADING = "The models are being loaded. Questions can be asked in a moment."
# without this part documents are still read, listed and searched
_ONLY_FOR_ANSWERS = "llm"
# without this one those that are there are still searched, and questions answered from them
_ONLY_TO_READ = "ingest"


def reason_not_ready(library: Library) -> str | None:
    """What stands in the way of answers, or of reading documents, and will not pass by itself."""
    for name, state in library.readiness().items():
        if state not in ("ready", "loading"):
            lost = "Questions cannot be answered"
            if name == _ONLY_TO_READ:
                lost = "Questions are answered, but no documents can be read"
            elif name != _ONLY_FOR_ANSWERS:
                lost += ", nor documents be read"
            return f"{lost}: {state}"
    return None
