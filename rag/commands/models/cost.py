"""`cloister models cost`: what the answers of this library took and cost, by model."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rag.printing import json_line, printable
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.models.cost import Cost

_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command(epilog="Example: cloister models cost --since 2026-11-01 --measure-power 60")
@click.option("--since", type=_DAY, help="Only answers from this day on (UTC).")
@click.option(
    "--per-hour",
    type=click.FloatRange(0),
    help="Price of an hour of the machine or GPU. Default: cost.per_hour.",
)
@click.option(
    "--watts", type=click.FloatRange(0), help="Power that the machine draws while it answers."
)
@click.option(
    "--measure-power",
    "seconds",
    type=click.FloatRange(1, 3600),
    help="Measure the power for so many seconds, while the library answers questions.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def cost(
    settings: Settings,
    /,
    since: object,
    per_hour: float | None,
    watts: float | None,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Tell what the recorded answers of each model took: tokens, seconds, energy, price.

    An answer costs the time that it kept the machine busy, at the price of an hour
    (`cost.per_hour`) and at the power that is given or measured. Hours without questions are not
    counted, nor answers that were forgotten with their documents.
    """
    from rag.catalog.answer_figures import answer_figures
    from rag.library import open_catalog
    from rag.models.cost import costs
    from rag.models.energy import measure_power

    price = settings.cost_per_hour if per_hour is None else per_hour
    for name, value in (("price of an hour", price), ("power", watts or 0.0)):
        if not math.isfinite(value):
            raise click.UsageError(f"The {name} must be a finite number.")
    if watts is None and seconds is not None:
        watts = measure_power(seconds).watts
        if watts is None:
            click.echo(
                "The power cannot be read here: neither /sys/class/powercap nor nvidia-smi tells "
                "it to this user. Give it as --watts.",
                err=True,
            )
    moment = getattr(since, "isoformat", lambda: "")()
    catalog = open_catalog(settings)
    try:
        rows = costs(answer_figures(catalog, moment), price, watts)
    finally:
        catalog.close()
    if as_json:
        given = {"per_hour": price or None, "currency": settings.cost_currency, "watts": watts}
        click.echo(json_line({**given, "models": [asdict(row) for row in rows]}))
        return
    if not rows:
        click.echo("No answer of a model is recorded. Ask something: cloister ask", err=True)
        return
    click.echo(
        f"{'model':28} {'answers':>7} {'prompt':>7} {'answer':>7} {'tok/s':>7} {'p50 s':>7} "
        f"{'p95 s':>7} {'Wh/1,000':>9} {'cost/1,000':>14}"
    )
    for row in rows:
        click.echo(printable(_line(row, settings.cost_currency)))
    if not price:
        click.echo("For the cost, set cost.per_hour or give --per-hour.", err=True)


def _line(row: Cost, currency: str) -> str:
    name = row.model if row.adapter is None else f"{row.model} + {row.adapter.partition('@')[0]}"
    price = "–" if row.price is None else f"{row.price:,.2f} {currency}".strip()
    return (
        f"{name:28} {row.answers:7,} {_shown(row.prompt_tokens, 0):>7} "
        f"{_shown(row.completion_tokens, 0):>7} {_shown(row.tokens_per_second, 1):>7} "
        f"{row.p50:7.2f} {row.p95:7.2f} {_shown(row.energy, 0):>9} {price:>14}"
    )


def _shown(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
