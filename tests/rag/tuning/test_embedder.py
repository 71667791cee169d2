"""`cloister models finetune` of an embedder, from questions to one that finds more."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rag.cli import main
from rag.embedding import embedder_fingerprint, load_embedder
from rag.errors import ModelError, UsageError
from rag.models.folder import find_model, read_manifest, verify, write_manifest
from rag.models.staging import TUNING
from rag.settings import Settings
from rag.tuning.embedder.batching import passes, piece_of
from rag.tuning.embedder.finetune import finetune_embedder
from rag.tuning.embedder.pairs import Pair, pairs, passages, read_asked
from rag.tuning.embedder.scoring import is_better
from rag.tuning.job import CHECKPOINT, Job
from rag.tuning.recipe import EmbedderRecipe
from tests.rag.tuning.tiny_embedder import WORDS, make_embedder, write_questions

THOROUGH = ("--learning-rate", "5e-3", "--epochs", "6", "--licence", "written for this test")
SHORT = EmbedderRecipe(epochs=2, learning_rate=5e-3)


def finetune(home: Path, *options: str) -> Result:
    words = ["--home", str(home), "models", "finetune", "tiny", "--data", str(home / "x.jsonl")]
    return CliRunner().invoke(main, [*words, *options])


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an embedder that knows nothing, and questions."""
    home = tmp_path_factory.mktemp("home")
    make_embedder(home / "models" / "tiny")
    shutil.rmtree(home / "models" / "tiny-plain")
    write_questions(home / "x.jsonl")
    return home


@pytest.fixture
def home(untrained: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(untrained, tmp_path / "home"))


def settings(home: Path, model: str = "tiny") -> Settings:
    return Settings(home=home, embedder_model=model, embedder_device="cpu")


def job(home: Path, out: str, recipe: EmbedderRecipe = SHORT) -> Job[EmbedderRecipe]:
    models = home / "models"
    return Job(find_model(models, "tiny"), home / "x.jsonl", models / out, recipe)


def after(calls: int) -> Callable[[], bool]:
    """A `stop` that says so from its so many-th call on."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > calls

    return stop


def test_it_learns_what_other_words_mean_and_is_used_by_its_name(home: Path) -> None:
    result = finetune(home, *THOROUGH, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["finished"], told["usable"], told["embedder"]) == (True, "better", "tiny-tuned")
    base, tuned = told["scores"]["base"], told["scores"]["tuned"]
    assert tuned["recall@1"] > base["recall@1"] + 0.5
    assert tuned["ndcg@10"] > 0.9 > 0.5 > base["ndcg@10"]
    assert tuned["loss"] < base["loss"]
    folder = home / "models" / "tiny-tuned"
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.source.startswith("tuned from tiny@")
    assert {"model.safetensors", "cloister-tuning.json"} <= set(manifest.files)
    card = (folder / "README.md").read_text("utf-8")
    assert "cloister models finetune tiny --data x.jsonl" in card
    assert "written for this test" in card
    assert "was decided by the loss on this part too" in card
    gained = told["scores"]["gain"]
    assert gained["of"] == "nDCG@10"
    assert gained["mean"] == pytest.approx(tuned["ndcg@10"] - base["ndcg@10"], abs=1e-3)
    assert f"Gain in nDCG@10: {gained['mean']:+.3f}" in card
    assert str(home) not in card + (folder / "cloister-tuning.json").read_text("utf-8")
    assert not list((home / "models").glob(f"{TUNING}*"))
    assert embedder_fingerprint(settings(home, "tiny-tuned")) != embedder_fingerprint(
        settings(home)
    )
    embedder = load_embedder(settings(home, "tiny-tuned"))
    asked, answering = next(iter(WORDS.items()))
    vector = embedder.query(f"where is the {asked} in 2")
    texts = [f"the {word} is in hall 2" for word in WORDS.values()]
    assert texts[int(np.argmax(embedder.texts(texts) @ vector))] == f"the {answering} is in hall 2"
    # as one that was carried in is: nothing says any more whether it is better
    write_manifest(folder, replace(manifest, usable=""))
    again = finetune(home, *THOROUGH, "--json")
    assert json.loads(again.stdout)["scores"] == told["scores"]
    assert json.loads(again.stdout)["finished"]
    assert "Stopped after step" not in again.stderr


def test_interrupted_anywhere_it_ends_with_the_same_bits(home: Path) -> None:
    whole = finetune_embedder(job(home, "whole"), settings(home), lambda _: None, lambda: False)
    lines: list[str] = []
    ends = []
    for calls in (0, 3, 9):
        outcome = finetune_embedder(job(home, "cut"), settings(home), lines.append, after(calls))
        assert not outcome.finished
        ends.append(outcome.done)
        assert (home / "models" / f"{TUNING}cut" / CHECKPOINT).is_file()
        assert not (home / "models" / "cut").exists()
    assert 0 == ends[0] < ends[1] < ends[2] < whole.steps
    longer = job(home, "cut", replace(SHORT, epochs=3))
    with pytest.raises(UsageError, match="begun with something else: epochs was 2"):
        finetune_embedder(longer, settings(home), lines.append, lambda: False)
    cut = finetune_embedder(job(home, "cut"), settings(home), lines.append, lambda: False)
    assert any(line.startswith("going on after step") for line in lines)
    assert whole.scores is not None
    assert cut.scores == whole.scores
    files = [
        (home / "models" / name / "model.safetensors").read_bytes() for name in ("whole", "cut")
    ]
    assert files[0] == files[1]
    revisions = [find_model(home / "models", name).revision for name in ("whole", "cut")]
    assert revisions[0] == revisions[1] != find_model(home / "models", "tiny").revision


def test_one_that_is_no_better_may_not_be_used_unless_forced(home: Path) -> None:
    options = ("--learning-rate", "1e-12", "--epochs", "1")
    told = json.loads(finetune(home, *options, "--json").stdout)
    assert told["usable"] == "no"
    with pytest.raises(ModelError, match="not better than its base"):
        load_embedder(settings(home, "tiny-tuned"))
    card = home / "models" / "tiny-tuned" / "README.md"
    assert "so it is not used" in card.read_text("utf-8")
    forced = finetune(home, *options, "--force")
    assert "It was forced" in forced.stdout
    assert "forced by a person (`--force`)" in card.read_text("utf-8")
    verify(find_model(home / "models", "tiny-tuned"))
    load_embedder(settings(home, "tiny-tuned"))
    other = finetune(home, "--epochs", "2")
    assert "is there already" in other.output
    assert other.exit_code == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "holds no example"),
        ('{"question": "q", "positive": "p"}\n{"question"', "line 2: it is no JSON"),
        ('{"question": "q", "positive": ""}', "line 1: “positive” must be a text"),
        ('{"question": "q", "positive": "p", "negatives": "n"}', "must be a list of texts"),
        ('{"question": "q", "positive": "p"}', "All examples are of one document"),
        ("\x00\xff", "no text in UTF-8"),
    ],
    ids=["empty", "cut", "no text", "no list", "one", "binary"],
)
def test_a_file_that_will_not_do_is_told(home: Path, content: str, told: str) -> None:
    (home / "x.jsonl").write_bytes(content.encode("latin-1" if "\xff" in content else "utf-8"))
    result = finetune(home)
    assert result.exit_code == 2
    assert told in result.output
    assert not (home / "models" / "tiny-tuned").exists()


def test_what_says_nothing_of_an_embedder_is_refused(home: Path) -> None:
    result = finetune(home, "--rank", "4")
    assert result.exit_code == 2
    assert "--rank says nothing of tiny, which is an embedder" in result.output


def test_both_forms_of_examples_are_read_and_those_without_an_answer_left_out(
    tmp_path: Path,
) -> None:
    sources = [{"title": "T", "text": "one"}, {"title": "", "text": "two"}]
    rows = [
        {"question": "q1", "passages": sources, "answer": "It is so [1]."},
        {"question": "q2", "passages": sources, "answer": "The documents do not say."},
        {"question": "q3", "positive": "three", "negatives": ["two", "three", " "]},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = read_asked(tmp_path / "x.jsonl")
    assert (first.positives, first.negatives, first.document) == (("T\none",), ("two",), "T")
    assert (second.positives, second.negatives, second.document) == (
        ("three",),
        ("two",),
        "three",
    )
    assert passages([first, second]) == ["T\none", "two", "three"]
    assert [pair.question for pair in pairs([first, second])] == ["q1", "q3"]


def test_no_passage_that_answers_is_a_negative_of_its_question() -> None:
    asked = [
        Pair(f"q{n}", f"p{n % 5}", (f"p{(n + 1) % 5}", f"n{n}"), (f"p{n % 5}", f"p{n % 5}b"))
        for n in range(20)
    ]
    batches = list(passes(asked, 4, 2, seed=1))
    assert batches == list(passes(asked, 4, 2, seed=1)) != list(passes(asked, 4, 2, seed=2))
    for batch in batches:
        piece = piece_of(batch, 2)
        assert len(set(piece.positives)) == len(piece.positives) == len(batch) <= 4
        assert not set(piece.negatives) & set(piece.positives)
    seen = sorted(pair.question for batch in batches for pair in batch)
    assert seen == sorted(pair.question for pair in asked * 2)


def test_a_question_in_two_lines_is_one(tmp_path: Path) -> None:
    sources = [{"title": "", "text": "one"}, {"title": "", "text": "two"}]
    rows = [
        {"question": "q1", "positive": "one", "negatives": ["two", "n1"], "document": "a"},
        {"question": "q2", "positive": "four", "negatives": ["one"]},
        {"question": " q1 ", "passages": sources, "answer": "It is so [2].", "document": "b"},
        {"question": "q1", "positive": "three", "negatives": ["one", "n2", "n1"]},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = read_asked(tmp_path / "x.jsonl")
    assert first.positives == ("one", "two", "three")
    assert (first.negatives, first.document) == (("n1", "n2"), "a")
    assert second.negatives == ("one",)
    batches = list(passes(pairs([first, second]), 4, 2, seed=1))
    for batch in batches:
        assert len({pair.question for pair in batch}) == len(batch)
        if "q1" in {pair.question for pair in batch}:
            assert not set(piece_of(batch, 4).negatives) & set(first.positives)


def test_the_batches_of_many_pairs_are_those_of_the_plain_rule_and_soon_there() -> None:
    def plain(given: list[Pair], batch: int, seed: int) -> list[list[Pair]]:
        left = random.Random(f"{seed} 0").sample(given, len(given))
        made = []
        while left:
            chosen: list[Pair] = []
            for pair in left:
                if len(chosen) < batch and not any(
                    pair.positive in other.all_positives or other.positive in pair.all_positives
                    for other in chosen
                ):
                    chosen.append(pair)
            left = [pair for pair in left if pair not in chosen]
            made.append(chosen)
        return made

    def some(count: int, kinds: int) -> list[Pair]:
        return [
            Pair(f"q{n}", f"p{n % kinds}", ("n",), (f"p{n % kinds}", f"p{n * 7 % kinds}"))
            for n in range(count)
        ]

    for seed in range(3):
        given = some(120, 13)
        assert list(passes(given, 8, 1, seed)) == plain(given, 8, seed)

    class Counted(str):
        """A passage that counts how often it is looked up."""

        __slots__ = ()
        asked = 0

        def __hash__(self) -> int:
            Counted.asked += 1
            return super().__hash__()

    texts = [Counted(f"p{n}") for n in range(4000)]
    many = [Pair(f"q{n}", text, (), (text,)) for n, text in enumerate(texts)]
    assert len(list(passes(many, 8, 1, seed=1))) == 500
    assert Counted.asked < 10 * len(many)


def test_better_is_a_higher_ndcg_without_losing_recall() -> None:
    base = {"ndcg@10": 0.5, "recall@5": 0.6}
    assert is_better({"ndcg@10": 0.6, "recall@5": 0.6}, base)
    assert not is_better({"ndcg@10": 0.5, "recall@5": 0.7}, base)
    assert not is_better({"ndcg@10": 0.6, "recall@5": 0.5}, base)
