"""Ways to spoil a library: each does so at a random place and names the fault it makes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tantivy
from sqlalchemy import delete, select, update

from rag.catalog.contents import pack_vector, unpack_vector
from rag.catalog.schema import chunks, contents, documents, pages
from rag.library import Library
from rag.originals import original_path
from rag.words import Words

Spoil = Callable[[Library, random.Random], str]


def _pick(library: Library, column: object, rng: random.Random) -> str:
    with library.catalog.read() as connection:
        return rng.choice(sorted(connection.execute(select(column)).scalars()))  # type: ignore[call-overload]


def _unit(rng: random.Random, size: int = 64) -> np.ndarray:  # type: ignore[type-arg]
    vector = np.random.default_rng(rng.randrange(2**32)).standard_normal(size).astype(np.float32)
    return vector / np.linalg.norm(vector)


def _write(library: Library, statement: object) -> None:
    with library.catalog.write() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.execute(statement)  # type: ignore[call-overload]


def lose_vector(library: Library, rng: random.Random) -> str:
    library.indexes.vectors.delete([_pick(library, chunks.c.id, rng)])
    return "vectors-missing"


def alter_vector(library: Library, rng: random.Random) -> str:
    library.indexes.vectors.add([_pick(library, chunks.c.id, rng)], _unit(rng)[None])
    return "vectors-missing"


def add_vector(library: Library, rng: random.Random) -> str:
    library.indexes.vectors.add([f"stranger{rng.random()}"], _unit(rng)[None])
    return "vectors-strange"


def lose_words(library: Library, rng: random.Random) -> str:
    library.indexes.words.delete([_pick(library, chunks.c.id, rng)])
    library.indexes.words.commit()
    return "words-missing"


def alter_words(library: Library, rng: random.Random) -> str:
    library.indexes.words.add([Words(_pick(library, chunks.c.id, rng), "quite other words")])
    library.indexes.words.commit()
    return "words-missing"


def double_words(library: Library, rng: random.Random) -> str:
    document = tantivy.Document()
    document.add_text("id", _pick(library, chunks.c.id, rng))
    document.add_text("words", "more words under the same name")
    library.indexes.words._writer.add_document(document)
    library.indexes.words.commit()
    return "words-missing"


def add_words(library: Library, rng: random.Random) -> str:
    library.indexes.words.add([Words(f"stranger{rng.random()}", "words of nobody")])
    library.indexes.words.commit()
    return "words-strange"


def alter_chunk_text(library: Library, rng: random.Random) -> str:
    name = _pick(library, chunks.c.id, rng)
    _write(library, update(chunks).where(chunks.c.id == name).values(text="altered"))
    return "content"


def alter_chunk_span(library: Library, rng: random.Random) -> str:
    name = _pick(library, chunks.c.id, rng)
    _write(library, update(chunks).where(chunks.c.id == name).values(start=chunks.c.start + 1))
    return "content"


def alter_chunk_vector(library: Library, rng: random.Random) -> str:
    name = _pick(library, chunks.c.id, rng)
    _write(
        library, update(chunks).where(chunks.c.id == name).values(vector=pack_vector(_unit(rng)))
    )
    return "content"


def tear_chunk_vector(library: Library, rng: random.Random) -> str:
    name = _pick(library, chunks.c.id, rng)
    torn = pack_vector(_unit(rng))[: rng.randrange(127)]
    _write(library, update(chunks).where(chunks.c.id == name).values(vector=torn))
    return "content"


def flip_vector_bit(library: Library, rng: random.Random) -> str:
    name = _pick(library, chunks.c.id, rng)
    with library.catalog.read() as connection:
        packed = connection.execute(select(chunks.c.vector).where(chunks.c.id == name)).scalar_one()
    vector = unpack_vector(packed)
    vector[rng.randrange(len(vector))] += 0.25
    _write(library, update(chunks).where(chunks.c.id == name).values(vector=pack_vector(vector)))
    return "content"


def lose_chunk(library: Library, rng: random.Random) -> str:
    _write(library, delete(chunks).where(chunks.c.id == _pick(library, chunks.c.id, rng)))
    return "content"


def lose_page(library: Library, rng: random.Random) -> str:
    key = _pick(library, pages.c.content_key, rng)
    _write(library, delete(pages).where(pages.c.content_key == key))
    return "content"


def alter_page(library: Library, rng: random.Random) -> str:
    key = _pick(library, pages.c.content_key, rng)
    _write(library, update(pages).where(pages.c.content_key == key).values(blocks="[]"))
    return "content"


def alter_title(library: Library, rng: random.Random) -> str:
    key = _pick(library, contents.c.key, rng)
    _write(library, update(contents).where(contents.c.key == key).values(title="Another"))
    return "content"


def forget_content(library: Library, rng: random.Random) -> str:
    name = _pick(library, documents.c.id, rng)
    _write(library, update(documents).where(documents.c.id == name).values(content_key=None))
    return "unanswered"


def unindex(library: Library, rng: random.Random) -> str:
    key = _pick(library, contents.c.key, rng)
    _write(library, update(contents).where(contents.c.key == key).values(indexed=0))
    return "unanswered"


def _original(library: Library, rng: random.Random) -> Path:
    return original_path(library.settings, _pick(library, documents.c.bytes_hash, rng))


def lose_original(library: Library, rng: random.Random) -> str:
    _original(library, rng).unlink(missing_ok=True)
    return "originals-missing"


def alter_original(library: Library, rng: random.Random) -> str:
    path = _original(library, rng)
    path.write_bytes(path.read_bytes()[:-1] + b"?") if path.exists() else None
    return "originals-"


def add_original(library: Library, rng: random.Random) -> str:
    path = library.settings.home / "originals" / "ab" / ("ab" + "0" * 62)
    path.parent.mkdir(exist_ok=True)
    path.write_text("stranger")
    return "originals-unknown"


def leave_folder(library: Library, rng: random.Random) -> str:
    path = library.settings.home / rng.choice(["chroma", "words"]) / "999"
    path.mkdir(exist_ok=True)
    (path / "junk").write_text("junk")
    return "left-over"


SPOILERS: list[Spoil] = [
    lose_vector, alter_vector, add_vector, lose_words, alter_words, double_words, add_words,
    alter_chunk_text, alter_chunk_span, alter_chunk_vector, tear_chunk_vector, flip_vector_bit,
    lose_chunk, lose_page, alter_page, alter_title, forget_content, unindex, lose_original,
    alter_original, add_original, leave_folder,
]  # fmt: skip
