"""Who asks, as far as it can be told while there are no accounts."""

from __future__ import annotations

from flask import request

_LONGEST = 200


def asker() -> str:
    """A key of the browser or program that makes this request; askers share the LLM evenly.

    It is what they say of themselves: enough to keep a program from crowding a person out, no more.
    """
    return f"{request.remote_addr} {request.user_agent.string}"[:_LONGEST]
