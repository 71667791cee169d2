"""Examples: read or refused with their line, and split by document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag.errors import NotFound, UsageError
from rag.prompting import NOT_SAID
from rag.tuning.examples import Example, Source, read_examples, split, without_marks
from tests.rag.tuning.tiny import rows, write_rows

GOOD = rows("harbour")[0]


def test_what_a_line_says_is_read(tmp_path: Path) -> None:
    given = [GOOD, GOOD | {"answer": NOT_SAID, "source": "mine"}, GOOD | {"document": ""}]
    first, second, third = read_examples(write_rows(tmp_path / "x.jsonl", given))
    assert (first.document, first.answerable, first.cited) == ("harbour", True, {2})
    assert first.passages[1] == Source("Ferry", GOOD["passages"][1]["text"])
    assert (second.answerable, second.cited) == (False, frozenset())
    assert third.document == "Ferry"  # the title of what is cited
    assert without_marks(first.answer) == "The ferry leaves at 07:40."


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{no", "it is no JSON"),
        ("[1]", "it is no JSON object"),
        ({"question": " "}, "“question” must be a text"),
        ({"answer": 7}, "“answer” must be a text"),
        ({"passages": []}, "“passages” must be a list"),
        ({"passages": ["text"]}, "“passages” must be a list"),
        ({"passages": [{"title": "Ferry"}]}, "“text” must be a text"),
        ({"passages": [{"title": 1, "text": "a"}]}, "“title” must be a text"),
        ({"answer": "The ferry leaves at 07:40."}, "cites no passage"),
        ({"answer": "At 07:40 [3]."}, r"cites \[3\], but it has 2 passages"),
        ({"answer": "At 07:40 [0]."}, r"cites \[0\]"),
        ({"document": 4}, "“document” must be a text"),
        ("[" * 100_000, "it is no JSON, or too deeply nested"),
        ({"question": "\ud800 when?"}, "“question” holds half a character"),
        ({"answer": "\udfff [1]."}, "“answer” holds half a character"),
        ({"document": "\ud800"}, "“document” holds half a character"),
        ({"passages": [{"title": "\ud800", "text": "a"}]}, "“title” holds half a character"),
        ({"passages": [{"title": "a", "text": "\ud800"}]}, "“text” holds half a character"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(
    tmp_path: Path, row: str | dict[str, Any], told: str
) -> None:
    bad = row if isinstance(row, str) else json.dumps(GOOD | row)
    (tmp_path / "x.jsonl").write_text(f"{json.dumps(GOOD)}\n\n{bad}\n")
    with pytest.raises(UsageError, match=rf"line 3: .*{told}"):
        read_examples(tmp_path / "x.jsonl")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "x.jsonl", [GOOD])
    plain = read_examples(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_examples(path) == plain


def test_a_file_without_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read"):
        read_examples(tmp_path / "nowhere.jsonl")
    (tmp_path / "x.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="holds no example"):
        read_examples(tmp_path / "x.jsonl")
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        read_examples(tmp_path / "x.jsonl")


def example(document: str) -> Example:
    return Example("When?", (Source("a", "b"),), "Then [1].", document)


def test_a_split_shares_no_document_and_only_the_seed_decides_it() -> None:
    examples = [example(f"document {number % 40}") for number in range(400)]
    learned, held_out = split(examples, 1)
    assert len(held_out) == 40
    assert len(learned) + len(held_out) == 400
    assert not {e.document for e in learned} & {e.document for e in held_out}
    held = {e.document for e in held_out}
    assert {e.document for e in split(examples[::-1], 1)[1]} == held
    assert {e.document for e in split(examples, 2)[1]} != held
    assert len(split(examples, 1, 95)[1]) == 100


def test_no_document_takes_most_of_the_examples_away() -> None:
    examples = [example("large")] * 90 + [example("small")] * 10
    for seed in range(5):
        learned, held_out = split(examples, seed)
        assert {e.document for e in held_out} == {"small"}
        assert len(learned) == 90
    with pytest.raises(UsageError, match="of one document"):
        split([example("only")] * 9, 1)
