"""Writes what documents repeat of the code: `python -m tools.docs [--check]`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from rag.settings import setting_rows

README = Path(__file__).resolve().parent.parent / "README.md"


def settings_table() -> str:
    """All settings as a Markdown table."""
    lines = ["| setting | variable | default | what |", "| --- | --- | --- | --- |"]
    for name, variable, default, text in setting_rows():
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{name}` | `{variable}` | {shown} | {text} |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """The README with the table between its markers."""
    pattern = re.compile(r"(<!-- settings:[^>]*-->\n).*?(<!-- /settings -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}{settings_table()}\n{match[2]}", text)


def main() -> int:
    """Write the README, or with --check say whether it is up to date."""
    before = README.read_text("utf-8")
    after = filled(before)
    if "--check" in sys.argv:
        return int(before != after)
    README.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
