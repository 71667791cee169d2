"""Compares catalog, vectors, words and originals, and says what does not agree.

Nothing is changed here: `repair.py` does that. The process that has the indexes open compares
them as they are; where none has, a child process opens the vectors, since a damaged index can
crash the one that opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.findings import Fault, Findings, fault
from rag.catalog import Catalog, audit
from rag.catalog.documents import count_states
from rag.catalog.index_rows import count_chunks
from rag.catalog.stored import stored_hashes, wanted_hashes
from rag.comparison import Compared, Tell, compare_closed_vectors, compare_words
from rag.errors import StorageError
from rag.files import hash_of
from rag.indexes import NAMES, Indexes, apart_chunks
from rag.lock import try_no_registration
from rag.originals import original_path, strays, unwanted_originals
from rag.serials import Serials
from rag.settings import Settings
from rag.words import WordIndex

# told how many steps of how many are done; may raise to stop
Steps = Callable[[int, int], None]
# gives the SHA-256 of originals that were stored and that no row may name yet
InHand = Callable[[], set[str]]


@dataclass(frozen=True, slots=True)
class Survey:
    """What is wrong, by name. An index that cannot be opened is None."""

    damage: tuple[str, ...]
    altered: tuple[str, ...]
    unanswered: tuple[str, ...]
    vectors: Compared | None
    words: Compared | None
    missing_originals: tuple[str, ...]
    altered_originals: tuple[str, ...]
    left_over: tuple[Path, ...]
    unknown: tuple[Path, ...]


def survey(
    settings: Settings,
    catalog: Catalog,
    indexes: Indexes | str,
    steps: Steps | None = None,
    in_hand: InHand = set,
) -> Survey:
    """Look at everything. `indexes` are the open ones, or the fingerprint of those to open.

    Only the process that holds the library's lock may call this.
    """
    needed = audit.needed_originals(catalog)
    tell = _counted(steps, audit.count_contents(catalog) + 2 * count_chunks(catalog) + len(needed))
    altered = audit.altered_contents(catalog, tell)
    vectors: Compared | None
    words: Compared | None
    if isinstance(indexes, Indexes):
        vectors, words = indexes.compare(tell)
    else:
        vectors = _closed_vectors(settings, catalog, indexes, tell)
        words = _closed_words(settings, catalog, tell)
    missing, damaged = _look_at_originals(settings, needed, tell)
    left_over, unknown = _left_over(settings, catalog, in_hand)
    return Survey(
        damage=tuple(catalog.damage()),
        altered=tuple(altered),
        unanswered=tuple(audit.without_content(catalog)),
        vectors=vectors,
        words=words,
        missing_originals=missing,
        altered_originals=damaged,
        left_over=tuple(left_over),
        unknown=tuple(unknown),
    )


def findings(catalog: Catalog, found: Survey) -> Findings:
    """A survey as it is told: kinds of faults with the documents they concern."""
    faults = [
        fault("catalog", len(found.damage)),
        fault("content", len(found.altered), audit.sources_of_contents(catalog, found.altered)),
        fault("unanswered", len(found.unanswered), audit.sources_of(catalog, found.unanswered)),
        *_of_index(catalog, "vectors", found.vectors),
        *_of_index(catalog, "words", found.words),
    ]
    for kind, hashes in (
        ("originals-missing", found.missing_originals),
        ("originals-altered", found.altered_originals),
    ):
        faults.append(fault(kind, len(hashes), audit.sources_of_originals(catalog, hashes)))
    faults.append(fault("left-over", len(found.left_over)))
    faults.append(fault("originals-unknown", len(found.unknown)))
    states = count_states(catalog)
    waiting = sum(states.get(state, 0) for state in ("pending", "parsing", "embedding"))
    notes = [f"{waiting} documents wait to be read"] if waiting else []
    if states.get("failed"):
        notes.append(f"{states['failed']} documents could not be read")
    return Findings(
        documents=sum(count for state, count in states.items() if state != "removed"),
        chunks=count_chunks(catalog),
        originals=len(audit.needed_originals(catalog)),
        faults=tuple(item for item in faults if item.count),
        notes=tuple(notes),
    )


def _of_index(catalog: Catalog, name: str, compared: Compared | None) -> Sequence[Fault]:
    if compared is None:
        return [fault(f"{name}-unreadable", 1)]
    sources = audit.sources_of_chunks(catalog, compared.missing)
    return [
        fault(f"{name}-missing", len(compared.missing), sources),
        fault(f"{name}-strange", len(compared.extra)),
    ]


def _closed_vectors(
    settings: Settings, catalog: Catalog, fingerprint: str, tell: Tell
) -> Compared | None:
    path = Serials(catalog, settings.home, "chroma").current()
    count = count_chunks(catalog)
    if path is None:
        return Compared() if count == 0 else None
    found = compare_closed_vectors(catalog, settings.home, path, fingerprint)
    tell(count)
    if found is None:
        return None
    apart = apart_chunks(catalog)
    return Compared(tuple(name for name in found.missing if name not in apart), found.extra)


def _closed_words(settings: Settings, catalog: Catalog, tell: Tell) -> Compared | None:
    path = Serials(catalog, settings.home, "words").current()
    if path is None:
        return Compared() if count_chunks(catalog) == 0 else None
    try:
        index = WordIndex(path)
    except (OSError, StorageError):
        return None
    try:
        return compare_words(catalog, index, tell)
    except (OSError, ValueError):
        return None
    finally:
        index.close()


def _look_at_originals(
    settings: Settings, hashes: Sequence[str], tell: Tell
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    missing, altered = [], []
    for bytes_hash in hashes:
        try:
            if hash_of(original_path(settings, bytes_hash)) != bytes_hash:
                altered.append(bytes_hash)
        except FileNotFoundError:
            missing.append(bytes_hash)
        except OSError:
            altered.append(bytes_hash)
        tell(1)
    return tuple(missing), tuple(altered)


def _left_over(
    settings: Settings, catalog: Catalog, in_hand: InHand
) -> tuple[list[Path], list[Path]]:
    """What nothing needs, and originals that the catalog never stored."""
    left = [path for name in NAMES for path in Serials(catalog, settings.home, name).left_over()]
    with try_no_registration(settings) as quiet:
        if not quiet:
            return left, []
        # the first is asked first: what leaves it is in the catalog by then
        wanted = in_hand() | wanted_hashes(catalog)
        known, unknown = unwanted_originals(settings, wanted, stored_hashes(catalog))
        return [*left, *known, *strays(settings, wanted)], unknown


def _counted(steps: Steps | None, total: int) -> Tell:
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if steps:
            steps(done, total)

    return tell
