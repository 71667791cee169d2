"""Parsers: one module a kind of file, each `parse(path, name) -> Parsed`.

`PARSER_VERSION` changes whenever the same bytes would give other pages, so that what was read
before is read again.
"""

PARSER_VERSION = "8"
