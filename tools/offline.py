"""Runs a command where no network but loopback exists: `python -m tools.offline COMMAND …`.

On Linux the command gets a network namespace of its own, in which nothing else can be reached,
not even by code that is not Python. Where that is not allowed the command runs without it, after
a note; tests/conftest.py still blocks what Python does.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
ISOLATED = "OFFLINE_NAMESPACE"


def isolate() -> str | None:
    """Leave the network behind, loopback aside; the reason where that is not possible."""
    if not sys.platform.startswith("linux"):
        return "this is not Linux"
    user, group = os.geteuid(), os.getegid()
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    if unshare(_CLONE_NEWNET) != 0:
        if unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            return os.strerror(ctypes.get_errno())
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
    return None


def main() -> int:
    """The command; ends by becoming COMMAND."""
    command = sys.argv[1:]
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        reason = isolate()
    except OSError as error:
        reason = error.strerror
    if reason:
        print(f"Note: no network namespace can be made ({reason}); Python alone is blocked.")
    else:
        os.environ[ISOLATED] = "1"
    sys.stdout.flush()
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
