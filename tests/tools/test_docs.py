"""What the README repeats of the code is what the code says."""

from __future__ import annotations

import re

from tools.docs import README, filled


def test_the_settings_table_is_that_of_the_code() -> None:
    text = README.read_text("utf-8")
    assert filled(text) == text, "run: make docs"


def test_every_command_in_the_readme_exists() -> None:
    from rag.cli import main

    names = set(re.findall(r"\.venv/bin/cloister (\w+)", README.read_text("utf-8")))
    assert names
    assert all(main.get_command(None, name) is not None for name in names)  # type: ignore[arg-type]


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = README.with_name("Makefile").read_text("utf-8")
    for target in set(re.findall(r"make ([a-z-]+)\b(?=[`\n])", README.read_text("utf-8"))):
        assert f"\n{target}:" in makefile, target
