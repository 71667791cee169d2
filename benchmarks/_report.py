"""Turns the benchmarks' JSON lines into the table of docs/benchmarks.md.

    for b in $(make -s benches); do .venv/bin/python $b --json; done > results.jsonl
    .venv/bin/python benchmarks/_report.py --write < results.jsonl

Without `--write` the table goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from _common import ROOT, shown, write_between

PAGE = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- figures -->", "<!-- /figures -->"


def table(records: Iterable[Mapping[str, Any]]) -> str:
    """The records as a table in Markdown, below a line about the machine."""
    lines, machines = [], []
    for record in records:
        machine = record["machine"]
        note = (
            f"{machine['cores']} cores of {machine['processor']}, Python {machine['python']}"
            f"{'; SMALL sizes' if record['small'] else ''}"
        )
        machines += [] if note in machines else [note]
        for number, figure in enumerate(record["figures"]):
            name = "" if number else f"`{record['benchmark']}`"
            value = shown(figure["value"], figure["unit"])
            lines.append(f"| {name} | {figure['name']} | {value} |")
    head = ["| benchmark | what | figure |", "| --- | --- | ---: |"]
    return "\n".join(["; ".join(machines) + ".", "", *head, *lines])


def main() -> int:
    """Read JSON lines from standard input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put it into docs/benchmarks.md")
    write = parser.parse_args().write
    text = table(json.loads(line) for line in sys.stdin if line.strip())
    if not write:
        print(text)
        return 0
    write_between(PAGE, _BEGIN, _END, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
