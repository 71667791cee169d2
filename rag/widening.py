"""From a found chunk to a passage: what stands around it in its section, in whole sentences.

A small chunk is found more surely, since its vector stands for little text; an answer, and who
reads it, need more text than that. docs/quality.md has the measurement.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from rag.catalog import Catalog
from rag.catalog.batching import among_ids, batched
from rag.catalog.schema import chunks, pages
from rag.records import Passage
from rag.sentences import sentences_from_start

# chunks on either side that are looked at; those of a list or a table can be short
_REACH = 6
# more than this between two chunks is a page's furniture, and not white space
_GAP = 4
_OTHER = chunks.alias()
_NEIGHBOURS = (
    select(
        chunks.c.id,
        (_OTHER.c.ordinal - chunks.c.ordinal).label("step"),
        _OTHER.c.start,
        _OTHER.c.end,
        _OTHER.c.text,
        _OTHER.c.context,
    )
    .join(
        _OTHER,
        (_OTHER.c.content_key == chunks.c.content_key)
        & (_OTHER.c.page == chunks.c.page)
        & _OTHER.c.ordinal.between(chunks.c.ordinal - _REACH, chunks.c.ordinal + _REACH),
    )
    .where(
        among_ids(),
        _OTHER.c.id != chunks.c.id,
        _OTHER.c.start - chunks.c.end <= bindparam("characters"),
        chunks.c.start - _OTHER.c.end <= bindparam("characters"),
    )
)
# of each look, which is a chunk and the first character and the number of those that are read of
# its page: which look it is, and the text
_LOOKS = func.json_each(bindparam("looks")).table_valued("key", "value", name="looks")


def _of_look(at: int) -> ColumnElement[Any]:
    return func.json_extract(_LOOKS.c.value, f"$[{at}]")


_TEXTS = (
    select(_LOOKS.c.key, func.substr(pages.c.text, _of_look(1) + 1, _of_look(2)))
    .join(chunks, chunks.c.id == _of_look(0))
    .join(pages, (pages.c.content_key == chunks.c.content_key) & (pages.c.number == chunks.c.page))
)


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A chunk near another one: `step` counts chunks from that one."""

    step: int
    start: int
    end: int
    text: str
    context: str


@dataclass(frozen=True, slots=True)
class _Wide:
    """A passage that is to reach from `start` to `end` of its page."""

    passage: Passage
    start: int
    end: int


def widened(
    catalog: Catalog, passages: Sequence[Passage], characters: int, most: int
) -> list[Passage]:
    """The first `most` passages, each with up to `characters` more before it and after it.

    Only whole sentences, list items and rows of its own page and section are added. A passage
    whose chunk lies within a better one's text is left out. `page_text[start:end] == text` holds.
    """
    if characters <= 0:
        return list(passages[:most])
    kept: list[_Wide] = []
    with catalog.read() as connection:
        # mostly the first few are enough, and the others' neighbours need not be read
        for some in batched(passages, max(1, most)):
            if len(kept) == most:
                break
            near = _neighbours(connection, [passage.chunk_id for passage in some], characters)
            for passage in some:
                if len(kept) == most:
                    break
                if not any(_holds(better, passage) for better in kept):
                    span = _span(passage, near.get(passage.chunk_id, ()), characters)
                    kept.append(_Wide(passage, *span))
        return _with_text(connection, kept)


def _holds(better: _Wide, passage: Passage) -> bool:
    return (
        better.passage.document_id == passage.document_id
        and better.passage.page == passage.page
        and better.start <= passage.start
        and passage.end <= better.end
    )


def _span(passage: Passage, near: Iterable[_Neighbour], characters: int) -> tuple[int, int]:
    """How far a passage may reach, both ways."""
    by_step = {neighbour.step: neighbour for neighbour in near}
    return _edge(passage, by_step, -1, characters), _edge(passage, by_step, 1, characters)


def _edge(passage: Passage, by_step: Mapping[int, _Neighbour], way: int, characters: int) -> int:
    """Where a passage may end that way: -1 towards the page's beginning, 1 towards its end."""
    origin = edge = passage.end if way > 0 else passage.start
    context = passage.context
    for step in range(1, _REACH + 1):
        other = by_step.get(way * step)
        if other is None or _gap(edge, other, way) > _GAP:
            break
        # a chunk that a heading begins has that heading in its text, and not in its context
        upper, lower = (context, other.context) if way > 0 else (other.context, context)
        if not lower.startswith(upper):
            break
        if way * (_outermost(other, way) - origin) <= characters:
            edge = max(edge, _outermost(other, way), key=lambda at: way * at)
            context = other.context
            continue
        return _within(other, edge, origin + way * characters, way)
    return edge


def _within(other: _Neighbour, edge: int, limit: int, way: int) -> int:
    """The edge, or where the last of the chunk's sentences that fits within the limit ends."""
    spans = sentences_from_start(other.text)
    if way > 0:
        ends = (other.start + end for _, end in spans)
        return max([edge, *itertools.takewhile(lambda end: end <= limit, ends)])
    starts = (other.start + start for start, _ in spans)
    return min(edge, next((start for start in starts if start >= limit), edge))


def _outermost(other: _Neighbour, way: int) -> int:
    """Where the last of its sentences ends that way."""
    if way > 0:
        return other.start + len(other.text.rstrip())
    return other.end - len(other.text.lstrip())


def _gap(edge: int, other: _Neighbour, way: int) -> int:
    return other.start - edge if way > 0 else edge - other.end


def _neighbours(
    connection: Connection, ids: Sequence[str], characters: int
) -> Mapping[str, list[_Neighbour]]:
    """The chunks before and after each of these that begin or end within so many characters."""
    found: dict[str, list[_Neighbour]] = {}
    asked = {"ids": json.dumps(ids), "characters": characters}
    for chunk_id, *near in connection.execute(_NEIGHBOURS, asked).all():
        found.setdefault(chunk_id, []).append(_Neighbour(*near))
    return found


def _with_text(connection: Connection, kept: Sequence[_Wide]) -> list[Passage]:
    """The passages with the text of their new spans; one whose page went meanwhile as it was."""
    by_page: dict[tuple[str, int], list[_Wide]] = {}
    for wide in kept:
        passage = wide.passage
        if wide.end - wide.start > len(passage.text):
            by_page.setdefault((passage.document_id, passage.page), []).append(wide)
    read = {passage.chunk_id: passage for passage in _read(connection, list(by_page.values()))}
    return [read.get(wide.passage.chunk_id, wide.passage) for wide in kept]


def _read(connection: Connection, pages_: Sequence[Sequence[_Wide]]) -> Iterator[Passage]:
    """Passages, those of one page together, with their text.

    Each page is looked at once, and no more of it is taken than is needed: it may be all of a huge
    file.
    """
    looks = []
    for together in pages_:
        first = min(wide.start for wide in together)
        last = max(wide.end for wide in together)
        looks.append((together[0].passage.chunk_id, first, last - first))
    asked = {"looks": json.dumps(looks)}
    for number, text in connection.execute(_TEXTS, asked).all() if looks else ():
        first = looks[number][1]
        for wide in pages_[number]:
            own = text[wide.start - first : wide.end - first]
            yield replace(wide.passage, start=wide.start, end=wide.end, text=own)
