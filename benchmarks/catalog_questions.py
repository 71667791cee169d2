"""How many questions about contents are taken for questions about the library itself.

    .venv/bin/python benchmarks/catalog_questions.py --data FOLDER

FOLDER holds one folder for each public set of questions (`rag/evaluation/sets.py`). All of their
questions, and those of `sample_docs/questions.jsonl`, are about contents, so none may be taken.
Exit code 1: some were; they are printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from _common import QUESTIONS

from rag.catalog_questions import catalog_question
from rag.errors import CloisterError
from rag.evaluation.questions import read_questions
from rag.evaluation.sets import SETS, read_set
from rag.records import Turn

Asked = tuple[str, Sequence[Turn]]


def main() -> int:
    """Read every set and count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--set", dest="sets", choices=list(SETS), action="append", help="only this")
    given = parser.parse_args()
    wrong = 0
    catalog_question("")  # reads the phrases
    try:
        for name, questions in _questions(given.data, given.sets or list(SETS)):
            begun = time.perf_counter()
            taken = [text for text, history in questions if catalog_question(text, history)]
            each = (time.perf_counter() - begun) * 1000 / max(1, len(questions))
            print(f"{name}: {len(taken)} of {len(questions):,} taken, {each:.2f} ms each")
            for text in taken:
                print(f"  {text}")
            wrong += len(taken)
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return int(wrong > 0)


def _questions(data: Path, names: Sequence[str]) -> Iterator[tuple[str, list[Asked]]]:
    yield "samples", [(item.question, item.history) for item in read_questions(QUESTIONS)]
    for name in names:
        yield name, [(asked.text, ()) for asked in read_set(name, data).asked]


if __name__ == "__main__":
    raise SystemExit(main())
