"""What a mail repeats of the mails that it answers: it is not what its sender says."""

from __future__ import annotations

import re

from rag.evidence import Span

MAILS = (".eml", ".msg")
LINE = re.compile(r"[^\n]+")
# a line above all that is repeated below it
_ABOVE = re.compile(
    r"[ \t]*(?:"
    r"[-_]{3,}[ \t]*(?:Original Message|Forwarded [Mm]essage|Ursprüngliche Nachricht|"
    r"Weitergeleitete Nachricht|Message d['’]origine|Message original|Message transféré|"
    r"Mensaje original|Messaggio originale|Oorspronkelijk bericht)[ \t]*[-_]{3,}|"
    r"(?:On|Am|Le|El|Il|Op)\b(?=[^\n]*(?:\d[:./]\d|(?:19|20)\d\d|@))[^\n]{5,150}"
    r"\b(?:wrote|schrieb[^\n:]{0,60}|a écrit|escribió|ha scritto|schreef[^\n:]{0,60}) ?:"
    r")[ \t]*"
)
# the headers of one that is repeated without such a line, as Outlook does
_HEADERS = re.compile(
    r"[ \t]*(?:From|Von|De|Da|Van): [^\n]+\n(?:[^\n]+\n){0,2}?"
    r"(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado|Inviato|Verzonden)[  ]?: "
)
_SENDER = re.compile(r"(?:From|Von|De|Da|Van): ")
_REPEATED = re.compile(r"[ \t]*>")
_QUOTE_BELOW = re.compile(r"\s*>")


def repeats_from(text: str, line: re.Match[str], end: int) -> bool:
    """Whether a line of a mail's text stands above all that is repeated in it.

    It has the name of its sender, or begins the headers, of another mail, as “On 4 May Ann wrote:”
    does. What is behind “>” ends where that does, and is known by it. `end` is where the line's
    paragraph ends.
    """
    return _is_above(text, line) or bool(_HEADERS.match(text, line.start(), end))


def is_repeated(span: Span) -> bool:
    """Whether a stretch of a mail is of another one: behind “>”, or below a line that says so."""
    passage = span.passage
    if not passage.source.lower().endswith(MAILS):
        return False
    begun = passage.text.rfind("\n", 0, span.start) + 1
    if _REPEATED.match(passage.text, begun):
        return True
    _, *headings = re.split(r"\n| > ", passage.context)
    if any(_SENDER.match(one) or _ABOVE.fullmatch(one) for one in headings):
        return True
    return any(_is_above(passage.text, line) for line in LINE.finditer(passage.text, 0, begun))


def _is_above(text: str, line: re.Match[str]) -> bool:
    return bool(_ABOVE.fullmatch(line.group())) and not _QUOTE_BELOW.match(text, line.end())
