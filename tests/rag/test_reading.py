"""The reader finds what answers, reads nothing twice, and trains on as if never interrupted."""

from __future__ import annotations

import gzip
import json
import random
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

from rag.errors import UsageError
from rag.reading.average import average
from rag.reading.encoding import assemble, encode_all
from rag.reading.example import Example
from rag.reading.examples import (
    Asked,
    Pool,
    holds,
    own_libraries,
    own_pool,
    place,
    squad_pool,
    table_rows,
    with_distractors,
)
from rag.reading.gather import HELD_SQUAD, HELD_SQUAD2, own_groups, public_groups
from rag.reading.gathered import read_examples, write_examples
from rag.reading.model import LONGEST_SPAN, MAX_TOKENS, ReaderNetwork, best_span
from rag.reading.near_misses import cut_passages, near_misses
from rag.reading.nearest import by_vectors, by_words
from rag.reading.pairs import Pair, Pairing
from rag.reading.reader import Reader
from rag.reading.train import Computing, Stage, evaluate, held_out, main, stages_of, train
from tests.rag.interrupting import Interrupted, interrupt

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
    reader._pages.forget()
    read: list[str] = []
    cut = reader._pages._cut

    def counted(question: str, part: Sequence[str]) -> Sequence[Pair]:
        read.extend(part)
        return cut(question, part)

    monkeypatch.setattr(reader._pages, "_cut", counted)
    for _ in range(2):
        pages = reader.read("On which floor is room 7?", [*contexts, contexts[3]])
    assert sorted(read) == sorted(contexts)
    together = [page.within(0, len(c)).score for page, c in zip(pages, contexts, strict=False)]
    assert together == pytest.approx([score for _, score in alone], abs=0.5)
    assert reader.read("On which floor is room 7?", []) == []


def test_contexts_are_read_on_one_core_each(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    original = reader._logits

    def noted(pairs: Any) -> Any:
        threads.append(torch.get_num_threads())
        return original(pairs)

    monkeypatch.setattr(reader, "_logits", noted)
    reader._pages.forget()
    reader.read("Who?", [f"{n} {TEA}" for n in range(12)])
    assert set(threads) == {1}
    assert len(threads) >= min(2, reader._pages._lanes.count)


def test_questions_asked_at_once_are_read_as_one_alone(reader: Reader) -> None:
    contexts = [TABLE, TOOLS, TEA + " It is blue." * 120 + " Room 7 is on floor 3."]
    asked = [f"{'Please tell me: ' * (n % 4)}On which floor is room {n}?" for n in range(24)]
    reader._pages.forget()
    alone = [
        [p.within(0, len(c)) for p, c in zip(reader.read(q, contexts), contexts, strict=True)]
        for q in asked
    ]
    for _ in range(3):
        reader._pages.forget()
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda q: reader.read(q, contexts), asked))
        assert [
            [p.within(0, len(c)) for p, c in zip(pages, contexts, strict=True)]
            for pages in together
        ] == alone


def test_the_best_span_is_that_of_all_that_are_allowed() -> None:
    rng = np.random.default_rng(1)
    for length in (1, 5, 60):
        start, end = rng.normal(size=(2, length)).astype(np.float32)
        offsets = np.array([[3 * n, 3 * n + 2] for n in range(length)])
        first, last = length // 5, length - 1 - length // 5
        inside = (np.arange(length) >= first) & (np.arange(length) <= last)
        found = best_span(start, end, offsets, inside, 0.5)
        spans = [
            (float(start[i] + end[j]) - 0.5, 3 * i, 3 * j + 2)
            for i in range(first, last + 1)
            for j in range(i, min(last + 1, i + LONGEST_SPAN))
        ]
        assert (found.score, found.start, found.end) == max(spans)
    assert best_span(start, end, offsets, np.zeros(length, dtype=bool), 0.5).score < -10


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
    found = with_distractors(Pool(contexts, asked, ["a"] * 4), by_vectors(words), random.Random(1))
    assert found[0] == Example("price of the hotel in Oslo", contexts[0], 14, 23)
    assert len(found) == 2
    assert found[1].start < 0
    assert not holds(found[1].context, ("180 euros",))


def test_a_distractor_is_one_of_the_nearest_however_many_questions_there_are() -> None:
    contexts = [f"room {n} {n} {n} is on floor {n}" for n in range(40)]
    asked = [Asked(f"room {n} {n}", n, 0, (f"floor {n}",)) for n in range(40)] * 10
    found = with_distractors(Pool(contexts, asked, ["a"] * 40), by_vectors(words), random.Random(1))
    vectors = words(contexts)
    for home, wrong in zip(found[::2], found[1::2], strict=True):
        assert home.question == wrong.question
        assert home.context != wrong.context
        near = np.argsort(-(words([home.question]) @ vectors.T)[0], kind="stable")[:12]
        assert wrong.context in [contexts[i] for i in near]


def test_the_nearest_by_words_are_those_that_share_the_rarest() -> None:
    contexts = [f"The pump {n} of the town is blue." for n in range(300)]
    contexts += ["The valve of the town is red.", "The valve and the valve.", "A long " + "x " * 90]
    found = list(by_words(["Which valve is red?", "Is pump 7 blue?", "Who?"], contexts, 3))
    assert found[0][:2] == [300, 301]
    assert found[1][0] == 7
    assert len(found[1]) == 3
    assert found[2] == []
    many = list(by_words(["Is pump 7 blue?"] * 600, contexts, 3))
    assert many == [found[1]] * 600


def test_a_passage_loses_the_sentence_that_answers_and_nothing_else() -> None:
    text = "Plants\nAnna opened it in 1998. Carl leads it. It makes seals. It closed in 2004."
    asked = [
        Asked("When was it opened?", 0, text.index("1998"), ("1998",)),
        Asked("What does it make?", 0, text.index("seals"), ("seals",)),
        Asked("Who mends it?", 0),
        Asked("Who leads it?", 1, 7, ("Carl",)),
        Asked("Where is it?", 2, 6, ("Bonn",)),
    ]
    others = ["Plants\nCarl leads it. Carl is old. Carl is here.", "Bonn\nBonn is large."]
    pool = Pool([text, *others], asked, ["Plants"] * 3)
    made = cut_passages(pool, random.Random(1), share=1.0)
    assert made == [
        Example(asked[0].question, text.replace("Anna opened it in 1998. ", "")),
        Example(asked[1].question, text.replace("It makes seals. ", "")),
    ]


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


def test_every_article_is_asked_but_none_for_testing(tmp_path: Path) -> None:
    def article(title: str) -> dict[str, Any]:
        text = f"{title} has seven parts."
        answers = [{"text": "seven", "answer_start": text.index("seven")}]
        asked = [{"question": f"{title} {n}?", "answers": answers} for n in range(9)]
        return {"title": title, "paragraphs": [{"context": text, "qas": asked}]}

    titles = ["Pumps", "Valves", "Pipes", "Steam_engine"]
    path = tmp_path / "train.json"
    path.write_text(json.dumps({"data": [article(title) for title in titles]}))
    pool = squad_pool(path, random.Random(2))
    of = Counter(pool.documents[one.home] for one in pool.asked)
    assert of == {"Pumps": 9, "Valves": 9, "Pipes": 9}
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
    pools = [own_pool(library) for library in libraries]
    examples = [
        e for pool in pools for e in with_distractors(pool, by_vectors(words), random.Random(1))
    ]
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
    groups = own_groups(words, random.Random(1), "part_[s-y].jsonl")
    for kind, least in (("own", 3000), ("rows", 400), ("own cut", 200)):
        held, learned = groups[f"held {kind}"], groups[kind]
        assert len(learned) > len(held) > least
    held = {e.context for name, rows in groups.items() if "held" in name for e in rows}
    learned = {e.context for name, rows in groups.items() if "held" not in name for e in rows}
    assert not held & learned


def public(folder: Path) -> Path:
    """A folder of public sets, of a few lines each, the articles that are held out among them."""
    for name in ("squad2", "nq_oracle", "covid_qa"):
        (folder / name).mkdir()
    text = "{0} has seven parts. They are blue. Nine of them are new in {0}."
    sets: dict[str, list[Any]] = {"Pump": [], "Valve": []}
    titles = {"Pump": sorted(HELD_SQUAD2), "Valve": sorted(HELD_SQUAD)}
    for kind, number in product(sets, range(20)):
        context = text.format(f"{kind} {number}")
        answers = [{"text": "seven", "answer_start": context.index("seven")}]
        asked = [{"question": f"How many blue parts has {kind} {number}?", "answers": answers}]
        if kind == "Pump":
            asked.append({"question": "What does it cost?", "answers": []})
        paragraphs = [{"context": context, "qas": asked}]
        title = titles[kind][number] if number < len(titles[kind]) else f"{kind}_{number}"
        sets[kind].append({"title": title, "paragraphs": paragraphs})
    dev = folder / "squad2" / "dev-v2.0.json.gz"
    dev.write_bytes(gzip.compress(json.dumps({"data": sets["Pump"]}).encode()))
    (folder / "train.json").write_text(json.dumps({"data": sets["Valve"]}))
    (folder / "more.json").write_text(json.dumps({"data": sets["Pump"][::-1]}))
    row = {"question": "who is it", "answers": ["Carl"], "ctxs": [{"text": "Carl is it."}]}
    nq = folder / "nq_oracle" / "nq-open-oracle.jsonl.gz"
    nq.write_bytes(gzip.compress(json.dumps(row).encode()))
    paragraph = {
        "context": "It was found in Bonn. " * 200,
        "qas": [{"question": "Where?", "answers": [{"answer_start": 16, "text": "Bonn"}]}],
    }
    papers = gzip.compress(json.dumps({"data": [{"paragraphs": [paragraph]}]}).encode())
    (folder / "covid_qa" / "200423_covidQA.json.gz").write_bytes(papers)
    return folder


def test_what_is_gathered_is_kept_in_a_file_and_learned_from_unless_held_out(
    tmp_path: Path,
) -> None:
    data = public(tmp_path)
    groups = public_groups(data, data / "train.json", [data / "more.json"], random.Random(1))
    assert all(groups[name] for name in ("squad", "squad near", "squad2", "squad2 1", "nq"))
    groups |= {"own": [Example("who", "Carl", 0, 4)] * 40, "held own": [Example("who", "Lund")]}
    write_examples(tmp_path / "examples.xz", groups)
    read = read_examples(tmp_path / "examples.xz")
    assert read == {name: rows for name, rows in groups.items() if rows}
    given = Namespace(
        public=1000,
        share=0.5,
        rates=(1e-4, 1e-5),
        passes=(2, 3),
        steps=(0, 7),
        stages=["public", "own"],
    )
    first, second = stages_of(read, given)
    held = held_out(read)
    assert set(held) == {"squad", "squad2", "own"}
    assert (first.rate, first.passes, first.steps) == (1e-4, 2, 0)
    assert (second.rate, second.passes, second.steps) == (1e-5, 3, 7)
    assert len(second.examples) == 60
    learned = {e.context for stage in (first, second) for e in stage.examples}
    kept = {e.context.partition("\n")[0] for e in (*held["squad"], *held["squad2"])}
    assert kept == {name.replace("_", " ") for name in HELD_SQUAD | HELD_SQUAD2}
    assert not kept & {context.partition("\n")[0] for context in learned}
    assert "Carl" in learned
    assert "Lund" not in learned


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


def test_examples_are_encoded_alike_by_one_process_and_by_two(tiny: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    examples = [
        Example("who is it", f"it is {'x ' * n}b of a town", 6 + 2 * n, 7 + 2 * n)
        for n in range(400)
    ]
    examples += [Example("who " * 90, "it is b")] * 700
    alone, together = encode_all(tokenizer, examples), encode_all(tokenizer, examples, 2)
    assert len(alone) == len(examples)
    for one, other in zip(alone, together, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert (one.second, one.start, one.end) == (other.second, other.start, other.end)
    first, last = alone[3], alone[399]
    text = tokenizer.convert_ids_to_tokens(first.ids.tolist())
    assert text[first.start : first.end + 1] == ["b"]
    assert text[first.second] == "it"[0]
    assert (last.start, last.end) == (0, 0)  # its answer is beyond what is read


def test_what_is_asked_is_cut_into_tokens_as_what_was_learned_from(tiny: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    contexts = ["a b", "", "it is\nof a  töwn ", "b " * 500]
    for question in ("who is it", "", "who " * 60):
        examples = [Example(question, context) for context in contexts]
        for pair, learned, context in zip(
            Pairing(tiny).pairs(question, contexts),
            encode_all(tokenizer, examples),
            contexts,
            strict=True,
        ):
            assert pair.tokens.ids.tolist() == learned.ids.tolist()
            wanted = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
            kept = len(pair.offsets)
            assert [tuple(row) for row in pair.offsets] == wanted["offset_mapping"][:kept]
            assert pair.tokens.second == learned.second
    long = Pairing(tiny).pairs("who " * 300, contexts)[3]
    assert len(long) == MAX_TOKENS
    assert len(long.offsets) == MAX_TOKENS // 2 - 3


def test_a_batch_is_padded_and_knows_where_contexts_begin(tiny: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    rows = encode_all(tokenizer, [Example("who", "a b", 2, 3), Example("who is it", "a b c d e")])
    batch = assemble(rows)
    wanted = tokenizer(["who", "who is it"], ["a b", "a b c d e"], padding=True)
    for name, values in batch.inputs.items():
        assert values.tolist() == wanted[name]
    assert batch.starts.tolist() == [rows[0].start, 0]


def test_a_reader_that_has_learned_a_few_examples_is_judged_right_on_them(
    tiny: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = ReaderNetwork(tiny)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    examples = [Example("who is it", f"it is {c} of a town", 6, 7) for c in "bcdefghj"]
    examples += [Example("who is it", f"a town of {c}") for c in "bcdefghj"]
    untaught = evaluate(network, tokenizer, examples)
    stages = [Stage("one", examples, 3e-3, 1, 300)]
    log = train(network, tokenizer, stages, tmp_path / "c.pt", computing=Computing(size=8))
    assert log[-1]["of"] == 300
    taught = evaluate(network, tokenizer, examples)
    assert (taught["exact"], taught["auc"]) == (1.0, 1.0)
    assert untaught["exact"] < 1.0
    wrong = [Example(e.question, e.context, e.start - 3, e.end - 3) for e in examples[:8]]
    assert evaluate(network, tokenizer, wrong)["exact"] == 0.0


def run(folder: Path, checkpoint: Path, stop_after: int | None = None) -> tuple[Any, Any]:
    torch.manual_seed(0)
    network = ReaderNetwork(folder)
    network.freeze(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    examples = [Example("who is it", f"it is {c} of a town", 6, 7) for c in "abcdefgh"]
    examples += [Example("who is it", f"a town of {c}") for c in "abcdefgh"]
    stages = [Stage("one", examples, 1e-3, 1), Stage("two", examples, 1e-3, 2)]
    interrupt(network, stop_after)
    log = train(network, tokenizer, stages, checkpoint, computing=Computing(size=4))
    return network.trained_state(), log


def test_a_checkpoint_of_another_training_is_not_taken_up(tiny: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    stages = [Stage("one", [Example("who", f"it is {c}") for c in "abcd"], 1e-3, 1)]
    path = tmp_path / "c.pt"
    first, other = {"rates": "1e-3"}, {"rates": "2e-3"}
    log = train(ReaderNetwork(tiny), tokenizer, stages, path, made_of=first)
    assert train(ReaderNetwork(tiny), tokenizer, stages, path, made_of=first) == log
    with pytest.raises(UsageError, match="another --checkpoint"):
        train(ReaderNetwork(tiny), tokenizer, stages, path, made_of=other)


def test_the_command_writes_weights_and_what_they_were_made_of(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Example("who is it", f"it is {c} of a town", 6, 7) for c in "abcdefgh"]
    rows += [Example("who is it", f"a town of {c}") for c in "abcdefgh"]
    write_examples(tmp_path / "e.xz", {"own": rows, "held own": rows[:9]})
    out = tmp_path / "reader.safetensors"
    command = ["train", "--examples", str(tmp_path / "e.xz"), "--embedder", str(tiny)]
    command += ["--stages", "own", "--out", str(out), "--device", "cpu", "--steps", "0", "3"]
    monkeypatch.setattr("sys.argv", command)
    main()
    report = json.loads(out.with_suffix(".log.json").read_text())
    assert report["made_of"]["steps"] == "[0, 3]"
    assert report["made_of"]["examples"] == sha256((tmp_path / "e.xz").read_bytes()).hexdigest()
    assert report["held_out"]["own"]["examples"] == 9
    stored = load_file(out)
    assert set(stored) == set(ReaderNetwork(tiny).trained_state())
    assert not list(tmp_path.glob("*.checkpoint"))


def test_the_average_of_weights_is_their_mean(tmp_path: Path) -> None:
    one, other = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0])
    paths = [tmp_path / "one", tmp_path / "other", tmp_path / "odd"]
    for path, value in zip(paths, (one, other, torch.ones(3)), strict=True):
        save_file({name: value.to(torch.bfloat16) for name in ("a", "head.bias")}, path)
    average(paths[:2], tmp_path / "mean")
    mean = load_file(tmp_path / "mean")
    assert mean["a"].tolist() == mean["head.bias"].tolist() == [2.0, 4.0]
    average(paths[:2], tmp_path / "cooler", temperature=2.0)
    cooler = load_file(tmp_path / "cooler")
    assert cooler["a"].tolist() == [2.0, 4.0]
    assert cooler["head.bias"].tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="same shapes"):
        average(paths, tmp_path / "none")


@pytest.mark.parametrize("stop_after", [2, 6])
def test_interrupted_training_ends_as_if_it_had_not_been(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    monkeypatch.setattr("rag.reading.progress._CHECKPOINT_SECONDS", -1)
    whole, log = run(tiny, tmp_path / "whole.pt")
    with pytest.raises(Interrupted):
        run(tiny, tmp_path / "cut.pt", stop_after)
    resumed, resumed_log = run(tiny, tmp_path / "cut.pt")
    assert resumed_log == log
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    frozen = "bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(whole[frozen], ReaderNetwork(tiny).trained_state()[frozen])
