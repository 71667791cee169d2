"""Makes every connection beyond this machine, and every look-up of a name, raise at once."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

_LOCAL_NAMES = {"", "localhost", "localhost.localdomain", "ip6-localhost"}


class NetworkBlocked(ConnectionRefusedError):
    """Something tried to leave this machine during a test."""


def is_local(host: object) -> bool:
    """Whether a host (name, address or None) is this machine's loopback."""
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    name = name.strip("[]").partition("%")[0]
    if name.lower() in _LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def block() -> None:
    """Patch `socket` in this process; calling it again changes nothing."""
    if getattr(socket, "_cloister_blocked", False):
        return
    socket._cloister_blocked = True  # type: ignore[attr-defined]
    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, _guard_address(getattr(socket.socket, name), 0))
    socket.socket.sendto = _guard_address(socket.socket.sendto, -1)  # type: ignore[method-assign]
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        setattr(socket, name, _guard_name(getattr(socket, name)))


def _guard_address(real: Callable[..., Any], position: int) -> Callable[..., Any]:
    def guarded(self: socket.socket, *args: Any) -> Any:
        address = args[position]
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
            raise NetworkBlocked(f"A test tried to connect to {address[0]}.")
        return real(self, *args)

    return guarded


def _guard_name(real: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: object, *args: Any, **kwargs: Any) -> Any:
        if not is_local(host):
            raise NetworkBlocked(f"A test tried to look up {host!r}.")
        return real(host, *args, **kwargs)

    return guarded
