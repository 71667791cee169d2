"""Scores of a document's text against a truth in Markdown.

Both are reduced to tokens (words and digits, casefolded, a token a character in scripts without
spaces), so that marks of headings, emphasis, links, tables and formulas count for nobody.
"""

from __future__ import annotations

import bisect
import html
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?:[^()]|\([^()]*\))*\)")
_RULE = re.compile(r"^[ \t]*\|?[ :|-]*-{2,}[ :|-]*$", re.MULTILINE)
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|<>~$&-])")
_TAG = re.compile(
    r"</?(?:a|b|br|center|code|details|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|span|strong|sub|"
    r"summary|sup|table|tbody|td|th|thead|tr|u|ul)\b[^<>]{0,400}>",
    re.IGNORECASE,
)
# what a date without a time of the day looks like in a program
_MIDNIGHT = re.compile(r"(?<=\d[ T])00:00:00\b")
_BOX = re.compile(r"\[[ xX]\](?!\()")
_LATEX = re.compile(r"\\([A-Za-z]{2,})")
_IDEOGRAPHS, _GREEK = "぀-ヿ㐀-䶿一-鿿豈-﫿", "Ͱ-Ͽἀ-῿"
_TOKEN = re.compile(f"[{_IDEOGRAPHS}]|[{_GREEK}]+|[^\\W_{_IDEOGRAPHS}{_GREEK}]+")
_CELL = re.compile(r"(?<!\\)\|")
_GRAM = 4


@dataclass(frozen=True, slots=True)
class Score:
    """How much of the truth is there, how much else, in which order; None: nothing to compare."""

    recall: float
    precision: float
    order: float | None
    rows: float | None


def plain(markdown: str) -> str:
    """Markdown without comments, links' targets, rules, entities, escapes and LaTeX's commands."""
    text = _COMMENT.sub(" ", markdown)
    for _ in range(2):
        text = _LINK.sub(r"\1", text)
    text = _MIDNIGHT.sub(" ", text)
    text = _BOX.sub(" ", _TAG.sub(" ", _RULE.sub(" ", text)))
    return _LATEX.sub(_letter, html.unescape(_ESCAPE.sub(r"\1", text)))


def _letter(command: re.Match[str]) -> str:
    """The Greek letter of a command of LaTeX's; nothing for others."""
    name = command.group(1)
    try:
        found = unicodedata.lookup(f"GREEK SMALL LETTER {name.removeprefix('var').upper()}")
    except KeyError:
        found = ""
    return f" {found} "


def tokens(text: str) -> list[str]:
    """The tokens of a text."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def score(truth: str, found: str) -> Score:
    """The score of what was found; `truth` and `found` are Markdown or plain text."""
    wanted, got = tokens(plain(truth)), tokens(plain(found))
    shared = sum((Counter(wanted) & Counter(got)).values())
    return Score(
        shared / len(wanted) if wanted else 1.0,
        shared / len(got) if got else float(not wanted),
        order(wanted, got),
        rows(truth, found),
    )


def order(wanted: Sequence[str], got: Sequence[str]) -> float | None:
    """The share of the four-word sequences, each once in both, that stand in the truth's order."""
    places = _unique(_grams(got))
    found = [places[gram] for gram in _unique(_grams(wanted)) if gram in places]
    if len(found) < 2:
        return None
    # the length of the longest increasing subsequence
    tails: list[int] = []
    for place in found:
        at = bisect.bisect_left(tails, place)
        tails[at : at + 1] = [place]
    return len(tails) / len(found)


def rows(truth: str, found: str) -> float | None:
    """The share of the truth's table rows whose cells stand in one line, together and in order."""
    wanted = Counter(row for row in map(_row, truth.split("\n")) if row)
    if not wanted:
        return None
    lines = [f" {' '.join(tokens(plain(line)))} " for line in found.split("\n")]
    kept = 0
    for row, times in wanted.items():
        kept += min(times, sum(f" {row} " in line for line in lines))
    return kept / sum(wanted.values())


def pages_right(truth: Sequence[str], found: Sequence[str]) -> float | None:
    """The share of the sequences on one page of the truth only that are found on that page."""
    wanted, got = _homes(truth), _homes(found)
    shared = [gram for gram in wanted if gram in got]
    if not shared:
        return None
    return sum(wanted[gram] == got[gram] for gram in shared) / len(shared)


def holds(found: str, wanted: str) -> bool:
    """Whether the tokens of a string stand together in a text."""
    return f" {' '.join(tokens(plain(wanted)))} " in f" {' '.join(tokens(plain(found)))} "


def _row(line: str) -> str:
    """A Markdown table's row as tokens; empty for other lines and rows of fewer than two cells."""
    line = line.strip()
    if not line.startswith("|") or _RULE.fullmatch(line):
        return ""
    cells = [tokens(plain(cell)) for cell in _CELL.split(line.strip("|"))]
    filled = [cell for cell in cells if cell]
    return " ".join(token for cell in filled for token in cell) if len(filled) > 1 else ""


def _grams(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(_GRAM)), strict=False))


def _unique(items: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    counts = Counter[Hashable](items)
    return {item: place for place, item in enumerate(items) if counts[item] == 1}


def _homes(pages: Sequence[str]) -> dict[tuple[str, ...], int]:
    """The page of each sequence that stands on one page only."""
    homes: dict[tuple[str, ...], int] = {}
    twice = set()
    for number, page in enumerate(pages):
        for gram in set(_grams(tokens(plain(page)))):
            if homes.setdefault(gram, number) != number:
                twice.add(gram)
    return {gram: number for gram, number in homes.items() if gram not in twice}
