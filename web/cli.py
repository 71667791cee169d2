"""`cloister serve`."""

from __future__ import annotations

import click

from rag.settings import load_settings


@click.command(epilog="Example: cloister serve --port 8001")
@click.option("--host", help="Address to serve on; loopback only. Default: server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port. Default: server.port.")
def serve(host: str | None, port: int | None) -> None:
    """Serve the web pages and the REST interface until stopped."""
    settings = load_settings({"server_host": host, "server_port": port})
    from web.serve import serve as run  # gunicorn and Flask, which no other command needs

    run(settings)
