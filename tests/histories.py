"""Random histories of one library, and the simple model that says what should be in it."""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ingest.check import findings, survey
from ingest.discover import walk
from ingest.sync import register
from ingest.worker import Worker
from rag.catalog import Catalog
from rag.catalog.documents import list_documents, remove
from rag.catalog.folders import folder_key
from rag.catalog.jobs import Job
from rag.catalog.pages import read_page
from rag.catalog.schema import answers
from rag.records import Question
from rag.testing import fake_library
from rag.vectors import VectorIndex
from rag.words import WordIndex
from tests.ingest.reading import add_text, read_all


class Killed(BaseException):
    """The process ends here; nothing after this reaches the disk."""


class Mortal:
    """Counts the moments at which something reaches the disk, and ends the process at one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.dead = False
        for owner, name in (
            (VectorIndex, "add"),
            (VectorIndex, "delete"),
            (WordIndex, "commit"),
            (Path, "replace"),
            (Path, "unlink"),
            (os, "fsync"),
            (shutil, "rmtree"),
        ):
            monkeypatch.setattr(owner, name, self._around(getattr(owner, name)))
        monkeypatch.setattr(Catalog, "write", self._transaction(Catalog.write))

    def point(self) -> None:
        """One such moment."""
        if self.dead:
            raise Killed
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                self.dead = True
                raise Killed

    def _around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*args: Any, **extra: Any) -> Any:
            self.point()
            return act(*args, **extra)

        return acting

    def _transaction(self, write: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def writing(catalog: Catalog, lasting: bool = True) -> Iterator[Any]:
            with write(catalog, lasting) as connection:
                yield connection
                self.point()  # before the commit
            self.point()  # after it

        return writing


class History:
    """A folder, a library, and the model: what each should hold."""

    def __init__(self, seed: int, place: Path, mortal: Mortal) -> None:
        self.rng = random.Random(seed)
        self.folder, self.home = place / "folder", place / "home"
        self.folder.mkdir(parents=True)
        self.mortal = mortal
        self.files: dict[str, str] = {}
        self.uploads: dict[str, str] = {}
        self.hidden: dict[str, str] = {}
        self.synced: dict[str, str] = {}
        self.removed: set[str] = set()
        self.words: list[str] = []
        self.seed = seed
        self.library = fake_library(self.home)

    # --- what people do

    def text(self) -> str:
        word = f"zq{self.seed:x}k{len(self.words)}q"
        self.words.append(word)
        filler = " ".join(self.rng.choices("pump valve seal team week pressure".split(), k=40))
        return "\n\n".join(f"Part {n}: {word} {filler}." for n in range(self.rng.randint(1, 12)))

    def write(self) -> None:
        name = f"{self.rng.choice('abc')}/{self.rng.randrange(6)}.txt"
        self._put(name, self.text())

    def copy(self) -> None:
        if self.files:
            self._put(f"copy{self.rng.randrange(9)}.txt", self.rng.choice([*self.files.values()]))

    def rename(self) -> None:
        if self.files:
            name = self._any(self.files)
            other = f"moved/{self.rng.randrange(9)}.txt"
            text = self.files.pop(name)
            (self.folder / name).unlink()
            self._put(other, text)

    def delete(self) -> None:
        if self.files:
            name = self._any(self.files)
            del self.files[name]
            (self.folder / name).unlink()

    def upload(self) -> None:
        text = self.text()
        self.uploads[add_text(self.library, f"up{len(self.words)}.txt", text)] = text

    def remove_upload(self) -> None:
        if self.uploads:
            name = self._any(self.uploads)
            remove(self.library.catalog, name)
            self._gone_at_once(self.uploads.pop(name))

    def remove_synced(self) -> None:
        shown = [d for d in self.listed() if d.folder and self.synced.get(d.source)]
        if shown:
            chosen = self.rng.choice(shown)
            remove(self.library.catalog, chosen.id)
            text = self.synced.pop(chosen.source)
            self.hidden[chosen.source] = text
            self.removed.add(text)
            self._gone_at_once(text)

    def ask(self) -> None:
        if self.words:
            word = self.rng.choice(self.words)
            list(self.library.ask(Question(f"What of {word}?")))

    # --- what Cloister does

    def step(self) -> None:
        """Some changes, then a sync that may be killed, and is then done again."""
        acts = [self.write] * 4 + [self.copy, self.rename, self.delete, self.upload, self.ask]
        acts += [self.remove_upload, self.remove_synced]
        for _ in range(self.rng.randint(1, 5)):
            self.rng.choice(acts)()
        before = self.answering()
        if self.rng.random() < 0.6 and self._killed(self.sync, self.rng.randint(1, 60)):
            self.check_between(before)
        self.sync()
        self.check()
        if self.rng.random() < 0.25:
            if self.rng.random() < 0.5:
                self._killed(self.erase, self.rng.randint(1, 12))
                self.check()
            self.erase()
            self.check()
            self._check_erased()

    def sync(self) -> None:
        catalog = self.library.catalog
        key = folder_key(catalog, str(self.folder), "default")
        register(self.library.settings, catalog, self.folder, key, "default", confirmed=True)
        read_all(self.library)
        self._synced()

    def erase(self) -> None:
        Worker(self.library).do(Job("", "erase", {}), lambda done, total: None)

    def _synced(self) -> None:
        self.hidden = self._next_hidden()
        self.synced = {p: t for p, t in self.files.items() if p not in self.hidden}

    def _next_hidden(self) -> dict[str, str]:
        """What stays out after a sync: files whose bytes a person removed and no other has."""
        known = self.synced | self.hidden
        held = {*self.synced.values(), *self.uploads.values()}
        # a file that took the bytes of one that vanished continues it, a live one if there is one
        gone = {
            known[p]: p in self.hidden for p in (*self.hidden, *self.synced) if p not in self.files
        }
        hidden = {p: t for p, t in self.hidden.items() if self.files.get(p) == t}
        for found in walk(self.folder):
            text = self.files[found.source]
            if known.get(found.source) == text:
                continue
            if found.source not in known and text in gone:
                stays_out = gone.pop(text)
            else:
                stays_out = text in self.removed and text not in held
            if stays_out:
                hidden[found.source] = text
        return hidden

    def _killed(self, act: Callable[[], None], after: int) -> bool:
        self.mortal.left = after
        try:
            act()
            return False
        except Killed:
            self._abandon()
            return True
        finally:
            self.mortal.left, self.mortal.dead = None, False
            if self.library is None:
                self.reopen()

    def reopen(self) -> None:
        self.library = fake_library(self.home)

    def _abandon(self) -> None:
        self.library.indexes.words.close()
        self.library.indexes.vectors.close()
        self.library.catalog.close()
        self.library = None  # type: ignore[assignment]
        gc.collect()

    # --- what should be

    def listed(self) -> list[Any]:
        return list_documents(self.library.catalog, 1000)

    def answering(self) -> set[tuple[str, str]]:
        """(source, text) of everything that answers now."""
        catalog = self.library.catalog
        return {(d.source, read_page(catalog, d.id, 1).text) for d in self.listed() if d.searchable}

    def wanted(self) -> set[tuple[str, str]]:
        names = {d.id: d.source for d in self.listed()}
        ups = {(names.get(name, name), text) for name, text in self.uploads.items()}
        return ups | set(self.synced.items())

    def check_between(self, before: set[tuple[str, str]]) -> None:
        """Each document is as before or as after."""
        hidden = self._next_hidden()
        after = {(p, t) for p, t in self.files.items() if p not in hidden}
        names = {d.id: d.source for d in self.listed()}
        after |= {(names[name], text) for name, text in self.uploads.items()}
        now = self.answering()
        assert now <= before | after
        # the same words that answered before and should after answer in between
        texts = {text for _, text in now}
        assert {t for _, t in before} & {t for _, t in after} <= texts
        both = {s for s, _ in before} & {s for s, _ in after}
        assert both <= {source for source, _ in now}

    def check(self) -> None:
        """The library is exactly what the model says, and every part agrees."""
        assert self.answering() == self.wanted()
        assert {d.state for d in self.listed()} <= {"live"}
        found = survey(self.library.settings, self.library.catalog, self.library.indexes)
        told = findings(self.library.catalog, found)
        assert told.sound, told
        alive = {word for word in self.words if any(word in t for _, t in self.wanted())}
        for word in self.rng.sample(self.words, min(4, len(self.words))):
            best = [p.text for p in self.library.search(word, limit=20)]
            assert any(word in text for text in best) == (word in alive), word
        with self.library.catalog.read() as connection:
            records = list(connection.execute(select(answers.c.record)).scalars())
        for word in set(self.words) - alive:
            # a question may name it, a passage may not
            assert not any(word in json.dumps(json.loads(r)["passages"]) for r in records), word

    def _gone_at_once(self, text: str) -> None:
        word = text.split()[2]
        copies = [t for t in [*self.uploads.values(), *self.synced.values()] if word in t]
        found = [p for p in self.library.search(word, limit=20) if word in p.text]
        assert bool(found) == bool(copies), word

    def _check_erased(self) -> None:
        texts = [t for _, t in self.wanted()]
        with self.library.catalog.read() as connection:
            texts += connection.execute(select(answers.c.record)).scalars()
        gone = [w.encode() for w in self.words if not any(w in t for t in texts)]
        for path in self.home.rglob("*"):
            if path.is_file():
                held = path.read_bytes()
                assert [word for word in gone if word in held] == [], path

    # --- helpers

    def _put(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        self.files[name] = text

    def _any(self, items: dict[str, str]) -> str:
        return self.rng.choice(sorted(items))
