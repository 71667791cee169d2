"""Encoding: the prompt of the program itself, what is learned of it, and how it is cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from rag.generation import Generator
from rag.models.engine import LocalLLM
from rag.prompting import build_prompt
from rag.records import ModelInfo
from rag.settings import Settings
from rag.tuning.batching import passes, pieces
from rag.tuning.encoding import Encoded, Encoder, _passage
from rag.tuning.examples import Example, Source, read_examples
from tests.rag.tuning.tiny import make_model, rows, write_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return read_examples(write_rows(tmp_path / "x.jsonl", rows("harbour")))[0]


def test_training_reads_what_answering_reads(
    folder: Path, tokenizer: Any, example: Example
) -> None:
    llm = LocalLLM(folder, "cpu", "float32")
    generator = Generator(llm, ModelInfo("tiny", "", "cpu"), llm.count, Settings())
    passages = [_passage(n, source) for n, source in enumerate(example.passages, 1)]
    prompt = build_prompt(generator, example.question, passages)
    encoded = Encoder(tokenizer, [2], 1024).encode(example)
    assert encoded is not None
    assert encoded.text == prompt.text
    assert encoded.prompt == prompt.tokens
    assert tokenizer.decode(encoded.ids[encoded.prompt :]) == f"{example.answer}<|im_end|>"
    assert encoded.ids[-1] == tokenizer.eos_token_id


def test_the_template_says_how_an_answer_begins_and_ends(
    tokenizer: Any, example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    llama2 = (
        "{% for m in messages %}{% if m['role'] == 'assistant' %} {{ m['content'] }}<|im_start|>"
        "{% else %}[INST] {{ m['content'] }} [/INST]{% endif %}{% endfor %}"
    )
    monkeypatch.setattr(tokenizer, "chat_template", llama2)
    encoded = Encoder(tokenizer, [2, 1], 1024).encode(example)
    assert encoded is not None
    assert tokenizer.decode(encoded.ids[encoded.prompt :]) == f" {example.answer}<|im_start|>"
    # one at which generation does not end would never be written
    encoded = Encoder(tokenizer, [2], 1024).encode(example)
    assert encoded is not None
    assert encoded.ids[-1] == 2
    monkeypatch.setattr(tokenizer, "chat_template", None)
    encoded = Encoder(tokenizer, [2], 1024).encode(example)
    assert encoded is not None
    # its special tokens tell the form, without a template of its own
    assert encoded.text.endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.decode(encoded.ids[encoded.prompt :]) == f"{example.answer}<|im_end|>"
    encoded = Encoder(tokenizer, [2], 1024, "plain").encode(example)
    assert encoded is not None
    assert encoded.text.endswith("\n\nAnswer:")
    assert tokenizer.decode(encoded.ids[encoded.prompt :]) == f" {example.answer}<|im_end|>"


def test_passages_that_are_not_cited_are_cut_to_fit_and_the_cited_ones_never(
    tokenizer: Any, example: Example
) -> None:
    cited = example.passages[1]
    long = "The boat house is green and stands by the pier. " * 40
    short = Source("Pier", "The pier is old.")
    wide = replace(example, passages=(Source("Boats", long), cited, Source("Oars", long), short))
    whole = Encoder(tokenizer, [2], 4096).encode(wide)
    cut = Encoder(tokenizer, [2], 600).encode(wide)
    assert whole is not None
    assert cut is not None
    assert len(whole.ids) > 600 >= len(cut.ids) > 480
    assert cited.text in cut.text
    assert short.text in cut.text
    kept = [block.count("green") for block in cut.text.split("</passage>")]
    assert kept[0] == kept[2] > 0
    assert cut.ids[cut.prompt :] == whole.ids[whole.prompt :]
    assert Encoder(tokenizer, [2], 600).encode(replace(wide, answer="It is green [1].")) is None
    assert Encoder(tokenizer, [2], 60).encode(example) is None


def row(prompt: int, answer: int, first: int = 10) -> Encoded:
    return Encoded(tuple(range(first, first + prompt + answer)), prompt)


def test_every_example_is_in_every_pass_once_and_near_others_of_its_length() -> None:
    encoded = [row(100 + n * 37 % 200, 5, n) for n in range(203)]
    batches = list(passes(encoded, 8, 2, seed=1))
    assert len(batches) == 52
    for half in (batches[:26], batches[26:]):
        assert sorted(len(r.ids) for batch in half for r in batch) == sorted(
            len(r.ids) for r in encoded
        )
    assert batches[:26] != batches[26:]
    assert batches == list(passes(encoded, 8, 2, seed=1))
    assert batches != list(passes(encoded, 8, 2, seed=2))
    spans = [max(lengths) - min(lengths) for b in batches if (lengths := [len(r.ids) for r in b])]
    assert sum(spans) / len(spans) < 30


def asked(passages: int, question: int) -> Encoded:
    """An example whose prompt is 40 tokens of its passages and 8 of its question."""
    return Encoded((*[passages] * 40, *[question] * 8, 1, 2), 48)


def test_examples_over_the_same_passages_stay_together() -> None:
    encoded = [asked(100 + n % 20, 200 + n) for n in range(100)]  # 20 of 5 each
    for batch in passes(encoded, 12, 1, seed=1):
        assert 5 <= len(batch) <= 12
        sets = [r.ids[0] for r in batch]
        assert all(sets.count(one) == 5 for one in sets)
    large = [asked(100, 200 + n) for n in range(30)]
    assert sorted(map(len, passes(large, 12, 1, seed=1))) == [6, 12, 12]


def test_what_examples_share_is_computed_once() -> None:
    rows = [asked(100, 201), asked(100, 202), asked(101, 201), row(20, 2, 300)]
    shared, alone = pieces(rows, 1000, pad=0, device="cpu")
    assert shared.head.tolist() == [[100] * 40]
    assert shared.ids.tolist() == [[201] * 8 + [1, 2], [202] * 8 + [1, 2]]
    assert (shared.mask, shared.first, shared.tokens) == (None, 7, 4)
    assert shared.targets.tolist() == [[1, 2], [1, 2]]
    assert alone.head is None
    assert alone.ids.shape == (2, 50)
    # the head counts too where room is short
    assert [len(p.ids) for p in pieces(rows[:2] * 3, 72, pad=0, device="cpu")] == [3, 3]
    assert [len(p.ids) for p in pieces(rows[:2], 59, pad=0, device="cpu")] == [1, 1]


def test_only_completions_are_learned_whatever_is_padded() -> None:
    rows = [row(30, 4, 10), row(20, 6, 11), row(40, 5, 12)]
    parts = list(pieces(rows, 80, pad=0, device="cpu"))
    assert [tuple(part.ids.shape) for part in parts] == [(2, 34), (1, 45)]
    assert parts[1].mask is None
    assert parts[0].mask.sum(1).tolist() == [26, 34]
    assert [part.tokens for part in parts] == [10, 5]
    first, second = parts[0].targets.tolist()
    assert [t for t in first if t >= 0] == list(range(31, 37))
    assert [t for t in second if t >= 0] == list(range(40, 44))
    at = first.index(31) + parts[0].first
    assert parts[0].ids[0, at] == 30  # it is the last of the prompt that foretells the first
