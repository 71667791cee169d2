"""`cloister models pull`: a model from a hub, the one command that asks one."""

from __future__ import annotations

import click

from rag.commands.transfer import Shown, ask_licence, on_terminal, report
from rag.settings import Settings


@click.command(epilog="Example: cloister models pull HuggingFaceTB/SmolLM2-360M-Instruct")
@click.argument("model", metavar="ID[@REVISION]")
@click.option("--name", help="What it is called here. Default: its id.")
@click.option(
    "--file", "gguf", metavar="NAME.gguf", help="Which GGUF file, where there are several."
)
@click.option("--accept-licence", metavar="NAME", help="Accept this licence, without being asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def pull(
    settings: Settings,
    model: str,
    name: str | None,
    gguf: str | None,
    accept_licence: str | None,
    as_json: bool,
) -> None:
    """Fetch a model from the hub (hub.url), pinned to a commit and checked by its checksums.

    Taken are safetensors or one GGUF file, configuration, tokenizer and licence; never pickles,
    never code. Its licence must be accepted. Ctrl-C keeps what was fetched, and the same command
    goes on. For a gated model set HF_TOKEN.
    """
    from rag.models.pulling import Wanted
    from rag.models.pulling import pull as run

    model_id, _, revision = model.partition("@")
    wanted = Wanted(model_id, revision or "main", name, gguf, accept_licence)
    with Shown() as shown:
        folder = run(settings, wanted, shown, ask_licence if on_terminal() else None)
    report(folder, as_json)
