"""How well the verifier tells sentences that a passage supports from others.

    .venv/bin/python benchmarks/support.py --data FOLDER [--kept FILE] [--json] [--write]

FOLDER holds WiCE and SQuAD 2.0. Claims of WiCE, judged by people, are long and freely worded; the
second set is nearer to what an LLM writes that was given passages: sentences of SQuAD's twelve
articles that are not for testing, and of the sample documents where they answer a `dev` question,
each as it stands and with every small change that it takes (`rag/evaluation/corruptions.py`), and
cells of the sample documents' tables told in a sentence. Beside the verifier stand the share of a
sentence's content words that the passage holds, and MiniLM's cosine to the passage's nearest
sentence, with thresholds chosen by cross-validation: for the best balanced accuracy, and (strict)
for at most 2 % of the unsupported sentences passing. `--kept` keeps the vectors for the next run,
`--write` puts the section into docs/quality.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from _common import ROOT, SAMPLES, bench_settings, questions, say, scratch, write_between
from _indexed import KeptVectors

from ingest.formats import kind_of
from ingest.sandbox import Sandbox
from rag.embedding import load_embedder
from rag.errors import CloisterError
from rag.evaluation.corruptions import FAITHFUL, FALSE
from rag.evaluation.intervals import Interval
from rag.evaluation.support import (
    CELL,
    OTHER_COLUMN,
    OTHER_ROW,
    SAME,
    Pair,
    Rates,
    best_threshold,
    by_kind,
    by_threshold,
    made_pairs,
    rates,
    read_wice,
    squad_sentences,
    strict_threshold,
    table_pairs,
)
from rag.evidence import TermWeights, find_quote, passage_sentences, whole_sentences
from rag.parsed import Page
from rag.records import Passage
from rag.verifying import Verifier
from rag.words import WordIndex, Words, content_terms, terms

PAGE = ROOT / "docs" / "quality.md"
_BEGIN, _END = "<!-- support -->", "<!-- /support -->"
_SEED = 4
_MOST = 300
# so many rows of a table
_ROWS = 4
_SHORTEST = 6
# of the page around a sentence so many characters, as of a passage
_AROUND = 400


@dataclass(frozen=True, slots=True)
class Measured:
    """A set of pairs with the rates of each checker, and what the verifier took, by kind."""

    name: str
    pairs: Sequence[Pair]
    rates: Mapping[str, Rates]
    kinds: Mapping[str, tuple[int, int]]


def main() -> int:
    """Measure both sets and print the section, or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--kept", type=Path, help="a file that keeps vectors for the next run")
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")
    parser.add_argument("--write", action="store_true", help="put it into docs/quality.md")
    given = parser.parse_args()
    try:
        with scratch() as folder:
            settings = bench_settings(folder / "home")
            claims = read_wice(given.data)
            made = made_pairs(squad_sentences(given.data, _MOST, _SEED), _SEED)
            sets = {"WiCE": claims, "changed sentences": made + sample_pairs()}
            embedder = KeptVectors(load_embedder(settings), given.kept or folder / "kept.sqlite")
            found = [measured(*one, folder, embedder) for one in sets.items()]
    except CloisterError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps([_record(one) for one in found], ensure_ascii=False))
    elif given.write:
        write_between(PAGE, _BEGIN, _END, section(found))
    else:
        print(section(found))
    return 0


def sample_pairs() -> list[Pair]:
    """Of the sample documents: sentences that answer a `dev` question, and rows of such tables."""
    told: set[str] = set()
    sentences, tables = [], []
    for title, page, quote in _evidence():
        one = _stated(page, quote, title)
        if one is None or one[0] in told:
            continue
        told.add(one[0])
        if "|" not in one[0]:
            sentences.append(one)
        elif page.text not in told:
            told.add(page.text)
            tables.append((title, page.text))
    rows = [pair for table in tables for pair in table_pairs(*table, _ROWS, _SEED)]
    return made_pairs(sentences, _SEED) + rows


def _evidence() -> Iterator[tuple[str, Page, str]]:
    """Title, page and quote of all evidence of the `dev` questions."""
    pages: dict[str, tuple[Page, ...]] = {}
    with Sandbox(ocr_pages=0) as sandbox:
        for gold in (gold for row in questions() for gold in row.get("evidence", ())):
            source, path = gold["source"], SAMPLES / gold["source"]
            if source not in pages:
                with path.open("rb") as file:
                    kind = kind_of(path.name, file.read(4096))
                pages[source] = sandbox.parse(path, path.name, kind).pages
            for page in pages[source]:
                if page.number == gold.get("page", 1):
                    yield path.stem.replace("_", " "), page, gold["quote"]


def _stated(page: Page, quote: str, title: str) -> tuple[str, str, str] | None:
    """The one sentence of a page that a quote is of, if it is one, and the text around it."""
    whole = Passage("c", "d", title, title, page.number, 0, len(page.text), page.text, 1.0)
    found = find_quote(whole, quote)
    span = whole_sentences(found) if found else None
    if found is None or span is None or len(span.text.split()) < _SHORTEST:
        return None
    near = [
        one
        for one in passage_sentences(whole)
        if span.start - _AROUND <= one.start and one.end <= span.end + _AROUND
    ]
    if not any((one.start, one.end) == (span.start, span.end) for one in near):
        return None
    return " ".join(span.text.split()), title, page.text[near[0].start : near[-1].end]


def measured(name: str, pairs: Sequence[Pair], folder: Path, embedder: KeptVectors) -> Measured:
    """What each checker takes for supported."""
    words = WordIndex(folder / name.replace(" ", "-"))
    words.add(Words(str(n), text) for n, text in enumerate(sorted({p.text for p in pairs})))
    words.commit()
    verifier = Verifier(TermWeights(words))
    taken = [verifier.verify(p.sentence, [p.passage]).support != "unsupported" for p in pairs]
    words.close()
    say(f"{name}: {len(pairs):,} pairs are verified")
    checkers: dict[str, Sequence[bool]] = {
        "Cloister's verifier": taken,
        "always unsupported": [False] * len(pairs),
    }
    scores: dict[str, Callable[[Sequence[Pair]], Sequence[float]]] = {
        "share of words": lambda ones: [_share(pair) for pair in ones],
        "MiniLM's cosine": lambda ones: _cosines(ones, embedder),
    }
    for label, score in scores.items():
        values = score(pairs)
        best = by_threshold(pairs, values, best_threshold, _SEED)
        strict = by_threshold(pairs, values, strict_threshold, _SEED)
        checkers |= {f"{label}, best threshold": best, f"{label}, strict": strict}
        say(f"{name}: {label}")
    found = {label: rates(pairs, yes) for label, yes in checkers.items()}
    return Measured(name, pairs, found, by_kind(pairs, taken))


def _share(pair: Pair) -> float:
    said = set(content_terms(pair.sentence))
    return len(said & set(terms(f"{pair.title}\n{pair.text}"))) / len(said)


def _cosines(pairs: Sequence[Pair], embedder: KeptVectors) -> Sequence[float]:
    """The cosine of each sentence to the nearest one of its text."""
    parts = {p.text: [one.text for one in passage_sentences(p.passage)] for p in pairs}
    texts = list(dict.fromkeys(chain((p.sentence for p in pairs), *parts.values())))
    places = {text: number for number, text in enumerate(texts)}
    vectors = embedder.texts(texts)
    return [
        float((vectors[[places[t] for t in parts[p.text]]] @ vectors[places[p.sentence]]).max())
        for p in pairs
    ]


def _record(one: Measured) -> Mapping[str, Any]:
    known = {label: asdict(values) for label, values in one.rates.items()}
    return {"set": one.name, "pairs": len(one.pairs), "rates": known, "kinds": one.kinds}


def section(found: Sequence[Measured]) -> str:
    """The section in Markdown."""
    lines = []
    for one in found:
        right = sum(pair.supported for pair in one.pairs)
        lines += [
            f"{one.name}: {len(one.pairs):,} pairs, {right:,} of them supported.",
            "",
            "| checker | precision | recall | unsupported that pass | balanced accuracy |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {label} | {_shown(values.precision)} | {_shown(values.recall)} "
            f"| {_shown(values.passed)} | {_shown(values.balanced)} |"
            for label, values in one.rates.items()
        ]
        lines += ["", f"| {one.name} | pairs | taken for supported |", "| --- | ---: | ---: |"]
        for kind in sorted(one.kinds, key=_order):
            hits, total = one.kinds[kind]
            lines.append(f"| {kind.replace('_', ' ')} | {total} | {hits} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _order(kind: str) -> int:
    made = [SAME, CELL, *FAITHFUL, *FALSE, OTHER_COLUMN, OTHER_ROW]
    return [*made, "supported", "partially_supported", "not_supported"].index(kind)


def _shown(known: Interval | None) -> str:
    if known is None:
        return "–"
    return f"{100 * known.mean:.1f} ({100 * known.low:.1f} to {100 * known.high:.1f})"


if __name__ == "__main__":
    sys.exit(main())
