"""One writer at a time, known to the others, gone with its process."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rag import lock
from rag.errors import Busy
from rag.lock import announce, find_holder, take_folder_lock, take_library_lock
from rag.settings import Settings

HOLD = """
import sys, time
from pathlib import Path
from rag.lock import announce, take_library_lock
from rag.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
with take_library_lock(settings, "cloister serve"):
    announce(settings, "http://127.0.0.1:9")
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_refused_at_once_and_told_who(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        start = time.monotonic()
        with (
            pytest.raises(Busy, match=rf"cloister serve” \(process {other.pid}\)") as refused,
            take_library_lock(settings, "cloister ask"),
        ):
            pass
        assert time.monotonic() - start < 1
        assert refused.value.exit_code == 75
        holder = find_holder(settings)
        assert holder is not None
        assert (holder.pid, holder.address) == (other.pid, "http://127.0.0.1:9")
        other.kill()
    assert find_holder(settings) is None
    with take_library_lock(settings, "cloister ask"):
        assert find_holder(settings) is not None


def test_who_only_looks_who_has_it_keeps_nobody_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    with take_library_lock(settings, "cloister ask"):
        pass  # long dead, and still named in the file
    with (tmp_path / "run" / "lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr(lock.time, "sleep", wait)
        with take_library_lock(settings, "cloister ingest sync"):
            pass
        assert len(waits) == 3
        fcntl.flock(looking, fcntl.LOCK_SH)
        with pytest.raises(Busy), take_library_lock(settings, "cloister ingest sync"):
            pass
        assert sum(waits[3:]) <= 0.1


def test_the_address_is_for_the_owner_alone_and_goes_with_the_lock(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with take_library_lock(settings, "cloister serve"):
        announce(settings, "http://127.0.0.1:9")
        assert (tmp_path / "run" / "server.json").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "run" / "server.json").exists()


def test_the_address_of_another_holder_does_not_count(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    file = tmp_path / "run" / "server.json"
    with take_library_lock(settings, "cloister serve") as token:
        announce(settings, "http://127.0.0.1:9")
        left = file.read_text()
        holder = find_holder(settings)
        assert holder is not None
        assert (holder.address, holder.token) == ("http://127.0.0.1:9", token)
        assert token not in repr(holder)
    file.write_text(left)  # as after a kill
    with take_library_lock(settings, "cloister ingest sync") as other:
        assert other != token
        assert not file.exists()
        file.write_text(left)
        holder = find_holder(settings)
        assert holder is not None
        assert (holder.what, holder.address) == ("cloister ingest sync", None)
        file.write_text('{"address": "http://127.0.0.1:9"}')
        holder = find_holder(settings)
        assert holder is not None
        assert holder.address is None


def test_two_syncs_of_a_folder_exclude_each_other_and_two_folders_do_not(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with (
        take_folder_lock(settings, 1),
        take_folder_lock(settings, 2),
        pytest.raises(Busy, match="The folder is in use"),
        take_folder_lock(settings, 1),
    ):
        pass
