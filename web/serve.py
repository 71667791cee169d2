"""Runs the server: gunicorn with one worker and its threads, started from Python.

The library is opened and loaded after the fork, in a thread, so that the port answers at once
and models live in the worker alone. The lock is taken before, by the parent, and ends with it.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.errors import AppImportError
from gunicorn.workers.gthread import ThreadWorker

from rag.errors import Busy, CloisterError, Refused, UsageError
from rag.home import be_private
from rag.library import Library
from rag.lock import announce, take_library_lock
from rag.model_choices import model_choices
from rag.settings import Settings
from web.app import create_app
from web.connection import bound_waiting, take_leave, with_patience
from web.malformed import is_malformed, refuse
from web.served import Identity, Served, served_by

_log = logging.getLogger("cloister")
# what reading documents needs; without the LLM they can be taken in and searched all the same
_INGEST_PARTS = ("embedder", "indexes")
_GRACE_SECONDS = 10
_TIMEOUT_SECONDS = 300
# between two looks for an LLM server that was not there yet
_AGAIN_SECONDS = 10


def serve(settings: Settings) -> None:
    """Serve until stopped; ends the process.

    Raises Refused for an address beyond this machine, Busy when the port or the library is taken.
    """
    check_host(settings.server_host)
    be_private()
    with take_library_lock(settings, "cloister serve") as token:
        listener = bind(settings.server_host, settings.server_port)
        address = address_of(listener)
        announce(settings, address)
        Server(settings, listener, Identity(address, token)).run()


def check_host(host: str) -> None:
    """Raises Refused unless `host` is this machine's own loopback address."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise Refused(
            f"Cloister has no accounts yet, so it serves this machine only and not “{host}”. "
            "Use --host 127.0.0.1; from elsewhere, reach it through an SSH tunnel."
        )


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Raises Busy when the port is taken, UsageError otherwise."""
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise Busy(
                f"Port {port} is taken by another program. Choose another one: "
                f"“PORT={port + 1} make run”, or “cloister serve --port {port + 1}”."
            ) from error
        raise UsageError(f"Port {port} of {host} cannot be used: {error}.") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The address that a bound socket serves, as people write it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn, told everything here and nothing by files or variables."""

    def __init__(self, settings: Settings, listener: socket.socket, identity: Identity) -> None:
        self._settings = settings
        self._listener = listener
        self._identity = identity
        self._app: Flask | None = None
        self._worker: Any = None
        self._reason = ""
        super().__init__()

    def load_config(self) -> None:
        """How gunicorn runs."""
        server = self

        class Worker(ThreadWorker):  # type: ignore[misc]
            """Waits for no client for long; ends answers under way when it is told to stop."""

            def handle(self, conn: Any) -> Any:
                with contextlib.suppress(OSError):  # gone; its reading will tell
                    bound_waiting(conn.sock)
                kept = super().handle(conn)
                if not kept:
                    take_leave(conn.sock)
                return kept

            def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
                if is_malformed(exc):
                    self.log.warning("Malformed request: %s", type(exc).__name__)
                    refuse(client, exc)
                else:
                    super().handle_error(req, client, addr, exc)

            def handle_exit(self, sig: int, frame: Any) -> None:
                server.stop_answers()
                super().handle_exit(sig, frame)

            def handle_quit(self, sig: int, frame: Any) -> None:
                server.stop_answers()
                super().handle_quit(sig, frame)

        options = {
            "bind": [f"fd://{self._listener.fileno()}"],
            "workers": 1,
            "worker_class": Worker,
            "threads": self._settings.server_threads,
            "worker_tmp_dir": _memory_folder(),
            "timeout": _TIMEOUT_SECONDS,
            "graceful_timeout": _GRACE_SECONDS,
            "keepalive": 5,
            "control_socket_disable": True,
            "logconfig_dict": log_config(self._settings),
            "accesslog": "-",
            # the path without its query: nothing that was asked is logged
            "access_log_format": "%(m)s %(U)s %(s)s %(B)s bytes %(M)s ms",
            "worker_exit": lambda _server, _worker: self.close(),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in the worker: open the library, and load it while the port answers already."""
        try:
            self._app = create_app(Library(self._settings))
        except CloisterError as error:
            raise AppImportError(f"Cloister cannot start: {error}") from error
        self._app.wsgi_app = with_patience(self._app.wsgi_app)  # type: ignore[assignment,method-assign]
        self._served().identity = self._identity
        threading.Thread(target=self._load_library, name="load", daemon=True).start()
        return self._app

    def _load_library(self) -> None:
        here = self._served()
        later = self._loaded_later(here)
        parts = here.library.readiness()
        if here.stopping.is_set() or any(parts[name] != "ready" for name in _INGEST_PARTS):
            return
        self._start_worker(here)
        while later and not here.stopping.wait(_AGAIN_SECONDS):
            later = self._loaded_later(here)
        if here.library.ready:
            click.echo(f"Cloister is ready at {self._identity.address}", err=True)
            # else the first page would wait until it is known what each model needs
            with contextlib.suppress(CloisterError, OSError):
                model_choices(here.library)

    def _loaded_later(self, here: Served) -> bool:
        """Load what is not loaded; whether it is worth another try, as with an LLM server's start.

        What keeps it from loading is logged, once for each reason.
        """
        try:
            here.library.load()
        except CloisterError as error:
            if str(error) != self._reason:
                _log.error("Cloister cannot answer questions: %s", error)
            self._reason = str(error)
            return isinstance(error, Busy)
        except Exception:  # noqa: BLE001  # a thread's boundary: the server goes on
            _log.exception("Cloister cannot answer questions: the library could not be loaded")
        return False

    def _start_worker(self, here: Served) -> None:
        from ingest.worker import Worker

        self._worker = here.worker = Worker(here.library)
        self._worker.start()

    def stop_answers(self) -> None:
        """End the answers under way; new ones are refused."""
        if self._app is not None:
            self._served().stopping.set()

    def close(self) -> None:
        """Called in the worker at its end: stop ingesting, then close the library."""
        if self._app is None:
            return
        here = self._served()
        here.stop_answers(_GRACE_SECONDS)
        here.comparisons.close(_GRACE_SECONDS)
        if self._worker is not None:
            self._worker.stop()
        here.library.close()

    def _served(self) -> Served:
        if self._app is None:
            raise RuntimeError("the server has no app yet")
        return served_by(self._app)


class WithoutStalled(logging.Filter):
    """Leaves out, with its traceback, that a client stopped amid the head of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


def log_config(settings: Settings) -> dict[str, Any]:
    """Plain lines: requests into logs/server.log, what needs attention also on the console."""
    folder = settings.home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"stalled": {"()": f"{__name__}.WithoutStalled"}},
        "formatters": {
            "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "plain",
                "level": "WARNING",
                "stream": "ext://sys.stderr",
            },
            "file": {
                "class": "logging.handlers.RotatingFileHandler",
                "formatter": "plain",
                "filename": str(folder / "server.log"),
                "maxBytes": 10_000_000,
                "backupCount": 3,
                "encoding": "utf-8",
            },
        },
        "root": {"level": "WARNING", "handlers": ["console", "file"]},
        "loggers": {
            "cloister": {"level": "INFO"},
            "gunicorn.error": {
                "level": "INFO",
                "propagate": True,
                "handlers": [],
                "filters": ["stalled"],
            },
            "gunicorn.access": {"level": "INFO", "propagate": False, "handlers": ["file"]},
        },
    }


def _memory_folder() -> str | None:
    """Where gunicorn's heartbeat does not wait for a disk."""
    folder = Path("/dev/shm")
    return str(folder) if folder.is_dir() and os.access(folder, os.W_OK) else None
