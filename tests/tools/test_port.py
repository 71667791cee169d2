"""The port is checked before the long steps."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools.port import HOST, problem

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("port", ["", "0", "-1", "65536", "eighty", "80 80", "٨٠٨٠"])
def test_what_is_no_port(port: str) -> None:
    assert "PORT=8001 make run" in str(problem(port))


def test_a_taken_port_says_what_to_type() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        found = problem(str(port))
    assert found is not None
    assert str(port) in found
    assert "make run" in found
    assert problem(str(port)) is None


def test_make_run_stops_at_a_taken_port_before_anything_else() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        result = subprocess.run(
            ["make", "run", f"PORT={port}", f"PYTHON={sys.executable}"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
    assert result.returncode != 0
    assert f"Port {port} of 127.0.0.1 cannot be used" in result.stderr
    assert "[1/5]" not in result.stdout
