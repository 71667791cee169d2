"""What the README repeats of the code is what the code says."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from tools.docs import README, filled


def test_the_settings_table_is_that_of_the_code() -> None:
    text = README.read_text("utf-8")
    assert filled(text) == text, "run: make docs"


def test_every_command_in_the_readme_exists() -> None:
    lines = _command_lines(README.read_text("utf-8"))
    assert len(lines) > 10
    assert {line: unknown for line in lines if (unknown := _unknown(line))} == {}


@pytest.mark.parametrize(
    ("line", "unknown"),
    [
        ("ingest nonsense", "nonsense"),
        ("ingest add a.pdf --nonsense", "--nonsense"),
        ("--home data ask 'What?' --sync", "--sync"),
        ("search 'hotel limit' --limit 3 --json >> out --nonsense", ""),
    ],
)
def test_a_command_that_does_not_exist_would_be_told(line: str, unknown: str) -> None:
    assert _unknown(line) == unknown


def _command_lines(text: str) -> list[str]:
    """What follows `cloister` in each line and piece of inline code."""
    inline = re.findall(r"`(?:\.venv/bin/)?cloister\s+([^`]+)`", text)
    lines = re.findall(r"^ {4,}(?:.*\.venv/bin/)?cloister (.+)$", text, re.MULTILINE)
    return inline + lines


def _unknown(line: str) -> str:
    """The first word of a command line that names no subcommand or option; "" where all do."""
    from rag.cli import main

    command: click.Command = main
    context = click.Context(main, **main.context_settings)
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    for word in words:
        if word[0] in words.punctuation_chars:  # the shell's own from here on
            break
        if word.startswith("-"):
            name, _, value = word.partition("=")
            options = {
                o: p for p in command.get_params(context) for o in (*p.opts, *p.secondary_opts)
            }
            if name not in options:
                return word
            option = options[name]
            if isinstance(option, click.Option) and not option.is_flag and not value:
                next(words, None)
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                return word
            command, context = found, click.Context(found, parent=context)
    return ""


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = README.with_name("Makefile").read_text("utf-8")
    for target in set(re.findall(r"make ([a-z-]+)\b(?=[`\n])", README.read_text("utf-8"))):
        assert f"\n{target}:" in makefile, target
