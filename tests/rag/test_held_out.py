"""What is said of a fit is of questions that it was not made on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.answerability import FEATURES, RIGHT_FEATURES, Calibration
from rag.evaluation import held_out as module
from rag.evaluation.calibrate import Source, asked_weights, fit
from rag.evaluation.held_out import PARTS, held_out
from rag.evaluation.judged import Judged


def _source(folder: Path, judged: Sequence[Judged], name: str = "questions.jsonl") -> Source:
    (folder / name).write_text("{}")
    return Source(folder / name, judged)


def _judged(answered: int, unanswered: int, told: float, seed: int = 1) -> list[Judged]:
    """Questions of four a document, `told` apart by `reader_mean`; of five answers four right."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(answered + unanswered):
        answerable = number < answered
        features = {name: float(random.normal()) for name in (*FEATURES, *RIGHT_FEATURES)}
        features["reader_mean"] += told * answerable
        right = answerable and number % 5 > 0
        rows.append(Judged(features, answerable, right, None, (f"{number // 4}.txt",)))
    return rows


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[list[Judged]]:
    """What each fit was made on."""
    fits: list[list[Judged]] = []

    def noted(sources: Sequence[Source]) -> Calibration:
        fits.append([one for source in sources for one in source.judged])
        return fit(sources)

    monkeypatch.setattr(module, "fit", noted)
    return fits


def _left(judged: Sequence[Judged], kept: Sequence[Sequence[Judged]]) -> list[list[Judged]]:
    """What each fit left out; no two of `judged` are equal."""
    return [[one for one in judged if one not in part] for part in kept]


def test_each_document_is_left_out_once_and_whole(tmp_path: Path, kept: list[list[Judged]]) -> None:
    judged = _judged(200, 100, 1.0)
    assert held_out([_source(tmp_path, judged)]) is not None
    assert len(kept) == PARTS
    left = _left(judged, kept)
    assert [len(part) for part in left] == [60] * PARTS
    documents = [{one.documents for one in part} for part in left]
    assert sum(map(len, documents)) == len(set.union(*documents)) == 75


def test_questions_about_two_documents_join_them(tmp_path: Path, kept: list[list[Judged]]) -> None:
    judged = _judged(200, 100, 1.0)
    # a chain through ten documents, told from its end
    for number in range(9, 0, -1):
        at = 4 * number + 1
        judged[at] = replace(judged[at], documents=(f"{number}.txt", f"{number - 1}.txt"))
    assert held_out([_source(tmp_path, judged)]) is not None
    (chain,) = [part for part in _left(judged, kept) if judged[0] in part]
    assert all(one in chain for one in judged[:40])
    assert len(chain) == 60


@pytest.mark.parametrize(("collections", "together"), [(10, True), (4, False)])
def test_where_many_collections_are_named_each_is_left_out_whole(
    tmp_path: Path, kept: list[list[Judged]], collections: int, together: bool
) -> None:
    judged = [
        replace(one, collection=f"c{number % collections}", documents=(f"{number}.txt",))
        for number, one in enumerate(_judged(200, 100, 1.0))
    ]
    assert held_out([_source(tmp_path, judged)]) is not None
    left = [{one.collection for one in part} for part in _left(judged, kept)]
    assert [len(part) for part in left] == [2 if together else 4] * PARTS


def test_a_document_of_the_same_name_in_another_collection_is_another(
    tmp_path: Path, kept: list[list[Judged]]
) -> None:
    judged = [
        replace(one, collection=f"c{number % 4}", documents=(f"{number // 60}.txt",))
        for number, one in enumerate(_judged(200, 100, 1.0))
    ]
    assert held_out([_source(tmp_path, judged)]) is not None
    places = [{(one.collection, one.documents) for one in part} for part in _left(judged, kept)]
    assert [len(part) for part in places] == [4] * PARTS


def test_what_a_fit_learned_by_heart_does_not_count(tmp_path: Path) -> None:
    seen, unseen = [], []
    for seed in range(1, 9):
        few = _judged(40, 40, 0.0, seed)
        calibration = fit([_source(tmp_path, few)])
        declined = [calibration.probability(one.features) < calibration.threshold for one in few]
        seen.append(np.mean(declined[40:]) - np.mean(declined[:40]))
        found = held_out([_source(tmp_path, few)])
        assert found is not None
        unseen.append(found.unanswerable_declined - found.answerable_declined)
    # nothing tells them apart, though a fit always finds something that seems to
    assert np.mean(seen) > 0.1
    assert abs(np.mean(unseen)) < 0.06


def test_questions_that_can_be_told_apart_are(tmp_path: Path) -> None:
    found = held_out([_source(tmp_path, _judged(150, 150, 8.0))])
    assert found is not None
    assert found.answerable_declined < 0.05
    assert found.unanswerable_declined > 0.95
    assert 100 < found.answers < 160


def test_confidence_is_judged_as_if_a_quarter_had_no_answer(tmp_path: Path) -> None:
    # of these answers a fifth is right as they are, and .6 of those to questions as people ask:
    # taken as they are, confidence would be off by .4
    found = held_out([_source(tmp_path, _judged(300, 900, 0.0))])
    assert found is not None
    assert found.ece < 0.1
    assert found.ece_by_chance_p95 < 0.1


def test_shares_are_means_over_the_files(tmp_path: Path) -> None:
    many, few = _judged(160, 160, 6.0), _judged(40, 40, 6.0, seed=2)
    moved = [
        replace(one, features={**one.features, "reader_mean": one.features["reader_mean"] - 6.0})
        for one in few
    ]
    found = held_out([_source(tmp_path, many), _source(tmp_path, moved, "b.jsonl")])
    assert found is not None
    # the few that have an answer look as those of the many that have none, which so are answered;
    # the other few are declined: all of one file and none of the other, a fifth of all together
    assert found.unanswerable_declined == pytest.approx(0.5, abs=0.08)
    assert found.answerable_declined < 0.1
    weights = asked_weights([_source(tmp_path, many), _source(tmp_path, moved, "b.jsonl")])
    assert weights[:320].sum() == pytest.approx(weights[320:].sum())
    assert weights[:160].sum() == pytest.approx(3 * weights[160:320].sum())


def test_of_too_few_questions_or_documents_nothing_is_told(tmp_path: Path) -> None:
    assert held_out([_source(tmp_path, _judged(11, 11, 8.0))]) is None
    alike = [replace(one, documents=("0.txt",)) for one in _judged(100, 100, 8.0)]
    assert held_out([_source(tmp_path, alike)]) is None
