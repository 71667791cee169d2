"""Pairs of a sentence and a text: read, made, and what a checker's word for them is worth."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from rag.errors import NotFound
from rag.evaluation.support import (
    CELL,
    OTHER_COLUMN,
    OTHER_ROW,
    SAME,
    Pair,
    best_threshold,
    by_kind,
    by_threshold,
    made_pairs,
    rates,
    read_wice,
    squad_sentences,
    strict_threshold,
    table_pairs,
)


def _claims(folder: Path, rows: list[dict[str, object]]) -> None:
    path = folder / "wice" / "oracle_claim_dev.jsonl.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("".join(f"{json.dumps(row)}\n" for row in rows).encode()))


def test_claims_have_their_first_evidence_and_part_is_not_enough(tmp_path: Path) -> None:
    def row(name: str, label: str, *evidence: str) -> dict[str, object]:
        return {"label": label, "claim": "Tea is hot.", "evidence": evidence, "meta": {"id": name}}

    title = "(meta data) TITLE: On tea"
    _claims(
        tmp_path,
        [
            row("a", "supported", title, "Tea is hot.", "So it is."),
            row("a", "supported", "Another list."),
            row("b", "partially_supported", "Tea is."),
            row("c", "not_supported", "Ice is."),
        ],
    )
    first, part, none = read_wice(tmp_path)
    assert (first.title, first.text) == ("On tea", "Tea is hot.\nSo it is.")
    assert first.passage.text == first.text
    assert [p.supported for p in (first, part, none)] == [True, False, False]
    assert part.kind == "partially_supported"


def test_claims_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="“wice” is not whole"):
        read_wice(tmp_path)
    _claims(tmp_path, [{"label": "supported"}])
    with pytest.raises(NotFound, match=r"claim|evidence"):
        read_wice(tmp_path)


def test_no_sentence_is_of_an_article_for_testing(tmp_path: Path) -> None:
    long = "A long sentence about {} that has enough of its own words."
    articles = [
        {"title": title, "paragraphs": [{"context": f"{long.format(title)} Short.", "qas": []}]}
        for title in ("Normans", "Steam_engine", "Warsaw")
    ]
    path = tmp_path / "squad2" / "dev-v2.0.json.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(json.dumps({"data": articles}).encode()))
    found = squad_sentences(tmp_path, 9, 1)
    assert {(sentence, title) for sentence, title, _ in found} == {
        (long.format(title), title) for title in ("Normans", "Warsaw")
    }
    assert len(squad_sentences(tmp_path, 1, 1)) == 1


def test_a_sentence_is_a_pair_as_it_stands_and_with_each_change() -> None:
    text = "The crew (nine people) do not paint 1200 boats. It is so."
    sentence = text.partition(" It")[0]
    pairs = made_pairs([(sentence, "Boats", text)], 1)
    assert pairs[0] == Pair(sentence, "Boats", text, True, SAME)
    assert {pair.kind: pair.supported for pair in pairs[1:]} == {
        "shortened": True,
        "another number": False,
        "another unit": False,
        "negation taken out": False,
    }


def test_rows_are_told_with_their_own_cells_and_with_others() -> None:
    table = "Article | Price | Weight\nKP-1 | 310 | 12\nKP-2 | 480 | 15"
    pairs = table_pairs("Prices", table, 9, 1)
    assert pairs == table_pairs("Prices", table, 9, 1)
    assert by_kind(pairs, [p.supported for p in pairs]) == {
        CELL: (2, 2),
        OTHER_COLUMN: (0, 2),
        OTHER_ROW: (0, 2),
    }
    right = {p.sentence for p in pairs if p.supported}
    assert right <= {
        f"The {label} of {name} is {value}."
        for name, label, value in (
            ("KP-1", "price", "310"), ("KP-1", "weight", "12"),
            ("KP-2", "price", "480"), ("KP-2", "weight", "15"),
        )
    }  # fmt: skip
    assert not right & {p.sentence for p in pairs if not p.supported}
    assert table_pairs("Prose", "No table is here.", 9, 1) == []


def _pair(supported: bool, text: str = "t") -> Pair:
    return Pair("s", "", text, supported, "k")


def test_rates_of_a_hand_counted_checker() -> None:
    pairs = [_pair(True)] * 4 + [_pair(False)] * 5
    found = rates(pairs, [True, True, True, False, True, False, False, False, False])
    assert found.precision is not None
    assert found.precision.mean == pytest.approx(3 / 4)
    assert found.recall.mean == pytest.approx(3 / 4)
    assert found.passed.mean == pytest.approx(1 / 5)
    assert found.balanced.mean == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert found.balanced.low < found.balanced.mean < found.balanced.high
    never = rates(pairs, [False] * 9)
    assert (never.precision, never.recall.mean, never.balanced.mean) == (None, 0, 0.5)


def test_thresholds_are_the_best_and_the_strict_one() -> None:
    scores, truth = [0.1, 0.4, 0.6, 0.7, 0.9], [False, False, True, False, True]
    assert best_threshold(scores, truth) == 0.6
    assert strict_threshold(scores, truth) == 0.9
    assert strict_threshold([0.9, 0.2], [False, True]) == float("inf")
    # of a hundred that are not supported two may be above
    many = [n / 100 for n in range(100)]
    assert strict_threshold([*many, 0.975], [False] * 100 + [True]) == 0.975


def test_a_threshold_is_chosen_without_the_pairs_that_it_judges() -> None:
    # in each text alone its own scores would part the pairs; the others' part them wrongly
    pairs = [_pair(yes, text) for text in "abcde" for yes in (True, False)]
    same = [0.8, 0.2] * 5
    assert by_threshold(pairs, same, best_threshold, 1) == [True, False] * 5
    odd = [0.1, 0.05, *[0.8, 0.2] * 4]
    assert by_threshold(pairs, odd, best_threshold, 1)[:2] == [False, False]
