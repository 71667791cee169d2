"""The library and the answer."""

__version__ = "0.1.0"
