"""What the second reader says decides which sentence is best, and is told to the judge's fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.answerability import Judge, read_calibration, used_calibration
from rag.embedding import Embedder, load_embedder
from rag.errors import ModelError
from rag.evidence import TermWeights
from rag.models.folder import MANIFEST, read_manifest, write_manifest
from rag.provenance import made_with
from rag.reading import SECOND_BASE, load_second, second_base
from rag.reading.page import Page
from rag.reading.reader import Reader
from rag.records import Passage
from rag.settings import Settings
from rag.words import WordIndex, Words

Parts = tuple[Embedder, TermWeights, Reader]

LEAVE = (
    "The office has 28 days of leave a year. The workshop has 30 days of leave a year. "
    "Leave is asked of HR."
)
TRAVEL = "Travel is booked by the desk. Hotels cost 145 EUR at most."
WORKSHOP = "The workshop has 30 days of leave a year."
ASKED = "How many days of leave are there a year?"


class Favouring:
    """Stands in for the second reader: sure of one stretch and of the passage that has it."""

    def __init__(self, stretch: str) -> None:
        self._stretch = stretch
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        self.asked.append((question, tuple(contexts)))
        return [self._page(context) for context in contexts]

    def _page(self, context: str) -> Page:
        offsets = np.array([(i, i + 1) for i in range(len(context))], dtype=np.int64)
        start, end = (np.full(len(context), -9.0, dtype=np.float32) for _ in range(2))
        at = context.find(self._stretch)
        if at >= 0:
            start[at], end[at + min(len(self._stretch), 20) - 1] = 9.0, 9.0
        return Page(start, end, offsets, 0.0, whole=5.0 if at >= 0 else -5.0)


@pytest.fixture(scope="module")
def parts(models_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    words = WordIndex(tmp_path_factory.mktemp("words"))
    words.add([Words("c1", LEAVE), Words("c2", TRAVEL)])
    words.commit()
    reader = Reader(models_path / "all-MiniLM-L6-v2", "cpu", "auto")
    yield load_embedder(Settings(models=models_path)), TermWeights(words), reader
    words.close()


def found() -> list[Passage]:
    return [
        Passage("c1", "d1", "leave.md", "Leave", 1, 0, len(LEAVE), LEAVE, 1.0),
        Passage("c2", "d2", "travel.md", "Travel", 1, 0, len(TRAVEL), TRAVEL, 0.9),
    ]


def test_the_stretch_that_the_second_reader_finds_comes_first(parts: Parts) -> None:
    once = Judge(*parts).evidence(ASKED, found())
    second = Favouring(WORKSHOP)
    twice = Judge(*parts, second).evidence(ASKED, found())  # type: ignore[arg-type]
    assert once.spans[0].text == "The office has 28 days of leave a year."
    assert twice.spans[0].text == WORKSHOP
    assert set(twice.spans) == set(once.spans)
    assert second.asked == [(ASKED, tuple(p.text_in_context for p in found()))]


def test_its_word_is_told_of_the_best_stretch_and_of_all_that_it_read(parts: Parts) -> None:
    judge = Judge(*parts, Favouring("Hotels cost 145 EUR"))  # type: ignore[arg-type]
    features = judge.evidence(ASKED, found()).features
    best = judge.evidence(ASKED, found()).spans[0].passage.chunk_id
    assert features["second_max"] == 5.0
    assert features["second_first"] == {"c1": -5.0, "c2": 5.0}[best]
    assert "second_max" not in Judge(*parts).evidence(ASKED, found()).features


def test_only_the_passages_of_the_best_stretches_are_read_twice(parts: Parts) -> None:
    more = [replace(found()[1], chunk_id=f"c{n}", text=f"{TRAVEL} Trip {n}.") for n in range(3, 9)]
    more = [replace(one, end=len(one.text)) for one in more]
    second = Favouring("Hotels")
    Judge(*parts, second).evidence(ASKED, [*found(), *more])  # type: ignore[arg-type]
    ((_, contexts),) = second.asked
    assert len(contexts) == 3
    assert found()[0].text_in_context in contexts


def test_it_is_found_in_a_folder_with_an_at_sign(models_path: Path, tmp_path: Path) -> None:
    (tmp_path / "@home").symlink_to(models_path)
    assert load_second(Settings(models=tmp_path / "@home")) is not None


def starter(models_path: Path, folder: Path) -> Path:
    """A models folder with a copy of what the second reader is built on."""
    shutil.copytree(models_path / "all-MiniLM-L6-v2", folder / "all-MiniLM-L6-v2")
    shutil.copytree(models_path / SECOND_BASE, folder / SECOND_BASE)
    return folder / SECOND_BASE


def test_other_weights_of_that_name_are_not_read_with(models_path: Path, tmp_path: Path) -> None:
    base = starter(models_path, tmp_path)
    settings = Settings(models=tmp_path)
    assert second_base(settings) == base
    manifest = read_manifest(base)
    assert manifest is not None
    write_manifest(base, replace(manifest, source="org/model@1"))
    assert second_base(settings) is None
    (base / MANIFEST).write_text("{")
    assert second_base(settings) is None
    (base / MANIFEST).unlink()
    assert second_base(settings) is None
    assert load_second(settings) is None


def test_of_a_changed_model_is_told_how_to_do_without(models_path: Path, tmp_path: Path) -> None:
    base = starter(models_path, tmp_path)
    (base / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"left out where reader\.second is none") as told:
        load_second(Settings(models=tmp_path))
    assert str(tmp_path) not in str(told.value)
    assert load_second(Settings(models=tmp_path, reader_second="none")) is None


def test_the_fit_is_that_of_the_readers_that_are_there(models_path: Path, tmp_path: Path) -> None:
    settings = Settings(models=models_path)
    assert second_base(settings) == models_path / SECOND_BASE
    both = used_calibration(settings)
    assert both == read_calibration()
    assert "second_first" in both.answerable.weights
    (tmp_path / "models").mkdir()
    for alone in (
        replace(settings, reader_second="none"),
        replace(settings, reader_model="none"),
        replace(settings, models=tmp_path / "models"),
    ):
        assert load_second(alone) is None
        fit = used_calibration(alone)
        assert not {"second_first", "second_max"} & set(fit.answerable.weights)
        told = made_with(alone, fit, "", second=False).reader
        assert made_with(settings, both, "", second=True).reader not in (told, f"{told}+")
        assert "+" not in told
