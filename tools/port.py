"""Checks that a port is free, before the long steps: `python -m tools.port 8000`."""

from __future__ import annotations

import socket
import sys

HOST = "127.0.0.1"


def problem(port: str, host: str = HOST) -> str | None:
    """Why the port cannot be served on, with what to do; None when it is free."""
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        return f"PORT={port} is no port; use a number from 1 to 65535, as in: PORT=8001 make run"
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, int(port)))
            listener.listen()
        except PermissionError:
            return f"Port {port} needs root. Choose one above 1023, as in: PORT=8000 make run"
        except OSError as error:
            other = int(port) + 1 if int(port) < 65535 else 8000
            return (
                f"Port {port} of {host} cannot be used: {error.strerror}. If Cloister runs there "
                f"already, open http://{host}:{port}; else use another one: PORT={other} make run"
            )
    return None


def main() -> int:
    """The command: 0 when the port is free, else 1 and why."""
    found = problem(sys.argv[1] if len(sys.argv) > 1 else "8000")
    if found:
        print(found, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
