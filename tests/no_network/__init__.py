"""Blocks the network for Python, loopback and local sockets aside.

This folder is put on PYTHONPATH by tests/conftest.py, so that every Python that a test starts
imports `sitecustomize` from it and is blocked as well.
"""
