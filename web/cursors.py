"""Where a list goes on: the last document of a part, in so few characters that any server takes it.

A cursor holds the document's id and its source, of a long source only the beginning. The place is
after that source, also when the document was renamed or removed since: none is left out that was
there all the time, and none is given twice. Of a long source the rest is looked up by the id. When
that document is gone, or called otherwise now, the list goes on at the first source with the same
beginning: a few may then be given twice, and still none is left out.
"""

from __future__ import annotations

import base64
import binascii
import json

from rag.catalog import Catalog
from rag.catalog.documents import source_of
from rag.errors import UsageError
from rag.records import Document

# bytes of a source; with them the first line of a request stays below gunicorn's 4,094 bytes
_MOST_BYTES = 900
MOST_CURSOR = 2_000


def make_cursor(last: Document) -> str:
    """The cursor of what follows `last`."""
    source = last.source.encode()
    known = source[:_MOST_BYTES].decode(errors="ignore")
    packed = json.dumps([last.id, known, len(source) > _MOST_BYTES], ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(catalog: Catalog, cursor: str) -> tuple[str, str]:
    """The source and id after which the list goes on. Raises UsageError."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        packed = base64.b64decode(padded, altchars=b"-_", validate=True)
        document_id, source, is_cut = json.loads(packed)
        if not isinstance(document_id, str) or not isinstance(source, str):
            raise ValueError
        source.encode()
        document_id.encode()
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise UsageError("This cursor is not one that Cloister gave. Begin without one.") from error
    if not is_cut:
        return source, document_id
    whole = source_of(catalog, document_id)
    # no id is empty, so that every source which begins so comes after this place
    return (whole, document_id) if whole.startswith(source) else (source, "")
