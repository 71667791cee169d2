"""Runs the families' tests and writes their table: `python -m tools.families [--write]`.

Every cell is a property that a test noted once it had asserted it
(`tests/rag/models/test_families.py`); what no test showed is a dash. A report that a run left
(`pytest --junitxml FILE`) is read with `--report FILE` instead of running them.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "model-families.md"
TESTS = "tests/rag/models/test_families.py"
_BEGIN, _END = "<!-- families -->", "<!-- /families -->"
_TOLD = ("family", "architecture", "tokenizer", "form")
_TICKS = ("loads", "template", "streams", "stops", "cites", "int8", "int4", "adapter")
_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes")

Shown = Mapping[str, Mapping[str, str]]


def shown_by(report: Path) -> Shown:
    """What the tests of each model noted, from a report in JUnit's form, in the tests' order."""
    found: dict[str, dict[str, str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = re.search(r"\[(.+)\]$", case.get("name", ""))
        if name:
            noted = found.setdefault(name[1], {})
            for item in case.iter("property"):
                noted[item.get("name", "")] = item.get("value", "")
    return {name: noted for name, noted in found.items() if noted}


def table(shown: Shown, versions: Mapping[str, str]) -> str:
    """The table in Markdown, below a line about what it was made with."""
    head = ("made like", "family", "architecture", "tokenizer", "form", *_TICKS)
    lines = [_row(head), _row([*("---" for _ in range(5)), *(":-:" for _ in _TICKS)])]
    for name, noted in shown.items():
        told = [_code(noted[key]) if key == "architecture" else noted[key] for key in _TOLD]
        ticks = [("✓" if key in noted else "–") for key in _TICKS]
        if "stops" in noted:
            ticks[_TICKS.index("stops")] = f"✓ {_code(noted['stops'])}"
        lines.append(_row([name, *told, *ticks]))
    used = ", ".join(f"{package} {number}" for package, number in versions.items())
    return "\n".join([f"{len(shown)} models; {used}.", "", *lines])


def filled(page: str, text: str) -> str:
    """The page with the table between its marks."""
    before, _, rest = page.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{text}\n{_END}{rest.partition(_END)[2]}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """A text as code within a cell; a line's end is shown as a sign."""
    return f"`{text.strip(' ').replace(chr(10), '⏎').replace('|', chr(92) + '|')}`"


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package).partition("+")[0]
        except PackageNotFoundError:
            continue
    return found


def _run(report: Path) -> int:
    command = [sys.executable, "-m", "pytest", TESTS, "-q"]
    return subprocess.run([*command, f"--junitxml={report}"], cwd=ROOT, check=False).returncode


def main() -> int:
    """Run the tests or read a report; exit code 1 where a test failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"put it into docs/{PAGE.name}")
    parser.add_argument("--report", type=Path, help="a report of pytest's to read instead")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = given.report or Path(folder) / "report.xml"
        failed = 0 if given.report else _run(report)
        text = table(shown_by(report), _versions())
    if given.write:
        PAGE.write_text(filled(PAGE.read_text("utf-8"), text), "utf-8")
    else:
        print(text)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
