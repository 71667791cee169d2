"""The set-up: what is done is skipped, what is half done is mended, two at once are refused."""

from __future__ import annotations

import ast
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import setup
from tools.venv_state import (
    INSTALLING,
    Stamp,
    broken_packages,
    make_key,
    read_stamp,
    satisfies,
    write_stamp,
)

ROOT = Path(__file__).resolve().parent.parent.parent


def test_cron_finds_the_folder_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell opens the log of the README's crontab line before Cloister has run once."""
    monkeypatch.setenv("CLOISTER_HOME", str(tmp_path / "data"))
    setup.make_home()
    setup.make_home()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    subprocess.run("echo x >> data/logs/sync.log", shell=True, cwd=tmp_path, check=True)


@pytest.fixture
def checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """An empty checkout in which the steps that install are only noted, in `done`."""
    tmp_path /= getattr(request, "param", "")
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "has_nvidia_gpu", lambda: False)
    monkeypatch.delenv("TORCH", raising=False)
    done = tmp_path / "done"

    def note(name: str) -> Callable[..., None]:
        def append(*args: object, **more: object) -> None:
            with done.open("a") as file:
                file.write(name + "\n")

        return append

    monkeypatch.setattr(setup, "MAKE_VENV", [*setup.MAKE_VENV, "--without-pip"])
    monkeypatch.setattr(setup, "_install_torch", note("torch"))
    monkeypatch.setattr(setup, "_install_rest", note("rest"))
    monkeypatch.setattr(setup, "_fetch_models", note("models"))
    return tmp_path


def done(checkout: Path) -> list[str]:
    path = checkout / "done"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def test_second_run_has_nothing_to_do(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main([]) == 0
    assert done(checkout) == ["torch", "rest", "models"]
    shown = capsys.readouterr().out
    assert [f"[{n}/5]" in shown for n in (1, 2, 5)] == [True] * 3
    started = time.monotonic()
    assert setup.main([]) == 0
    assert done(checkout) == ["models"]  # which only looks whether they are there
    assert time.monotonic() - started < 0.5
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_changed_input_installs_again_into_the_same_environment(
    checkout: Path, changed: str
) -> None:
    setup.main([])
    kept = checkout / ".venv/kept"
    kept.touch()
    done(checkout)
    (checkout / changed).write_text("# changed\n")
    assert setup.main([]) == 0
    assert "rest" in done(checkout)
    assert kept.exists()


def test_the_tests_packages_come_on_top_and_stay(checkout: Path) -> None:
    setup.main([])
    done(checkout)
    setup.main(["--extra", "test"])
    assert "rest" in done(checkout)
    setup.main([])
    assert "rest" not in done(checkout)
    stamp = read_stamp(checkout / ".venv")
    assert stamp is not None
    assert stamp.extras == ["test"]


def test_a_failed_step_leaves_no_stamp(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object) -> None:
        raise setup.SetupError("the index is away")

    monkeypatch.setattr(setup, "_install_rest", fail)
    assert setup.main([]) == 1
    assert "the index is away" in capsys.readouterr().err
    assert read_stamp(checkout / ".venv") is None


def test_ctrl_c_exits_130(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(setup, "_install_torch", interrupt)
    assert setup.main([]) == 130
    assert read_stamp(checkout / ".venv") is None


def test_a_half_made_environment_is_made_anew(checkout: Path) -> None:
    setup.main([])
    (checkout / ".venv/cloister-made").unlink()  # it is written when all of the rest is
    (checkout / ".venv/cloister-setup.json").unlink()
    left = checkout / ".venv/left"
    left.touch()
    assert setup.main([]) == 0
    assert not left.exists()


def test_another_build_of_torch_makes_it_anew(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.main([])
    left = checkout / ".venv/left"
    left.touch()
    monkeypatch.setenv("TORCH", "cuda")
    monkeypatch.setitem(setup.NEEDED_BYTES, "cuda", 0)
    assert setup.main([]) == 0
    assert not left.exists()


@pytest.mark.parametrize("told", [None, "1"])
@pytest.mark.parametrize("checkout", ["", "tests"], indirect=True)
def test_what_python_would_not_compile_by_itself_is_compiled(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, told: str | None
) -> None:
    """Parsers' packages always; all where an environment, a container's say, forbids it later."""
    setup.main([])
    python = checkout / ".venv/bin/python"
    site = next((checkout / ".venv/lib").glob("python*/site-packages"))
    for name in ("docx", "other"):
        (site / f"{name}.py").write_text("x = 1\n")
    monkeypatch.setattr(setup, "PARSERS_USE", ("docx",))
    monkeypatch.setattr(setup.sys, "dont_write_bytecode", told is not None)
    if told:
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", told)
    setup._compile(python)
    compiled = {path.name.split(".")[0] for path in site.glob("__pycache__/*.pyc")}
    assert compiled == ({"docx", "other"} if told else {"docx"})


def test_what_the_parsers_import_is_known_to_the_set_up() -> None:
    own = {"ingest", "rag", *sys.stdlib_module_names}
    found = set()
    for path in (ROOT / "ingest/parsers").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    assert found - own == {name.split(".")[0] for name in setup.PARSERS_USE}


def test_a_package_that_a_kill_cut_short_is_noticed(checkout: Path) -> None:
    setup.main([])
    site = next((checkout / ".venv/lib").glob("python*/site-packages"))
    info = site / "thing-1.0.dist-info"
    info.mkdir()
    (site / "thing.py").write_text("whole")
    (info / "RECORD").write_text("thing.py,sha256=x,5\nthing-1.0.dist-info/RECORD,,\n")
    assert broken_packages(checkout / ".venv") == []
    (checkout / ".venv/cloister-setup.json").unlink()
    (checkout / ".venv" / INSTALLING).touch()
    assert setup.main([]) == 0
    assert (site / "thing.py").exists()  # interrupted, but sound: kept
    assert not (checkout / ".venv" / INSTALLING).exists()
    (site / "thing.py").write_text("cut")
    assert broken_packages(checkout / ".venv") == ["thing"]
    (checkout / ".venv/cloister-setup.json").unlink()
    (checkout / ".venv" / INSTALLING).touch()
    assert setup.main([]) == 0
    assert not (site / "thing.py").exists()  # broken: made anew


def test_too_little_disk_space(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(setup.NEEDED_BYTES, "cpu", 1 << 60)
    assert setup.main([]) == 1
    assert "disk space" in capsys.readouterr().err
    assert not (checkout / ".venv").exists()


def test_two_at_once_are_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (checkout / ".setup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert setup.main([]) == 75
    assert "Another set-up" in capsys.readouterr().err
    assert done(checkout) == []


def test_a_pip_that_outlives_a_killed_set_up_keeps_others_out(checkout: Path) -> None:
    code = f"""
import subprocess, time
from pathlib import Path
from tools import setup
setup.ROOT = Path({str(checkout)!r})
with setup._lock() as lock:
    subprocess.Popen(["sleep", "3"], pass_fds=[lock])
    print("started", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert setup.main([]) == 75
    process.stdout.close()


def test_an_older_python_is_told_what_is_needed() -> None:
    code = "import sys; sys.version_info = (3, 9, 1); import tools.setup"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "needs Python 3.11 or newer, this is 3.9" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_key_follows_place_content_and_choice(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("a")
    first = make_key(tmp_path, [file], "3.11.7", "cpu")
    assert make_key(tmp_path, [file], "3.11.7", "cpu") == first
    others = [
        make_key(tmp_path / "elsewhere", [file], "3.11.7", "cpu"),
        make_key(tmp_path, [file], "3.11.7", "cuda"),
        make_key(tmp_path, [], "3.11.7", "cpu"),
    ]
    file.write_text("b")
    others.append(make_key(tmp_path, [file], "3.11.7", "cpu"))
    assert len({first, *others}) == 5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "k"}', '{"other": 1}'])
def test_a_damaged_stamp_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "cloister-setup.json").write_text(text)
    assert read_stamp(tmp_path) is None


def test_stamp(tmp_path: Path) -> None:
    stamp = Stamp("k", "3.11.7", "cpu", ["test"])
    write_stamp(tmp_path, stamp)
    assert read_stamp(tmp_path) == stamp
    assert satisfies(stamp, "k", [])
    assert satisfies(stamp, "k", ["test"])
    assert not satisfies(stamp, "k", ["bench"])
    assert not satisfies(stamp, "other", [])
    assert not satisfies(None, "k", [])


def test_all_tests_run_with_the_packages_that_some_of_them_need() -> None:
    targets = (ROOT / "Makefile").read_text()
    few, every = (
        targets.partition(f"\n{name}: ")[2].partition("\n\n")[0] for name in ("test", "test-all")
    )
    assert "--extra test\n" in few
    assert "--extra test --extra quantized --extra server-test\n" in every
    assert {"bitsandbytes", "xllamacpp"} <= set(setup._pins())


def test_several_extras_are_installed_and_noted(checkout: Path) -> None:
    given = ["--extra", "test", "--extra", "quantized", "--extra", "server-test"]
    assert setup.main(given) == 0
    stamp = read_stamp(checkout / ".venv")
    assert stamp is not None
    assert stamp.extras == ["quantized", "server-test", "test"]
    done(checkout)
    assert setup.main(given) == 0
    assert done(checkout) == ["models"]


def test_pins_are_exact_complete_and_without_cuda() -> None:
    from tools.pins import pin_lines

    pinned = setup._pins()
    lines = [
        line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#"
    ]
    assert len(pinned) == len(lines)
    assert not [name for name in pinned if name.startswith(("nvidia", "cuda", "triton"))]
    installed = dict(line.split("==") for line in pin_lines())
    assert {name: pinned.get(name) for name in installed} == installed
