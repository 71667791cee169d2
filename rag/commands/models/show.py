"""`cloister models show`: all that is known of a model, with where its facts are to be found."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rag.printing import json_line, printable
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.models.licences import Licence
    from rag.models.sheet import Sheet

_WIDTH = 100


@click.command(epilog="Example: cloister models show Qwen3-8B")
@click.argument("name", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def show(settings: Settings, name: str, as_json: bool) -> None:
    """Show what is known of the model ID: licences in words, openness, memory, sources.

    ID is a hub id, as Qwen/Qwen3-8B, that id without its organisation, or a model's folder.
    """
    from rag.models.sheet import sheet, sheet_json

    found = sheet(settings, name)
    if as_json:
        click.echo(json_line(sheet_json(found)))
        return
    for line in _lines(found):
        click.echo(printable(line))


def _lines(found: Sheet) -> Iterator[str]:
    from rag.models.catalogue.records import CRITERIA, GATED, SOURCES_NOTE, TEMPLATE_WORDS
    from rag.models.footprint import count_words
    from rag.models.licences import NOT_ADVICE

    model = found.model
    active = model.active_parameters
    yield f"{model.id}  ({model.family}, {model.developer}, {model.released})"
    yield _fact("task", model.task)
    of_a_token = f", of which a token meets {count_words(active)}" if active else ""
    yield _fact("parameters", count_words(model.parameters) + of_a_token)
    yield _fact("context", f"{model.context:,} tokens")
    yield _fact("chat template", TEMPLATE_WORDS.get(model.template, model.template))
    words = [", ".join(model.languages), model.languages_words]
    yield from _wrapped(_fact("languages", "; ".join(filter(None, words)) or "not known"))
    yield _fact("gated", GATED[model.gated])
    yield _fact("here", _where(found))
    for note in model.notes:
        yield from _wrapped(_fact("note", note))
    yield ""
    yield "Memory of the weights"
    kind = "GPU memory" if found.machine.kind == "gpu" else "memory"
    for need in found.needs:
        fits = "fits" if need.fits else "does not fit" if need.loads else "does not load here"
        yield _fact(need.precision, f"{need.bytes / 1e9:8.1f} GB  {fits}")
    yield f"  This machine has {found.machine.bytes / 1e9:.0f} GB of {kind}. Fits: it loads here, "
    yield "  and a margin is left for answers; `cloister models fit ID` is exact."
    yield ""
    yield from _licence(f"Weights: {found.weights.name}", found.weights)
    title = f"Code of the architecture, in transformers: {found.code.name}"
    if found.code == found.weights:
        yield f"{title}, as above"
        yield ""
    else:
        yield from _licence(title, found.code)
    yield "Training data"
    yield from _wrapped(f"  {model.data}")
    for licence in found.data:
        yield from _licence(f"  Licence of data: {licence.name}", licence)
    yield f"  {NOT_ADVICE}"
    yield ""
    yield "Openness, by what the Open Source Initiative looks at"
    for criterion, name in CRITERIA.items():
        yield _fact(name, model.openness.of(criterion))
    yield ""
    yield from _wrapped(f"Sources, named in {model.checked}. {SOURCES_NOTE}", indent=0)
    for group, addresses in model.sources.items():
        for address in addresses:
            yield _fact(group, address)


def _licence(title: str, licence: Licence) -> Iterator[str]:
    from rag.models.licences import ANSWERS, PERMISSIONS

    yield title
    yield from _wrapped(_fact("in short", licence.summary))
    for name, words in PERMISSIONS.items():
        given = licence.permission(name)
        yield from _wrapped(_fact(words, f"{ANSWERS[given.answer]}. {given.words}"))
    for demand in licence.demands:
        yield from _wrapped(_fact("it demands", demand))
    for ban in licence.forbids:
        yield from _wrapped(_fact("it forbids", ban))
    yield _fact("text", licence.source)
    yield ""


def _where(found: Sheet) -> str:
    if not found.here:
        return "no"
    names = ", ".join(one.name for one in found.here)
    return f"{names}, in use" if found.in_use else names


def _fact(name: str, value: str) -> str:
    return f"  {name:40} {value}"


def _wrapped(line: str, indent: int = 43) -> list[str]:
    return textwrap.wrap(
        line, _WIDTH, subsequent_indent=" " * indent, drop_whitespace=True, break_long_words=False
    )
