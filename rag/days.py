"""Days and spans of days as people write them: “Monday”, “last week”, “1er mars 2026”.

English, German, French, Spanish and Italian, in lower case and without accents.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from unicodedata import combining, normalize

_WEEKDAYS = (
    "monday montag lundi lunes lunedi",
    "tuesday dienstag mardi martes martedi",
    "wednesday mittwoch mercredi miercoles mercoledi",
    "thursday donnerstag jeudi jueves giovedi",
    "friday freitag vendredi viernes venerdi",
    "saturday samstag sonnabend samedi sabado sabato",
    "sunday sonntag dimanche domingo domenica",
)
_MONTHS = (
    "january januar janvier enero gennaio jan",
    "february februar fevrier febrero febbraio feb",
    "march marz mars marzo mar",
    "april avril abril aprile apr",
    "may mai mayo maggio",
    "june juni juin junio giugno jun",
    "july juli juillet julio luglio jul",
    "august aout agosto aug",
    "september septembre septiembre settembre sep sept",
    "october oktober octobre octubre ottobre oct okt",
    "november novembre noviembre nov",
    "december dezember decembre diciembre dicembre dec dez",
)
_WEEKDAY = {name: n for n, names in enumerate(_WEEKDAYS) for name in names.split()}
_MONTH = {name: n for n, names in enumerate(_MONTHS, 1) for name in names.split()}
_AGO = {
    **dict.fromkeys(("today", "heute", "aujourd'hui", "hoy", "oggi"), 0),
    **dict.fromkeys(("yesterday", "gestern", "hier", "ayer", "ieri"), 1),
}
_UNITS = {
    **dict.fromkeys("day days tag tage tagen jour jours dia dias giorno giorni".split(), "day"),
    **dict.fromkeys(
        "week weeks woche wochen semaine semaines semana semanas settimana settimane".split(),
        "week",
    ),
    **dict.fromkeys("month months monat monate monaten mois mes meses mese mesi".split(), "month"),
    **dict.fromkeys(
        "year years jahr jahre jahren annee annees an ans ano anos anno anni".split(), "year"
    ),
}
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_ARTICLE = r"(?:(?:the|den|dem|der|das|die|la|le|les|el|los|las|il|gli|lo) |l')?"
_THIS = re.compile(
    r"(?:this|the current|diese[mrs]?|cette|ce|esta|este|questa|questo|quest') ?"
    rf"(?P<unit>{_UNIT})(?:-ci)?"
)
_LAST = re.compile(
    rf"{_ARTICLE}(?:(?:last|past|letzte[nmrs]?|vorige[nmrs]?|scors[ao]) (?P<unit>{_UNIT})"
    rf"|(?P<unit2>{_UNIT}) (?:derni\w+|passee?|pasad[ao]|scors[ao]))"
)
_LAST_FEW = re.compile(
    rf"{_ARTICLE}(?:(?:last|past|letzten|ultimos|ultimas|ultimi|ultime) "
    rf"(?P<n>\d{{1,4}}) (?P<unit>{_UNIT})"
    rf"|(?P<n2>\d{{1,4}}) derni\w+ (?P<unit2>{_UNIT}))"
)
_ON_WEEKDAY = re.compile(
    r"(?:(?P<last>last |letzte[nmrs]? |vorige[nmrs]? )|(?:this |el |le |il ))?"
    rf"(?P<name>{'|'.join(_WEEKDAY)})(?P<past> dernier| passe| pasado| scors[ao])?"
)
_ISO = re.compile(r"((?:19|20)\d\d)-(\d\d)-(\d\d)")
_DOTTED = re.compile(r"(?:dem )?(\d{1,2})\. ?(\d{1,2})\. ?((?:19|20)\d\d)")
_MONTH_NAME = rf"(?P<month>{'|'.join(sorted(_MONTH, key=len, reverse=True))})\.?"
_YEAR = r"(?:,? (?:de |del )?(?P<year>(?:19|20)\d\d))?"
_DAY_FIRST = re.compile(
    r"(?:the |dem |le |el |il |l')?(?P<day>\d{1,2})(?:\.|st|nd|rd|th|er)? (?:of |de )?"
    rf"{_MONTH_NAME}{_YEAR}"
)
_MONTH_FIRST = re.compile(rf"{_MONTH_NAME} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?{_YEAR}")
_WHOLE_MONTH = re.compile(rf"{_MONTH_NAME}{_YEAR}")
_WHOLE_YEAR = re.compile(r"(?:the year |dem jahr )?((?:19|20)\d\d)")
# days within a text
_NAMED_DAYS = (
    re.compile(r"\b(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)\b"),
    re.compile(r"\b(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>(?:19|20)\d\d)\b"),
    re.compile(rf"\b{_DAY_FIRST.pattern}\b"),
    re.compile(rf"\b{_MONTH_FIRST.pattern}\b"),
)
# days and months with their years, in words
_IN_WORDS = tuple(
    re.compile(rf"(?<!\w){pattern}(?!\w)")
    for pattern in (
        rf"(?P<day>\d{{1,2}})(?:\.|st|nd|rd|th|er)?[ _-](?:of |de )?{_MONTH_NAME}"
        r"(?:,?[ _-](?:de |del )?(?P<year>(?:19|20)\d\d))",
        rf"{_MONTH_NAME}[ _-](?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?[ _-](?P<year>(?:19|20)\d\d)",
        rf"{_MONTH_NAME}[ _-](?:de |del )?(?P<year>(?:19|20)\d\d)",
    )
)
_LONGEST = 100_000
# a 29 February is sought so many years back, as 1900 was no leap year
_MOST_YEARS = 8
_LONG = ("month", "year")


@dataclass(frozen=True, slots=True)
class Days:
    """The days from `first` to `last`, both counted; `vague` where they are a month or a year."""

    first: date
    last: date
    vague: bool = False


def find_days(text: str, today: date) -> Days | None:
    """The days that a text names, all of it; None where it names none.

    What has no year is the last such day or month up to `today`; “last Monday” is before it.
    """
    text = text.strip(" ,")
    if text in _AGO:
        return _one(today - timedelta(days=_AGO[text]))
    if found := _ON_WEEKDAY.fullmatch(text):
        back = (today.weekday() - _WEEKDAY[found["name"]]) % 7
        if not back and (found["last"] or found["past"]):
            back = 7
        return _one(today - timedelta(days=back))
    if found := _THIS.fullmatch(text):
        unit = _UNITS[found["unit"]]
        return Days(_start(unit, today), today, vague=unit in _LONG)
    if found := _LAST.fullmatch(text):
        unit = _UNITS[found["unit"] or found["unit2"]]
        last = _start(unit, today) - timedelta(days=1)
        return Days(_start(unit, last), last, vague=unit in _LONG)
    if found := _LAST_FEW.fullmatch(text):
        return _last_few(
            int(found["n"] or found["n2"]), _UNITS[found["unit"] or found["unit2"]], today
        )
    return _dated(text, today)


def take_days(text: str) -> tuple[str, set[str]]:
    """A text in lower case and without accents, without the days in it, and those (ISO 8601).

    A day without a year is “--03-31”. What looks like a day and is none, as 31 February, stays.
    """
    folded = _folded(text)
    days: set[str] = set()

    def taken(found: re.Match[str]) -> str:
        day, month = int(found["day"]), _MONTH.get(found["month"]) or int(found["month"])
        year = found["year"]
        if not 1 <= month <= 12 or not 1 <= day <= monthrange(int(year or 2000), month)[1]:
            return found.group()
        days.add(f"{year or '-'}-{month:02}-{day:02}")
        return " "

    for pattern in _NAMED_DAYS:
        folded = pattern.sub(taken, folded)
    return folded, days


def _folded(text: str) -> str:
    return "".join(c for c in normalize("NFKD", text.lower()) if not combining(c))


def written_out(text: str) -> tuple[str, list[str]]:
    """A text without the days and months that it names in words, with years, and those (ISO 8601).

    “Policy of 1 March 2024” gives “policy of ” and “2024-03-01”, “March 2024” gives “2024-03”.
    """
    found: list[str] = []

    def taken(match: re.Match[str]) -> str:
        parts = match.groupdict()
        month = f"{parts['year']}-{_MONTH[parts['month']]:02}"
        found.append(f"{month}-{int(parts['day']):02}" if parts.get("day") else month)
        return " "

    rest = _folded(text.replace("_", " "))
    for pattern in _IN_WORDS:
        rest = pattern.sub(taken, rest)
    return rest, found


def _dated(text: str, today: date) -> Days | None:
    if found := _ISO.fullmatch(text):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if found := _DOTTED.fullmatch(text):
        return _day(int(found[3]), int(found[2]), int(found[1]))
    if found := _DAY_FIRST.fullmatch(text) or _MONTH_FIRST.fullmatch(text):
        month, day = _MONTH[found["month"]], int(found["day"])
        if found["year"]:
            return _day(int(found["year"]), month, day)
        newest = today.year - ((month, day) > (today.month, today.day))
        years = range(newest, newest - _MOST_YEARS - 1, -1)
        return next(filter(None, (_day(year, month, day) for year in years)), None)
    if found := _WHOLE_MONTH.fullmatch(text):
        month = _MONTH[found["month"]]
        year = int(found["year"] or today.year) - (not found["year"] and month > today.month)
        last = monthrange(year, month)[1]
        return Days(date(year, month, 1), date(year, month, last), vague=True)
    if found := _WHOLE_YEAR.fullmatch(text):
        year = int(found[1])
        return Days(date(year, 1, 1), date(year, 12, 31), vague=True)
    return None


def _one(day: date) -> Days:
    return Days(day, day)


def _day(year: int, month: int, day: int) -> Days | None:
    try:
        return _one(date(year, month, day))
    except ValueError:
        return None


def _start(unit: str, day: date) -> date:
    """The first day of the week (Monday), month or year that a day is in."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def _last_few(n: int, unit: str, today: date) -> Days:
    days = min(_LONGEST, n * {"day": 1, "week": 7, "month": 30, "year": 365}[unit])
    return Days(today - timedelta(days=days), today)
