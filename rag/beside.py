"""A model beside the LLM in use: one at a time, so that no two are loaded into the same memory."""

from __future__ import annotations

import threading

# held by who loads one, until it is freed
BESIDE = threading.Lock()
