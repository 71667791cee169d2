"""Who may ask this server for what, and what a browser may do with the reply.

Without accounts the only visitors are programs and pages on this machine. A foreign page in the
same browser must not act for the person: the Host header is checked (DNS rebinding), and an
unsafe method must come from our own pages or from a client that is no browser.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Flask, Response, request

from rag.errors import Refused
from web.served import served

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OWN_SITES = ("same-origin", "none")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not no-referrer: with that, browsers send "Origin: null" with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def install(app: Flask) -> None:
    """Check every request first, and set every response's headers last."""
    app.before_request(check_request)
    app.after_request(set_headers)


def check_request() -> None:
    """Refuse a foreign Host, and an unsafe method that another site's page sent."""
    host = request.headers.get("Host", "").lower()
    match = _HOST.fullmatch(host)
    if match is None or match[1] not in _known_hosts():
        raise Refused(
            "This address is not one that Cloister answers to. Use http://localhost and the port, "
            "or add the name to server.hosts."
        )
    if request.method not in _SAFE_METHODS and not _is_own(host):
        raise Refused("This request came from another site's page. Use Cloister's own pages.")


def _known_hosts() -> frozenset[str]:
    """The names that this server goes by, its own loopback address among them."""
    here = served()
    known = _LOOPBACK.union(name.lower() for name in here.library.settings.server_hosts)
    if here.identity is not None:
        known |= {urlsplit(here.identity.address).netloc.rpartition(":")[0]}
    return known


def _is_own(host: str) -> bool:
    """Whether what the browser says of the sender agrees; other clients say nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in _OWN_SITES:
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin.lower()).netloc == host
    except ValueError:  # no address at all
        return False


def set_headers(response: Response) -> Response:
    """What no reply goes out without."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "static" and response.status_code < 400:
        response.headers["Cache-Control"] = "no-cache"  # asks each time, and gets 304
    else:
        response.headers["Cache-Control"] = "no-store"
    return response
