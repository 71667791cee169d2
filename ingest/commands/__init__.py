"""Subcommands of `cloister ingest` that are more than a few lines."""
