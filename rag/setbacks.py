"""What speaks against a stretch as the quote that answers, though it is about the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.evidence import Span
from rag.names import codes
from rag.replies import is_repeated
from rag.stretches import stands_alone

# more than a stretch can be better than another: of what says nothing, of what shows nothing, and
# of what is about another item, which may be all that there is
_SAYS_NOTHING = 10.0
SHOWS_NOTHING = 4.0
_OF_ANOTHER = 2.0
# it still answers where nothing else is near
_REPEATED = 0.35
_MOST = re.compile(
    r"\b(?:(?:high|low|large|bigg|small|cheap|old|new|long|short|heavi|light|fast|quick|slow|great|"
    r"strong|weak|few|broad|wid|narrow|thick|thinn|young|deep|tall|dear)est|"
    r"(?<!at )(?:most|least) (?:expensive|costly|valuable|important|powerful|popular|common|"
    r"frequent|efficient|often|orders|money|sold|used)|"
    r"(?:höchst|niedrigst|größt|kleinst|billigst|teuerst|ältest|neuest|längst|kürzest|schwerst|"
    r"leichtest|schnellst|günstigst)e[mnrs]?|"
    r"(?:le|la|les) (?:plus|moins) [^\W\d_]+)\b",
    re.IGNORECASE,
)
_OF_TWO = re.compile(
    r"\b(?:cheaper|dearer|higher|lower|larger|bigger|smaller|longer|shorter|heavier|lighter|faster|"
    r"slower|older|newer|greater|fewer|more expensive|teurer|billiger|günstiger|höher|niedriger|"
    r"größer|kleiner|länger|kürzer|schwerer|leichter|schneller|langsamer|älter|neuer)\b"
    r"[^?]*\b(?:or|oder|ou)\b",
    re.IGNORECASE,
)


def setbacks(question: str, spans: Sequence[Span], told: Sequence[str]) -> NDArray[np.float64]:
    """What each stretch's score as evidence is to lose; `told` has each as it is read.

    A heading, a table's header or a question says nothing by itself. A stretch about KP-200 does
    not say what KP-400 costs, where another one is about that. One row does not show that it has
    the most. What a mail repeats is another mail's.
    """
    lost = np.array([0.0 if stands_alone(span) else _SAYS_NOTHING for span in spans])
    if asked := codes(question):
        named = [codes(text) for text in told]
        if any(asked & one for one in named):
            lost += [_OF_ANOTHER * bool(one and not asked & one) for one in named]
    if compared := [match.casefold() for match in _MOST.findall(question)]:
        lost += [SHOWS_NOTHING * _is_mere_row(span, compared) for span in spans]
    elif _OF_TWO.search(question):
        lost += [SHOWS_NOTHING * _is_mere_row(span, ()) for span in spans]
    return lost + [_REPEATED * is_repeated(span) for span in spans]


def _is_mere_row(span: Span, compared: Sequence[str]) -> bool:
    """Whether a stretch is a row of a table that none of these words, as “highest”, stands in."""
    folded = span.text.casefold()
    return "|" in folded and "\n" not in folded and not any(word in folded for word in compared)
