"""`cloister evaluate`: the library's answers to a file of questions, measured."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag.errors import CloisterError, UsageError
from rag.printing import json_line, printable
from rag.questions import checked
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.catalog import Catalog
    from rag.evaluation.held_out import HeldOut
    from rag.evaluation.questions import Item
    from rag.evaluation.scoring import Scored


@click.command(epilog="Example: cloister evaluate sample_docs/questions.jsonl --split test --json")
@click.argument(
    "files", nargs=-1, required=True, metavar="QUESTIONS…", type=click.Path(path_type=Path)
)
@click.option(
    "--collection",
    "collections",
    multiple=True,
    help="Ask only this collection, where a question names none.",
)
@click.option("--split", help="Only the questions of this split (dev, test).")
@click.option("--details", type=click.Path(path_type=Path), help="Write each answer to this file.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML page to this file.")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="Compare, in the report, with an earlier run: a file that --details wrote.",
)
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    help="Fit the judge on the split dev and write it to this file; nothing is scored. Several "
    "QUESTIONS may be given, each weighing the same. To use it, put it in place of "
    "rag/calibration.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line on stdout.")
@click.pass_obj
def evaluate(
    settings: Settings,
    files: tuple[Path, ...],
    collections: tuple[str, ...],
    split: str | None,
    details: Path | None,
    report: Path | None,
    against: Path | None,
    calibrate: Path | None,
    as_json: bool,
) -> None:
    """Ask every question of QUESTIONS and score retrieval, answers, citations and abstention.

    QUESTIONS has one JSON object a line, or is a table (CSV or TSV) with the columns question and
    answer. A question that names a collection is asked of that one alone. Only --calibrate takes
    several files.
    """
    from rag.evaluation.against import read_rows, to_row
    from rag.evaluation.collections import check_collections
    from rag.evaluation.files import check_targets, kept
    from rag.evaluation.run import run
    from rag.evaluation.scoring import score, summary
    from rag.library import open_catalog
    from rag.session import open_session

    if calibrate and (split or details or report):
        raise UsageError("A fit is made on the split dev: leave out --split, --details, --report.")
    if against and not report:
        raise UsageError("A comparison is part of a report: give --report FILE.html too.")
    if len(files) > 1 and not calibrate:
        raise UsageError("One file of questions is scored at a time: give one, or --calibrate.")
    if len({path.resolve() for path in files}) < len(files):
        raise UsageError("A file of questions is given twice. Name each once.")
    check_targets([*files, *([against] if against else [])], details, report, calibrate)
    if calibrate:
        _calibrate(settings, files, collections or None, calibrate)
        return
    (questions,) = files
    items = _wanted(settings, questions, split)
    earlier = read_rows(against, items) if against else None
    with closing(open_catalog(settings)) as catalog:
        check_collections(catalog, items, str(questions))
        with open_session(settings, "cloister evaluate") as session, kept(details) as keep:
            _warn_of_sources(catalog, items, collections or None)
            scored = []
            for result in run(session, items, collections or None):
                scored.append(score(result, catalog))
                keep(to_row(scored[-1]))
                _count(len(scored), len(items))
    scores = summary(scored)
    click.echo(json_line(scores) if as_json else _table(scores))
    if report:
        report.write_text(_report(settings, questions, scored, earlier), "utf-8")


def _wanted(settings: Settings, questions: Path, split: str | None) -> list[Item]:
    """The questions of a split, each of which may be asked."""
    from rag.commands.questions import tell_drafts
    from rag.evaluation.questions import read_questions

    found = read_questions(questions, tell_drafts)
    items = [item for item in found if split in (None, item.split)]
    if not items:
        raise UsageError(f"{questions} has no question of the split “{split}”.")
    for item in items:
        try:
            checked(item.question, settings)
        except CloisterError as error:
            raise UsageError(f"{questions}, “{item.id}”: {error}") from error
    return items


def _warn_of_sources(
    catalog: Catalog, items: Sequence[Item], collections: Sequence[str] | None
) -> None:
    """Say which documents of the gold evidence are not in what their questions are asked of."""
    from rag.catalog.documents import known_sources

    wanted: dict[tuple[str, ...] | None, set[str]] = {}
    for item in items:
        sources = wanted.setdefault(item.asked_of(collections), set())
        sources.update(gold.source for gold in item.evidence)
    missing = sorted(
        name if asked_of is None else f"{name} (of {', '.join(asked_of)})"
        for asked_of, names in wanted.items()
        for name in names - known_sources(catalog, names, asked_of)
    )
    if missing:
        shown = ", ".join(printable(name) for name in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        click.echo(f"Not in the library, so their questions fail: {shown}{more}", err=True)


def _report(
    settings: Settings,
    questions: Path,
    scored: Sequence[Scored],
    earlier: Mapping[str, Mapping[str, Any]] | None,
) -> str:
    from rag.answerability import threshold, used_calibration
    from rag.evaluation.against import compare
    from rag.evaluation.report import render

    comparison = None if earlier is None else compare(scored, earlier)
    return render(
        questions.name, scored, threshold(settings, used_calibration(settings)), comparison
    )


def _calibrate(
    settings: Settings, files: Sequence[Path], collections: Sequence[str] | None, target: Path
) -> None:
    """Fit the judge on the split dev of each file, and write it."""
    from rag.evaluation.calibrate import Source, checked_counts, fit, write
    from rag.evaluation.collections import check_collections
    from rag.evaluation.held_out import held_out
    from rag.evaluation.judged import judge_all
    from rag.library import Library
    from rag.lock import take_library_lock

    asked = {path: _wanted(settings, path, "dev") for path in files}
    for path, items in asked.items():
        checked_counts(path, [item.answerable for item in items])
    steps, total = count(1), sum(map(len, asked.values()))
    with take_library_lock(settings, "cloister evaluate"), closing(Library(settings)) as library:
        for path, items in asked.items():
            check_collections(library.catalog, items, str(path))
        library.load(llm=False)
        sources = [
            Source(path, judge_all(library, items, collections, lambda: _count(next(steps), total)))
            for path, items in asked.items()
        ]
    calibration, left_out = fit(sources), held_out(sources)
    if left_out is not None:
        told = {**calibration.fitted_on, "held_out": asdict(left_out)}
        calibration = replace(calibration, fitted_on=told)
    write(calibration, target)
    questions = sum(len(source.judged) for source in sources)
    of = f" of {len(files)} files" if len(files) > 1 else ""
    fitted = f"fitted on {questions} questions{of}: {printable(target)}"
    click.echo(f"threshold {calibration.threshold}, {fitted}")
    click.echo(_left_out_line(left_out))


def _left_out_line(left_out: HeldOut | None) -> str:
    if left_out is None:
        return (
            "How it does on questions left out of the fit cannot be told: that takes more "
            "questions of each kind, about more documents."
        )
    return (
        f"On questions left out of the fit, a fifth each time: "
        f"{left_out.answerable_declined:.1%} of the answerable and "
        f"{left_out.unanswerable_declined:.1%} of the others declined; the confidence of "
        f"{left_out.answers} answers is off by {left_out.ece:.3f} (by chance alone "
        f"{left_out.ece_by_chance:.3f}, at most {left_out.ece_by_chance_p95:.3f} in 95 of 100)."
    )


def _count(done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {total}", nl=done == total, err=True)
    elif done % 25 == 0:
        click.echo(f"{done} of {total}", err=True)


def _table(scores: Mapping[str, Any]) -> str:
    lines = []
    for split, groups in scores.items():
        counts = f"{groups['questions']} questions, {groups['answerable']} answerable"
        lines.append(f"{printable(split)}: {counts}")
        for name, group in groups.items():
            if isinstance(group, dict) and name != "intervals":
                shown = ", ".join(f"{key} {value}" for key, value in group.items())
                lines.append(printable(f"  {name}: {shown}"))
    return "\n".join(lines)
