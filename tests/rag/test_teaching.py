"""The second reader is taught: the tokens, the shares, the rounds through a file, the command."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaModel

from rag.errors import UsageError
from rag.reading.asking import MAX_TOKENS, Asking
from rag.reading.example import Example
from rag.reading.gathered import Groups, write_examples
from rag.reading.lessons import MULTIPLE, Lesson, batch_of, lessons_of
from rag.reading.lowrank import LowRankNetwork
from rag.reading.second import SecondReader
from rag.reading.shares import DRAWN, SHARES, Pool, Share, pools_of, stream
from rag.reading.teach import Schedule, evaluate, loss_of, main, teach
from tests.rag.interrupting import Interrupted, interrupt

pytestmark = pytest.mark.usefixtures("one_thread")
QUESTION = "who is it"
YES = [Example(QUESTION, f"it is {c} of a town", 6, 7) for c in "bcdefghj"]
NO = [Example(QUESTION, f"a town of {c} is it") for c in "bcdefghj"]
SHORT = Schedule(steps=6, held=2, tokens=256, rate=1e-2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LLM of some ten thousand parameters with a tokenizer of bytes and a few words."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([e.context for e in (*YES, *NO)] + [QUESTION] * 9, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    LlamaModel(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=MAX_TOKENS,
            initializer_range=0.2,
        )
    ).save_pretrained(folder)
    return folder


def lessons(folder: Path, *examples: Example) -> list[Lesson]:
    return lessons_of(Asking(folder), {"own": examples})["own"]


def words(folder: Path, lesson: Lesson) -> str:
    """The text of the answer's tokens."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = lesson.asked.ids[lesson.start : lesson.end + 1].tolist()
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def test_what_is_learned_from_are_the_tokens_that_are_read(tiny: Path) -> None:
    asking = Asking(tiny)
    contexts = ["a b", "", "it is\nof a  töwn ", "b " * 700]
    for question in (QUESTION, "", "who " * 200):
        learned = lessons(tiny, *(Example(question, context) for context in contexts))
        for asked, lesson in zip(asking.asked(question, contexts), learned, strict=True):
            assert lesson.asked.ids.tolist() == asked.ids.tolist()
            assert lesson.asked.offsets.tolist() == asked.offsets.tolist()
            assert lesson.asked.first == asked.first
            assert not lesson.answered
        assert len(learned[3]) == MAX_TOKENS


def test_an_asked_text_is_the_question_the_context_and_the_question(tiny: Path) -> None:
    (lesson,) = lessons(tiny, YES[0])
    tokenizer = Tokenizer.from_file(str(tiny / "tokenizer.json"))
    text = tokenizer.decode(lesson.asked.ids.tolist(), skip_special_tokens=False)
    assert text == f"<|im_start|>{QUESTION}\n{YES[0].context}\n{QUESTION}<|im_end|>"
    first, last = lesson.asked.offsets[0], lesson.asked.offsets[-1]
    assert (first[0], last[1]) == (0, len(YES[0].context))


def test_the_tokens_of_an_answer_are_those_that_overlap_it(tiny: Path) -> None:
    text = "Zyx is qvk of jumbo " + "b " * 700
    middle = text.index("vk")
    one, within, none, beyond = lessons(
        tiny,
        Example(QUESTION, text, 7, 20),
        Example(QUESTION, text, middle, middle + 1),
        Example(QUESTION, text),
        Example(QUESTION, text, len(text) - 2, len(text) - 1),
    )
    assert words(tiny, one).strip() == "qvk of jumbo"
    assert "v" in words(tiny, within)
    assert one.answered
    assert within.answered
    for lesson in (none, beyond):
        assert lesson.start == lesson.end == len(lesson) - 1
        assert not lesson.answered


def test_a_text_of_several_examples_is_cut_once(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking, seen = Asking(tiny), Counter[str]()
    cut = asking.cut

    def counted(texts: Any) -> Any:
        seen.update(texts)
        return cut(texts)

    monkeypatch.setattr(asking, "cut", counted)
    monkeypatch.setattr("rag.reading.lessons._PART", 5)
    groups = lessons_of(asking, {"own": YES, "own cut": NO, "squad": [*YES, *NO]})
    assert set(seen.values()) == {1}
    assert len(seen) == 17
    again = lessons(tiny, *NO)
    assert [one.asked.ids.tolist() for one in groups["own cut"]] == [
        one.asked.ids.tolist() for one in again
    ]


def test_padding_changes_nothing_that_is_learned(tiny: Path) -> None:
    torch.manual_seed(0)
    network = LowRankNetwork(tiny, 4)
    short, long = lessons(tiny, YES[0], Example(QUESTION, "b " * 300, 4, 5))
    batch = batch_of([short, long])
    assert batch.ids.shape[1] % MULTIPLE == 0
    assert batch.ids.shape[1] - MULTIPLE < len(long) <= batch.ids.shape[1]
    with torch.no_grad():
        together = loss_of(network, batch)
        alone = [loss_of(network, batch_of([one])) for one in (short, long)]
    assert float(together) == pytest.approx(float(sum(alone)) / 2, abs=1e-4)


def test_a_span_is_learned_among_the_contexts_tokens_and_the_last_alone(tiny: Path) -> None:
    torch.manual_seed(0)
    network = LowRankNetwork(tiny, 4)
    (lesson,) = lessons(tiny, YES[0])
    with torch.no_grad():
        network.head.weight.zero_()
        loss = float(loss_of(network, batch_of([lesson])))
    choices = len(lesson.asked.offsets) + 1
    assert loss == pytest.approx(np.log(choices) + np.log(2), abs=1e-4)


def group(tiny: Path, size: int, *names: str) -> dict[str, list[Lesson]]:
    made: Groups = {
        name: [Example(QUESTION, f"{name} {n} {'b ' * (n % 9)}", *((0, 2) if n % 2 else ()))
               for n in range(size)]
        for name in names
    }  # fmt: skip
    return lessons_of(Asking(tiny), made)


def test_each_pool_has_its_share_of_what_is_drawn(tiny: Path) -> None:
    names = ["squad", "squad near", "squad cut", "squad2", "squad2 1", "nq", "covid", "own", "rows"]
    groups = group(tiny, 40, *names, "held squad", "held squad2", "held own", "odd")
    name_of = {id(one): name for name, rows in groups.items() for one in rows}
    pools = pools_of(groups)
    assert sum(share.of for share in SHARES) == pytest.approx(1.0)
    drawn = Counter[tuple[str, bool]]()
    total = 0
    for batch in stream(pools, 2048, 3):
        drawn.update((name_of[id(one)], one.answered) for one in batch)
        total += len(batch)
        if total >= sum(pool.drawn for pool in pools):
            break
    assert total == pytest.approx(DRAWN, abs=len(SHARES))

    def share(*names: str, kinds: tuple[bool, ...] = (True, False)) -> float:
        return sum(drawn[name, kind] for name in names for kind in kinds) / total

    assert share("squad", kinds=(True,)) == pytest.approx(0.28, abs=1e-3)
    assert share("squad", kinds=(False,)) == pytest.approx(0.06, abs=1e-3)
    assert share("squad near") == pytest.approx(0.06, abs=1e-3)
    assert share("squad cut") == pytest.approx(0.03, abs=1e-3)
    assert share("squad2") == pytest.approx(0.135, abs=2e-3)
    assert share("squad2", "squad2 1") == pytest.approx(0.27, abs=1e-3)
    assert share("nq", "covid") == pytest.approx(0.03, abs=1e-3)
    assert share("own") == pytest.approx(0.24, abs=1e-3)
    assert share("rows") == pytest.approx(0.03, abs=1e-3)
    assert not [name for name, _ in drawn if name.startswith("held") or name == "odd"]


def test_a_share_without_lessons_is_left_out(tiny: Path) -> None:
    pools = pools_of(group(tiny, 4, "own", "held rows"))
    assert [(len(pool.lessons), pool.drawn) for pool in pools] == [(4, int(DRAWN * 0.24))]
    assert pools_of({}) == []
    both = (Share(0.5, ("own",), answered=True), Share(0.1, ("own*",)))
    assert [len(pool.lessons) for pool in pools_of(group(tiny, 4, "own"), both)] == [2, 4]


def test_batches_are_of_like_lengths_and_the_seed_alone_decides_them(tiny: Path) -> None:
    rows = group(tiny, 100, "own")["own"]
    pools = [Pool(rows, 100), Pool(rows[:30], 20)]
    first = list(islice(stream(pools, 300, 3), 40))
    again = list(islice(stream(pools, 300, 3), 40))
    assert [[id(one) for one in batch] for batch in first] == [
        [id(one) for one in batch] for batch in again
    ]
    other = list(islice(stream(pools, 300, 4), 40))
    assert [[id(one) for one in batch] for batch in first] != [
        [id(one) for one in batch] for batch in other
    ]
    assert all(batch_of(batch).ids.numel() <= 300 for batch in first)
    assert max(map(len, first)) > 2
    # of a pool nothing comes again before all of it has come
    turn = [one for batch in first for one in batch][:120]
    assert len({id(one) for one in turn}) == 100
    assert list(map(len, islice(stream([Pool(rows[:3], 3)], 1, 3), 3))) == [1, 1, 1]


def test_the_rate_rises_is_held_and_falls() -> None:
    schedule = Schedule(steps=300, held=100, rate=1.0)
    assert schedule.rate_at(8) == pytest.approx(0.1)
    assert schedule.rate_at(80) == schedule.rate_at(100) == 1.0
    assert schedule.rate_at(101) == pytest.approx(0.995)
    assert schedule.rate_at(200) == pytest.approx(0.5)
    assert schedule.rate_at(300) == 0.0
    with pytest.raises(UsageError, match="--held"):
        Schedule(steps=5, held=5)
    with pytest.raises(UsageError, match="--tokens"):
        Schedule(tokens=0)


def test_what_was_taught_reads_and_declines_from_its_file(tiny: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LowRankNetwork(tiny, 8)
    learned = lessons_of(Asking(tiny), {"own": [*YES, *NO]})
    rows = learned["own"]
    before = evaluate(network, rows, 512)
    schedule = Schedule(steps=160, held=120, tokens=1024, rate=1e-2)
    log = teach(network, [Pool(rows, 256)], tmp_path / "c.pt", schedule)
    assert log[-1]["of"] == 160
    stored = network.stored()
    save_file(stored, tmp_path / "taught.safetensors")
    network.take(stored)
    after = evaluate(network, rows, 512)
    assert before["exact"] < 1.0
    assert after == {"examples": 16, "exact": 1.0, "auc": 1.0, "auc_span": 1.0}
    wrong = [Lesson(one.asked, one.start - 1, one.end - 1) for one in rows[: len(YES)]]
    assert evaluate(network, wrong, 512)["exact"] == 0.0
    reader = SecondReader(tiny, "cpu", "float32", tmp_path / "taught.safetensors")
    for example in YES:
        (page,) = reader.read(QUESTION, [example.context])
        found = page.within(0, len(example.context))
        assert (found.start, found.end) == (example.start, example.end)
        assert found.score > 0
        assert page.whole > 0
    for page, example in zip(reader.read(QUESTION, [e.context for e in NO]), NO, strict=True):
        assert page.whole < 0
        assert page.within(0, len(example.context)).score < 0


def test_what_there_is_but_one_kind_of_has_no_share_of_pairs(tiny: Path) -> None:
    torch.manual_seed(0)
    network = LowRankNetwork(tiny, 4)
    (yes,) = lessons(tiny, YES[0])
    no = Lesson(yes.asked, len(yes) - 1, len(yes) - 1)
    nothing = {"exact": None, "auc": None, "auc_span": None}
    assert evaluate(network, [no], 512) == {"examples": 1} | nothing
    assert evaluate(network, [], 512) == {"examples": 0} | nothing
    assert evaluate(network, [yes], 512)["auc"] is None
    # the same tokens score the same: none is above the other
    assert evaluate(network, [no, yes], 512)["auc"] == 0.0


def run(folder: Path, checkpoint: Path, stop_after: int | None = None) -> tuple[Any, Any]:
    torch.manual_seed(0)
    network = LowRankNetwork(folder, 4)
    pools = [Pool(lessons(folder, *YES, *NO), 20)]
    interrupt(network, stop_after)
    log = teach(network, pools, checkpoint, SHORT)
    return network.stored() | network.trained_state(), log


@pytest.mark.parametrize("stop_after", [1, 4])
def test_interrupted_teaching_ends_as_if_it_had_not_been(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    monkeypatch.setattr("rag.reading.progress._CHECKPOINT_SECONDS", -1)
    whole, log = run(tiny, tmp_path / "whole.pt")
    with pytest.raises(Interrupted):
        run(tiny, tmp_path / "cut.pt", stop_after)
    resumed, resumed_log = run(tiny, tmp_path / "cut.pt")
    assert resumed_log == log
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    torch.manual_seed(0)
    untaught = LowRankNetwork(tiny, 4).trained_state()
    assert not any(torch.equal(whole[name], value) for name, value in untaught.items())


def test_a_checkpoint_of_another_teaching_is_not_taken_up(tiny: Path, tmp_path: Path) -> None:
    pools, path = [Pool(lessons(tiny, *YES, *NO), 20)], tmp_path / "c.pt"
    first, other = {"rank": "4"}, {"rank": "8"}
    log = teach(LowRankNetwork(tiny, 4), pools, path, SHORT, made_of=first)
    assert teach(LowRankNetwork(tiny, 4), pools, path, SHORT, made_of=first) == log
    with pytest.raises(UsageError, match="another --checkpoint"):
        teach(LowRankNetwork(tiny, 8), pools, path, SHORT, made_of=other)
    with pytest.raises(UsageError, match="no group"):
        teach(LowRankNetwork(tiny, 4), [], path, SHORT)


def test_only_the_changes_and_the_head_are_trained(tiny: Path) -> None:
    base = LlamaModel.from_pretrained(tiny)
    network = LowRankNetwork(tiny, 4)
    linear = {
        f"layers.{n}.{part}"
        for n in range(2)
        for part in (
            *(f"self_attn.{name}_proj" for name in "qkvo"),
            *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
        )
    }
    stored = network.stored()
    assert set(stored) == {f"{name}.{side}" for name in linear for side in "AB"} | {"head", "bias"}
    assert stored["layers.1.mlp.down_proj.A"].shape == (4, 48)
    assert stored["layers.1.mlp.down_proj.B"].shape == (32, 4)
    assert stored["layers.1.mlp.down_proj.A"].dtype == torch.bfloat16
    assert (stored["head"].shape, stored["bias"].shape) == ((3, 32), (3,))
    assert stored["head"].dtype == stored["bias"].dtype == torch.float32
    # without a change at first, it is the base itself
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        wanted = network.head(base(ids).last_hidden_state)
        assert torch.allclose(network(ids), wanted, atol=1e-5)


def test_the_command_writes_what_it_taught_and_what_that_was_made_of(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"held own": [*YES, *NO[:3]], "held own cut": NO[3:], "held rows": NO[:1]}
    write_examples(tmp_path / "e.xz", {"own": YES, "own cut": NO} | held)
    out = tmp_path / "taught.safetensors"
    command = ["teach", "--examples", str(tmp_path / "e.xz"), "--base", str(tiny)]
    command += ["--steps", "3", "--held", "1", "--tokens", "512", "--rank", "4"]
    command += ["--out", str(out), "--device", "cpu", "--precision", "float32"]
    monkeypatch.setattr("sys.argv", command)
    main()
    report = json.loads(out.with_suffix(".log.json").read_text())
    assert report["made_of"] == {
        "steps": "3",
        "held": "1",
        "tokens": "512",
        "rank": "4",
        "rate": "0.0008",
        "precision": "float32",
        "examples": sha256((tmp_path / "e.xz").read_bytes()).hexdigest(),
        "base": sha256((tiny / "model.safetensors").read_bytes()).hexdigest(),
    }
    assert report["held_out"]["own"]["examples"] == 16
    assert report["held_out"]["rows"] == {
        "examples": 1,
        "exact": None,
        "auc": None,
        "auc_span": None,
    }
    assert report["sizes"]["held own cut"] == 5
    assert report["log"][-1]["step"] == 3
    assert set(load_file(out)) == set(LowRankNetwork(tiny, 4).stored())
    assert SecondReader(tiny, "cpu", "float32", out).read(QUESTION, ["it is b"])
    assert not list(tmp_path.glob("*.checkpoint"))
    command[command.index("--held") + 1] = "3"
    with pytest.raises(SystemExit, match="--held"):
        main()
