"""How long `cloister --help` takes, beside starting bare Python (`python -c pass`).

Both are whole processes, started in turn; the ratio is that of the medians.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from statistics import median

from _common import ROOT, Figure, Options, alternate, command, run_benchmark


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    rounds = 5 if options.small else 20
    arguments = {"help": command("--help"), "bare": [sys.executable, "-c", "pass"]}

    def start(name: str) -> None:
        subprocess.run(arguments[name], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)

    start("help")
    start("bare")
    seconds = alternate(rounds, help=lambda: start("help"), bare=lambda: start("bare"))
    helped, bare = median(seconds["help"]), median(seconds["bare"])
    return [
        Figure("cloister --help / python -c pass", helped / bare, "×"),
        Figure("cloister --help", 1000 * helped, "ms"),
        Figure("python -c pass", 1000 * bare, "ms"),
    ]


if __name__ == "__main__":
    sys.exit(run_benchmark("cli_start", __doc__ or "", measure))
