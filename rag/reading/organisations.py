"""Writes the held-out organisations as documents: `python -m rag.reading.organisations --out DIR`.

Those of `rag/reading/training` that the reader never learned from: a folder of Markdown files each,
which is to be a collection, and one file of questions of all. Standard output has the commands that
take them into a library. `cloister evaluate … --calibrate` fits the judge on them.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shlex
import sys
import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rag.reading.examples import OWN
from rag.reading.gather import own_libraries_of

QUESTIONS = "questions.jsonl"
# beside the texts: questions of those drawn that another text of the organisation answers, with
# the title of that one, as one reader found them
ELSEWHERE = "answered_elsewhere.jsonl"
# of each text so many questions that it answers, and as many that it does not
_EACH = 3
_SEED = 3
_LONGEST_NAME = 60
# two lines with bars may as well be pairs of a label and what it labels
_LEAST_LINES = 3
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")
# the line of dashes below a Markdown table's header
_RULE = re.compile(r"[\s|:-]+")

Text = Mapping[str, Any]


def write_organisations(folder: Path) -> list[Path]:
    """Write all of them into a folder, made where it is not there; returns that of each.

    A text's title is the title of its document and the headings above it; texts with the same
    first part are one document. Questions are drawn by a fixed seed.
    """
    random_, elsewhere = random.Random(_SEED), _answered_elsewhere()
    found: list[Path] = []
    rows: list[dict[str, Any]] = []
    for texts in own_libraries_of(held_out=True):
        library = texts[0]["library"]
        place = folder / plain_name(library)
        place.mkdir(parents=True, exist_ok=True)
        names = _names(texts)
        for title, name in names.items():
            of_it = [text for text in texts if _path(text)[0] == title]
            (place / name).write_text(as_markdown(of_it), "utf-8")
        others = {question for name, question in elsewhere if name == library}
        rows += _questions(texts, place.name, names, others, random_)
        found.append(place)
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / QUESTIONS).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return found


def sync_command(place: Path) -> str:
    """The command that takes an organisation's folder into a library, as a collection."""
    options = ["--collection", place.name, "--create-collection", "--wait"]
    return shlex.join(["cloister", "ingest", "sync", str(place), *options])


def as_markdown(texts: Sequence[Text]) -> str:
    """A document of texts whose titles have the same first part.

    What stands under the title alone comes first, so that no heading above it is another text's.
    """
    parts: list[str] = []
    above: list[str] = []
    for text in sorted(texts, key=lambda one: len(_path(one)) > 1):
        path = _path(text)
        shared = next(
            (n for n, (one, two) in enumerate(zip(path, above, strict=False)) if one != two),
            min(len(path) - 1, len(above)),
        )
        parts += [f"{'#' * level} {path[level - 1]}" for level in range(shared + 1, len(path) + 1)]
        parts.append(_body(text))
        above = path
    return "\n\n".join(parts) + "\n"


def plain_name(text: str) -> str:
    """A name for a collection or file: a-z, 0-9 and hyphens."""
    letters = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return _NOT_PLAIN.sub("-", letters).strip("-")[:_LONGEST_NAME].strip("-")


def _path(text: Text) -> list[str]:
    """Title and headings of a text; a second line of the title is a table's header."""
    first: str = text["title"].split("\n", 1)[0]
    return first.split(" > ")


def _names(texts: Sequence[Text]) -> dict[str, str]:
    """A file name for each title of a document; two that are alike are numbered."""
    names: dict[str, str] = {}
    for title in dict.fromkeys(_path(text)[0] for text in texts):
        name = plain_name(title)
        taken = sum(other.startswith(name) for other in names.values())
        names[title] = f"{name}-{taken + 1}.md" if f"{name}.md" in names.values() else f"{name}.md"
    return names


def _body(text: Text) -> str:
    """A text with its tables as Markdown has them, below the header that its title may have."""
    _, _, header = text["title"].partition("\n")
    context: str = text["context"]
    lines = context.split("\n")
    if header and _bare(header) not in map(_bare, lines):
        lines.insert(0, header)
    return "\n\n".join(
        "\n".join(block)
        for barred, some in groupby(lines, key=lambda line: "|" in line)
        if (block := _tabled(list(some)) if barred else _trimmed(list(some)))
    )


def _tabled(lines: Sequence[str]) -> list[str]:
    """Lines with bars as a table: bars at both ends, a rule below the first.

    As they are where there are fewer than three, or the second has not as many cells as the first.
    """
    bare = [_bare(line) for line in lines]
    columns = bare[0].count("|") + 1
    if len(bare) < _LEAST_LINES or bare[1].count("|") + 1 != columns:
        return list(lines)
    rows = [f"| {line} |" for line in bare if not _RULE.fullmatch(line)]
    return [rows[0], f"|{' --- |' * columns}", *rows[1:]]


def _bare(line: str) -> str:
    """A line without the bars at both of its ends."""
    line = line.strip()
    bounded = len(line) > 1 and line.startswith("|") and line.endswith("|")
    return line[1:-1].strip() if bounded else line


def _trimmed(lines: list[str]) -> list[str]:
    """Lines without empty ones at their ends."""
    return "\n".join(lines).strip("\n").split("\n") if any(map(str.strip, lines)) else []


def _questions(
    texts: Sequence[Text],
    collection: str,
    names: Mapping[str, str],
    elsewhere: Container[str],
    random_: random.Random,
) -> Iterator[dict[str, Any]]:
    """Lines of a question file: of each text some that it answers, and some that none does.

    What is `elsewhere` answered by another text is left out after it is drawn.
    """
    number = 0
    for text in texts:
        evidence = [{"source": names[_path(text)[0]], "page": None}]
        known = random_.sample(text["qa"], min(_EACH, len(text["qa"])))
        unknown = random_.sample(text["un"], min(_EACH, len(text["un"])))
        asked = [(pair["q"], [pair["a"].strip()]) for pair in known]
        asked += [(question, []) for question in unknown if question not in elsewhere]
        for question, answers in asked:
            number += 1
            yield {
                "id": f"{collection}-{number}",
                "question": question,
                "answerable": bool(answers),
                "answers": answers,
                "evidence": evidence if answers else [],
                "split": "dev",
                "collection": collection,
            }


def _answered_elsewhere() -> set[tuple[str, str]]:
    """Questions that their own text does not answer, but another of the same organisation does."""
    lines = OWN.joinpath(ELSEWHERE).read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {(row["library"], row["question"]) for row in rows}


def main() -> None:
    """Write the organisations, and print the commands that take them in."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write them into")
    given = parser.parse_args()
    places = write_organisations(given.out)
    for place in places:
        print(sync_command(place))
    told = f"{len(places)} organisations, and their questions: {given.out / QUESTIONS}"
    print(told, file=sys.stderr)


if __name__ == "__main__":
    main()
