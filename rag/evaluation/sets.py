"""Public question sets as documents and questions, to measure on text of others.

Each set is a folder in one that holds them all, as its source publishes it; nothing of it is part
of Cloister. A document is a file name with a text, or with a file as it is.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rag.errors import NotFound
from rag.evaluation.questions import Gold, Item

# never trained on and never tuned on
SQUAD_TEST = ("Steam_engine", "Islamism", "French_and_Indian_War", "Harvard_University")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question or claim, the names of the documents that answer it, and short answers if known.

    Without a document it is one that they do not answer.
    """

    text: str
    gold: frozenset[str]
    test: bool = False
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Documents by file name, and what is asked of them; `published` has figures of others.

    `unanswerable` are questions that no document answers.
    """

    name: str
    documents: Mapping[str, str | Path]
    asked: Sequence[Asked]
    published: str = ""
    unanswerable: Sequence[Asked] = ()

    def items(self) -> list[Item]:
        """The questions whose answers are known, and those without one, in their order."""
        return [
            Item(
                id=f"{self.name}-{number}",
                question=asked.text,
                answerable=bool(asked.gold),
                answers=asked.answers,
                evidence=tuple(Gold(name, None, "") for name in sorted(asked.gold)),
                split="test" if asked.test else "dev",
                kind="fact",
                history=(),
            )
            for number, asked in enumerate((*self.asked, *self.unanswerable), 1)
            if asked.answers or not asked.gold
        ]


def read_set(name: str, data: Path) -> QuestionSet:
    """The set in the folder of all sets. Raises NotFound where it is not there or broken."""
    try:
        known = SETS[name](data)
        if not all(asked.gold for asked in known.asked):
            raise ValueError("a question without a document that answers it")
        return known
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise NotFound(
            f"The set “{name}” is not whole in {data}: {error!r}. Name the folder that holds the "
            "sets, or leave this one out."
        ) from error


def _scifact(data: Path) -> QuestionSet:
    """BEIR's form of SciFact (Wadden et al. 2020): claims, and the abstracts that judge them."""
    folder = data / "scifact"
    gold: dict[str, set[str]] = {}
    for row in csv.reader(_lines(folder / "qrels" / "train.tsv"), delimiter="\t"):
        if row[-1].isdigit() and int(row[-1]) > 0:
            gold.setdefault(row[0], set()).add(f"{row[1]}.md")
    abstracts = [json.loads(line) for line in _lines(folder / "corpus.jsonl.gz")]
    claims = [json.loads(line) for line in _lines(folder / "queries.jsonl")]
    return QuestionSet(
        "scifact",
        {f"{a['_id']}.md": _titled(a["title"], a["text"]) for a in abstracts},
        [Asked(c["text"], frozenset(gold[c["_id"]])) for c in claims if c["_id"] in gold],
        "BM25 .696, bge-small-en-v1.5 .748 on the same 809 claims",
    )


def _hotpotqa(data: Path) -> QuestionSet:
    """HotpotQA (Yang et al. 2018), 100 questions that need two articles each."""
    folder = data / "multihop100"
    corpus = _json(folder / "hotpotqa_train_corpus.json.gz")
    names = _names(corpus)
    return QuestionSet(
        "hotpotqa",
        {names[title]: _titled(title, "".join(text)) for title, text in corpus.items()},
        [
            Asked(
                q["question"],
                frozenset(names[title] for title, _ in q["supporting_facts"]),
                answers=(q["answer"],),
            )
            for q in _json(folder / "hotpotqa_train.json.gz")
        ],
    )


def _musique(data: Path) -> QuestionSet:
    """MuSiQue (Trivedi et al. 2022), 100 questions that need two to four paragraphs each."""
    folder = data / "multihop100"
    texts = [
        (paragraph["title"], paragraph["text"])
        for paragraph in _json(folder / "musique_train_corpus.json.gz")
    ]
    names = _names(texts)
    return QuestionSet(
        "musique",
        {name: _titled(*text) for text, name in names.items()},
        [
            Asked(
                q["question"],
                frozenset(
                    names[p["title"], p["paragraph_text"]]
                    for p in q["paragraphs"]
                    if p["is_supporting"]
                ),
                answers=(q["answer"], *q["answer_aliases"]),
            )
            for q in _json(folder / "musique_train.json.gz")
        ],
    )


def _squad2(data: Path) -> QuestionSet:
    """SQuAD 2.0 (Rajpurkar et al. 2018), a document a paragraph."""
    documents: dict[str, str | Path] = {}
    asked, unanswerable = [], []
    for article in _json(data / "squad2" / "dev-v2.0.json.gz")["data"]:
        title = article["title"]
        test = title in SQUAD_TEST
        for number, paragraph in enumerate(article["paragraphs"], 1):
            name = f"{title} {number}.md"
            documents[name] = _titled(title.replace("_", " "), paragraph["context"])
            for question in paragraph["qas"]:
                if question["is_impossible"]:
                    unanswerable.append(Asked(question["question"], frozenset(), test))
                else:
                    answers = tuple(dict.fromkeys(a["text"] for a in question["answers"]))
                    asked.append(Asked(question["question"], frozenset([name]), test, answers))
    return QuestionSet("squad2", documents, asked, unanswerable=unanswerable)


def _sec10q(data: Path) -> QuestionSet:
    """Docugami's questions over quarterly reports, as PDFs; gold is the report."""
    folder = data / "sec10q"
    files: dict[str, str | Path] = {path.name: path for path in (folder / "docs").iterdir()}
    rows = csv.DictReader(_lines(folder / "qna_data.csv"))
    return QuestionSet(
        "sec10q",
        files,
        [Asked(row["Question"], _globbed(row["Source Docs"], files)) for row in rows],
    )


SETS: Mapping[str, Callable[[Path], QuestionSet]] = {
    "scifact": _scifact,
    "hotpotqa": _hotpotqa,
    "musique": _musique,
    "squad2": _squad2,
    "sec10q": _sec10q,
}


def _globbed(patterns: str, names: Iterable[str]) -> frozenset[str]:
    """The names that one of the patterns matches, which commas part."""
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    return frozenset(name for name in names if any(fnmatchcase(name, w) for w in wanted))


def _titled(title: str, text: str) -> str:
    return f"# {title}\n\n{text}\n"


def _names(keys: Any) -> dict[Any, str]:
    """A file name for each key; titles have characters that names may not have."""
    return {key: f"{number:05}.md" for number, key in enumerate(dict.fromkeys(keys))}


def _json(path: Path) -> Any:
    return json.loads("".join(_lines(path)))


def _lines(path: Path) -> Iterator[str]:
    """The lines of a text file, which may be packed by gzip."""
    data = path.read_bytes()
    plain = gzip.decompress(data) if path.suffix == ".gz" else data
    return io.StringIO(plain.decode("utf-8-sig"), newline="")
