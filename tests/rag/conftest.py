"""Fixtures of several tests of `rag`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch computes in one thread, since several only wait for one another in tiny models."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the judge is asked from now on: the whole question, and what was asked last."""
    from rag.answerability import Evidence, Judge

    found: list[tuple[str, str]] = []
    evidence = Judge.evidence

    def noted(judge: Judge, question: str, passages: Any, asked: str = "") -> Evidence:
        found.append((question, asked))
        return evidence(judge, question, passages, asked)

    monkeypatch.setattr(Judge, "evidence", noted)
    return found
