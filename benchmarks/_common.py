"""What the benchmarks share: options, scratch libraries, timing, and how figures are printed.

Each benchmark is a script with a function `measure(options)` that returns figures. Everything
runs in a temporary data directory; only the models are those of the settings.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import CloisterError
from rag.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_docs" / "library"
QUESTIONS = ROOT / "sample_docs" / "questions.jsonl"


@dataclass(frozen=True, slots=True)
class Options:
    """How a benchmark runs: `small` is quick and says little, to see that it works."""

    json: bool
    small: bool
    files: int = 0
    chunks: int = 0
    kept: Path | None = None
    write: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One result. `unit` is `×` for a ratio, and ratios come first."""

    name: str
    value: float
    unit: str


Measure = Callable[[Options], Sequence[Figure]]


def run_benchmark(
    name: str, about: str, measure: Measure, files: int = 0, chunks: int = 0, page: str = ""
) -> int:
    """Read the options, measure, print; returns the exit code.

    One that works on a number of files gives it as `files`, which `--files` changes; one that
    makes a library of so many chunks as `chunks`, and `--kept` keeps what it makes; one that has a
    table of its own on a page of the docs gives that page: `--write` writes it there, and
    `--kept` names a file of what was measured.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it work at all?")
    if files:
        parser.add_argument(
            "--files", type=int, default=files, help="so many (default %(default)s)"
        )
    if chunks:
        parser.add_argument(
            "--chunks", type=int, default=chunks, help="so many (default %(default)s)"
        )
        parser.add_argument(
            "--kept", type=Path, help="keep the libraries in this folder, and use what is in it"
        )
    if page:
        parser.add_argument("--write", action="store_true", help=f"put the table into {page}")
        parser.add_argument(
            "--kept", type=Path, help="keep what was measured in this file, and use what is in it"
        )
    options = Options(**vars(parser.parse_args()))
    os.environ.setdefault("TQDM_DISABLE", "1")
    started = time.monotonic()
    load = os.getloadavg()[0]
    try:
        figures = measure(options)
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    seconds = time.monotonic() - started
    if options.json:
        record = {
            "benchmark": name,
            "small": options.small,
            "seconds": round(seconds, 1),
            "machine": _machine(load),
            "figures": [{"name": f.name, "value": f.value, "unit": f.unit} for f in figures],
        }
        print(json.dumps(record, ensure_ascii=False))
    else:
        print(f"{name}{' (small)' if options.small else ''}: {seconds:.0f} s")
        for figure in figures:
            print(f"  {shown(figure.value, figure.unit):>14}  {figure.name}")
    return 0


def shown(value: float, unit: str) -> str:
    """A value with three digits that count and its unit."""
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def say(line: str) -> None:
    """A line about the progress, on standard error."""
    print(f"  … {line}", file=sys.stderr, flush=True)


def clocked(work: Callable[[], object]) -> float:
    """The seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def alternate(rounds: int, **works: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each work in every round, one after the other, so that all see the same load."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(clocked(work))
    return seconds


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cloister-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bench_settings(home: Path, **changes: Any) -> Settings:
    """The settings as they are here, over the data directory `home`; the models stay."""
    models = load_settings().models_path
    return load_settings({"home": home, "models": models, **changes})


def command(*arguments: str) -> list[str]:
    """The command `cloister` with arguments, of the environment that runs the benchmark."""
    script = Path(sys.executable).with_name("cloister")
    start = [str(script)] if script.is_file() else [sys.executable, "-m", "rag.cli"]
    return [*start, *arguments]


def environment(settings: Settings, **changes: str) -> dict[str, str]:
    """A child's environment, in which `cloister` works on the library of `settings`."""
    own = {"CLOISTER_HOME": str(settings.home), "CLOISTER_MODELS": str(settings.models_path)}
    return {**os.environ, **own, **changes}


def run_quietly(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end; returns its output. Raises CloisterError when it fails."""
    done = subprocess.run(
        list(arguments), cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise CloisterError(f"“{' '.join(arguments)}” ended with {done.returncode}:\n{last}")
    return done.stdout


def questions(split: str = "dev") -> list[dict[str, Any]]:
    """The sample questions of a split that need no earlier turns."""
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    return [row for row in rows if row["split"] == split and not row.get("history")]


def raw_embedder(settings: Settings) -> Any:
    """The embedder's model in bare sentence-transformers, on the same device and precision."""
    from sentence_transformers import SentenceTransformer

    from rag.models.device import pick_device, pick_precision

    place = pick_device(settings.embedder_device)
    dtype = pick_precision(settings.embedder_precision, place)
    return SentenceTransformer(
        str(embedder_folder(settings)),
        device=place,
        local_files_only=True,
        model_kwargs={"dtype": dtype},
    ).eval()


def embedder_folder(settings: Settings) -> Path:
    """Where the embedder's model lies. Raises ModelError when it is not there."""
    from rag.models.folder import find_model

    return find_model(settings.models_path, settings.embedder_model).path


def _machine(load: float) -> dict[str, object]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "python": platform.python_version(),
        "load_before": round(load, 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put a text between two marks of a page of the docs, in place of what stands there."""
    before, _, rest = page.read_text("utf-8").partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}", "utf-8")
