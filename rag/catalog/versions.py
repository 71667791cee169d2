"""Versions of files: those of a synced folder, and those within a file, its members.

A document's members are those that its content lists. They are put in their places in the very
transaction in which that content begins to answer, so that no moment shows an archive's old files
beside its new ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from rag.catalog import now
from rag.catalog.answers import forget_answers
from rag.catalog.batching import batched
from rag.catalog.documents import fresh_state, new_document_id, take_out
from rag.catalog.family import Nesting, below, room_within
from rag.catalog.queue import requeue
from rag.catalog.removals import note_removal
from rag.catalog.removed_bytes import kept_out
from rag.catalog.schema import contents, documents, members
from rag.errors import TooMuchInside

_MEGABYTE = 1_000_000
# what of a member is compared with what its document's content lists
_MEMBER = (
    documents.c.id,
    documents.c.source,
    documents.c.kind,
    documents.c.bytes_hash,
    documents.c.stat_key,
    documents.c.state,
)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file as it was read: `document_id` None where it is new.

    `stat_key` is of a synced file; a member has what `_time_within` makes of it.
    """

    document_id: str | None
    source: str
    kind: str
    bytes_hash: str
    size: int
    stat_key: str = ""
    same_bytes: bool = False


def put_versions(
    connection: Connection,
    owner: Mapping[str, Any],
    files: Sequence[FileVersion],
    nesting: Nesting,
) -> int:
    """Register new, changed and moved files; `owner` names collection, folder and parent.

    Returns how many of the new ones are of bytes that a person removed, and registered as removed.

    A file with the bytes and kind that its document has keeps what answers for it, and its members.
    One with those that another live document has, or had until now, is live at once by the same
    content. Any other is queued, and what answered for it goes on until the new is live.
    """
    # asked before the first of several changes: two files may have changed places
    other = {file.bytes_hash for file in files if not file.same_bytes}
    twins = _twins(connection, other)
    removed = kept_out(connection, owner["collection_id"], other)
    for file in files:
        if file.bytes_hash in removed and not file.same_bytes:
            _put_removed(connection, owner, file)
        else:
            twin = twins.get((file.bytes_hash, file.kind), {})
            _put_version(connection, owner, file, twin, nesting)
    return sum(file.document_id is None and file.bytes_hash in removed for file in files)


def _put_removed(connection: Connection, owner: Mapping[str, Any], file: FileVersion) -> None:
    """Register a file of bytes that a person removed, as such; what was stored of it is swept."""
    name = file.document_id
    if name is None:
        note_removal(connection)
        row = fresh_state() | _values(file) | {"state": "removed"}
        connection.execute(documents.insert().values(id=new_document_id(), **owner, **row))
        return
    take_out(connection, name)
    connection.execute(update(documents).where(documents.c.id == name).values(_values(file)))


def _values(file: FileVersion) -> dict[str, Any]:
    return {
        "source": file.source,
        "kind": file.kind,
        "bytes_hash": file.bytes_hash,
        "size": file.size,
        "stat_key": file.stat_key,
    }


def _put_version(
    connection: Connection,
    owner: Mapping[str, Any],
    file: FileVersion,
    twin: dict[str, Any],
    nesting: Nesting,
) -> None:
    values = _values(file)
    name = file.document_id
    if name is None:
        name = new_document_id()
        row = fresh_state() | values | twin
        connection.execute(documents.insert().values(id=name, **owner, **row))
        if twin:
            seat(connection, name, nesting)
        return
    if owner["parent_id"] and not file.same_bytes:
        values["created_at"] = now()  # a member has no other time at which it came to be as it is
    before = connection.execute(select(documents.c.source).where(documents.c.id == name)).scalar()
    connection.execute(
        update(documents).where(documents.c.id == name).values(updated_at=now(), **values)
    )
    if before is not None and before != file.source:
        _move_members(connection, name, before, file.source)
    if not file.same_bytes:
        note_removal(connection)
        requeue(connection, [name])
        if twin:
            forget_answers(connection, [name])
            connection.execute(update(documents).where(documents.c.id == name).values(twin))
            seat(connection, name, nesting)


def drop_documents(connection: Connection, document_ids: Sequence[str]) -> None:
    """Take documents and their members out of the library, without a trace."""
    if not document_ids:
        return
    forget_answers(connection, [*document_ids, *below(connection, document_ids)])
    note_removal(connection)
    for some in batched(document_ids):
        connection.execute(delete(documents).where(documents.c.id.in_(some)))


def nesting_ones(connection: Connection, document_ids: Sequence[str]) -> list[str]:
    """Those of these documents that have members, or whose content lists some."""
    found: set[str] = set()
    listed = select(documents.c.id).join(
        members, members.c.content_key == documents.c.content_key
    ).where(members.c.bytes_hash != "")  # fmt: skip
    for some in batched(document_ids):
        found.update(connection.execute(listed.where(documents.c.id.in_(some))).scalars())
        own = select(documents.c.parent_id).where(documents.c.parent_id.in_(some))
        found.update(connection.execute(own).scalars())
    return [document_id for document_id in document_ids if document_id in found]


def seat(connection: Connection, document_id: str, nesting: Nesting) -> None:
    """Let a document have the members that its content lists, and no others.

    A member that is there keeps its id, also under another name and where its bytes changed.
    Where they are too many, too large or too deep there are none, and the document says so.
    """
    named = select(documents).where(documents.c.id == document_id)
    parent = connection.execute(named).one_or_none()
    if parent is None:  # the archive that it was in has lost it, in this transaction
        return
    listed = connection.execute(
        select(members)
        .where(members.c.content_key == parent.content_key, members.c.bytes_hash != "")
        .order_by(members.c.ordinal)
    ).all()
    found = connection.execute(select(*_MEMBER).where(documents.c.parent_id == document_id)).all()
    wanted, there = list[Any](listed), list[Any](found)
    if nesting.depth < 1:
        wanted = []
    if not wanted and not there:
        return
    refusal = _refusal(parent, wanted, room_within(connection, document_id, nesting), nesting)
    if refusal:
        connection.execute(
            update(documents)
            .where(documents.c.id == document_id)
            .values(state="failed", error_code=refusal.code, error=str(refusal))
        )
        wanted = []
    versions, gone = _compared(parent, wanted, there)
    drop_documents(connection, gone)
    sent = _sent(connection, parent.content_key, parent.sent)
    _date(connection, document_id, sent)
    owner = {
        "collection_id": parent.collection_id,
        "folder_id": parent.folder_id,
        "parent_id": document_id,
        "sent": sent,
    }
    put_versions(connection, owner, versions, nesting)


def _sent(connection: Connection, content_key: str | None, within: str) -> str:
    """When what is in a document was sent: with it, a mail, or else with what it came `within`."""
    own = select(contents.c.dated).where(contents.c.key == content_key)
    return connection.execute(own).scalar() or within


def _date(connection: Connection, document_id: str, sent: str) -> None:
    """Have the members of a document, and theirs, sent then, where they were not."""
    inside = select(documents.c.id, documents.c.content_key).where(
        documents.c.parent_id == document_id, documents.c.sent != sent
    )
    for member in connection.execute(inside).all():
        connection.execute(update(documents).where(documents.c.id == member.id).values(sent=sent))
        _date(connection, member.id, _sent(connection, member.content_key, sent))


def _compared(
    parent: Row[Any], wanted: Iterable[Any], there: Iterable[Any]
) -> tuple[list[FileVersion], list[str]]:
    """What is to be registered, and the ids of the members that are gone.

    A member is dated by the file in which its bytes came first, not by later ones.
    """
    time = _time_within(parent.stat_key)
    left = {row.source: row for row in there}
    versions: list[FileVersion] = []
    unplaced = []
    for member in wanted:
        before = left.pop(f"{parent.source}/{member.name}", None)
        if before is None:
            unplaced.append(member)
        elif (before.bytes_hash, before.kind) != (member.bytes_hash, member.kind):
            versions.append(_version(parent, member, before.id, time))
    by_bytes = defaultdict[tuple[str, str], list[Any]](list)
    # the last is taken first: one that a person removed only where there is no other
    for row in sorted(left.values(), key=lambda row: row.state != "removed"):
        by_bytes[row.bytes_hash, row.kind].append(row)
    for member in unplaced:
        same = by_bytes[member.bytes_hash, member.kind]
        moved = same.pop() if same else None
        if moved:
            del left[moved.source]
            versions.append(_version(parent, member, moved.id, moved.stat_key, same_bytes=True))
        else:
            versions.append(_version(parent, member, None, time))
    return versions, [row.id for row in left.values()]


def _version(
    parent: Row[Any],
    member: Row[Any],
    document_id: str | None,
    stat_key: str,
    same_bytes: bool = False,
) -> FileVersion:
    source = f"{parent.source}/{member.name}"
    facts = (member.kind, member.bytes_hash, member.size)
    return FileVersion(document_id, source, *facts, stat_key, same_bytes)


def _time_within(stat_key: str) -> str:
    """The stat key of what came in a file: the time of that alone, empty where it is an upload."""
    parts = stat_key.split(":")
    return f"within:{parts[1]}" if len(parts) > 1 else ""


def _refusal(
    parent: Row[Any], wanted: Sequence[Row[Any]], room: Nesting, nesting: Nesting
) -> TooMuchInside | None:
    if not wanted:
        return None
    if room.depth < 1:
        return too_deep(parent.source, nesting)
    size = sum(member.size for member in wanted)
    if len(wanted) > room.members or size > room.size:
        return TooMuchInside(
            f"“{parent.source}” holds {len(wanted):,} files of {size / _MEGABYTE:,.0f} MB. With "
            f"all else in the file that it came in that is more than {nesting.members:,} files "
            f"(ingest.members) or {nesting.size:,} bytes (ingest.members_bytes); they were left "
            "out. Split it, or have the limits raised, and try again."
        )
    return None


def too_deep(source: str, nesting: Nesting) -> TooMuchInside:
    """The error for a file whose members would be deeper than allowed."""
    return TooMuchInside(
        f"“{source}” is in {nesting.depth} archives or mails within each other, as many as "
        "ingest.depth allows; what is in it was left out. Unpack it, or have the limit raised, and "
        "try again."
    )


def _move_members(connection: Connection, document_id: str, before: str, after: str) -> None:
    """Give the members of a document that was renamed their new sources."""
    for some in batched(below(connection, [document_id])):
        tail = func.substr(documents.c.source, len(before) + 1)
        connection.execute(
            update(documents).where(documents.c.id.in_(some)).values(source=after + tail)
        )


def _twins(
    connection: Connection, hashes: Collection[str]
) -> dict[tuple[str, str], dict[str, Any]]:
    """For such bytes, by kind, the columns of a live document that has them, if any does."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    answering = (documents.c.content_key, documents.c.recipe)
    live = select(documents.c.bytes_hash, documents.c.kind, *answering).where(
        documents.c.state == "live"
    )
    for some in batched(hashes):
        for row in connection.execute(live.where(documents.c.bytes_hash.in_(some))):
            answers = {"content_key": row.content_key, "recipe": row.recipe}
            found[row.bytes_hash, row.kind] = {"state": "live", "progress": 1.0} | answers
    return found
