"""Changes are followed at once, by the rules of a sync."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingest.watching import changes, notifies
from rag.cli import main
from rag.lock import take_watch_lock
from rag.testing import fake_settings

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/srv/docs", True),
        ("/mnt/share/hr", False),
        ("/mnt/share/local/x", True),
        ("/home/a b/remote/x", False),
        ("/fuse/x", False),
        ("/mnt/shared", True),
        ("/mnt/Büro/x", False),
    ],
)
def test_network_file_systems_are_told_apart(tmp_path: Path, folder: str, expected: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "23 22 0:40 / /mnt/share rw shared:1 - nfs4 server:/x rw\n"
        "24 23 8:2 / /mnt/share/local rw - xfs /dev/sdb rw\n"
        "25 22 0:41 / /home/a\\040b/remote rw - cifs //s/x rw\n"
        "26 22 0:42 / /fuse rw - fuse.sshfs x rw\n"
        "27 22 0:43 / /mnt/Büro rw - cifs //s/b rw\n",
        "utf-8",
    )
    assert notifies(Path(folder), mounts) is expected


class Watched:
    """Collects the bursts of changes of a folder in a thread."""

    def __init__(self, folder: Path, besides: Path, every: float, notified: bool = True) -> None:
        self.stop = threading.Event()
        self.seen = 0
        self._change = threading.Condition()

        def run() -> None:
            for _ in changes(folder, self.stop, every, notified, besides):
                with self._change:
                    self.seen += 1
                    self._change.notify_all()

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def wait_for(self, count: int, seconds: float = 60.0) -> bool:
        with self._change:
            return self._change.wait_for(lambda: self.seen >= count, seconds)

    def end(self) -> None:
        self.stop.set()
        self._thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    (path / "data").mkdir(parents=True)
    return path


def test_a_burst_is_one_change_and_hidden_files_are_none(folder: Path) -> None:
    watched = Watched(folder, folder / "data", every=10_000)
    time.sleep(1.0)
    for number in range(20):
        (folder / f"{number}.txt").write_text("x")
    assert watched.wait_for(1)
    time.sleep(1.5)
    seen = watched.seen
    assert seen <= 3
    (folder / ".hidden").write_text("x")
    (folder / "data" / "catalog.sqlite").write_text("x")
    time.sleep(2.0)
    assert watched.seen == seen
    watched.end()


def test_a_folder_that_vanishes_and_comes_back_is_followed(folder: Path) -> None:
    watched = Watched(folder, folder / "data", every=1.0)
    time.sleep(1.0)
    folder.rename(folder.with_name("away"))
    assert watched.wait_for(1)
    folder.mkdir()
    seen = watched.seen
    (folder / "new.txt").write_text("x")
    assert watched.wait_for(seen + 1)
    watched.end()


def test_without_notification_it_looks_now_and_then(folder: Path) -> None:
    watched = Watched(folder, folder / "data", every=0.05, notified=False)
    assert watched.wait_for(3)
    watched.end()


def test_what_is_besides_is_told_by_a_link_too_and_only_below_the_folder(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder / "data")
    outer = Watched(folder, tmp_path / "link", every=10_000)
    inner = Watched(folder / "data", folder, every=10_000)
    time.sleep(1.0)
    (folder / "data" / "a.txt").write_text("x")
    assert inner.wait_for(1)
    time.sleep(1.5)
    assert outer.seen == 0
    inner.end()
    outer.end()


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE])
def test_a_folder_out_of_reach_is_looked_at_now_and_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    stop = threading.Event()
    following = changes(folder, stop, 0.01, True, folder / "data")
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", failing)
        next(following)
        next(following)
    # within reach again it is notified at once
    stop.set()
    assert list(following) == []


class Running:
    """`cloister ingest watch` in a process of its own; its lines are read by a thread."""

    def __init__(self, home: Path, folder: Path) -> None:
        environment = os.environ | {
            "CLOISTER_EMBEDDER_MODEL": "rag.testing:FakeEmbedding",
            "CLOISTER_INGEST_FREE_BYTES": "0",
        }
        arguments = ["--home", str(home), "ingest", "watch", str(folder)]
        # a run in the background ignores Ctrl-C, and so would its children
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "rag.cli", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        signal.signal(signal.SIGINT, before)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for(self, text: str, seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not any(text in line for line in self.lines):
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def running(tmp_path: Path, folder: Path) -> Iterator[Running]:
    for number in range(12):
        (folder / f"{number}.txt").write_text(f"The code of box {number}.")
    running = Running(tmp_path / "home", folder)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.end(signal.SIGKILL)


def test_the_command_follows_and_obeys_the_guard(running: Running, folder: Path) -> None:
    running.wait_for("12 new")
    running.wait_for("watching ")
    (folder / "late.txt").write_text("A late file.")
    running.wait_for("1 new, 0 changed, 0 renamed, 12 unchanged")
    for number in range(12):
        (folder / f"{number}.txt").unlink()
    running.wait_for("--confirm-deletions")
    assert running.end(signal.SIGTERM) == 0
    assert not any("Traceback" in line for line in running.lines)


def test_ctrl_c_ends_it(running: Running) -> None:
    running.wait_for("watching ")
    assert running.end(signal.SIGINT) == 130
    assert not any("Traceback" in line for line in running.lines)


def test_a_folder_is_watched_once(tmp_path: Path, folder: Path) -> None:
    settings = fake_settings(tmp_path / "home")
    with take_watch_lock(settings, 1):
        result = CliRunner().invoke(
            main, ["--home", str(settings.home), "ingest", "watch", str(folder)]
        )
    assert result.exit_code == 75
    assert "cloister ingest watch" in result.stderr
