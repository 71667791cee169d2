"""Whether the collections that questions name are in the library."""

from __future__ import annotations

from collections.abc import Sequence

from rag.catalog import Catalog
from rag.catalog.collections import collection_id
from rag.errors import UnknownCollection
from rag.evaluation.questions import Item


def check_collections(catalog: Catalog, items: Sequence[Item], name: str) -> None:
    """Raise UnknownCollection for a question of a collection that is not in the library.

    `name` is that of the questions' file.
    """
    firsts = {item.collection: item.id for item in reversed(items) if item.collection is not None}
    with catalog.read() as connection:
        for collection, first in firsts.items():
            try:
                collection_id(connection, collection)
            except UnknownCollection as error:
                raise UnknownCollection(
                    f"{name}, “{first}”: {error} Name another in its “collection”, leave it out "
                    "to ask all, or make it with `cloister ingest sync FOLDER --collection NAME "
                    "--create-collection`."
                ) from error
