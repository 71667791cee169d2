"""Random histories of add, edit, rename, delete, kill and ask against a simple model."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest import drafter
from tests.histories import History, Mortal
from tests.ingest.in_process import without_children

ROOT = Path(__file__).resolve().parent.parent
STEPS = 5

CHILD = """
import sys
from pathlib import Path
from ingest.sync import register
from rag.catalog.folders import folder_key
from rag.testing import fake_library
from tests.ingest.reading import read_all

home, folder = Path(sys.argv[1]), Path(sys.argv[2])
library = fake_library(home)
print("ready", flush=True)
key = folder_key(library.catalog, str(folder), "default")
register(library.settings, library.catalog, folder, key, "default", confirmed=True)
read_all(library)
library.close()
"""


def _run(seed: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        without_children(patch)
        if seed % 2:  # most documents are long ones, written in portions
            patch.setattr(drafter, "LONG_TEXT", 1500)
        history = History(seed, place, Mortal(patch))
        try:
            for step in range(STEPS):
                try:
                    history.step()
                except Exception as error:
                    error.add_note(f"history of seed {seed}, step {step}")
                    raise
        finally:
            history.library.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_random_history(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(seed, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(100, 1100, 20))
def test_20_of_1000_random_histories(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(block, block + 20):
        _run(seed, tmp_path / str(seed), monkeypatch)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 12))]
)
def test_a_history_with_a_real_kill(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    history = History(seed, tmp_path, Mortal(monkeypatch))
    for _ in range(10):
        history.write()
    history.sync()
    for _ in range(3):
        for act in (history.write, history.rename, history.delete, history.copy) * 2:
            act()
        before = history.answering()
        history.library.close()
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(history.home), str(history.folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.random() * 0.8)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        history.reopen()
        history.check_between(before)
        history.sync()
        history.check()
    history.library.close()
