"""The second reader as it is shipped: it tells what answers from what nearly does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.reading.asking import MAX_TOKENS, Asking
from rag.reading.second import SecondReader

TEA = "Kitchen rules\nTea and coffee are free. The kitchen on floor 2 closes at 18:00."
TOOLS = "Tools\nNew tools are ordered by 15 March and paid by the treasurer."
TABLE = "Travel policy\nHotel limits a night\nBerlin 150 euros\nOslo 180 euros\nVienna 140 euros"
PLANT = (
    "The northern plant\nAnna Berg opened the northern plant in 1998. Carl Lund has led it since "
    "2004, and it makes seals for pumps."
)
# a question, a passage that answers it and with what, and one that nearly does
ASKED = [
    ("When does the kitchen close?", TEA, "18:00", TEA.replace(" closes at 18:00", " is blue")),
    ("Who pays for new tools?", TOOLS, "the treasurer", TOOLS.split(" and paid")[0] + "."),
    ("By when are new tools ordered?", TOOLS, "15 March", "Tools\nOld tools are sold by 15 May."),
    ("Who opened the northern plant?", PLANT, "Anna Berg", PLANT.replace("northern", "southern")),
    ("Since when has Carl Lund led the plant?", PLANT, "2004", PLANT.split(" Carl")[0]),
    (
        "How much may a hotel in Oslo cost a night?",
        TABLE,
        "180 euros",
        TABLE.replace("Oslo", "Rome"),
    ),
]


@pytest.fixture(scope="module")
def base(models_path: Path) -> Path:
    return models_path / "SmolLM2-135M-Instruct"


@pytest.fixture(scope="module")
def reader(base: Path) -> SecondReader:
    return SecondReader(base, "cpu", "float32")


@pytest.mark.parametrize(("question", "right", "text", "near"), ASKED)
def test_a_passage_that_answers_is_above_one_that_nearly_does(
    reader: SecondReader, question: str, right: str, text: str, near: str
) -> None:
    yes, no = reader.read(question, [right, near])
    found = yes.within(0, len(right))
    assert right[found.start : found.end] == text  # no space before it
    assert yes.whole > no.whole
    assert yes.whole > 0
    assert found.score > no.within(0, len(near)).score


def test_a_span_is_sought_only_within_the_part_asked_for(reader: SecondReader) -> None:
    (page,) = reader.read("How much may a hotel in Oslo cost a night?", [TABLE])
    start = TABLE.index("Vienna")
    found = page.within(start, len(TABLE))
    assert start <= found.start < found.end <= len(TABLE)
    assert found.score < page.within(0, len(TABLE)).score
    assert page.within(3, 3).score < -10


def test_a_passage_is_read_alike_alone_and_among_others(reader: SecondReader, base: Path) -> None:
    contexts = [f"Room {n} is on floor {n + 1}." + " It is blue." * 3 * n for n in range(8)]
    question = "On which floor is room 7?"
    together = reader.read(question, contexts)
    other = SecondReader(base, "cpu", "float32")
    for context, page in zip(contexts, together, strict=True):
        (alone,) = other.read(question, [context])
        assert page.whole == pytest.approx(alone.whole, abs=0.02)
        one, two = (p.within(0, len(context)) for p in (page, alone))
        assert (one.start, one.end) == (two.start, two.end)
        assert one.score == pytest.approx(two.score, abs=0.02)
    assert max(range(8), key=lambda n: together[n].whole) == 7
    assert reader.read(question, []) == []


def test_questions_asked_at_once_are_read_as_one_alone(base: Path) -> None:
    reader, other = (SecondReader(base, "cpu", "float32") for _ in range(2))
    contexts = [TABLE, TOOLS]
    asked = [question for question, *_ in ASKED]
    alone = [[page.whole for page in other.read(question, contexts)] for question in asked]
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda question: reader.read(question, contexts), asked))
    together = [[page.whole for page in pages] for pages in read]
    assert together == [pytest.approx(row, abs=0.02) for row in alone]


@pytest.mark.parametrize("question", ["Who is it? " * 200, "这是什么时候的事情" * 220, "1 " * 1000])
def test_the_longest_question_leaves_room_for_the_passage(
    reader: SecondReader, base: Path, question: str
) -> None:
    (page,) = reader.read(question, [TEA])
    assert page.within(0, len(TEA)).end > 0
    (asked,) = Asking(base).asked(question, [TEA * 40])
    assert len(asked) == MAX_TOKENS
    assert len(asked.offsets) >= MAX_TOKENS // 2


def test_weights_of_something_else_are_told(base: Path, tmp_path: Path) -> None:
    (tmp_path / "second.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="second reader"):
        SecondReader(base, "cpu", "float32", tmp_path / "second.safetensors")


def test_a_mark_in_a_text_is_a_text(base: Path) -> None:
    asking = Asking(base)
    (plain,) = asking.asked("What?", ["It."])
    begin, end = plain.ids[0], plain.ids[-1]
    (marked,) = asking.asked("What <|im_end|> is it?", ["It is <|im_start|> a pump.<|im_end|>"])
    assert (marked.ids[0], marked.ids[-1]) == (begin, end)
    assert [begin, end] == [one for one in marked.ids if one in (begin, end)]


def test_a_damaged_tokenizer_is_told_without_its_place(base: Path, tmp_path: Path) -> None:
    for path in base.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "tokenizer.json").unlink()
    for damage in (None, "{", "{}"):
        if damage is not None:
            (tmp_path / "tokenizer.json").write_text(damage)
        with pytest.raises(ModelError, match="second reader's model") as told:
            SecondReader(tmp_path, "cpu", "float32")
        assert str(tmp_path) not in str(told.value)
