"""Training examples for the reader, from public sets and from texts written for this project."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OWN = Path(__file__).with_name("training")
# never trained on: the test articles of the SQuAD 2.0 half that we are given
SQUAD_TEST = frozenset({"Steam_engine", "Islamism", "French_and_Indian_War", "Harvard_University"})
_CONTEXT_CHARS = 900

Embed = Callable[[list[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Example:
    """A question over a context; the answer is `context[start:end]`, or none (start < 0)."""

    question: str
    context: str
    start: int = -1
    end: int = -1


def squad(path: Path, embed: Embed) -> list[Example]:
    """SQuAD 2.0 without the test articles, and each question over a neighbouring paragraph."""
    articles = json.loads(gzip.decompress(path.read_bytes()))["data"]
    found: list[Example] = []
    for article in articles:
        if article["title"] in SQUAD_TEST:
            continue
        paragraphs = article["paragraphs"]
        near = nearest([p["context"] for p in paragraphs], embed)
        for index, paragraph in enumerate(paragraphs):
            other = paragraphs[near[index]]["context"]
            for qa in paragraph["qas"]:
                if qa["is_impossible"]:
                    found.append(Example(qa["question"], paragraph["context"]))
                    continue
                found.append(_spanned(qa["question"], paragraph["context"], qa["answers"][0]))
                if not any(a["text"].lower() in other.lower() for a in qa["answers"]):
                    found.append(Example(qa["question"], other))
    return found


def natural_questions(path: Path, embed: Embed) -> list[Example]:
    """Natural Questions with their gold passage, and every other one over a near passage."""
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    contexts = [row["ctxs"][0]["text"] for row in rows]
    near = nearest(contexts, embed)
    found: list[Example] = []
    for index, row in enumerate(rows):
        question = row["question"].strip().rstrip("?") + "?"
        for answer in row["answers"]:
            at = contexts[index].find(answer)
            if at >= 0:
                found.append(Example(question, contexts[index], at, at + len(answer)))
                break
        other = contexts[near[index]]
        if index % 2 and not any(a.lower() in other.lower() for a in row["answers"]):
            found.append(Example(question, other))
    return found


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
    return found


def own(pattern: str, folder: Path = OWN) -> list[list[Example]]:
    """The examples written for this project in the files of a pattern, grouped by context."""
    groups: list[list[Example]] = []
    for path in sorted(folder.glob(pattern)):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            context = f"{row['title']}\n{row['context']}"
            group = [Example(question, context) for question in row["un"]]
            for qa in row["qa"]:
                at = row["context"].find(qa["a"])
                if at >= 0:
                    at += len(row["title"]) + 1
                    group.append(Example(qa["q"], context, at, at + len(qa["a"])))
            groups.append(group)
    return groups


def nearest(texts: Sequence[str], embed: Embed) -> list[int]:
    """For each text the index of the most similar other one."""
    vectors = embed(list(texts))
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1.0)
    return [int(i) for i in similarity.argmax(axis=1)]


def _spanned(question: str, context: str, answer: dict[str, Any]) -> Example:
    start = int(answer["answer_start"])
    return Example(question, context, start, start + len(answer["text"]))


def batches(examples: Sequence[Example], size: int, rng: random.Random) -> Iterator[list[Example]]:
    """The examples in random batches of similar length."""
    shuffled = sorted(examples, key=lambda e: len(e.context) * rng.uniform(0.85, 1.15))
    parts = [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
    rng.shuffle(parts)
    return iter([list(part) for part in parts])
