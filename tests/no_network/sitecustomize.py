"""Imported by every Python whose PYTHONPATH names this folder."""

from network_block import block

block()
