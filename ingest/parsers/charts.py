"""Charts and diagrams of Office files: what they show, as a table, and as texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.parsers.builder import PageBuilder, flat
from ingest.parsers.xml import parse_xml

_MOST_POINTS = 10_000


def add_chart(builder: PageBuilder, data: bytes) -> None:
    """Append a chart's title and its values: a row a category, a column a series.

    `data` is the chart's XML. Raises LxmlError where it is none.
    """
    root = parse_xml(data)
    title = root.find("{*}chart/{*}title")
    if title is not None:
        builder.add(flat(" ".join(_texts(title))))
    series = list(root.iterfind("{*}chart/{*}plotArea/*/{*}ser"))
    columns = [_points(one, ("val", "yVal")) for one in series]
    categories: dict[int, str] = {}
    for one in series:
        categories |= _points(one, ("cat", "xVal"))
    rows = [["", *(" ".join(_texts(one.find("{*}tx"))) for one in series)]]
    for index in sorted(set().union(categories, *columns)):
        rows.append([categories.get(index, ""), *(column.get(index, "") for column in columns)])
    builder.rows(rows)


def diagram_texts(data: bytes) -> list[str]:
    """The texts in the shapes of a diagram (SmartArt). Raises LxmlError where it is none."""
    points = parse_xml(data).iterfind("{*}ptLst/{*}pt/{*}t")
    return [text for point in points if (text := flat(" ".join(_texts(point))))]


def _points(series: Any, names: tuple[str, ...]) -> dict[int, str]:
    """The values that a chart keeps of a series, by their position."""
    found: dict[int, str] = {}
    for name in names:
        for point in series.iterfind(f"{{*}}{name}//{{*}}pt"):
            index = point.get("idx", "")
            if index.isdecimal() and len(found) < _MOST_POINTS:
                found[int(index)] = _shown(point.findtext("{*}v", ""))
    return found


def _shown(value: str) -> str:
    try:
        return f"{float(value):.15g}"
    except ValueError:
        return value


def _texts(element: Any) -> Iterator[str]:
    """The texts of an element of a chart, written there or taken from its sheet."""
    if element is not None:
        for found in element.iter("{*}t", "{*}v"):
            yield found.text or ""
