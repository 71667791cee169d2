"""From a found chunk to a passage: what stands around it in its section, in whole sentences.

A small chunk is found more surely, since its vector stands for little text; an answer, and who
reads it, need more text than that. docs/quality.md has the measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select

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
    start, end = passage.start, passage.end
    by_step = {neighbour.step: neighbour for neighbour in near}
    own = passage.context
    for step in range(-1, -_REACH - 1, -1):
        before = by_step.get(step)
        # a chunk that a heading begins has that heading in its text, and not in its context
        if before is None or not own.startswith(before.context) or start - before.end > _GAP:
            break
        spans = sentence_spans(before.text)
        fitting = [at for at, _ in spans if passage.start - (before.start + at) <= characters]
        start = min([start, *(before.start + at for at in fitting)])
        if len(fitting) < len(spans):
            break
        own = before.context
    own = passage.context
    for step in range(1, _REACH + 1):
        after = by_step.get(step)
        if after is None or not after.context.startswith(own) or after.start - end > _GAP:
            break
        spans = sentence_spans(after.text)
        fitting = [at for _, at in spans if after.start + at - passage.end <= characters]
        end = max([end, *(after.start + at for at in fitting)])
        if len(fitting) < len(spans):
            break
        own = after.context
    return start, end


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
    read: list[Passage] = []
    with catalog.read() as connection:
        for passage in passages:
            own = unchanged[passage.chunk_id]
            length = passage.end - passage.start
            if length == len(own.text):
                read.append(own)
                continue
            text = connection.execute(
                select(func.substr(pages.c.text, passage.start + 1, length))
                .join(chunks, chunks.c.content_key == pages.c.content_key)
                .where(chunks.c.id == passage.chunk_id, pages.c.number == passage.page)
            ).scalar()
            read.append(own if text is None else replace(passage, text=text))
    return read
