"""Has LibreOffice convert files of the Office before 2007, where it is installed.

The parsers' processes may start no program, so it runs beside them: with a profile, a folder and
limits of its own, no network, and one file at a time to each. Its result is as hostile as the file
was, and goes to the parser in its sandbox.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ingest.formats import KINDS
from rag.errors import CorruptDocument, ParserStopped, UnsupportedFormat, storage_error
from rag.settings import Settings

LEGACY_KINDS = frozenset(kind for kind, entry in KINDS.items() if entry.becomes)
_PREFIX = "convert-"
_PROGRAMS = ("soffice", "libreoffice")
_ROOT = Path(__file__).resolve().parent.parent


def find_converter(settings: Settings) -> str | None:
    """The program that converts old Office files, or None where there is none to use."""
    wanted = settings.ingest_converter
    if wanted == "off":
        return None
    names = _PROGRAMS if wanted == "auto" else (wanted,)
    return next(filter(None, map(shutil.which, names)), None)


def check_converter(settings: Settings, name: str, kind: str) -> None:
    """Raises UnsupportedFormat for an old Office file where nothing can convert it."""
    if KINDS[kind].becomes and find_converter(settings) is None:
        raise without_converter(name, kind)


def without_converter(name: str, kind: str) -> UnsupportedFormat:
    """The error for an old Office file where nothing can convert it."""
    new = KINDS[kind].becomes
    return UnsupportedFormat(
        f"“{name}” is of the Office before 2007, which is read where LibreOffice is installed "
        f"(ingest.converter). Install it, or save the file as .{new}; for a whole folder: soffice "
        f"--headless --convert-to {new} *.{kind}"
    )


class Converter:
    """Converts for one library, in any number of threads."""

    def __init__(self, settings: Settings) -> None:
        """Only who holds the library's lock may make one: it sweeps what a killed one left."""
        self._settings = settings
        self._place = settings.home / "run"
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False
        for left in self._place.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def converted(self, path: Path, name: str, kind: str) -> Iterator[Path]:
        """The file at `path` as its newer kind, for as long as this lasts.

        Raises UnsupportedFormat without a converter, ParserStopped over the limits,
        CorruptDocument where nothing came of it, StorageError.
        """
        check_converter(self._settings, name, kind)
        try:
            with tempfile.TemporaryDirectory(
                prefix=_PREFIX, dir=self._place, ignore_cleanup_errors=True
            ) as made:
                place = Path(made)
                source = place / f"document.{kind}"
                shutil.copyfile(path, source)
                self._run(source, place, name, KINDS[kind].becomes)
                result = place / "out" / f"document.{KINDS[kind].becomes}"
                if result.is_symlink() or not result.is_file() or not result.stat().st_size:
                    raise CorruptDocument(
                        f"“{name}” could not be converted by LibreOffice: it may be damaged, or "
                        "locked with a password. Open it in the program that wrote it and save it "
                        f"as .{KINDS[kind].becomes}."
                    )
                yield result
        except OSError as error:
            raise storage_error(error) from error

    def close(self) -> None:
        """Kill what is running; its conversion ends with an error."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _kill(process)

    def _run(self, source: Path, place: Path, name: str, new: str) -> None:
        seconds = self._settings.ingest_parse_seconds
        with self._lock:
            if self._closed:
                raise ParserStopped("Cloister is stopping; the document will be read later.")
            process = subprocess.Popen(
                self._command(source, place, new),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=place,
                env=_environment(place),
                start_new_session=True,
            )
            self._running.add(process)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise ParserStopped(
                f"Converting “{name}” took longer than {seconds:g} seconds, the limit set by "
                f"ingest.parse_seconds. Save it as .{new}, or ask the operator to raise the limit."
            ) from error
        finally:
            # what it has started may have stayed behind
            _kill(process)
            process.wait()
            with self._lock:
                self._running.discard(process)

    def _command(self, source: Path, place: Path, new: str) -> list[str]:
        settings = self._settings
        limits = (
            settings.ingest_parse_memory_mb << 20,
            settings.ingest_parse_seconds,
            settings.ingest_max_bytes,
        )
        return [
            *(sys.executable, "-P", "-B", "-m", "ingest.parsers.launch"),
            ",".join(map(str, limits)),
            find_converter(settings) or "",
            f"-env:UserInstallation={(place / 'profile').as_uri()}",
            *("--headless", "--norestore", "--nolockcheck", "--nodefault", "--nologo"),
            *("--convert-to", new, "--outdir", str(place / "out"), str(source)),
        ]


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(place: Path) -> dict[str, str]:
    """Nothing of Cloister's but where programs and packages are."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)]),
        "HOME": str(place),
        "TMPDIR": str(place),
        "LANG": "C.UTF-8",
        "SAL_USE_VCLPLUGIN": "svp",
    }
