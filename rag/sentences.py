"""Cuts text into sentences, exactly: spans, not copies."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

# a candidate end: marks, closing quotes or brackets, perhaps a footnote's number, then white
# space or the end of the text
_END = re.compile(
    r"(?:[.!?…]+[\"'”’»)\]*_]*(?:(?<=[^\W\d_]{2}[.!?])\d{1,2})?(?=\s|$)|[。！？｡]+[」』”’）】]*)"
)
_BLANK = re.compile(r"\n[ \t\r\f\v]*\n")
_ITEM = re.compile(r"[ \t>]*(?:[-*+•●▪◦‣–—]\s|\(?\d{1,3}[.)]\s|\(?[a-zA-Z][.)]\s|#{1,6}\s|\||`{3})")
_ENDS_LINE = re.compile(r"[.!?…:;。！？|][\"'”’»)\]*_]*\s*$")
_LAST_WORD = re.compile(r"[^\s(\[\"'“„«]+$")
_NEXT_WORD = re.compile(r"\s*[\"'“„«(\[*_]*([^\s]+)")
# never the end of a sentence
_ALWAYS = frozenset(
    str.split(
        "mr mrs ms mx dr prof sr rev hon capt lt sgt vs cf e.g eg i.e ie approx ca circa viz resp "
        "esp incl excl z.b d.h u.a bzw ggf vgl hr fr evtl inkl zzgl i.d.r z.t o.ä mlle op cit"
    )
)
# not the end of one before a figure or a single letter: `No. 5`, `Art. V`, `Jan. 3`
_NUMBERED = frozenset(
    str.split(
        "no nos nr art sec sect par para fig figs tab eq ch chap vol vols pp p v abs s tel ext "
        "dept min max mt st str mio mrd al jan feb mar apr jun jul aug sep sept oct nov dec okt "
        "dez app annex"
    )
)
# the end of one only where a new one clearly begins
_SOMETIMES = frozenset(
    str.split(
        "etc inc ltd co corp llc plc gmbh ag jr a.m p.m u.s u.k u.s.a e.u ph.d b.sc m.sc d.c n.v"
    )
)
_STARTERS = frozenset(
    str.split(
        "the a an this that these those it its he she they we you i in on at if when while for "
        "from after before all any each no there here however but and or as by to with our your "
        "their der die das ein eine es er sie wir ihr in im am bei für wenn nach vor alle le la "
        "les un une il elle nous vous en dans"
    )
)
_MONTHS = frozenset(
    str.split(
        "januar februar märz april mai juni juli august september oktober november dezember jänner"
    )
)
_SHORT_LINE = 0.6
# nobody wraps running text at fewer characters: such lines are rows
_NARROWEST = 55


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The sentences of a text as `(start, end)`, in order, without white space at their ends.

    Every visible character is in exactly one. List items, table rows and lines that were not
    merely wrapped are sentences of their own. Linear in the text's length.
    """
    return list(sentences_from_start(text))


def sentences_from_start(text: str) -> Iterator[tuple[int, int]]:
    """`sentence_spans`, found one after another, for who may need the first few only."""
    for start, end in _stretches(text):
        at = start
        for cut in itertools.chain(_cuts(text, start, end), (end,)):
            part = text[at:cut]
            stripped = part.strip()
            if stripped:
                begin = at + len(part) - len(part.lstrip())
                yield begin, begin + len(stripped)
            at = cut


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """The spans between line ends that end a sentence whatever the words are."""
    at = 0
    for gap in _BLANK.finditer(text):
        if gap.start() >= at:
            yield from _lines(text, at, gap.start())
            at = gap.end()
    yield from _lines(text, at, len(text))


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A paragraph, cut where a line was not merely wrapped."""
    if "\n" not in text[start:end]:
        yield start, end
        return
    lines = text[start:end].split("\n")
    longest = max(map(len, lines))
    begin = position = start
    for line, following in itertools.pairwise(lines):
        position += len(line) + 1
        if _hard(line, following, longest):
            yield begin, position
            begin = position
    yield begin, end


def _hard(line: str, following: str, longest: int) -> bool:
    if _ITEM.match(following) or " | " in line or " | " in following:
        return True
    first = following.lstrip()[:1]
    if _ENDS_LINE.search(line):
        return not first.islower() and not _abbreviated(line.rstrip(), following)
    return (longest < _NARROWEST or len(line) < _SHORT_LINE * longest) and not first.islower()


def _abbreviated(line: str, following: str) -> bool:
    return line.endswith(".") and not _is_end(line, len(line), following)


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    for found in _END.finditer(text, start, end):
        if found.end() >= end:
            return
        mark = found.group()
        if mark[0] in "。！？｡":
            yield found.end()
        elif mark.rstrip("\"'”’»)]*_") == ".":
            head = text[max(start, found.start() - 40) : found.start() + 1]
            if _is_end(head, len(head), text[found.end() : min(end, found.end() + 60)]):
                yield found.end()
        elif not _continues(text[found.end() : min(end, found.end() + 60)]):
            yield found.end()


def _continues(rest: str) -> bool:
    """Whether what follows begins in lower case: `“Why?” he asked`."""
    word = _NEXT_WORD.match(rest)
    return bool(word) and word.group(1)[:1].islower() if word else False


def _is_end(head: str, end: int, rest: str) -> bool:
    """Whether the full stop at the end of `head` ends a sentence that `rest` follows."""
    found = _LAST_WORD.search(head[: end - 1])
    word = found.group().lower() if found else ""
    following = _NEXT_WORD.match(rest)
    after = following.group(1) if following else ""
    if not after:
        return True
    if after[0].islower() and not after.startswith(("http", "www")):
        return False
    if word in _ALWAYS:
        return False
    if word in _NUMBERED and (after[0].isdigit() or len(after.strip(".,;:)")) == 1):
        return False
    starts = after.strip(".,;:!?").lower() in _STARTERS
    if word in _SOMETIMES:
        return starts
    if len(word) == 1 and word.isalpha():
        # an initial, or the last letter of `Annex A.`
        return starts and after[0].isupper()
    if word.isdigit() and len(word) < 3:
        alone = found is not None and not head[: found.start()].strip()
        return not alone and after.strip(".,;").lower() not in _MONTHS
    return True
