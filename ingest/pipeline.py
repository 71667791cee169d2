"""From claimed documents to live ones: parse, chunk, embed, index, publish.

Parsers work in threads, and one thread embeds, a slice of chunks at a time. What a slice finished
is published while the next one is embedded: a small document does not wait for a large one, and the
embedder not for the disk. The order of commits, for the documents that a slice finishes:

1. contents, pages and chunks with their vectors into the catalog (nothing answers from them yet;
   those of a large document go there as they come: see `drafts.py`),
2. words and vectors into the indexes, each chunk read back by its own vector,
3. one catalog transaction lets the new contents answer and drops the old ones,
4. what answers for nothing any more leaves the indexes, then the catalog (`sweep`).

Killed between any two, the next start finds the library as before or as after.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass

from ingest.drafter import PARSED, Drafter, Stopped
from ingest.drafts import Draft, LongDraft, ShortDraft
from ingest.reading import nesting
from ingest.recipe import recipe
from rag.catalog import Catalog
from rag.catalog.attempts import set_back
from rag.catalog.contents import (
    chunk_ids,
    content_key,
    dead_contents,
    delete_contents,
    indexed,
    publish,
    put_contents,
    retire,
)
from rag.catalog.folders import has_unfinished
from rag.catalog.index_rows import rows_for_indexes
from rag.catalog.portions import checksum_of, index_portions
from rag.catalog.queue import Task, claim, release, report, still_wanted
from rag.embedding import Embedder, Vectors
from rag.errors import CloisterError, StorageError, storage_error
from rag.indexes import Indexes
from rag.originals import check_free_space, sweep_originals
from rag.records import State
from rag.settings import Settings

log = logging.getLogger("cloister.ingest")

# so many chunks are embedded before what is new is looked at: seconds, on two cores
SLICE = 256
# of each slice the document that waits longest gets so many, so that it comes to its end
_OLDEST_SHARE = SLICE // 4
# so many small documents are in hand at once, or of so many bytes: enough that the next slice is
# parsed while one is embedded
_IN_HAND = 192
_BYTES_IN_HAND = 16_000_000
_BYTES_AT_ONCE = 4_000_000
# a larger file is large: few of them are in hand beside the small ones, which pass them
_SMALL_BYTES = 500_000
_LARGE_IN_HAND = 2
_WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Part:
    """The next chunks of a draft, in a slice."""

    draft: Draft
    count: int


class Pipeline:
    """Reads documents into one library. One thread runs it."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        embedder: Embedder,
        indexes: Indexes,
        folder: int | None = None,
    ) -> None:
        """`folder` names a synced folder whose documents come before all others."""
        self._folder = folder
        self._settings = settings
        self._catalog = catalog
        self._embedder = embedder
        self._indexes = indexes
        self._closing = False
        self._nesting = nesting(settings)
        self._readers = ThreadPoolExecutor(settings.parsers, "parse")
        self._embedding = ThreadPoolExecutor(1, "embed")
        self._parsing: dict[Future[Draft | None], Task] = {}
        self._drafts: list[Draft] = []
        # claimed, not in hand, and not back in the queue either, since the catalog failed
        self._owed: list[Task] = []
        self.recipe = recipe(settings, embedder.fingerprint)
        self._drafter = Drafter(settings, catalog, embedder, self.recipe)

    def run(self, stopping: Callable[[], bool]) -> bool:
        """One round: claim, gather what is parsed, embed a slice; False when nothing waits.

        Raises StorageError when the disk is full and Busy when the catalog is; what is in hand is
        kept, and the next round goes on. What fails unexpectedly is tried again by itself, and
        failed in the end.
        """
        try:
            self._check_room()
            self._give_back()
            claimed = self._claim()
            if not self._parsing and not self._drafts:
                return claimed  # what was live at once; there may be more behind it
            if sum(draft.left for draft in self._drafts) < SLICE:
                wait(self._parsing, _WAIT_SECONDS)  # small ones share their commits
            self._gather()
            self._drop_unwanted()
            self._embed(self._slice(), stopping)
        except Stopped:
            return False
        except OSError as error:
            raise storage_error(error) from error
        return True

    def sweep(self) -> bool:
        """Erase contents that answer for nothing, and originals that nothing needs.

        False where originals had to stay for now, since some are being registered.
        """
        self._drop_unwanted()
        dead = dead_contents(self._catalog)
        if dead:
            # a failure half way must not leave contents that count as whole
            retire(self._catalog, dead)
            self._indexes.delete(chunk_ids(self._catalog, dead))
            delete_contents(self._catalog, dead)
        idle = not self._parsing and not self._drafts
        swept = sweep_originals(self._settings, self._catalog, lambda: self._drafter.stored(idle))
        if dead:
            self._catalog.truncate_log()  # it takes room, which the originals may have made
        return swept

    def in_hand(self) -> set[str]:
        """The SHA-256 of files within files that were stored and that no row may name yet."""
        return self._drafter.stored(False)

    def close(self) -> None:
        """Stop the parsers; what was in hand goes back to the queue, not counted as tried."""
        self._closing = True
        for future in self._parsing:
            future.cancel()
        self._drafter.close()
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._embedding.shutdown(wait=True, cancel_futures=True)
        held = self._held()
        self._parsing, self._drafts = {}, []
        try:
            self._give_back(held)
        except CloisterError as error:
            log.warning("what was in hand goes back at the next start: %s", error)

    def _give_back(self, tasks: Sequence[Task] = ()) -> None:
        """Put tasks back into the queue; what cannot go now is put back in the next round."""
        self._owed += tasks
        if self._owed:
            release(self._catalog, self._owed)
            self._owed = []

    def _check_room(self) -> None:
        """Raises StorageError where something is to be read and too little space is free for it."""
        try:
            check_free_space(self._settings)
        except StorageError:
            if has_unfinished(self._catalog):
                raise

    def _held(self) -> list[Task]:
        """All that is in hand."""
        return [*self._parsing.values(), *(task for d in self._drafts for task in d.tasks)]

    def _room(self) -> int:
        """How many more documents may be in hand, the large ones not counted."""
        if any(task.attempts for task in self._parsing.values()):
            return 0  # it is parsed alone
        small = [task.size for task in self._held() if task.size <= _SMALL_BYTES]
        return max(0, _IN_HAND - len(small)) if sum(small) < _BYTES_IN_HAND else 0

    def _claim(self, alone: bool = True) -> bool:
        """Take documents from the queue, small ones past large ones, and have them parsed.

        One that did harm before is taken only if `alone`. False where none was taken.
        """
        if not (room := self._room()):
            return False
        large = sum(task.size > _SMALL_BYTES for task in self._held())
        parsing_large = sum(task.size > _SMALL_BYTES for task in self._parsing.values())
        enough = large >= _LARGE_IN_HAND or parsing_large >= max(1, self._settings.parsers - 1)
        tasks = claim(
            self._catalog,
            room,
            _BYTES_AT_ONCE,
            largest=_SMALL_BYTES if enough else None,
            first=self._folder,
            alone=alone and not self._parsing,
        )
        rest = {task: content_key(task.bytes_hash, task.kind, self.recipe) for task in tasks}
        try:
            there = indexed(self._catalog, rest.values())
            self._publish([(task, key) for task, key in rest.items() if key in there])
            for task, key in list(rest.items()):
                if key not in there and not self._joined([task], key):
                    self._parsing[self._readers.submit(self._drafter.draft, task, key)] = task
                del rest[task]
        except BaseException:
            self._give_back(list(rest))
            raise
        return bool(tasks)

    def _gather(self) -> None:
        """Take over what is parsed."""
        self._drafter.tell()
        done = [future for future in self._parsing if future.done()]
        drafts = [future.result() for future in done if not future.exception()]
        # published by another document of the same bytes, meanwhile
        there = indexed(self._catalog, [draft.key for draft in drafts if draft]) if drafts else ()
        for future in done:
            task = self._parsing.pop(future)
            try:
                self._take_over(task, future.result(), there)
            except (OSError, CloisterError):
                self._give_back([task])
                raise
            except Exception as error:  # whatever it is, it is about this document
                # by its id: a log is never erased, and a file's name is the document's
                log.exception("document %s could not be read", task.document_id)
                set_back(self._catalog, [task], self.recipe, _unexpected(error))

    def _take_over(self, task: Task, draft: Draft | None, there: Collection[str]) -> None:
        if draft is None or self._joined(draft.tasks, draft.key):
            return
        if draft.key in there:
            self._publish([(task, draft.key)])
        else:
            self._drafts.append(draft)

    def _drop_unwanted(self) -> None:
        """Let go of drafts whose documents were all removed or changed: nothing of them is kept."""
        if not self._drafts:
            return
        tasks = [task for draft in self._drafts for task in draft.tasks]
        wanted = still_wanted(self._catalog, tasks)
        self._drafts = [draft for draft in self._drafts if not wanted.isdisjoint(draft.tasks)]

    def _joined(self, tasks: Sequence[Task], key: str) -> bool:
        """Whether the same content waits for its vectors: then it is for these documents too."""
        for draft in self._drafts:
            if draft.key == key:
                draft.tasks += tasks
                return True
        return False

    def _slice(self) -> list[_Part]:
        """What to embed next: some of the oldest, then the shortest first."""
        again = [draft for draft in self._drafts if draft.tried_before]
        if again and len(again) == len(self._drafts):
            return [_Part(again[0], min(SLICE, again[0].left))]
        fresh = [draft for draft in self._drafts if not draft.tried_before]
        counts: dict[int, int] = {}
        room = SLICE
        if fresh:
            counts[id(fresh[0])] = min(fresh[0].left, _OLDEST_SHARE)
            room -= counts[id(fresh[0])]
        for draft in sorted(fresh, key=lambda draft: draft.left):
            more = min(room, draft.left - counts.get(id(draft), 0))
            counts[id(draft)] = counts.get(id(draft), 0) + more
            room -= more
        return [_Part(d, counts[id(d)]) for d in fresh if counts[id(d)]]

    def _embed(self, parts: Sequence[_Part], stopping: Callable[[], bool]) -> None:
        """Embed a slice in a thread; here, meanwhile, what the slices before finished is published.

        And more is claimed and gathered. What this one finishes is for the next round.
        """

        def progress(_done: int) -> None:
            if stopping() or self._closing:
                raise Stopped
            with suppress(CloisterError):  # it is said with the next
                self._drafter.tell()

        progress(0)
        parts, texts = self._texts(parts)
        vectors = self._embedding.submit(self._embedder.texts, texts, progress) if texts else None
        try:
            self._try(self._finish, [draft for draft in self._drafts if not draft.left])
            self._look_ahead(vectors, stopping)
        except Exception:
            self._keep(parts, vectors)  # published or not, what was embedded stays
            raise
        self._keep(parts, vectors)

    def _look_ahead(self, vectors: Future[Vectors] | None, stopping: Callable[[], bool]) -> None:
        """Have what waits parsed until the vectors of a slice are there."""
        waiting = True
        while vectors and not wait([vectors], _WAIT_SECONDS).done and not stopping():
            if waiting and self._room():
                waiting = self._claim(alone=False)
            self._gather()

    def _texts(self, parts: Sequence[_Part]) -> tuple[list[_Part], list[str]]:
        """The parts whose chunks are all there, and their texts; other drafts are set back."""
        whole: list[_Part] = []
        texts: list[str] = []
        for part in parts:
            some = part.draft.texts(part.count)
            if len(some) == part.count:
                whole.append(part)
                texts += some
                continue
            self._drafts.remove(part.draft)
            message = "Its chunks were lost while they were embedded; it is read again."
            set_back(self._catalog, part.draft.tasks, self.recipe, message)
        return whole, texts

    def _keep(self, parts: Sequence[_Part], vectors: Future[Vectors] | None) -> None:
        if vectors:
            drafts = [part.draft for part in parts]
            self._try(lambda _: self._add_vectors(parts, vectors.result()), drafts)

    def _try(self, work: Callable[[Sequence[Draft]], None], drafts: Sequence[Draft]) -> None:
        """Work on drafts; where that fails unexpectedly each is tried again by itself."""
        try:
            work(drafts)
        except (Stopped, CloisterError, OSError):
            raise
        except Exception as error:
            tasks = [task for draft in drafts for task in draft.tasks]
            self._drafts = [draft for draft in self._drafts if draft not in drafts]
            set_back(self._catalog, tasks, self.recipe, _unexpected(error))
            raise

    def _add_vectors(self, parts: Sequence[_Part], vectors: Vectors) -> None:
        at = 0
        for part in parts:
            part.draft.add(vectors[at : at + part.count])
            at += part.count
        shares: list[tuple[Task, State, float]] = [
            (task, "embedding", PARSED + 0.6 * draft.done / draft.count)
            for draft in (part.draft for part in parts)
            if draft.left
            for task in draft.tasks
        ]
        if shares:
            report(self._catalog, shares)

    def _finish(self, drafts: Sequence[Draft]) -> None:
        if not drafts:
            return
        contents = [draft.content(self.recipe) for draft in drafts if isinstance(draft, ShortDraft)]
        put_contents(self._catalog, contents)
        for rows in rows_for_indexes(contents):
            self._indexes.add(rows)
        checksums = {}
        for draft in drafts:
            if isinstance(draft, LongDraft):
                for rows in index_portions(self._catalog, draft.key):
                    self._indexes.add(rows)
                checksums[draft.key] = checksum_of(self._catalog, draft.key)
        finished = [(task, draft.key) for draft in drafts for task in draft.tasks]
        self._publish(finished, checksums)
        self._drafts = [draft for draft in self._drafts if draft not in drafts]

    def _publish(
        self, finished: Sequence[tuple[Task, str]], checksums: Mapping[str, str] | None = None
    ) -> None:
        if finished:
            publish(self._catalog, finished, self.recipe, self._nesting, checksums)


def _unexpected(error: Exception) -> str:
    return (
        f"Cloister failed at this file ({type(error).__name__}); the log says more. It is left "
        "alone until it changes or is retried."
    )
