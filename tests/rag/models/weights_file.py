"""A safetensors file that says nothing."""

from __future__ import annotations

import os

import numpy as np
from safetensors.numpy import save


def make_weights(size: int) -> bytes:
    """A file with one tensor of so many random bytes."""
    content: bytes = save({"w": np.frombuffer(os.urandom(size), np.uint8)})
    return content
