"""What it takes to talk to the server: its address, the key, whom its certificate must be from."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import ModelError
from rag.models.server.address import ServerAddress, check_allowed, read_address
from rag.settings import ENVIRONMENT_PREFIX, Settings

_log = logging.getLogger("cloister.egress")
_LONGEST_KEY = 10_000


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds for each part of an answer, and how often one may be asked for again.

    `first_token` counts from the request, `token` from one token to the next, `answer` the whole,
    with every further try.
    """

    connect: float = 5.0
    first_token: float = 120.0
    token: float = 30.0
    answer: float = 300.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Access:
    """How the server is reached. The key is in no `repr`, no log and no message."""

    address: ServerAddress
    key: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    limits: TimeLimits = TimeLimits()

    @property
    def named(self) -> str:
        """The server, as messages name it."""
        return f"The LLM server at {self.address.named}"

    def without_key(self, text: str) -> str:
        """A text from the server in which the key, if it is there, is not."""
        return text.replace(self.key, "…") if self.key else text


def read_access(settings: Settings, environ: Mapping[str, str] | None = None) -> Access:
    """What the settings say. No name is looked up and nothing is connected to.

    Raises ModelError for an address that is none or is not allowed, and for a key or a file of
    certificates that cannot be read.
    """
    address = read_address(settings.llm_url)
    try:
        check_allowed(address, settings.llm_allowed_hosts)
    except ModelError as error:
        _log.warning("refused: %s", error)
        raise
    if not address.loopback and address.scheme == "http":
        _log.warning("what is sent to %s is not encrypted; an https address is", address.named)
    _log.info("questions and passages go to the LLM server at %s (llm.url)", address.named)
    limits = TimeLimits(
        settings.llm_connect_seconds,
        settings.llm_first_token_seconds,
        settings.llm_token_seconds,
        settings.llm_answer_seconds,
        settings.llm_retries,
    )
    return Access(address, _key(settings, environ), _tls(settings, address), limits)


def _key(settings: Settings, environ: Mapping[str, str] | None) -> str:
    name, variable = settings.llm_key_file, settings.llm_key_variable
    if name and variable:
        raise ModelError("llm.key_file and llm.key_variable are both set. Keep one of them.")
    if variable:
        if variable.startswith(ENVIRONMENT_PREFIX):
            raise ModelError(
                f"llm.key_variable is {variable}, but variables that begin with "
                f"{ENVIRONMENT_PREFIX} are settings. Give the key's variable another name."
            )
        key = (os.environ if environ is None else environ).get(variable, "")
        if not key.strip():
            raise ModelError(f"The variable {variable} (llm.key_variable) holds no key. Set it.")
        return _fit(key, f"the variable {variable}")
    if not name:
        return ""
    try:
        with Path(name).expanduser().open("rb") as file:
            key = file.read(_LONGEST_KEY).decode("ascii", "replace")
    except OSError as error:
        raise ModelError(
            f"The key of the LLM server cannot be read from llm.key_file: {error.strerror}. "
            "Check its path and owner."
        ) from error
    return _fit(key, "llm.key_file")


def _fit(key: str, where: str) -> str:
    """A key as it may stand in a header: printable ASCII, one line. Raises ModelError."""
    key = key.strip()
    if not key or not all("!" <= character <= "~" for character in key):
        raise ModelError(f"What is in {where} is no key: it must be one line of ASCII, no spaces.")
    return key


def _tls(settings: Settings, address: ServerAddress) -> ssl.SSLContext | None:
    """How the server's certificate is checked: always, against `llm.ca_file` or the system's."""
    if address.scheme != "https":
        if settings.llm_ca_file:
            raise ModelError("llm.ca_file is set, but llm.url begins with http://. Use https://.")
        return None
    try:
        path = str(Path(settings.llm_ca_file).expanduser()) if settings.llm_ca_file else None
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ModelError(
            f"llm.ca_file holds no certificates that can be read ({error.strerror or error}). "
            "It must be a PEM file."
        ) from error
