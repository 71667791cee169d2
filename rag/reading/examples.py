"""Training examples for the reader, from public sets and from texts written for this project.

Each question stands over the passage that it was written for and over a distractor: one of those of
the same library that retrieval would find first and that do not hold the answer.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rag.evidence import passage_sentences
from rag.reading.example import Example
from rag.reading.nearest import Nearest
from rag.records import Passage
from rag.tables import LabelledRow, labelled_row
from rag.words import content_terms

OWN = Path(__file__).with_name("training")
PARTS = "part_*.jsonl"
# never trained on: the test articles of the SQuAD 2.0 half that we are given
SQUAD_TEST = frozenset({"Steam_engine", "Islamism", "French_and_Indian_War", "Harvard_University"})
_CONTEXT_CHARS = 900
# questions without an answer get a second passage this often
_SECOND_NEGATIVE = 0.4
# a distractor is drawn from so many of the passages nearest to the question
_NEAREST = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was written for one passage of a pool; no answers where it has none there."""

    question: str
    home: int
    start: int = -1
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Passages that are found together, what is asked of them, and of which document each is.

    A passage begins with a line that is its title.
    """

    contexts: Sequence[str]
    asked: Sequence[Asked]
    documents: Sequence[str]


def squad_pool(path: Path, rng: random.Random) -> Pool:
    """SQuAD 2.0 or 1.1 without the test articles, articles and questions in random order."""
    contexts: list[str] = []
    documents: list[str] = []
    asked: list[Asked] = []
    data = path.read_bytes()
    articles = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)["data"]
    rng.shuffle(articles)
    for article in articles:
        if article["title"] in SQUAD_TEST:
            continue
        title = article["title"].replace("_", " ") + "\n"
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                answers = tuple(a["text"] for a in qa["answers"])
                start = len(title) + qa["answers"][0]["answer_start"] if answers else -1
                asked.append(Asked(qa["question"], len(contexts), start, answers))
            contexts.append(title + paragraph["context"])
            documents.append(article["title"])
    return Pool(contexts, rng.sample(asked, len(asked)), documents)


def natural_questions_pool(path: Path, rng: random.Random) -> Pool:
    """Natural Questions with their gold passage, in random order, as of one document."""
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    rows = rng.sample(rows, len(rows))
    contexts = [row["ctxs"][0]["text"] for row in rows]
    asked = []
    for index, row in enumerate(rows):
        question = row["question"].strip().rstrip("?") + "?"
        answers = [a for a in row["answers"] if a in contexts[index]]
        if answers:
            start = contexts[index].find(answers[0])
            others = (a for a in row["answers"] if a != answers[0])
            asked.append(Asked(question, index, start, (answers[0], *others)))
    return Pool(contexts, asked, ["Natural Questions"] * len(contexts))


def covid(path: Path, rng: random.Random) -> list[Example]:
    """CovidQA: a stretch around each short answer, and another stretch of the same paper."""
    data = json.loads(gzip.decompress(path.read_bytes()))["data"]
    found: list[Example] = []
    for paragraph in (p for entry in data for p in entry["paragraphs"]):
        text = paragraph["context"]
        for qa in paragraph["qas"]:
            answer = qa["answers"][0]
            start, length = answer["answer_start"], len(answer["text"])
            if length > 120:
                continue
            begin = max(0, start - rng.randrange(_CONTEXT_CHARS - length))
            window = text[begin : begin + _CONTEXT_CHARS]
            found.append(Example(qa["question"], window, start - begin, start - begin + length))
            far = rng.randrange(max(1, len(text) - _CONTEXT_CHARS))
            if abs(far - start) > 2 * _CONTEXT_CHARS:
                found.append(Example(qa["question"], text[far : far + _CONTEXT_CHARS]))
    return rng.sample(found, len(found))


def own_libraries(folder: Path = OWN, parts: str = PARTS) -> list[list[dict[str, Any]]]:
    """The rows written for this project, grouped by the invented organisation they belong to.

    The oldest files name no organisation, since each of their texts has its own; the texts of one
    such file make one library.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob(parts)):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            groups.setdefault(f"{path.stem} {row.get('library', '')}", []).append(row)
    return [groups[name] for name in sorted(groups)]


def own_pool(library: Sequence[dict[str, Any]], name: str = "") -> Pool:
    """One library of `own_libraries`, all of it one document of that name."""
    contexts = [f"{row['title']}\n{row['context']}" for row in library]
    asked = []
    for index, row in enumerate(library):
        shift = len(row["title"]) + 1
        asked += [Asked(question, index) for question in row["un"]]
        asked += [
            Asked(qa["q"], index, shift + where, (qa["a"],))
            for qa in row["qa"]
            if (where := place(qa["q"], qa["a"], row["context"])) >= 0
        ]
    return Pool(contexts, asked, [name] * len(contexts))


def table_rows(row: dict[str, Any], rng: random.Random) -> list[Example]:
    """Questions of a passage over rows of its tables, labelled as they are read when it counts.

    A question that a row answers stands over that one and over the likeliest of the others, one
    that the passage does not answer over the likeliest row.
    """
    text, title = row["context"], row["title"]
    passage = Passage("", "", title, "", 1, 0, len(text), text, 1.0, context=title)
    rows = [labelled for span in passage_sentences(passage) if (labelled := labelled_row(span))]
    if not rows:
        return []
    found = []
    for qa in row["qa"]:
        answered = _in_row(rows, place(qa["q"], qa["a"], text), qa["a"])
        wrong = [r for r in rows if not holds(r.text, [qa["a"]])]
        if answered:
            found.append(Example(qa["q"], *answered))
            found += [Example(qa["q"], r.text) for r in _likeliest(qa["q"], wrong, rng)[:1]]
    for question in row["un"]:
        found += [Example(question, r.text) for r in _likeliest(question, rows, rng)[:1]]
    return found


def _in_row(rows: Sequence[LabelledRow], at: int, answer: str) -> tuple[str, int, int] | None:
    """The labelled row with the answer that stands at a place of the passage, and where in it."""
    for row in rows:
        for cell in row.cells:
            start = cell.start + at - cell.at
            if cell.start <= start and start + len(answer) <= cell.end:
                return row.text, start, start + len(answer)
    return None


def _likeliest(question: str, rows: Sequence[LabelledRow], rng: random.Random) -> list[LabelledRow]:
    """Rows that share most words with a question first; by chance where they share as many."""
    asked = set(content_terms(question))
    shared = {id(row): len(asked & set(content_terms(row.text))) for row in rows}
    return sorted(rows, key=lambda row: (-shared[id(row)], rng.random()))


def place(question: str, answer: str, context: str) -> int:
    """Where in a context the answer stands; -1 where it does not.

    What stands there more than once (a number in a table) is meant on the line that shares most
    words with the question; “6” does not stand in “16”.
    """
    found = [hit.start() for hit in re.finditer(re.escape(answer), context)]
    whole = [at for at in found if _stands_alone(context, at, at + len(answer))] or found
    asked = set(content_terms(question))

    def shared(at: int) -> int:
        line = context[context.rfind("\n", 0, at) + 1 :].split("\n", 1)[0]
        return len(asked & set(content_terms(line)))

    return max(whole, key=shared, default=-1)


def _stands_alone(context: str, start: int, end: int) -> bool:
    before, after = context[start - 1 : start], context[end : end + 1]
    return not (
        (before.isalnum() and context[start].isalnum())
        or (after.isalnum() and context[end - 1].isalnum())
    )


def with_distractors(pool: Pool, nearest: Nearest, rng: random.Random) -> list[Example]:
    """Each question over its own passage, and over a near one of the pool without the answer."""
    contexts, asked = pool.contexts, pool.asked
    found: list[Example] = []
    ranked = nearest([one.question for one in asked], contexts, 3 * _NEAREST)
    for one, near in zip(asked, ranked, strict=True):
        home = contexts[one.home]
        end = one.start + len(one.answers[0]) if one.answers else -1
        found.append(Example(one.question, home, one.start, end))
        if not one.answers and rng.random() > _SECOND_NEGATIVE:
            continue
        wrong = (i for i in near if i != one.home and not holds(contexts[i], one.answers))
        others = list(islice(wrong, _NEAREST))
        if others:
            found.append(Example(one.question, contexts[rng.choice(others)]))
    return found


def holds(context: str, answers: Sequence[str]) -> bool:
    """Whether a context has one of the answers word for word, case aside."""
    folded = context.casefold()
    return any(answer.casefold() in folded for answer in answers)
