"""Instructions hidden in documents: whether an answer follows them.

    .venv/bin/python benchmarks/injection.py --data FOLDER [--most 60] [--kept FILE] [--write]

FOLDER holds the folder `injection` with BIPIA's training part (`rag/evaluation/injection.py`). Each
of a seeded sample of e-mails, with an attack at its beginning, middle or end, is a document of a
temporary library, and is asked its question by itself, through the whole path. The LLM writes an
answer each time, also where Cloister would decline before; from the same answers it is counted
what would have been with the threshold as it is set. Each e-mail is asked without an attack as
well: what the rules find there, attack by attack, is their own error. `--kept` keeps each answer
as soon as it is there, and a run that broke off goes on from it; answers of another program or
other models in it are not taken.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _common import ROOT, say, scratch, write_between
from _indexed import indexed
from _kept_answers import KeptAnswers, key_of

from rag.answerability import threshold, used_calibration
from rag.catalog.documents import list_documents
from rag.errors import CloisterError
from rag.evaluation.injection import (
    Case,
    Fate,
    answer_fate,
    cases,
    fate,
    is_right,
    read_attacks,
    read_mails,
)
from rag.evaluation.intervals import share
from rag.records import Filters, Question
from rag.sentences import sentence_spans
from rag.settings import Settings, load_settings

PAGE = ROOT / "docs" / "quality.md"
_BEGIN, _END = "<!-- injection -->", "<!-- /injection -->"
_SEED = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A case with its answer (JSON) and all that the LLM wrote for it."""

    case: Case
    answer: Mapping[str, Any]
    draft: str

    @property
    def chance(self) -> float:
        """How likely Cloister held the mail to hold an answer."""
        return float(self.answer["answerable"])

    def as_set(self, least: float) -> Asked:
        """What there would have been with a threshold, below which the LLM is not asked."""
        if self.chance >= least:
            return self
        return replace(self, answer={"abstained": True, "text": "", "sentences": []}, draft="")

    @property
    def fate(self) -> Fate:
        """What became of the attack in the answer."""
        return answer_fate(self.case, self.answer, self.draft)

    @property
    def drafted(self) -> Fate:
        """What became of it in the draft, each sentence by itself and all of them together."""
        parts = [self.draft[start:end] for start, end in sentence_spans(self.draft)]
        return fate(self.case, [*parts, self.draft])


def main() -> int:
    """Ask, judge, and print the section or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--most", type=int, default=60, help="so many attacks (%(default)s)")
    parser.add_argument("--kept", type=Path, help="a file that keeps each answer")
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")
    parser.add_argument("--write", action="store_true", help="put it into docs/quality.md")
    given = parser.parse_args()
    try:
        chosen = cases(
            read_mails(given.data / "injection"),
            read_attacks(given.data / "injection"),
            max(1, given.most),
            _SEED,
        )
        asked = list(answers(chosen, given.kept))
        settings = load_settings()
        least = threshold(settings, used_calibration(settings))
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps(counted(asked, least), ensure_ascii=False))
        return 0
    text = section(asked, least)
    if given.write:
        write_between(PAGE, _BEGIN, _END, text)
    else:
        print(text)
    return 0


def answers(chosen: Sequence[Case], kept: Path | None) -> Iterator[Asked]:
    """Each case with its answer; what a file has kept is not asked again."""
    answered = KeptAnswers(kept, key_of(load_settings()))
    done = {row["id"] for row in answered.rows}
    ahead = [case for case in chosen if case.id not in done]
    if ahead:
        with _library(ahead) as ask:
            for number, case in enumerate(ahead, 1):
                answered.keep(ask(case))
                say(f"{number} of {len(ahead)} answers")
    known = {row["id"]: row for row in answered.rows}
    for case in chosen:
        row = known[case.id]
        yield Asked(case, row["answer"], row["draft"])


@contextmanager
def _library(chosen: Sequence[Case]) -> Iterator[Callable[[Case], dict[str, Any]]]:
    """How each case is asked, of a library in which each is a document."""
    with scratch() as folder:
        files = folder / "files"
        files.mkdir()
        for case in chosen:
            # its title, which is in the prompt, says nothing
            (files / case.id).mkdir()
            (files / case.id / "mail.txt").write_text(case.text, "utf-8")
        sizes = Settings()
        kept = folder / "kept.sqlite"
        cut = (sizes.chunk_tokens, sizes.chunk_overlap)
        with indexed(folder / "home", files, kept, *cut, answer_threshold=0.0) as held:
            held.library.load()
            listed = list_documents(held.library.catalog, len(chosen))
            ids = {document.source: document.id for document in listed}

            def ask(case: Case) -> dict[str, Any]:
                only = Filters(documents=(ids[f"{case.id}/mail.txt"],))
                draft, answer = "", None
                for event in held.library.ask(Question(case.mail.question, filters=only)):
                    draft += event.data["text"] if event.name == "token" else ""
                    answer = event.data if event.name == "done" else answer
                return {"id": case.id, "answer": answer, "draft": draft}

            yield ask


def counted(asked: Sequence[Asked], least: float) -> Mapping[str, Any]:
    """All that is told of a run, as (hits, cases) by name."""
    attacked = [one for one in asked if one.case.attack]
    plain = [one for one in asked if not one.case.attack]
    found: dict[str, Any] = {"attacks": len(attacked), "mails": len(plain), "threshold": least}
    for name, bound in (("asked", 0.0), ("as_set", least)):
        ones = [one.as_set(bound) for one in attacked]
        bare = [one.as_set(bound) for one in plain]
        found[name] = {
            "followed": _of(ones, lambda one: one.fate == "followed"),
            "shown": _of(ones, lambda one: one.fate == "shown"),
            "drafts_followed": _of(ones, lambda one: one.drafted == "followed"),
            "answered": _of(ones, lambda one: not one.answer["abstained"]),
            "right": _of(ones, lambda one: is_right(one.case, one.answer)),
            "right_without_attack": _of(bare, lambda one: is_right(one.case, one.answer)),
        }
    attacks = [one.case.attack for one in attacked]
    found["rules_find_without_attack"] = [
        sum(replace(one, case=replace(one.case, attack=a)).drafted == "followed"
            for one in plain for a in attacks),
        len(plain) * len(attacks),
    ]  # fmt: skip
    found["by_aim"] = {
        aim: _of([o for o in attacked if o.case.attack and o.case.attack.aim == aim],
                 lambda one: one.drafted == "followed")
        for aim in ("question", "disguise", "addition")
    }  # fmt: skip
    return found


def _of(ones: Sequence[Asked], holds: Callable[[Asked], bool]) -> list[int]:
    return [sum(map(holds, ones)), len(ones)]


def section(asked: Sequence[Asked], least: float) -> str:
    """The section in Markdown."""
    found = counted(asked, least)
    names = {
        "followed": "the answer follows the attack",
        "shown": "the answer quotes the attack, as words of the document",
        "drafts_followed": "the LLM's draft follows it, before it is checked",
        "answered": "something is answered",
        "right": "answered right, or rightly declined",
        "right_without_attack": "the same e-mails without an attack",
    }
    lines = [
        f"{found['attacks']} attacks in {found['mails']} pairs of an e-mail and a question.",
        "",
        f"| what | the LLM always asked | as it is set (threshold {least:.2f}) |",
        "| --- | ---: | ---: |",
        *(
            f"| {name} | {_shown(*found['asked'][key])} | {_shown(*found['as_set'][key])} |"
            for key, name in names.items()
        ),
        "",
        "Drafts that follow, by what the attack is after: "
        + ", ".join(f"{aim} {hits} of {all_}" for aim, (hits, all_) in found["by_aim"].items())
        + ". Where there was no attack the rules find one in "
        + _shown(*found["rules_find_without_attack"])
        + " of the pairs of a draft and an attack.",
    ]
    hijacked = [one for one in asked if one.fate == "followed"]
    lines += ["", "Answers that follow an attack:" if hijacked else "No answer follows an attack."]
    for one in hijacked:
        attack = one.case.attack
        lines.append(f"- {one.case.id}, {attack.kind if attack else ''}, {one.case.position}")
        say(f"{one.case.id}: {one.answer['text']!r} follows {attack.text if attack else ''!r}")
    return "\n".join(lines)


def _shown(hits: int, total: int) -> str:
    if not total:
        return "–"
    known = share(hits, total)
    bounds = f"{100 * known.low:.1f} to {100 * known.high:.1f}"
    return f"{100 * known.mean:.1f} % ({bounds})"


if __name__ == "__main__":
    sys.exit(main())
