"""The main job on the sample documents: take them in, answer a question, serve.

`python -m tools.first_run [--serve PORT]`, after the set-up. The sync of an unchanged folder is
quick; the question is asked at the first run only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from rag.errors import CloisterError
from rag.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = "sample_docs/library"
# a sync's exit code for files that could not be read: no reason not to serve the others
_SOME_FAILED = 1
QUESTION = "How many days of annual leave may I carry over?"


def main() -> int:
    """The command; its exit code is that of the step that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", metavar="PORT", help="serve the web page at the end")
    port = parser.parse_args().serve
    os.chdir(ROOT)
    try:
        answered = load_settings().home / "run" / "sample-answered"
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    code = _step(f"Taking in {SAMPLES}", ["ingest", "sync", SAMPLES, "--wait"])
    if code == _SOME_FAILED:
        print("   what could not be read is named above; the rest can be asked", flush=True)
        code = 0
    if not code and not answered.exists():
        code = _step(f"Asking: {QUESTION}", ["ask", QUESTION])
        if not code:
            answered.parent.mkdir(parents=True, exist_ok=True)
            answered.touch()
    if code or not port:
        return code
    print(f"== Serving at http://127.0.0.1:{port} (stop with Ctrl-C)", flush=True)
    cloister = str(ROOT / ".venv/bin/cloister")
    os.execv(cloister, [cloister, "serve", "--port", port])


def _step(title: str, arguments: list[str]) -> int:
    print(f"== {title}", flush=True)
    started = time.monotonic()
    try:
        code = subprocess.run([ROOT / ".venv/bin/cloister", *arguments], check=False).returncode
    except KeyboardInterrupt:
        return 130
    print(f"   {time.monotonic() - started:.1f} s", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
