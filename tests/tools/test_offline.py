"""No test reaches beyond this machine: neither this process nor one that it starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
OUTSIDE = "192.0.2.1"  # set aside for documentation, routed nowhere


def test_connections_are_blocked_in_this_process() -> None:
    with socket.socket() as outside, pytest.raises(ConnectionRefusedError, match=OUTSIDE):
        outside.connect((OUTSIDE, 80))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside,
        pytest.raises(ConnectionRefusedError, match=OUTSIDE),
    ):
        outside.sendto(b"x", (OUTSIDE, 53))
    with pytest.raises(ConnectionRefusedError, match="look up"):
        socket.getaddrinfo("example.org", 443)


def test_connections_are_blocked_in_a_child() -> None:
    code = f"import socket; socket.socket().connect(({OUTSIDE!r}, 80))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20
    )
    assert "NetworkBlocked" in result.stderr


def test_loopback_works() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(("localhost", listener.getsockname()[1]), timeout=5):
            pass


def test_a_namespace_has_loopback_and_nothing_else() -> None:
    code = (
        "import os, socket; print(os.environ.get('OFFLINE_NAMESPACE'));"
        "s = socket.create_server(('127.0.0.1', 0));"
        "socket.create_connection(s.getsockname()); print('loopback');"
        "print([name for _, name in socket.if_nameindex()]);"
        f"print(socket.socket().connect_ex(({OUTSIDE!r}, 80)) != 0)"
    )
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OFFLINE_NAMESPACE")
    }
    result = subprocess.run(
        [sys.executable, "-m", "tools.offline", sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    lines = result.stdout.splitlines()
    if lines[0].startswith("Note:"):
        pytest.skip(lines[0])
    assert lines == ["1", "loopback", "['lo']", "True"]
