"""`cloister models …`: the open models that this library can use. A file holds a command."""

from __future__ import annotations

import click

from rag.commands.finetune import finetune
from rag.commands.models.add import add
from rag.commands.models.compare import compare
from rag.commands.models.cost import cost
from rag.commands.models.fit import fit
from rag.commands.models.listing import list_
from rag.commands.models.pull import pull
from rag.commands.models.remove import remove
from rag.commands.models.show import show
from rag.commands.models.use import use


@click.group()
def models() -> None:
    """Choose, fetch, compare, change and tune the open models."""


for _command in (add, compare, cost, finetune, fit, list_, pull, remove, show, use):
    models.add_command(_command)
