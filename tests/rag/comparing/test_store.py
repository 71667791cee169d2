"""Comparisons on the disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rag.comparing import store
from rag.comparing.store import Overview, Row
from rag.errors import NotFound
from rag.settings import Settings
from rag.testing import fake_settings

ID = f"cmp_{'0' * 16}"
ROW = Row("one", "q1", "p", {"right": 1.0}, "", False, 0.9, 0.9, {"total": 5})
OVERVIEW = Overview(ID, "q.jsonl", ("one", "two"), 3, "2026-11-01T10:00:00+00:00", "", 1, 6)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fake_settings(tmp_path)


def test_an_answer_is_there_as_soon_as_it_is_added(settings: Settings) -> None:
    store.open_ledger(settings, ID).add(ROW)
    assert store.open_ledger(settings, ID).rows == {("one", "q1"): ROW}
    assert store.open_ledger(settings, ID, again=True).rows == {}


def test_a_line_that_a_kill_cut_off_is_left_out_and_written_over(settings: Settings) -> None:
    ledger = store.open_ledger(settings, ID)
    ledger.add(ROW)
    with (ledger.folder / "rows.jsonl").open("a") as file:
        file.write('{"model": "one", "quest')
    again = store.open_ledger(settings, ID)
    assert list(again.rows) == [("one", "q1")]
    again.add(replace(ROW, question="q2"))
    assert list(store.open_ledger(settings, ID).rows) == [("one", "q1"), ("one", "q2")]


def test_a_question_is_dropped_for_all_models(settings: Settings) -> None:
    ledger = store.open_ledger(settings, ID)
    for model, question in (("one", "q1"), ("two", "q1"), ("one", "q2")):
        ledger.add(replace(ROW, model=model, question=question))
    ledger.drop("q1")
    assert list(store.open_ledger(settings, ID).rows) == [("one", "q2")]


def test_they_are_listed_newest_first_and_deleted(settings: Settings) -> None:
    other = f"cmp_{'1' * 16}"
    for one, begun in ((ID, "2026-11-01"), (other, "2026-11-02")):
        store.open_ledger(settings, one)
        store.write_overview(settings, replace(OVERVIEW, id=one, begun=begun))
    assert [one.id for one in store.list_overviews(settings)] == [other, ID]
    assert store.read_result(settings, ID) is None
    store.write_result(settings, ID, {"id": ID})
    assert store.read_result(settings, ID) == {"id": ID}
    store.delete(settings, ID)
    assert [one.id for one in store.list_overviews(settings)] == [other]
    assert not (settings.home / "comparisons" / ID).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"models": None},
        {"models": [1]},
        {"colour": "red"},
        {"begun": 5},
        {"total": "six"},
        {"id": f"cmp_{'2' * 16}"},
    ],
    ids=["no models", "numbers", "further key", "no moment", "no count", "of another"],
)
def test_one_that_is_damaged_is_left_out(change: dict[str, object], settings: Settings) -> None:
    other = f"cmp_{'1' * 16}"
    for one in (ID, other):
        store.open_ledger(settings, one)
        store.write_overview(settings, replace(OVERVIEW, id=one))
    path = settings.home / "comparisons" / ID / "overview.json"
    stored = json.loads(path.read_text())
    missing = {key: value for key, value in stored.items() if key != "questions"}
    for wrong in ({**stored, **change}, missing):
        path.write_text(json.dumps(wrong))
        assert [one.id for one in store.list_overviews(settings)] == [other]
        with pytest.raises(NotFound):
            store.read_overview(settings, ID)


@pytest.mark.parametrize("name", [ID, "..", "cmp_..", f"{ID}/..", f"cmp_{'A' * 16}", ""], ids=str)
def test_what_is_not_there_is_not_found(name: str, settings: Settings) -> None:
    with pytest.raises(NotFound):
        store.read_overview(settings, name)
    with pytest.raises(NotFound):
        store.delete(settings, name)
