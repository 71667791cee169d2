"""Parsers that misbehave, for the tests of the sandbox. They run in its child processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from ingest.parsers import ocr
from rag.errors import ProtectedDocument
from rag.parsed import Block, Page, Parsed


def well(path: Path, name: str) -> Parsed:
    text = f"{os.getpid()} {path.read_text()}"
    return Parsed((Page(1, text, (Block(0, len(text)),)),), "Well")


def hang(path: Path, name: str) -> Parsed:
    while True:
        time.sleep(60)


def spin(path: Path, name: str) -> Parsed:
    while True:
        pass


def eat(path: Path, name: str) -> Parsed:
    hoard = []
    while True:
        hoard.append(bytearray(16 << 20))


def abort(path: Path, name: str) -> Parsed:
    os.abort()


def leave(path: Path, name: str) -> Parsed:
    os._exit(0)


def protected(path: Path, name: str) -> Parsed:
    raise ProtectedDocument("locked")


def bug(path: Path, name: str) -> Parsed:
    raise KeyError("the secret text of a document")


def recurse(path: Path, name: str) -> Parsed:
    return recurse(path, name)


def chatter(path: Path, name: str) -> Parsed:
    sys.stdout.write("+{}" * 1000)
    sys.stdout.flush()
    os.write(1, b"-" * 1000)
    return well(path, name)


def connect(path: Path, name: str) -> Parsed:
    socket.create_connection(("127.0.0.1", int(path.read_text())), timeout=2)
    return well(path, name)


def look_up(path: Path, name: str) -> Parsed:
    socket.getaddrinfo("localhost", 80)
    return well(path, name)


def start_program(path: Path, name: str) -> Parsed:
    subprocess.run(["true"], check=True)
    return well(path, name)


def system(path: Path, name: str) -> Parsed:
    os.system("true")
    return well(path, name)


def write(path: Path, name: str) -> Parsed:
    path.with_suffix(".written").write_text("x")
    return well(path, name)


def remove(path: Path, name: str) -> Parsed:
    path.unlink()
    return well(path, name)


def environment(path: Path, name: str) -> Parsed:
    text = " ".join(sorted(os.environ)) + " modules: " + " ".join(sorted(sys.modules))
    return Parsed((Page(1, text, (Block(0, len(text)),)),))


def blank(path: Path, name: str) -> Parsed:
    return Parsed((Page(1, " \n "), Page(2, "")))


def lies(path: Path, name: str) -> Parsed:
    return Parsed((Page(1, "short", (Block(0, 500),)),))


def three_pages(path: Path, name: str) -> Parsed:
    """Each takes more than half of a second, as if it were read by OCR."""
    for _ in range(3):
        ocr._allowance.begin()
        time.sleep(0.6)
    return well(path, name)


def hang_on_a_page(path: Path, name: str) -> Parsed:
    ocr._allowance.begin()
    return hang(path, name)


def nothing(path: Path, name: str) -> Parsed:
    return None  # type: ignore[return-value]
