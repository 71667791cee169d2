"""Sentences with passages that are known to support them or not, to measure what verifies them.

Two sets: claims of WiCE (Kamoi et al. 2023, https://arxiv.org/abs/2303.01432, its dev part) with
sentences of an article, judged by people; and sentences of given texts, as they are and with a
small change (`rag/evaluation/corruptions.py`), as a language model that was given the text may
write them.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.errors import NotFound
from rag.evaluation.corruptions import FAITHFUL, Stated, changes
from rag.evaluation.intervals import Interval, balanced, share
from rag.evaluation.sets import SQUAD_TEST, read_set
from rag.evidence import passage_sentences
from rag.records import Passage
from rag.sentences import sentence_spans
from rag.tables import labelled_row

# as they stand; no change
SAME = "as it stands"
CELL, OTHER_COLUMN, OTHER_ROW = (
    "a row's cell in a sentence",
    "cell of another column",
    "cell of another row",
)
_SHORTEST, _LONGEST = 6, 45
_FOLDS = 5
# so many of the unsupported sentences may pass as fact
MOST_PASSED = 0.02
_TITLE = "(meta data) TITLE:"

Choose = Callable[[Sequence[float], Sequence[bool]], float]


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence, the text that may support it, and whether it does.

    `kind` is how it was changed, or the label that people gave it.
    """

    sentence: str
    title: str
    text: str
    supported: bool
    kind: str

    @property
    def passage(self) -> Passage:
        """The text as the answerer has it."""
        return Passage("c", "d", self.title, "text.md", 1, 0, len(self.text), self.text, 1.0)


def read_wice(data: Path) -> list[Pair]:
    """One pair a claim: the first of its lists of sentences that hold the evidence, and others.

    A claim that the article supports in part is not supported. Raises NotFound.
    """
    path = data / "wice" / "oracle_claim_dev.jsonl.gz"
    try:
        lines = gzip.decompress(path.read_bytes()).decode().split("\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        first: dict[str, Pair] = {}
        for row in rows:
            title, text = _titled(row["evidence"])
            pair = Pair(row["claim"], title, text, row["label"] == "supported", row["label"])
            first.setdefault(f"{row['meta']['id']}\0{row['claim']}", pair)
        return list(first.values())
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise NotFound(
            f"The set “wice” is not whole in {data}: {error!r}. Name the folder that holds the "
            "sets."
        ) from error


def _titled(evidence: Sequence[str]) -> tuple[str, str]:
    titles = [line.removeprefix(_TITLE).strip() for line in evidence if line.startswith(_TITLE)]
    return " ".join(titles), "\n".join(line for line in evidence if not line.startswith(_TITLE))


def squad_sentences(data: Path, most: int, seed: int) -> list[tuple[str, str, str]]:
    """Sentence, title and text of paragraphs of SQuAD's articles that are not for testing."""
    dice = random.Random(seed)
    found = []
    for document in read_set("squad2", data).documents.values():
        heading, _, text = str(document).partition("\n\n")
        title = heading.removeprefix("# ")
        if title.replace(" ", "_") not in SQUAD_TEST:
            whole = [text[start:end] for start, end in sentence_spans(text.strip())]
            fitting = [s for s in whole if _SHORTEST <= len(s.split()) <= _LONGEST]
            if fitting:
                found.append((dice.choice(fitting), title, text.strip()))
    return dice.sample(found, min(most, len(found)))


def made_pairs(sentences: Iterable[tuple[str, str, str]], seed: int) -> list[Pair]:
    """Each sentence (with its title and text) as it stands, and with each change that it takes."""
    given = list(sentences)
    words = sorted({w for _, _, text in given for w in text.split() if w.isalpha() and w.islower()})
    others = [word for word in words if len(word) > 4]
    pairs = []
    for sentence, title, text in given:
        pairs.append(Pair(sentence, title, text, True, SAME))
        pairs += [
            Pair(changed, title, text, kind in FAITHFUL, kind)
            for kind, changed in changes(Stated(sentence, text, others), seed)
        ]
    return pairs


def table_pairs(title: str, text: str, most: int, seed: int) -> list[Pair]:
    """What some rows of a text's tables say of their first cell, right and wrong.

    “The price of KP-150 is 3190.”, then with a cell of another column, and one of another row.
    """
    dice = random.Random(f"{seed}\0{title}\0{text}")
    whole = Passage("c", "d", title, title, 1, 0, len(text), text, 1.0)
    found = (labelled_row(span) for span in passage_sentences(whole))
    rows = [row.labelled for row in found if row and all(label for label, _ in row.labelled)]
    rows = [cells for cells in rows if len(cells) > 2]
    pairs = []
    for row in dice.sample(rows, min(most, len(rows))):
        name = row[0][1]
        label, value = dice.choice(row[1:])
        columns = sorted({v for _, v in row[1:]} - {value})
        same = {text for other in rows for named, text in other[1:] if named == label}
        others = sorted(text for text in same if text not in value)
        for kind, cells in ((CELL, [value]), (OTHER_COLUMN, columns), (OTHER_ROW, others)):
            if cells:
                sentence = f"The {label[:1].lower()}{label[1:]} of {name} is {dice.choice(cells)}."
                pairs.append(Pair(sentence, title, text, kind == CELL, kind))
    return pairs


@dataclass(frozen=True, slots=True)
class Rates:
    """How well a checker tells supported sentences from others.

    `passed` is the share of the unsupported that it takes for supported. The intervals take pairs
    for independent.
    """

    precision: Interval | None
    recall: Interval
    passed: Interval
    balanced: Interval


def rates(pairs: Sequence[Pair], taken: Sequence[bool]) -> Rates:
    """The rates of a checker that took these pairs for supported. ValueError without both kinds."""
    both = list(zip(pairs, taken, strict=True))
    right = sum(pair.supported and yes for pair, yes in both)
    wrong = sum(not pair.supported and yes for pair, yes in both)
    supported = sum(pair.supported for pair in pairs)
    recall, passed = share(right, supported), share(wrong, len(pairs) - supported)
    kept_out = Interval(1 - passed.mean, 1 - passed.high, 1 - passed.low)
    precision = share(right, right + wrong) if right + wrong else None
    return Rates(precision, recall, passed, balanced(recall, kept_out))


def by_kind(pairs: Sequence[Pair], taken: Sequence[bool]) -> Mapping[str, tuple[int, int]]:
    """For each kind of pair how many were taken for supported, and how many there are."""
    found: dict[str, tuple[int, int]] = {}
    for pair, yes in zip(pairs, taken, strict=True):
        hits, total = found.get(pair.kind, (0, 0))
        found[pair.kind] = (hits + yes, total + 1)
    return found


def best_threshold(scores: Sequence[float], supported: Sequence[bool]) -> float:
    """The score at and above which “supported” gives the best balanced accuracy."""
    values, truth = np.asarray(scores), np.asarray(supported)

    def accuracy(least: float) -> float:
        taken = values >= least
        return float(taken[truth].mean() + (~taken[~truth]).mean())

    return max(sorted(set(scores), reverse=True), key=accuracy)


def strict_threshold(scores: Sequence[float], supported: Sequence[bool]) -> float:
    """The lowest score at and above which at most 2 % of the unsupported are; none may be."""
    wrong = sorted((s for s, yes in zip(scores, supported, strict=True) if not yes), reverse=True)
    allowed = int(MOST_PASSED * len(wrong))
    above = [score for score in scores if len(wrong) <= allowed or score > wrong[allowed]]
    return min(above, default=float("inf"))


def by_threshold(
    pairs: Sequence[Pair], scores: Sequence[float], choose: Choose, seed: int
) -> Sequence[bool]:
    """What scores would take for supported, the threshold of each fold chosen on the others.

    Pairs of one text are in the same fold.
    """
    texts = sorted({pair.text for pair in pairs})
    random.Random(seed).shuffle(texts)
    folds = {text: number % _FOLDS for number, text in enumerate(texts)}
    places = [folds[pair.text] for pair in pairs]
    least = {}
    for fold in set(places):
        rest = [i for i, place in enumerate(places) if place != fold]
        least[fold] = choose([scores[i] for i in rest], [pairs[i].supported for i in rest])
    return [value >= least[place] for value, place in zip(scores, places, strict=True)]
