"""What became of the last uploads by form, for the page that a browser is sent to after them."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

from flask import current_app

from web.uploads import Receipt

_KEY = "cloister-receipts"
# a page that is reloaded after so many others tells no more what became of its files
_MOST = 20


class Receipts:
    """Receipts by random names, the last few of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Receipt] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, receipt: Receipt) -> str:
        """Keep it; the name by which it is found."""
        name = secrets.token_urlsafe(8)
        with self._lock:
            self._kept[name] = receipt
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return name

    def find(self, name: str) -> Receipt | None:
        """The receipt, where it is still known."""
        with self._lock:
            return self._kept.get(name)


def receipts() -> Receipts:
    """Those of the app that serves the current request."""
    found: Receipts = current_app.extensions.setdefault(_KEY, Receipts())
    return found
