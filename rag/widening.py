"""From a found chunk to a passage: what stands around it in its section, in whole sentences.

A small chunk is found more surely, since its vector stands for little text; an answer, and who
reads it, need more text than that. docs/quality.md has the measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from rag.catalog import Catalog
from rag.catalog.schema import chunks, pages
from rag.records import Passage
from rag.sentences import sentence_spans

# chunks on either side that are looked at; those of a list or a table can be short
_REACH = 6
# more than this between two chunks is a page's furniture, and not white space
_GAP = 4


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A chunk near another one: `step` counts chunks from that one."""

    step: int
    start: int
    end: int
    text: str
    context: str


def widened(
    catalog: Catalog, passages: Sequence[Passage], characters: int, most: int
) -> list[Passage]:
    """The first `most` passages, each with up to `characters` more before it and after it.

    Only whole sentences, list items and rows of its own page and section are added. A passage
    whose chunk lies within a better one's text is left out. `page_text[start:end] == text` holds.
    """
    if characters <= 0:
        return list(passages[:most])
    near = _neighbours(catalog, [passage.chunk_id for passage in passages])
    kept: list[Passage] = []
    for passage in passages:
        if len(kept) == most:
            break
        if not any(_holds(better, passage) for better in kept):
            start, end = _span(passage, near.get(passage.chunk_id, ()), characters)
            kept.append(replace(passage, start=start, end=end))
    return _with_text(catalog, kept, passages)


def _holds(better: Passage, passage: Passage) -> bool:
    return (
        better.document_id == passage.document_id
        and better.page == passage.page
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
        ends = [other.start + span[way > 0] for span in sentence_spans(other.text)]
        fitting = [at for at in ends if way * (at - origin) <= characters]
        edge = max([edge, *fitting], key=lambda at: way * at)
        if len(fitting) < len(ends):
            break
        context = other.context
    return edge


def _gap(edge: int, other: _Neighbour, way: int) -> int:
    return other.start - edge if way > 0 else edge - other.end


def _neighbours(catalog: Catalog, ids: Sequence[str]) -> Mapping[str, list[_Neighbour]]:
    other = chunks.alias()
    statement = select(
        chunks.c.id,
        (other.c.ordinal - chunks.c.ordinal).label("step"),
        other.c.start,
        other.c.end,
        other.c.text,
        other.c.context,
    ).join(
        other,
        (other.c.content_key == chunks.c.content_key)
        & (other.c.page == chunks.c.page)
        & other.c.ordinal.between(chunks.c.ordinal - _REACH, chunks.c.ordinal + _REACH),
    )
    found: dict[str, list[_Neighbour]] = {}
    with catalog.read() as connection:
        for row in connection.execute(statement.where(chunks.c.id.in_(ids))):
            near = _Neighbour(row.step, row.start, row.end, row.text, row.context)
            found.setdefault(row.id, []).append(near)
    return found


def _with_text(
    catalog: Catalog, passages: Sequence[Passage], before: Sequence[Passage]
) -> list[Passage]:
    """The passages with the text of their new spans; one whose page went meanwhile as it was."""
    unchanged = {passage.chunk_id: passage for passage in before}
    by_page: dict[tuple[str, int], list[Passage]] = {}
    for passage in passages:
        if passage.end - passage.start > len(passage.text):
            by_page.setdefault((passage.document_id, passage.page), []).append(passage)
    read: dict[str, Passage] = {}
    with catalog.read() as connection:
        for wider in by_page.values():
            read |= {passage.chunk_id: passage for passage in _read(connection, wider)}
    return [read.get(passage.chunk_id, unchanged[passage.chunk_id]) for passage in passages]


def _read(connection: Connection, passages: Sequence[Passage]) -> Iterator[Passage]:
    """Passages of one page with their text, in one look: a page may be all of a huge file."""
    first = min(passage.start for passage in passages)
    last = max(passage.end for passage in passages)
    text = connection.execute(
        select(func.substr(pages.c.text, first + 1, last - first))
        .join(chunks, chunks.c.content_key == pages.c.content_key)
        .where(chunks.c.id == passages[0].chunk_id, pages.c.number == passages[0].page)
    ).scalar()
    if text is not None:
        for passage in passages:
            yield replace(passage, text=text[passage.start - first : passage.end - first])
