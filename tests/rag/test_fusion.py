"""Fusion of a candidate's vector, its words and its document's words."""

from __future__ import annotations

import pytest

from rag.fusion import document_matches, fuse, ranked

NONE = dict.fromkeys("abc", 0.0)


def test_fusion_weighs_similarity_words_and_the_document_s_words() -> None:
    similarity = {"a": 0.9, "b": 0.5, "c": 0.1}
    matches, documents = {"a": 3.0, "b": 12.0, "c": 0.0}, {"a": 0.0, "b": 2.0, "c": 2.0}
    found = fuse(similarity, matches, documents, 0.6)
    # all of the nearness and a quarter of the best chunk's words; half of it and the best of both
    assert found == pytest.approx({"a": 0.65, "b": 0.7, "c": 0.2})
    # no word matches; one candidate alone is as near as any
    assert fuse(similarity, NONE, NONE, 0.6)["a"] == pytest.approx(0.6)
    assert fuse({"a": 0.3}, {"a": 2.0}, {"a": 1.0}, 0.6) == pytest.approx({"a": 1.0})
    assert fuse({}, {}, {}, 0.6) == {}


def test_a_document_has_the_words_of_all_that_was_found_of_it() -> None:
    held = {"a1": {"apple"}, "a2": {"sale"}, "b1": {"sale"}, "b2": {"sale"}, "c1": set[str]()}
    found = document_matches(held, {name: name[0] for name in held})
    assert found["a1"] == found["a2"] > found["b1"] == found["b2"] > found["c1"] == 0.0


def test_a_word_that_tells_the_documents_apart_counts_more_than_one_of_all() -> None:
    held = {"a": {"apple"}, "b": {"sale"}, "c": {"sale"}, "d": {"sale"}}
    found = document_matches(held, {name: name for name in held})
    # BM25 of one word once in a document of mean length is its idf
    assert found == pytest.approx({"a": 1.2039728, "b": 0.3566749, "c": 0.3566749, "d": 0.3566749})


def test_more_of_a_long_document_is_not_more_of_the_question() -> None:
    held = {"short": {"sale"}, "long1": {"sale"}, **{f"long{n}": set[str]() for n in range(2, 9)}}
    found = document_matches(held, {name: name.rstrip("0123456789") for name in held})
    assert found["short"] > found["long1"]
    assert document_matches({}, {}) == {}


def test_the_best_of_each_half_is_never_behind_many_of_the_other() -> None:
    fused = {name: 0.9 - number / 100 for number, name in enumerate("abcdef")} | {"rare": 0.4}
    assert ranked(fused, ["a", "rare"], 4) == ["a", "b", "c", "rare", "d", "e", "f"]
    assert ranked(fused, ["a", "b"], 4) == [*"abcdef", "rare"]
    assert ranked(fused, ["rare"], 1)[:2] == ["a", "rare"]
    assert ranked({}, [], 4) == []
