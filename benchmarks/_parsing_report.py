"""The parsing benchmark's figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from _parsing_corpus import Corpus

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
_MEASURES = ("recall", "precision", "order", "rows")
_NAMES = {"cloister": "Cloister"}


def report(corpus: Corpus, results: Mapping[str, Any]) -> str:
    """All tables, one after the other."""
    scores: Scores = results["scores"]
    chunks = results["chunks"]
    parts = [
        _quality(scores),
        _strings(scores),
        _rates(results["rates"]),
        "Chunks (starter embedder's tokenizer, default sizes) of the"
        f" {chunks['documents']} documents that were read: {chunks['chunks']:,} checked,"
        f" {chunks['exact']:,} with `page_text[start:end]` equal to the chunk's"
        f" text; {chunks['in PDFs']:,} of them in PDFs, {chunks['boxed']:,} with boxes.",
        _unread(corpus, scores["cloister"]),
    ]
    return "\n\n".join(part for part in parts if part)


def worst(scores: Scores) -> Iterable[str]:
    """Each document and measure where a peer is better, the worst first."""
    found = []
    for path, own in scores["cloister"].items():
        for measure in (*_MEASURES, "pages"):
            mine = own.get(measure)
            theirs = {
                name: value
                for name, one in scores.items()
                if name != "cloister" and (value := one.get(path, {}).get(measure)) is not None
            }
            if mine is not None and theirs and max(theirs.values()) > mine + 0.005:
                best = max(theirs, key=lambda name: theirs[name])
                found.append((mine - theirs[best], path, measure, mine, best, theirs[best]))
        if own.get("wrong"):
            found.append((-1.0, path, "strings", 0.0, str(own["wrong"]), 0.0))
        if own["error"]:
            found.append((-2.0, path, own["error"], 0.0, "", 0.0))
    for _, path, measure, mine, best, value in sorted(found):
        yield f"{path}: {measure} {mine:.3f}, {best} {value:.3f}"


def _quality(scores: Scores) -> str:
    """Means over the documents with a truth; what could not be read counts 0."""
    formats = sorted({one["format"] for one in scores["cloister"].values() if "recall" in one})
    lines = [
        "| format | documents | library | recall | precision | order | table rows | pages right |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for format_ in formats:
        for name, entries in scores.items():
            ours = [one for one in entries.values() if one["format"] == format_]
            with_truth = [one for one in ours if "recall" in one]
            if not with_truth:
                continue
            cells = [_mean(with_truth, measure) for measure in _MEASURES]
            count = str(len(with_truth)) if name == "cloister" else ""
            head = format_ if name == "cloister" else ""
            shown = _NAMES.get(name, name)
            pages = _mean(ours, "pages")
            lines.append(f"| {head} | {count} | {shown} | {' | '.join(cells)} | {pages} |")
    return "\n".join(lines)


def _mean(entries: Iterable[Mapping[str, Any]], measure: str) -> str:
    values = [one[measure] for one in entries if one.get(measure) is not None]
    return f"{sum(values) / len(values):.3f}" if values else "–"


def _strings(scores: Scores) -> str:
    lines = ["| library | strings right |", "| --- | ---: |"]
    for name, entries in scores.items():
        of = [one for one in entries.values() if "strings" in one]
        total = sum(one["strings"] for one in of)
        if total and name in ("cloister", "markitdown", "kreuzberg"):
            right = total - sum(len(one["wrong"]) for one in of)
            lines.append(f"| {_NAMES.get(name, name)} | {right} of {total} |")
    return "\n".join(lines)


def _rates(rates: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "| PDF, library | pages/s | relative | tables found | words with places |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    own = rates["cloister"]["pages"] / rates["cloister"]["seconds"]
    for name, rate in rates.items():
        speed = rate["pages"] / rate["seconds"]
        lines.append(
            f"| {_NAMES.get(name, name)} | {speed:,.0f} | {speed / own:.2f} | {rate['tables']:,} |"
            f" {rate['places']:,} |"
        )
    return "\n".join(lines)


def _unread(corpus: Corpus, own: Mapping[str, Mapping[str, Any]]) -> str:
    unread = sorted(f"`{path.rpartition('/')[2]}`" for path, one in own.items() if one["error"])
    return f"Not read by Cloister, each with its reason: {', '.join(unread)}." if unread else ""
