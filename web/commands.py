"""What a message says of commands, for people who read it on a page."""

from __future__ import annotations

import re

from markupsafe import Markup

from web.bidi import shown

# what a page shows as well (static/commands.js)
_PAGES = {
    "cloister ingest status": ("/library", "the library"),
    "cloister models list": ("/models", "the page Models"),
}
_COMMAND = re.compile("`([^`]+)`")


def on_page(text: str) -> Markup:
    """A message whose commands are links to the pages that show the same, or set as code."""
    return Markup(_COMMAND.sub(_said, str(shown(text))))


def _said(found: re.Match[str]) -> str:
    if found[1] not in _PAGES:
        return f"<code>{found[1]}</code>"
    address, name = _PAGES[found[1]]
    before = found.string[: found.start()].rstrip()
    if not before or before[-1] in ".!?":
        name = name[0].upper() + name[1:]
    return f'<a href="{address}">{name}</a>'
