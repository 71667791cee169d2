"""Time and downloaded bytes of a first `make answer` in a fresh copy: `make measure`.

The copy has the files of this checkout and nothing else. Without options pip works without its
cache, so everything is downloaded; `--cached` leaves pip its cache; `--tests` measures `make
test` instead. Bytes are those of the packages that pip's own log names, downloaded or taken from
a local folder; the pages of the index are not among them. Prints one JSON line at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.setup import ROOT

_UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_DOWNLOADED = re.compile(r" Downloading (\S+) \(([\d.]+) (bytes|kB|MB|GB)\)")
_LOCAL = re.compile(r" Processing (/.*\.whl)")


def main() -> int:
    """The command; its exit code is that of the measured one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cached", action="store_true", help="pip keeps its cache")
    parser.add_argument("--tests", action="store_true", help="measure `make test`")
    given = parser.parse_args()
    target = "test" if given.tests else "answer"
    with tempfile.TemporaryDirectory(prefix="cloister-measure-") as folder:
        copy, log = Path(folder) / "checkout", Path(folder) / "pip.log"
        copy_checkout(copy)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CLOISTER_")}
        environment["PIP_LOG"] = str(log)
        if not given.cached:
            environment["PIP_NO_CACHE_DIR"] = "1"
        started = time.monotonic()
        result = subprocess.run(
            ["make", "--no-print-directory", target], cwd=copy, env=environment, check=False
        )
        seconds = time.monotonic() - started
        figures = {
            "command": f"make {target}",
            "seconds": round(seconds, 1),
            "cores": os.cpu_count(),
            "exit_code": result.returncode,
            "disk_mb": round(_disk_bytes(copy) / 1e6),
            "downloaded_mb": round(sum(downloads(log).values()) / 1e6),
        }
    print(json.dumps(figures))
    return result.returncode


def copy_checkout(copy: Path) -> None:
    """Copy what a fresh clone of the present state would hold."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def downloads(log: Path) -> dict[str, int]:
    """The files that pip fetched, with their bytes, from its log; what was cached is left out."""
    found: dict[str, int] = {}
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if fetched := _DOWNLOADED.search(line):
                name = fetched[1].rsplit("/", 1)[-1]
                found[name] = int(float(fetched[2]) * _UNITS[fetched[3]])
            elif (local := _LOCAL.search(line)) and Path(local[1]).is_file():
                found[Path(local[1]).name] = Path(local[1]).stat().st_size
    return found


def _disk_bytes(folder: Path) -> int:
    files = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return sum(path.stat().st_size for path in files)


if __name__ == "__main__":
    sys.exit(main())
