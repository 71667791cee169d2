"""Options that say which documents a question or a search is about."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from rag.records import Filters

C = TypeVar("C", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--document", "documents", multiple=True, help="Only this document, by its id."),
    click.option("--folder", default="", help="Only what lies below this path of a folder."),
    click.option("--kind", "kinds", multiple=True, help="Only files of this kind, as pdf or docx."),
    click.option("--language", "languages", multiple=True, help="Only this language, as en or de."),
    click.option(
        "--since",
        default="",
        help="Only files changed, or mails sent, since this day, as 2026-01-31.",
    ),
    click.option(
        "--until", default="", help="Only files not changed, or mails not sent, after this day."
    ),
)


def filter_options(command: C) -> C:
    """Give a command the options that `chosen` makes filters of."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen(options: Mapping[str, Any]) -> Filters:
    """The filters that were given among a command's options.

    A folder on the disk is named without links, as a sync knows it.
    """
    folder = options["folder"]
    if folder.startswith("/"):
        folder = os.path.realpath(folder)
    return Filters(**{**options, "folder": folder})
