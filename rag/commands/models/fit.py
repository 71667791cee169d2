"""`cloister models fit`: the memory that a model needs, and whether this machine has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag.errors import NotFound
from rag.printing import json_line, printable
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.models.fit import Needed
    from rag.models.hardware import Memory

_PRECISIONS = ("float32", "bfloat16", "float16", "int8", "int4")


@click.command(epilog="Example: cloister models fit SmolLM2-135M-Instruct --context 4096")
@click.argument("model")
@click.option(
    "--context",
    type=click.IntRange(1, 2**31),
    help="Tokens of prompt and answer together. Default: as the settings allow.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 2**20),
    help="Questions answered at once. Default: llm.concurrency.",
)
@click.option("--precision", type=click.Choice(_PRECISIONS), help="Tell of this one only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def fit(
    settings: Settings,
    /,
    model: str,
    context: int | None,
    concurrency: int | None,
    precision: str | None,
    as_json: bool,
) -> None:
    """Tell how much memory MODEL needs in each precision, and whether it fits here.

    MODEL is a name in the models folder, a model's folder, a config.json, or a model of the
    catalogue; no weights are needed.
    """
    from rag.models.adapter import NONE
    from rag.models.fitting import precision_for, use_of
    from rag.models.hardware import memory_for
    from rag.models.quantized import loads
    from rag.models.shape import shape_of

    name, config, folder = _config(settings, model)
    shape = shape_of(config)
    memory = memory_for(settings.llm_device)
    if name != settings.llm_model:
        settings = replace(settings, llm_adapter=NONE)
    use = use_of(settings, config, memory, folder)
    context, concurrency = context or use.context, concurrency or use.concurrency
    chosen = [precision] if precision else list(_PRECISIONS)
    known = [
        replace(use, precision=one, context=context, concurrency=concurrency) for one in chosen
    ]
    needs = [
        (one.needed(config, memory), loads(one.precision, memory.device, config)) for one in known
    ]
    if as_json:
        row = {
            "model": name,
            "kind": shape.kind,
            "parameters": shape.parameters,
            "window": shape.window or None,
            "context": context,
            "concurrency": concurrency,
            "device": memory.device,
            "free_bytes": memory.free,
            "precision": precision_for(settings.llm_precision, memory.device),
            "precisions": [_row(need, memory, here) for need, here in needs],
        }
        click.echo(json_line(row))
        return
    click.echo(
        printable(
            f"{name}: {shape.parameters / 1e6:,.0f} million parameters ({shape.kind}), "
            f"{concurrency} at once with {context:,} tokens each"
        )
    )
    if shape.window and context > shape.window:
        click.echo(f"It was made for {shape.window:,} tokens at most.", err=True)
    click.echo(f"{'':10}{'weights':>11}{'cache':>11}{'besides':>11}{'together':>11}{'loading':>11}")
    for need, here in needs:
        click.echo(_line(need, memory, here))
    click.echo(printable(f"{_size(memory.free)} of {memory.name} are free."))


def _config(settings: Settings, model: str) -> tuple[str, Mapping[str, Any], Path | None]:
    """The model's name, configuration and folder. Raises NotFound where there is none."""
    from rag.models.catalogue import entry_of
    from rag.models.folder import model_paths
    from rag.models.shape import CONFIG, read_config

    given = Path(model)
    if given.name == CONFIG and given.is_file():
        return given.absolute().parent.name, read_config(given.parent), given.parent
    paths = model_paths(settings.models_path, model) if model.strip(". @") else ()
    folder = next((path for path in paths if path.is_dir()), None)
    if folder is None:
        if entry := entry_of(model):
            return entry.id, entry.config, None
        raise NotFound(
            f"The model {model} is not in the models folder, and the catalogue does not know it. "
            "`cloister models list` lists both; a folder or a config.json may be named as well."
        )
    return folder.absolute().name.replace("--", "/", 1), read_config(folder), folder


def _row(need: Needed, memory: Memory, here: bool) -> dict[str, Any]:
    return {
        "precision": need.precision,
        "weights_bytes": need.weights,
        "cache_bytes": need.cache,
        "overhead_bytes": need.overhead,
        "total_bytes": need.total,
        "loading_bytes": need.loading,
        "loads": here,
        "fits": here and need.peak <= memory.free,
    }


def _line(need: Needed, memory: Memory, here: bool) -> str:
    sizes = (need.weights, need.cache, need.overhead, need.total, need.loading)
    verdict = "fits" if need.peak <= memory.free else "does not fit"
    if not here:
        verdict += ", but does not load here"
    return f"{need.precision:10}{''.join(f'{_size(size):>11}' for size in sizes)}  {verdict}"


def _size(size: int) -> str:
    from rag.models.fitting import gigabytes

    return gigabytes(size)
