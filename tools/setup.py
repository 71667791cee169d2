"""Makes everything that Cloister needs: `python3.11 -m tools.setup [--extra test]`.

A virtual environment in `.venv`, PyTorch, the pinned packages, the starter models. What is done
is skipped; a run that was interrupted or killed is continued or begun again; two runs at once
are refused. TORCH=auto|cpu|cuda chooses the build of PyTorch.
"""

import sys

if sys.version_info < (3, 11):  # before anything that an older Python does not understand
    sys.exit("Cloister needs Python 3.11 or newer, this is %d.%d. Try: make PYTHON=python3.11"
             % sys.version_info[:2])  # fmt: skip

import argparse
import fcntl
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.torch_build import (
    CPU_INDEX,
    CUDA,
    NoTorch,
    Plan,
    choose,
    has_nvidia_gpu,
    probe,
    wanted_build,
)
from tools.venv_state import (
    INSTALLING,
    STAMP,
    Stamp,
    broken_packages,
    make_key,
    read_stamp,
    satisfies,
    write_stamp,
)

ROOT = Path(__file__).resolve().parent.parent
STEPS = 5
TRY_LATER = 75
# what the environment takes on disk, with the downloads beside it for a moment
NEEDED_BYTES = {"cpu": 3_000_000_000, "cuda": 11_000_000_000}
MAKE_VENV = ["-m", "venv", "--clear"]
# what the parsers import: their processes may write nothing, and would compile it at every start
PARSERS_USE = (
    "PIL.Image", "PIL.ImageOps", "bs4", "charset_normalizer", "docx", "lxml.etree", "lxml.html",
    "markdown_it", "numpy", "olefile", "openpyxl", "oxmsg.properties", "oxmsg.storage", "pptx",
    "pypdfium2", "pypdfium2.raw", "rapidocr", "striprtf.striprtf",
)  # fmt: skip

_LARGE = re.compile(r"^\s*(Downloading|Using cached|Processing) .*?([^/\s]+\.whl)")


class SetupError(Exception):
    """The set-up cannot go on; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 done, 1 failed, 75 another set-up is running, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tools.setup", description=__doc__)
    parser.add_argument(
        "--extra",
        action="append",
        default=[],
        help="further packages: test, quantized, server-test",
    )
    parser.add_argument("--no-models", action="store_true", help="leave the models out")
    given = parser.parse_args(arguments)
    try:
        with _lock() as lock:
            set_up(sorted(set(given.extra)), models=not given.no_models, lock=lock)
    except BlockingIOError:
        print("Another set-up of this checkout is running; wait until it ends.", file=sys.stderr)
        return TRY_LATER
    except (SetupError, NoTorch, OSError) as error:
        print(f"The set-up failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


def set_up(extras: list[str], models: bool, lock: int) -> None:
    """Do whatever is left to do. Raises SetupError or NoTorch."""
    started = time.monotonic()
    venv = ROOT / ".venv"
    python = venv / "bin" / "python"
    choice = os.environ.get("TORCH") or "auto"
    build = wanted_build(choice, has_nvidia_gpu())
    inputs = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    key = make_key(ROOT, inputs, platform.python_version(), choice, build)
    stamp = read_stamp(venv)
    fresh = not satisfies(stamp, key, extras)
    if fresh:
        extras = sorted({*extras, *(stamp.extras if stamp else [])})
        _check_python(build)
        _make_venv(venv, python, build)
        (venv / STAMP).unlink(missing_ok=True)
        _install_torch(python, choice, build, lock)
        _install_rest(python, extras, lock)
    if models:
        if fresh:
            _step(5, "Starter models: all-MiniLM-L6-v2 and SmolLM2-135M-Instruct")
        _fetch_models(python, quick=not fresh)
    make_home()
    if fresh:
        write_stamp(venv, Stamp(key, platform.python_version(), build, extras))
        print(f"Set-up done in {time.monotonic() - started:.0f} s.", flush=True)


def make_home() -> None:
    """Make the data directory with its logs: cron writes there before Cloister has run once."""
    home = Path(os.environ.get("CLOISTER_HOME") or ROOT / "data").expanduser()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "logs").mkdir(mode=0o700, exist_ok=True)


def _check_python(build: str) -> None:
    _step(1, f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        version = "{}.{}".format(*sys.version_info)
        raise SetupError(
            f"this Python has no {error.name}. On Debian and Ubuntu install the package "
            f"python{version}-venv; elsewhere install Python {version} from python.org."
        ) from error
    if not (ROOT / ".venv" / STAMP).exists():
        _check_space(build)


def _check_space(build: str) -> None:
    free, needed = shutil.disk_usage(ROOT).free, NEEDED_BYTES[build]
    if free < needed:
        raise SetupError(
            f"{needed / 1e9:.0f} GB of disk space are needed here, {free / 1e9:.1f} GB are free. "
            "Make room, or put the checkout elsewhere."
        )


def _make_venv(venv: Path, python: Path, build: str) -> None:
    """Keep a sound environment; make a missing, half-made or unfitting one anew."""
    reason = _why_remake(venv, python, build)
    if not reason:
        _step(2, "Virtual environment .venv is here")
        return
    _step(2, f"Virtual environment .venv: {reason}")
    started = time.monotonic()
    (venv / "cloister-made").unlink(missing_ok=True)
    result = subprocess.run([sys.executable, *MAKE_VENV, str(venv)], check=False)
    if result.returncode:
        raise SetupError("the virtual environment could not be made; see above.")
    (venv / "cloister-made").write_text(f"{platform.python_version()} {build}\n")
    _done(started)


def _why_remake(venv: Path, python: Path, build: str) -> str:
    made = venv / "cloister-made"
    if not venv.exists():
        return "making it"
    if not made.is_file() or not python.exists():
        return "half made, making it anew"
    if made.read_text().split() != [platform.python_version(), build]:
        return "for another Python or build of PyTorch, making it anew"
    if (venv / INSTALLING).exists():
        broken = broken_packages(venv)
        if broken:
            return f"left broken by an interruption ({', '.join(broken[:3])}), making it anew"
        (venv / INSTALLING).unlink()
    return ""


def _install_torch(python: Path, choice: str, build: str, lock: int) -> None:
    version = _pinned("torch")
    _step(3, f"PyTorch {version}, {build.upper()} build: looking where it is")
    installed = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('torch'))"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    if installed.partition("+")[0] == version:
        print(f"      torch {installed} is here", flush=True)
        return
    started = time.monotonic()
    plan = _plan(python, choice, build, version)
    _check_space(plan.build)
    if plan.notice:
        print(f"      {plan.notice}", flush=True)
    size = f", {plan.bytes / 1e6:.0f} MB" if plan.bytes else ""
    source = f"from {CPU_INDEX}" if plan.arguments else "from pip's configured sources"
    print(f"      {plan.build.upper()} build{size}, {source}", flush=True)
    no_deps = ["--no-deps"] if plan.build != CUDA else []  # the rest follows, pinned
    _pip(
        python,
        "torch",
        [*no_deps, *plan.arguments, "-c", "constraints.txt", plan.requirement],
        lock,
    )
    _done(started)
    if build == CUDA:
        check = "import torch; print('      GPU:', torch.cuda.is_available() and "
        check += "torch.cuda.get_device_name() or 'not usable with this driver; the CPU is used')"
        subprocess.run([python, "-c", check], check=False)


def _plan(python: Path, choice: str, build: str, version: str) -> Plan:
    exact = "===" if build == CUDA else "=="
    configured = probe(python, f"torch{exact}{version}", ["--retries", "1"])
    if configured is None and build == CUDA:
        configured = probe(python, f"torch=={version}", ["--retries", "1"])
    cpu_index = None
    if build != CUDA and (configured is None or configured.cuda):
        print(f"      pip's sources have no CPU build; asking {CPU_INDEX}", flush=True)
        short = ["--index-url", CPU_INDEX, "--timeout", "10", "--retries", "1"]
        cpu_index = probe(python, f"torch=={version}", short, seconds=40)
    return choose(choice, build, version, configured, cpu_index)


def _install_rest(python: Path, extras: list[str], lock: int) -> None:
    count = len(_pins())
    named = f" with {', '.join(extras)}" if extras else ""
    _step(4, f"Cloister{named} and its packages, out of {count} pinned")
    started = time.monotonic()
    target = f".[{','.join(extras)}]" if extras else "."
    # compat: a plain .pth file; setuptools' import hook would slow every start of Python
    editable = ["--config-settings", "editable_mode=compat", "--editable", target]
    _pip(python, "packages", ["-c", "constraints.txt", *editable], lock)
    checked = subprocess.run(
        [python, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    if checked.returncode:
        raise SetupError(f"the installed packages do not fit together:\n{checked.stdout}")
    _compile(python)
    _done(started)


def _compile(python: Path) -> None:
    """Compile what Python would not by itself, at its first use; all where it is told not to."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if sys.dont_write_bytecode:
        packages = python.parent.parent / "lib"
        command = [
            "-m",
            "compileall",
            "-q",
            "-j",
            "0",
            "-x",
            "site-packages/.*/tests?/",
            str(packages),
        ]
    else:
        command = ["-c", f"import {', '.join(PARSERS_USE)}"]
    # slower starts are all that comes of a failure
    subprocess.run([python, *command], env=kept, capture_output=True, check=False)


def _fetch_models(python: Path, quick: bool) -> None:
    """Fetch the starter pair, or verify it where it is; `quick` only looks whether it is there."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(
        [python, "-m", "rag.models.starter", *(["--quick"] if quick else [])],
        cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    if result.returncode:
        raise SetupError("the starter models could not be fetched; see above.")


def _pip(python: Path, name: str, arguments: list[str], lock: int) -> None:
    """Run `pip install`; while it writes, a mark says so.

    The lock's file is handed on, so that a pip that outlives this process keeps others out.
    """
    venv = python.parent.parent
    (venv / INSTALLING).touch()
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    # Python compiles what it imports, a quarter of all, at its first use: 50 s of work saved;
    # `_compile` sees to the rest
    command += ["--no-compile"]
    if sys.stdout.isatty():
        pip = subprocess.Popen([*command, *arguments], cwd=ROOT, pass_fds=[lock], text=True)
    else:
        pip = subprocess.Popen(
            [*command, "--progress-bar=off", *arguments],
            cwd=ROOT, pass_fds=[lock], text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _follow(pip)
    if pip.wait():
        raise SetupError(
            f"pip could not install {name}; see above. Check that pip reaches its package index "
            "(`pip config list`) and run the same command again: what is done is kept."
        )
    (venv / INSTALLING).unlink()


def _follow(pip: "subprocess.Popen[str]") -> None:
    """Show in a log what matters of pip's output: large wheels, the installation, errors."""
    wheels = 0
    for line in pip.stdout or []:
        found = _LARGE.search(line)
        wheels += bool(found)
        large = found and re.search(r"\(\d{2,}(\.\d+)? MB\)|\bGB\)", line)
        if large or line.startswith(("ERROR", "error:", "      ERROR")):
            print(f"      {line.strip()}", flush=True)
        elif line.startswith("Installing collected packages"):
            print(f"      installing {line.count(',') + 1} packages", flush=True)


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.strip().lower(): version.strip() for name, version in pairs}


def _pinned(name: str) -> str:
    return _pins()[name]


@contextmanager
def _lock() -> Iterator[int]:
    with (ROOT / ".setup.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file.fileno()


def _step(number: int, what: str) -> None:
    print(f"[{number}/{STEPS}] {what}", flush=True)


def _done(started: float) -> None:
    print(f"      done in {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
