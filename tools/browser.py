"""Provides Chromium for the browser tests where that is possible: `python -m tools.browser`.

Only the system's package manager is used. Where it cannot help, a note says so and the browser
tests are skipped with the reason; this is no failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_SECONDS = 300
_QUICK = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15"]


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def main() -> int:
    """The command; always 0, since the other tests run without a browser."""
    if find_chromium():
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests with apt-get …", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["install", "-y", "-q", "--no-install-recommends", "chromium"]
        for step in (["update", "-q"], install):
            try:
                subprocess.run(
                    ["apt-get", *_QUICK, *step],
                    env=environment, stdout=subprocess.DEVNULL, timeout=INSTALL_SECONDS,
                    check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                break
    if not find_chromium():
        print("Note: no Chromium is here, so the browser tests are skipped. Install the package")
        print("      chromium (or google-chrome) with your system's package manager to run them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
