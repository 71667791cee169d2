"""What every report is made with: its templates, and the measures of a square chart."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from rag.evaluation.intervals import Interval
from rag.printing import printable

# the side of a square chart, in its own units
SIDE = 100.0
# of fewer questions an interval says nothing
LEAST = 10


def pages() -> Environment:
    """The templates; what comes from outside is text in them."""
    made = Environment(
        loader=PackageLoader("rag.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["share"] = share
    made.filters["printable"] = lambda text: printable(" ".join(str(text).split()))
    return made


def share(value: float | Interval | None) -> str:
    """A share in per cent."""
    if value is None:
        return "–"
    if isinstance(value, Interval):
        return f"{share(value.low)} to {share(value.high)}"
    return f"{100 * value:.1f} %"


def place(x: float, y: float) -> tuple[float, float]:
    """A place in a square chart whose axes run from 0 to 1, y upwards."""
    return round(x * SIDE, 2), round((1 - y) * SIDE, 2)
