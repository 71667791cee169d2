"""The recipe by which contents are made: one of another recipe is made anew."""

from __future__ import annotations

from ingest.chunking import CHUNKER_VERSION
from ingest.parsers import PARSER_VERSION
from rag.catalog import Catalog
from rag.embedding import embedder_fingerprint
from rag.errors import CloisterError
from rag.settings import Settings

# the catalog notes here by which recipe its worker reads
RECIPE_FACT = "recipe"


def recipe(settings: Settings, fingerprint: str) -> str:
    """What makes a content: parsers, chunker with its sizes, embedder (its fingerprint last).

    Parsers without OCR give other pages: turned on, it reads again what it was off for.
    """
    sizes = f"{settings.chunk_tokens}-{settings.chunk_overlap}"
    ocr = "" if settings.ingest_ocr == "auto" else "-no-ocr"
    return f"p{PARSER_VERSION}{ocr}.c{CHUNKER_VERSION}-{sizes}.{fingerprint}"


def differs(settings: Settings, catalog: Catalog) -> bool:
    """Whether the catalog was last read for by another recipe than the settings have now.

    False where nothing was read yet, and where the embedder is not here, without which nothing can
    be.
    """
    noted = catalog.fact(RECIPE_FACT)
    try:
        return noted not in (None, recipe(settings, embedder_fingerprint(settings)))
    except CloisterError:
        return False
