"""The reader finds what answers, reads nothing twice, and trains on as if never interrupted."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

from rag.reading.examples import (
    PARTS,
    Asked,
    Example,
    Pool,
    holds,
    near_misses,
    own,
    own_libraries,
    place,
    squad_pool,
    table_rows,
    with_distractors,
)
from rag.reading.model import ReaderNetwork
from rag.reading.reader import Page, Reader
from rag.reading.train import Stage, own_examples, row_examples, train

TABLE = "Travel policy\nHotel limits a night\nBerlin 150 euros\nOslo 180 euros\nVienna 140 euros"
TOOLS = "Tools\nNew tools are ordered by 15 March and paid by the treasurer."
TEA = "Kitchen rules\nTea and coffee are free. The kitchen on floor 2 closes at 18:00."


@pytest.fixture(scope="module")
def reader(models_path: Path) -> Reader:
    return Reader(models_path / "all-MiniLM-L6-v2", "cpu", "auto")


def answer(reader: Reader, question: str, context: str) -> tuple[str, float]:
    page = reader.read(question, [context])[0]
    found = page.within(0, len(context))
    return context[found.start : found.end], found.score


def test_the_words_that_answer_are_read(reader: Reader) -> None:
    assert "15 March" in answer(reader, "By when are tools ordered?", TOOLS)[0]
    assert "treasurer" in answer(reader, "Who pays for new tools?", TOOLS)[0]
    assert answer(reader, "What does a new tool cost?", TOOLS)[1] < 0


def test_a_row_that_is_looked_at_alone_is_read(reader: Reader) -> None:
    page = reader.read("How much may a hotel in Oslo cost?", [TABLE])[0]
    start = TABLE.index("Oslo")
    found = page.within(start, TABLE.index("Vienna") - 1)
    assert TABLE[found.start : found.end] == "180 euros"


def test_a_passage_that_answers_scores_above_those_that_do_not(reader: Reader) -> None:
    question = "When does the kitchen close?"
    text, score = answer(reader, question, TEA)
    assert "18:00" in text
    assert score > 0 > answer(reader, question, TABLE)[1]
    assert score > answer(reader, "Who cleans the kitchen on floor 2?", TEA)[1]


def test_a_span_is_sought_only_within_the_part_asked_for(reader: Reader) -> None:
    start = TABLE.index("Vienna")
    page = reader.read("How much may a hotel in Oslo cost?", [TABLE])[0]
    found = page.within(start, len(TABLE))
    assert start <= found.start <= found.end <= len(TABLE)
    assert page.within(3, 3).score < -10


def test_the_same_is_not_read_twice_and_batches_do_not_mix(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = [f"Room {n} is on floor {n + 1}." + " It is blue." * n for n in range(20)]
    alone = [answer(reader, "On which floor is room 7?", context) for context in contexts]
    reader._kept.clear()
    read: list[str] = []
    original = reader._read

    def counted(question: str, part: Any) -> list[Page]:
        read.extend(part)
        return original(question, part)

    monkeypatch.setattr(reader, "_read", counted)
    for _ in range(2):
        pages = reader.read("On which floor is room 7?", [*contexts, contexts[3]])
    assert sorted(read) == sorted(contexts)
    together = [page.within(0, len(c)).score for page, c in zip(pages, contexts, strict=False)]
    assert together == pytest.approx([score for _, score in alone], abs=0.5)
    assert reader.read("On which floor is room 7?", []) == []


@pytest.mark.parametrize("question", ["Who is it? " * 200, "这是什么时候的事情" * 220, "1 " * 1000])
def test_the_longest_question_leaves_room_for_the_passage(reader: Reader, question: str) -> None:
    page = reader.read(question[:2000], [TEA])[0]
    assert page.within(0, len(TEA)).end > 0


def words(texts: list[str]) -> NDArray[np.float32]:
    """Vectors of hashed words, of length 1."""
    rows = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().split():
            row[sum(word.encode()) % 64] += 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_distractor_is_near_and_never_holds_the_answer() -> None:
    contexts = ["hotel in Oslo 180 euros", "hotel in Rome 180 euros", "hotel in Bonn 90", "tea"]
    asked = [Asked("price of the hotel in Oslo", 0, 14, ("180 euros",))]
    found = with_distractors(contexts, asked, words, random.Random(1))
    assert found[0] == Example("price of the hotel in Oslo", contexts[0], 14, 23)
    assert len(found) == 2
    assert found[1].start < 0
    assert not holds(found[1].context, ("180 euros",))


def test_near_misses_differ_a_little_and_their_passage_answers_none_of_them() -> None:
    text = "Plants\nAnna Berg opened the northern plant in 1998. Carl Lund leads it since 2004."
    others = ["Who counted the parts?", "Who mended the pumps?", "When was a parcel stamped?"]
    asked = [Asked("When did Anna Berg first open the northern plant?", 0, 45, ("1998",))] * 60
    asked += [Asked("Which person has reached the northern plant?", 0, 51, ("Carl Lund",))] * 60
    asked += [Asked(question, 1) for question in others]
    made = near_misses(Pool([text, "Parts"], asked, ["Plants", "Plants"]), random.Random(4))
    assert 40 <= len(made) <= 80
    assert all(miss.context == text and miss.start < 0 for miss in made)
    questions = {miss.question for miss in made}
    assert {
        "When did Carl Lund first open the northern plant?",
        "When did Anna Berg last open the northern plant?",
        "When did Anna Berg first open the southern plant?",
        "Which person has counted the northern plant?",
    } <= questions
    assert not questions & {one.question for one in asked}


def test_a_few_questions_of_many_articles_and_none_of_a_test_article(tmp_path: Path) -> None:
    def article(title: str) -> dict[str, Any]:
        text = f"{title} has seven parts."
        answers = [{"text": "seven", "answer_start": text.index("seven")}]
        asked = [{"question": f"{title} {n}?", "answers": answers} for n in range(9)]
        return {"title": title, "paragraphs": [{"context": text, "qas": asked}]}

    titles = ["Pumps", "Valves", "Pipes", "Steam_engine"]
    path = tmp_path / "train.json"
    path.write_text(json.dumps({"data": [article(title) for title in titles]}))
    pool = squad_pool(path, random.Random(2), 100, 4)
    of = Counter(pool.documents[one.home] for one in pool.asked)
    assert of == {"Pumps": 4, "Valves": 4, "Pipes": 4}
    assert all(
        pool.contexts[one.home][one.start :].startswith(one.answers[0]) for one in pool.asked
    )


def test_what_stands_several_times_is_meant_on_the_line_that_the_question_names() -> None:
    table = "Code | Article | Stock\nP-16 | Seal | 6\nP-20 | Impeller | 6\nP-21 | Cover | 16"
    assert place("How many impellers have we got?", "6", table) == table.index("6\nP-21")
    assert place("How many seals are there?", "6", table) == table.index("6\nP-20")
    assert place("How many covers?", "16", table) == len(table) - 2
    assert place("How many?", "7", table) == -1


def test_every_answer_written_for_this_project_stands_in_its_text() -> None:
    libraries = own_libraries()
    examples = [e for library in libraries for e in own(library, words, random.Random(1))]
    assert len(libraries) >= 60
    answered = [e for e in examples if e.start >= 0]
    assert len(answered) == sum(len(row["qa"]) for library in libraries for row in library)
    assert all(e.context[e.start : e.end].strip() for e in answered)
    assert len(examples) > 2 * len(answered)


STOCK = (
    "Stock in May\n\n"
    "Code | Article | Pieces\nP-16 | Seal | 6\nP-20 | Impeller | 6\nP-21 | Cover | 16"
)


def test_a_question_stands_over_the_row_that_answers_and_over_one_that_does_not() -> None:
    asked = {"q": "How many covers are there?", "a": "16"}
    row = {"title": "Stock", "context": STOCK, "qa": [asked], "un": ["What does a seal cost?"]}
    answered, wrong, unanswered = table_rows(row, random.Random(1))
    assert answered.context == "Stock\nCode: P-21; Article: Cover; Pieces: 16"
    assert answered.context[answered.start :] == "16"
    assert (wrong.question, wrong.start) == (asked["q"], -1)
    assert "16" not in wrong.context.split("Pieces: ")[1]
    assert unanswered == Example(
        "What does a seal cost?", "Stock\nCode: P-16; Article: Seal; Pieces: 6"
    )


def test_a_text_without_a_table_and_an_answer_beside_it_make_no_rows() -> None:
    prose = {"title": "Stock", "context": "Six seals.", "qa": [{"q": "How many?", "a": "Six"}]}
    assert table_rows(prose | {"un": ["Why?"]}, random.Random(1)) == []
    beside = {"title": "Stock", "context": STOCK, "qa": [{"q": "Which month?", "a": "May"}]}
    assert table_rows(beside | {"un": []}, random.Random(1)) == []


def test_what_is_held_out_is_learned_from_in_no_part() -> None:
    held = own_examples(words, random.Random(1), True, PARTS)
    learned = own_examples(words, random.Random(1), False, "part_[s-y].jsonl")
    assert len(learned) > len(held) > 3000
    assert not {e.context for e in held} & {e.context for e in learned}
    held = row_examples(random.Random(1), True, PARTS)
    learned = row_examples(random.Random(1), False, PARTS)
    assert len(learned) > len(held) > 400
    assert not {e.context for e in held} & {e.context for e in learned}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of a few thousand parameters with a tokenizer of letters."""
    folder = tmp_path_factory.mktemp("tiny")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    pieces += [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    torch.manual_seed(0)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


class Interrupted(Exception):
    """The plug, pulled."""


def run(folder: Path, checkpoint: Path, stop_after: int | None = None) -> tuple[Any, Any]:
    torch.manual_seed(0)
    network = ReaderNetwork(folder)
    network.freeze(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    examples = [Example("who is it", f"it is {c} of a town", 6, 7) for c in "abcdefgh"]
    examples += [Example("who is it", f"a town of {c}") for c in "abcdefgh"]
    stages = [Stage("one", examples, 1e-3, 1), Stage("two", examples, 1e-3, 2)]
    steps = 0
    head = network.head.forward

    def counted(hidden: torch.Tensor) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if stop_after is not None and steps > stop_after:
            raise Interrupted
        return head(hidden)

    network.head.forward = counted  # type: ignore[method-assign]
    log = train(network, tokenizer, stages, checkpoint, size=4)
    return network.trained_state(), log


@pytest.mark.parametrize("stop_after", [2, 6])
def test_interrupted_training_ends_as_if_it_had_not_been(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    monkeypatch.setattr("rag.reading.train._CHECKPOINT_SECONDS", -1)
    whole, log = run(tiny, tmp_path / "whole.pt")
    with pytest.raises(Interrupted):
        run(tiny, tmp_path / "cut.pt", stop_after)
    resumed, resumed_log = run(tiny, tmp_path / "cut.pt")
    assert resumed_log == log
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    frozen = "bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(whole[frozen], ReaderNetwork(tiny).trained_state()[frozen])
