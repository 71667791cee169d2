"""The address of an LLM server: what `llm.url` says, and whether the operator allows it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from rag.errors import ModelError

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?")
_UNFIT = re.compile(r"[\s\\\x00-\x1f\x7f]")
_EXAMPLE = "Write it as http://127.0.0.1:8080 or https://llm.example.org:8443"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is: `host` a name in small letters or an IP address, `path` before /v1."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def named(self) -> str:
        """Host and port, as the operator lists them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it is this machine, by what is written: no name is looked up to tell."""
        return self.host == "localhost" or _is_loopback(self.host)

    @property
    def hosts(self) -> tuple[str, ...]:
        """What is connected to, in turn; for `localhost` no name server is asked either."""
        return ("127.0.0.1", "::1") if self.host == "localhost" else (self.host,)


def read_address(url: str) -> ServerAddress:
    """The address in `llm.url`. Raises ModelError where it is none, or holds a password."""
    try:
        if _UNFIT.search(url):
            raise ValueError("it holds a space or a control character")
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise ValueError("it begins with neither http:// nor https://")
        if "@" in parts.netloc:
            raise ValueError("it holds a name or password; name a file with llm.key_file instead")
        if parts.query or parts.fragment or "?" in url or "#" in url:
            raise ValueError("it has a query or fragment")
        host, port = _place(parts.hostname or "", parts.port, _PORTS[parts.scheme])
    except ValueError as error:
        # what may be a password is not repeated
        shown = "llm.url" if "@" in url else f"llm.url “{url[:200]}”"
        raise ModelError(f"{shown} is no address of a server: {error}. {_EXAMPLE}.") from error
    path = parts.path.rstrip("/").removesuffix("/v1")
    return ServerAddress(parts.scheme, host, port, path)


def check_allowed(address: ServerAddress, allowed: Sequence[str]) -> None:
    """Raises ModelError unless the operator listed the address, or it is this machine's loopback.

    The address counts as it is written, not what a name server makes of it.
    """
    if address.loopback or address.named in {_listed(entry) for entry in allowed}:
        return
    raise ModelError(
        f"llm.url leads to {address.named}, which is not in llm.allowed_hosts: nothing was sent. "
        f"If the documents may be read there, add “{address.named}” to llm.allowed_hosts."
    )


def _listed(entry: str) -> str:
    """An entry of the list as `ServerAddress.named` has it. Raises ModelError."""
    try:
        if _UNFIT.search(entry):
            raise ValueError("a space or a control character is in it")
        parts = urlsplit(f"//{entry}")
        if parts.netloc != entry or "@" in entry or parts.port is None:
            raise ValueError("host and port, and nothing else, must be there")
        host, port = _place(parts.hostname or "", parts.port, 0)
    except ValueError as error:
        raise ModelError(
            f"“{entry[:200]}” in llm.allowed_hosts is no host:port: {error}. "
            "Write it as llm.example.org:8443."
        ) from error
    return ServerAddress("http", host, port).named


def _place(host: str, port: int | None, default: int) -> tuple[str, int]:
    """Host and port in their one form. Raises ValueError."""
    host = host.lower().removesuffix(".")
    port = default if port is None else port
    if not 0 < port < 65_536:
        raise ValueError(f"{port} is no port")
    if "%" in host:
        raise ValueError("an interface is named in it")
    if ":" in host:
        return ipaddress.IPv6Address(host).compressed, port
    if not _NAME.fullmatch(host):
        raise ValueError("its host is no name or IP address; write foreign letters as xn--…")
    return host, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
