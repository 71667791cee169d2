"""What torch compiles is kept in the data directory, or nothing is compiled."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

from rag.models import programs
from rag.models.programs import graphs_of
from rag.settings import Settings

_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def _folder(home: Path) -> Path:
    return home / "compiled" / f"torch-{version('torch')}"


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with a GPU, of which nobody named a folder."""
    monkeypatch.setattr(programs, "pick_device", lambda _: "cuda:0")
    monkeypatch.setenv(_VARIABLE, "")


def test_torch_keeps_them_in_the_data_directory_once_the_engine_is_there(tmp_path: Path) -> None:
    """Torch names its own folder when it is imported, which is before."""
    script = (
        "import sys; from pathlib import Path; import rag.models.engine\n"
        "from rag.models import programs; from rag.settings import Settings\n"
        "programs.pick_device = lambda _: 'cuda:0'\n"
        "assert programs.graphs_of(Settings(home=Path(sys.argv[1]))) == 'auto'\n"
        "from torch._inductor.runtime.cache_dir_utils import cache_dir; print(cache_dir())"
    )
    environ = {name: value for name, value in os.environ.items() if name != _VARIABLE}
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.strip() == str(_folder(tmp_path))
    for folder in (tmp_path / "compiled", _folder(tmp_path)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_another_torch_made_goes_and_its_own_stays(tmp_path: Path) -> None:
    outside = tmp_path / "mine"
    for kept in (outside, _folder(tmp_path), tmp_path / "compiled" / "torch-1.0"):
        kept.mkdir(parents=True)
        (kept / "program.so").write_text("x")
    (tmp_path / "compiled" / "link").symlink_to(outside)
    assert graphs_of(Settings(home=tmp_path)) == "auto"
    assert [each.name for each in (tmp_path / "compiled").iterdir()] == [_folder(tmp_path).name]
    assert (_folder(tmp_path) / "program.so").exists()
    assert (outside / "program.so").exists()


def test_a_folder_that_cannot_be_made_leaves_all_uncompiled(tmp_path: Path) -> None:
    (tmp_path / "compiled").write_text("in the way")
    assert graphs_of(Settings(home=tmp_path)) == "uncompiled"
    assert os.environ[_VARIABLE] == ""


def test_the_operators_own_folder_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for own in ("/srv/programs", f"{tempfile.gettempdir()}/mine"):
        monkeypatch.setenv(_VARIABLE, own)
        assert graphs_of(Settings(home=tmp_path)) == "auto"
        assert os.environ[_VARIABLE] == own
    monkeypatch.setenv(_VARIABLE, f"{tempfile.gettempdir()}/torchinductor_me")  # torch's own
    graphs_of(Settings(home=tmp_path))
    assert os.environ[_VARIABLE] == str(_folder(tmp_path))


def test_nothing_is_made_where_nothing_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wanted in ("uncompiled", "off"):
        assert graphs_of(Settings(home=tmp_path, llm_graphs=wanted)) == wanted
    monkeypatch.setattr(programs, "pick_device", lambda _: "cpu")
    assert graphs_of(Settings(home=tmp_path)) == "auto"
    assert not list(tmp_path.iterdir())
