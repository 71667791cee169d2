"""Answers on public question sets, beside LlamaIndex's stock engines with the same models.

    .venv/bin/python benchmarks/answer_quality.py --data FOLDER [--kept FILE] [--answers FILE]
        [--most 200] [--write]

FOLDER holds one folder for each set (`rag/evaluation/sets.py`). The documents of a set are taken
into a library as any folder is, and its test questions are asked, half of them such as the
documents do not answer where the set has those. *Without adapter* is Cloister with the starter LLM
as it comes (`llm.adapter none`), *quotes* without an LLM (`llm.model none`). The engines are asked
`--stock` of the same questions, since each answer of theirs takes a small computer many seconds.
`--kept` keeps vectors for the next run and `--answers` every answer, so that a run that broke off
goes on; those of another program are not taken. `--write` puts the table into docs/quality.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from _common import ROOT, bench_settings, embedder_folder, say, write_between
from _engines import ChattingLLM, Engines, Reply
from _indexed import indexed, lay_out, spread
from _kept_answers import KeptAnswers, key_of

from rag.drafting import is_refusal
from rag.errors import CloisterError
from rag.evaluation.intervals import interval
from rag.evaluation.metrics import exact_match, holds_answer, token_f1
from rag.evaluation.questions import Item
from rag.evaluation.reliability import Answered, calibration_error, chance_error
from rag.evaluation.sets import SETS, QuestionSet, read_set
from rag.library import Library
from rag.models.embedder import LocalEmbedding
from rag.models.folder import find_model
from rag.records import Question
from rag.settings import Settings, load_settings

PAGE = ROOT / "docs" / "quality.md"
_BEGIN, _END = "<!-- answers -->", "<!-- /answers -->"
_OWN = {
    "Cloister": {},
    "without adapter": {"llm_adapter": "none"},
    "quotes": {"llm_model": "none"},
}
_STOCK = ("LlamaIndex", "LlamaIndex, citing")
_SYSTEMS = (*_OWN, *_STOCK)

Row = dict[str, Any]


def main() -> int:
    """Ask every set's questions and print the table, or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--kept", type=Path, help="a file that keeps vectors for the next run")
    parser.add_argument("--answers", type=Path, help="a file that keeps answers for the next run")
    parser.add_argument("--set", dest="sets", choices=list(SETS), action="append", help="only this")
    parser.add_argument("--system", choices=_SYSTEMS, action="append", help="only this")
    parser.add_argument("--most", type=int, default=200, help="at most so many questions of a set")
    parser.add_argument("--stock", type=int, default=40, help="so many of them for the engines")
    parser.add_argument("--write", action="store_true", help="put the table into docs/quality.md")
    given = parser.parse_args()
    try:
        known = [read_set(name, given.data) for name in given.sets or ("squad2",)]
        with tempfile.TemporaryDirectory(prefix="cloister-answers-") as folder:
            place = Path(folder)
            answers = Answers(given.answers)
            for one in known:
                asked = chosen(one, max(2, given.most))
                stock = spread(asked, max(1, given.stock))
                answers.ask(one, asked, stock, given.system or _SYSTEMS, place, given.kept)
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    text = table(answers.rows)
    if given.write:
        write_between(PAGE, _BEGIN, _END, text)
    else:
        print(text)
    return 0


def chosen(known: QuestionSet, most: int) -> list[Item]:
    """The test questions where a set has such, of both kinds as many, one kind after the other.

    Raises CloisterError for a set whose answers are not known.
    """
    items = known.items()
    items = [item for item in items if item.split == "test"] or items
    kinds = [[i for i in items if i.answerable], [i for i in items if not i.answerable]]
    if not kinds[0]:
        raise CloisterError(f"The set “{known.name}” has no short answers to compare with.")
    each = most if not kinds[1] else most // 2
    return [item for kind in kinds for item in spread(kind, each)]


class Answers:
    """The answers of each system, kept in a file as soon as they are known."""

    def __init__(self, path: Path | None) -> None:
        """Read what an earlier run of the same program left in `path`."""
        self._kept = KeptAnswers(path, key_of(load_settings()))

    @property
    def rows(self) -> list[Row]:
        """All answers so far."""
        return self._kept.rows

    def ask(
        self,
        known: QuestionSet,
        asked: Sequence[Item],
        stock: Sequence[Item],
        systems: Sequence[str],
        folder: Path,
        kept: Path | None,
    ) -> None:
        """Ask each system what it was not asked before; the set's library is made in `folder`."""
        done = {(row["set"], row["system"], row["id"]) for row in self.rows}
        todo = {
            system: [
                item
                for item in (stock if system in _STOCK else asked)
                if (known.name, system, item.id) not in done
            ]
            for system in systems
        }
        if not any(todo.values()):
            return
        home, files = folder / known.name / "home", folder / known.name / "files"
        lay_out(known.documents, files)
        with indexed(home, files, kept or folder / "kept.sqlite", Settings().chunk_tokens, 0):
            say(f"{known.name}: {len(known.documents):,} documents")
        for system, items in todo.items():
            if not items:
                continue
            with _answering(system, home, known) as answer:
                for number, item in enumerate(items, 1):
                    started = time.perf_counter()
                    row = {"set": known.name, "system": system, "id": item.id} | answer(item)
                    self._kept.keep(row | {"seconds": round(time.perf_counter() - started, 2)})
                    if number % 25 == 0:
                        say(f"{known.name}, {system}: {number} of {len(items)}")


@contextmanager
def _answering(
    system: str, home: Path, known: QuestionSet
) -> Iterator[Callable[[Item], Mapping[str, Any]]]:
    """A system as a function from a question to what its answer is worth."""
    settings = bench_settings(home, **_OWN.get(system, {}))
    if system in _STOCK:
        engines = _engines(settings, known)
        ask = engines.plain if system == _STOCK[0] else engines.citing
        yield lambda item: _worth_of_reply(item, ask(item.question))
        return
    library = Library(settings)
    library.load()
    try:
        yield lambda item: _worth_of_answer(item, _done(library, item.question))
    finally:
        library.close()


def _engines(settings: Settings, known: QuestionSet) -> Engines:
    texts = {name: text for name, text in known.documents.items() if isinstance(text, str)}
    folder = embedder_folder(settings)
    place, precision = settings.embedder_device, settings.embedder_precision
    embedder = LocalEmbedding(folder, place, precision, settings.embedder_batch)
    llm = find_model(settings.models_path, settings.llm_model)
    model = ChattingLLM(llm.path, settings.llm_device, settings.llm_precision)
    model.at_most(settings.llm_max_new_tokens)
    return Engines(texts, embedder, model, settings.retrieval_passages)


def _done(library: Library, question: str) -> Mapping[str, Any]:
    events = {event.name: event.data for event in library.ask(Question(question))}
    return events["done"]


def _worth_of_answer(item: Item, answer: Mapping[str, Any]) -> Row:
    cited = [citation["source"] for citation in answer["citations"]]
    worth = _worth(item, answer["text"], answer["short_answer"] or "", cited, answer["abstained"])
    return worth | {"confidence": answer["confidence"]}


def _worth_of_reply(item: Item, reply: Reply) -> Row:
    return _worth(item, reply.text, reply.text, reply.cited, is_refusal(reply.text))


def _worth(item: Item, text: str, short: str, cited: Sequence[str], declined: bool) -> Row:
    """An answer with its scores; those against a gold answer only where there is one."""
    worth: Row = {"answerable": item.answerable, "declined": declined, "text": text}
    if item.answerable:
        gold = {place.source for place in item.evidence}
        right = [name in gold for name in cited]
        given = not declined
        worth["holds"] = float(given and holds_answer(text, item.answers))
        worth["em"] = exact_match(short, item.answers) if given else 0.0
        worth["f1"] = token_f1(short, item.answers) if given else 0.0
        worth["cited"] = sum(right) / len(right) if right and given else None
    return worth


def table(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    heads = ["questions", "holds the answer", "EM", "F1", "F1 where given", "cited right"]
    heads += ["declined", "declined, unanswerable", "ECE", "seconds"]
    lines = [f"| set | system | {' | '.join(heads)} |", "| --- | --- |" + " ---: |" * len(heads)]
    parts: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        parts.setdefault((row["set"], row["system"]), []).append(row)
    order = {system: number for number, system in enumerate(_SYSTEMS)}
    for (name, system), part in sorted(parts.items(), key=lambda p: (p[0][0], order[p[0][1]])):
        lines.append(f"| {name} | {system} | {' | '.join(_columns(part))} |")
    return "\n".join(lines)


def _columns(rows: Sequence[Row]) -> Iterator[str]:
    answerable = [row for row in rows if row["answerable"]]
    given = [row for row in answerable if not row["declined"]]
    others = [row for row in rows if not row["answerable"]]
    yield f"{len(answerable)} + {len(others)}"
    for name in ("holds", "em", "f1"):
        yield _mean([row[name] for row in answerable])
    yield _mean([row["f1"] for row in given])
    yield _mean([row["cited"] for row in given if row["cited"] is not None])
    yield _mean([float(row["declined"]) for row in answerable])
    yield _mean([float(row["declined"]) for row in others])
    answered = [row for row in rows if not row["declined"] and "confidence" in row]
    judged = [Answered(row["confidence"], row.get("holds", 0) > 0) for row in answered]
    error, by_chance = calibration_error(judged), chance_error(judged)
    yield f"{error:.3f} ({by_chance.mean:.2f} by chance)" if error is not None and by_chance else ""
    yield f"{median(row['seconds'] for row in rows):.1f}"


def _mean(values: Sequence[float]) -> str:
    """A mean with its 95 % interval."""
    if not values:
        return ""
    found = interval(values)
    return f"{found.mean:.3f} ({found.low:.2f} to {found.high:.2f})"


if __name__ == "__main__":
    sys.exit(main())
