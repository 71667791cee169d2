"""A short request to the server, answered by one JSON value."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from rag.models.server import faults
from rag.models.server.access import Access
from rag.models.server.exchange import BrokenOff, Exchange, Late, NotReached, NotTrusted

_LONGEST = 4_000_000


def ask_json(
    access: Access,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    seconds: float = 15.0,
) -> Any:
    """The value that the server answers with; None where it has nothing at this path.

    Raises Fault where it cannot be reached, is too slow, refuses, or answers with something else.
    """
    sent = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    until, never = time.monotonic() + seconds, threading.Event()
    data = b""
    try:
        with Exchange(access, method, path, sent) as exchange:
            head = exchange.head(until, never)
            while part := exchange.take(until, never):
                data += part
                if len(data) > _LONGEST:
                    raise faults.no_stream(access, f"it is longer than {_LONGEST:,} bytes")
    except NotReached as error:
        raise faults.not_reached(access, str(error)) from error
    except NotTrusted as error:
        raise faults.not_trusted(access, str(error)) from error
    except BrokenOff as error:
        raise faults.broken_off(access, begun=False) from error
    except Late as error:
        raise faults.late(access, f"answer to {path}", seconds, "a fixed time") from error
    if head.status in (404, 405, 501):
        return None
    if head.status != 200:
        raise faults.of_status(access, head, data, "")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        what = "it is a web page" if data.lstrip()[:1] == b"<" else "it is no JSON"
        raise faults.no_stream(access, what) from error
