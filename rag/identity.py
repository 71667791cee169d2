"""How a server proves to a command that it is this library's server.

Another program may listen on the port of a server that has gone. So a command first sends a
random challenge, and sends what it is asked only on the connection over which the proof came
back. The token is made anew at each start and is in `run/`, which only its owner can read; it
never travels itself.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

CHALLENGE_BYTES = 32


def new_token() -> str:
    """A secret for one start of a server."""
    return secrets.token_hex(CHALLENGE_BYTES)


def new_challenge() -> str:
    """What a server is asked to prove itself on, once."""
    return secrets.token_hex(CHALLENGE_BYTES)


def prove(token: str, address: str, challenge: str) -> str:
    """The proof of whoever holds `token` and serves `address` (so it is of use at no other)."""
    message = f"cloister-server\n{address}\n{challenge}".encode()
    return hmac.new(token.encode(), message, hashlib.sha256).hexdigest()


def is_proof(given: object, token: str, address: str, challenge: str) -> bool:
    """Whether `given` is the proof, compared in constant time."""
    expected = prove(token, address, challenge).encode()
    said = given.encode("utf-8", "replace") if isinstance(given, str) else b""
    return hmac.compare_digest(said, expected)
