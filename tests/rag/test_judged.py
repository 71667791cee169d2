"""What the judge is fitted on is what an answer would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.disagreeing import Versions
from rag.evaluation.judged import judge_all
from rag.evaluation.questions import item_of
from rag.records import Question
from rag.testing import FakeLLM, fake_library
from tests.ingest.reading import add_text, read_all
from tests.rag.test_disagreeing import LIMIT, NEW, OLD

AFTER = {"question": "And until when?", "history": [{"question": LIMIT}], "answerable": False}


def test_the_newest_version_s_sentence_is_right_or_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = fake_library(tmp_path)
    for name, text in (("guide_2024.txt", OLD), ("guide_2025.txt", NEW)):
        add_text(library, name, text)
    read_all(library)
    items = [
        item_of({"question": LIMIT, "answers": [answer]}) for answer in ("120 euros", "145 euros")
    ]
    FakeLLM.replies = []
    (answer,) = (e.data for e in library.ask(Question(LIMIT)) if e.name == "done")
    assert "145 euros" in answer["text"]
    found = judge_all(library, items, None, lambda: None)
    assert [one.right for one in found] == [False, True]
    # no evidence is named: where an answer is looked for first
    assert {one.documents for one in found} <= {("guide_2024.txt",), ("guide_2025.txt",)}
    # whichever version an answer would prefer
    monkeypatch.setattr(Versions, "preferred", lambda self, span: self.others(span)[0].span)
    assert [one.right for one in judge_all(library, items, None, lambda: None)] == [True, False]
    library.close()


def test_a_follow_up_is_judged_by_what_was_asked_last(
    tmp_path: Path, looked_for: list[tuple[str, str]]
) -> None:
    library = fake_library(tmp_path)
    add_text(library, "guide.txt", NEW)
    read_all(library)
    judge_all(library, [item_of(AFTER)], None, lambda: None)
    library.close()
    assert set(looked_for) == {(f"{LIMIT} And until when?", "And until when?")}


def test_a_question_is_about_the_documents_that_answer_it(tmp_path: Path) -> None:
    library = fake_library(tmp_path)
    add_text(library, "guide.txt", NEW)
    read_all(library)
    gold = [{"source": "old.txt"}, {"source": "older.txt", "quote": "120"}]
    items = [
        item_of({"question": LIMIT, "answers": ["145 euros"], "evidence": gold}),
        item_of({"question": LIMIT, "answerable": False, "collection": "default"}),
    ]
    found = judge_all(library, items, None, lambda: None)
    library.close()
    assert [(one.collection, one.documents) for one in found] == [
        (None, ("old.txt", "older.txt")),
        ("default", ("guide.txt",)),
    ]
