"""The data directory: private, and explained where it cannot be used."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rag.cli import main
from rag.errors import StorageError
from rag.home import make_home
from rag.library import open_catalog
from rag.lock import find_holder
from rag.settings import Settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def cloister(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, under the usual umask."""
    code = "import os, sys; os.umask(0o022); from rag.cli import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_what_a_command_writes_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert cloister("--home", str(home), "ingest", "status").returncode == 0
    assert mode(home) == 0o700
    files = [path for path in home.rglob("*") if path.is_file()]
    assert home / "catalog.sqlite" in files
    assert {path.name: oct(mode(path)) for path in files if mode(path) & 0o077} == {}


def test_a_library_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    open_catalog(Settings(home=home)).close()
    assert mode(home) == 0o700


def test_a_folder_of_everybody_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    make_home(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


@pytest.mark.parametrize(
    ("home", "command"),
    [
        ("/proc/nothing", ["ingest", "status"]),
        ("file", ["ingest", "add", "x.txt"]),
        ("file/below", ["ask", "How many?"]),
    ],
)
def test_a_home_that_cannot_be_made_is_explained(
    tmp_path: Path, home: str, command: list[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    result = CliRunner().invoke(main, ["--home", str(tmp_path / home), *command, "--json"])
    assert isinstance(result.exception, SystemExit)
    assert "CLOISTER_HOME" in result.stderr
    assert (result.exit_code, json.loads(result.stdout)["error"]["code"]) == (1, "storage-error")


def test_a_catalog_that_cannot_be_opened_is_explained(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").mkdir()
    with pytest.raises(StorageError, match="Check its owner and free space, or set CLOISTER_HOME"):
        open_catalog(Settings(home=tmp_path))
    assert find_holder(Settings(home=tmp_path)) is None
