"""Editions of one document: which documents are versions of each other, and which is the newer.

It is told by what they are called, by the dates of their files, and by the parties that they name.
What describes a time, as a report or minutes do, is another document for another time.
"""

from __future__ import annotations

import re
from typing import Literal

from rag.days import written_out
from rag.kinds import is_date_word
from rag.records import Passage

Age = Literal["older", "newer"]

_WORD = re.compile(r"[^\W\d_]+")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)"
    r"(?:[-_. ]?(?P<month>0[1-9]|1[0-2])(?:[-_. ]?(?P<day>0[1-9]|[12]\d|3[01]))?)?(?!\d)"
)
_DOTTED = re.compile(r"(?<!\d)(\d{1,2})[._](\d{1,2})[._]((?:19|20)\d\d)(?!\d)")
_VERSION = re.compile(
    r"(?<![^\W_])(?:v|ver|version|rev|revision|fassung|edition|ausgabe|issue)"
    r"[ ._-]{0,2}(\d+(?:\.\d+)*)",
    re.IGNORECASE,
)
_FIGURES = re.compile(r"\d+")
_OLD = frozenset(
    "old older obsolete superseded archive archived archiv alt veraltet ancien ancienne".split()
)
# what names an edition and not what a document is about
_EDITION = _OLD | frozenset(
    "v ver version rev revision fassung edition ausgabe issue draft final entwurf new neu current "
    "latest copy kopie updated revised approved signed stand q st nd rd th january february march "
    "april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec januar februar märz mai juni juli oktober dezember the a of and for und "
    "der die das de la le".split()
)
_OF_A_TIME = re.compile(
    r"report|bericht|rapport|informe|relazione|minutes|protokoll|proc[eè]s.verbal|verbale|"
    r"invoice|rechnung|facture|factura|fattura|receipt|statement|abschluss|accounts|balance|bilanz|"
    r"budget|presupuesto|forecast|newsletter|bulletin|survey|results|ergebnis|payslip|timesheet|"
    r"agenda|calendar|kalender|holidays|meeting|assembly|review|annual|quarter|(?<![^\W_])q[1-4]|"
    r"monthly|weekly|daily|journal|notice|offer|quotation|tender",
    re.IGNORECASE,
)
_OF_RULES = re.compile(
    r"policy|guideline|procedure|handbook|manual|rules|regulation|instruction|terms|template|"
    r"richtlinie|handbuch|anweisung|ordnung|vorlage|directive|manuel|r[eè]glement|price|tariff|fees|"
    r"preis|tarif",
    re.IGNORECASE,
)
# what a time begins or ends with, and what may stand between that and its year
_BOUNDS = frozenset(
    "since after from before until till seit ab nach vor bis depuis dès après avant partir jusqu "
    "desde después antes hasta dal dopo prima fino".split()
)
_BESIDE_YEARS = frozenset(
    "the of start beginning end year dem den der des anfang ende beginn jahr jahres le la l en à "
    "au du de début fin année el del al a año principios finales il anno inizio fine".split()
)
_DAY = re.compile(r"\d{1,2}(?:st|nd|rd|th|er)?")
_MAILS, _TABLES = (".eml", ".msg"), (".csv", ".tsv", ".xlsx", ".xls", ".ods")
# who a contract is with: names before a legal form; sought from the beginning of a word, and of
# bounded length, so that long runs of capitals cost no square of their length
_PARTY = re.compile(
    r"(?<!\w)((?:[A-ZÀ-Þ][\w&'’-]{0,50},? ){1,4})"
    r"(?:GmbH|AG|KG|SE|Ltd|Limited|Inc|LLC|LLP|plc|PLC|Corp|SA|SAS|SARL|S\.A|S\.r\.l|SpA|B\.?V|N\.?V|"
    r"Oy|AB|AS|ApS|Sp\. z o\.o|eG|e\.V)\b"
)


_BETWEEN = re.compile(r"\b(?:between|zwischen|entre)\s+([A-ZÀ-Þ][^.;:]{2,150})")
_NAMED = re.compile(r"\b[A-ZÀ-Þ][\w&'’-]+")


def same_work(passage: Passage, other: Passage) -> bool:
    """Whether two documents are called the same but for what tells an edition or a time.

    Those in two folders, each named by something else, are not.
    """
    titles = _words(passage.title), _words(other.title)
    if _foreign(*titles) or not (
        titles[0] & titles[1] or _words(_file(passage)) & _words(_file(other))
    ):
        return False
    if _foreign(_words(_folder(passage)), _words(_folder(other))):
        return False
    ids = _ids(passage), _ids(other)
    return not (ids[0] and ids[1] and not ids[0] & ids[1])


def of_another_time(passage: Passage, other: Passage) -> bool:
    """Whether two documents of one name describe different times, as yearly reports do.

    So do two mails, and tables whose names have different dates.
    """
    names = f"{passage.title} {passage.source}", f"{other.title} {other.source}"
    if any(_OF_RULES.search(name) for name in names):
        return False
    if all(name.lower().endswith(_MAILS) for name in names):
        return True
    timely = all(_OF_A_TIME.search(n) or n.lower().endswith(_TABLES) for n in names)
    return timely and date_in_name(passage) != date_in_name(other)


def same_subject(passage: Passage, text: str, other: Passage, its_text: str) -> bool:
    """Whether two documents of one name are about the same, by how they begin (`text`).

    Contracts with two parties are not: they name other parties, or their files are named by them.
    """
    mine, its = _parties(text), _parties(its_text)
    if mine - its and its - mine:
        return False
    paths = _words(_file(passage)), _words(_file(other))
    if not _foreign(*paths):
        return True
    said, its_said = _words(text), _words(its_text)
    own, its_own = paths[0] - paths[1], paths[1] - paths[0]
    return not (own & said - its_said or its_own & its_said - said)


def age(passage: Passage, other: Passage) -> Age | None:
    """Whether the other's document is the older or the newer one; None where nothing tells.

    A date in title or file name counts before a version there, that before a folder or a name that
    calls it old, and the date of the mail or file, which a copy may change, comes last.
    """
    mine, its = date_in_name(passage), date_in_name(other)
    if mine and its:
        shared = min(len(mine), len(its))
        if mine[:shared] != its[:shared]:
            return "older" if its < mine else "newer"
    versions = _version(passage), _version(other)
    if versions[0] and versions[1] and versions[0] != versions[1]:
        return "older" if versions[1] < versions[0] else "newer"
    called = _called_old(passage), _called_old(other)
    if called[0] != called[1]:
        return "older" if called[1] else "newer"
    if passage.dated and other.dated and passage.dated != other.dated:
        return "older" if other.dated < passage.dated else "newer"
    return None


def date_in_name(passage: Passage) -> str:
    """The latest day, month or year (ISO 8601) in title and file name, else in the folders."""
    return _date(f"{passage.title} {_file(passage)}") or _date(_folder(passage))


def years_in_name(passage: Passage) -> set[str]:
    """The years that title and path name."""
    return set(_YEAR.findall(f"{passage.title} {passage.source}"))


def years_asked(question: str) -> set[str]:
    """The years that a question asks about; one that a time begins or ends with is none.

    “In 2024” asks about a year, “since 2024” and “before 1 May 2024” do not.
    """
    found = _YEAR.finditer(question)
    return {year[0] for year in found if not _bounds_a_time(question[: year.start()])}


def _bounds_a_time(before: str) -> bool:
    """Whether what stands before a year makes it the end or the beginning of a time."""
    words = re.findall(r"\w+", before)
    while words and _beside_a_year(words[-1]):
        words.pop()
    return bool(words) and words[-1].casefold() in _BOUNDS


def _beside_a_year(word: str) -> bool:
    return bool(_DAY.fullmatch(word)) or word.casefold() in _BESIDE_YEARS or is_date_word(word)


def _date(name: str) -> str:
    name, found = written_out(name)
    found += [f"{y}-{int(m):02}-{int(d):02}" for d, m, y in _DOTTED.findall(name)]
    for match in _DATE.finditer(name):
        found.append("-".join(part for part in match.group("year", "month", "day") if part))
    return max(found, default="")


def _version(passage: Passage) -> tuple[int, ...]:
    found = _VERSION.search(f"{passage.title} {_file(passage)}")
    # longer figures than a version has are cut, as int() would refuse the longest
    return tuple(int(part[:9]) for part in found.group(1).split(".")) if found else ()


def _called_old(passage: Passage) -> bool:
    return bool(_OLD & set(_WORD.findall(f"{passage.title} {_path(passage)}".casefold())))


def _path(passage: Passage) -> str:
    return passage.source.rpartition(".")[0] or passage.source


def _file(passage: Passage) -> str:
    """The file's name without what tells its kind."""
    return _path(passage).rpartition("/")[2]


def _folder(passage: Passage) -> str:
    return _path(passage).rpartition("/")[0]


def _words(name: str) -> set[str]:
    """The words of a name that say what a document is about."""
    return set(_WORD.findall(name.casefold())) - _EDITION


def _foreign(mine: set[str], its: set[str]) -> bool:
    """Whether each has a word that the other lacks."""
    return bool(mine - its and its - mine)


def _ids(passage: Passage) -> set[str]:
    """The figures in a document's names that are no date and no version: those of an invoice."""
    found: set[str] = set()
    for name in (passage.title, _file(passage)):
        bare, _ = written_out(name)
        bare = _VERSION.sub(" ", _DATE.sub(" ", _DOTTED.sub(" ", bare)))
        # “policy (1)” is a copy
        bare = re.sub(r"\(\d\)", " ", bare)
        found |= {figures.lstrip("0") for figures in _FIGURES.findall(bare)}
    return found


def _parties(text: str) -> set[str]:
    between = {n.casefold() for said in _BETWEEN.findall(text) for n in _NAMED.findall(said)}
    return between | {
        " ".join(name.replace(",", "").split()).casefold() for name in _PARTY.findall(text)
    }
