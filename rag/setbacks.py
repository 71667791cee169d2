"""What speaks against a stretch as the quote that answers, though it is about the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.evidence import Span
from rag.names import codes
from rag.replies import is_repeated
from rag.stretches import is_no_statement, stands_alone

# more than a stretch can be better than another: of what can be no answer, of a row that shows
# nothing, and of what is about another item or says little, which may be all that there is
_NO_STATEMENT = 10.0
SHOWS_NOTHING = 4.0
_OF_ANOTHER = 2.0
_SAYS_LITTLE = 1.0
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
    r"\b(?:which|what|who|is|are|welche[rs]?|was|wer|ist|sind)\b[^?,]{0,40}"
    r"\b(?:cheaper|dearer|higher|lower|larger|bigger|smaller|longer|shorter|heavier|lighter|faster|"
    r"slower|older|newer|greater|more expensive|teurer|billiger|günstiger|höher|niedriger|"
    r"größer|kleiner|länger|kürzer|schwerer|leichter|schneller|langsamer|älter|neuer)\s*[,:]"
    r"[^?]*\b(?:or|oder)\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"\d+(?:AM|PM|GB|MB|KB|TB|KG|G|M|KM|CM|MM|H|W|KW|V|L|ML|T)")
# where another item is asked for
_OF_CHANGE = re.compile(
    r"\b(?:replac\w+|success\w+|predecess\w+|instead|than|differ\w*|compar\w+|ersetz\w*|nachfolge\w*|"
    r"vorgänger\w*|statt|anstelle|als|remplac\w+)\b",
    re.IGNORECASE,
)
# a row may say by itself that it is the most, or the limit
_SAYS_MOST = re.compile(
    r"\b(?:min|max|minim\w*|maxim\w*|mindest\w*|höchst\w*|at most|at least|up to|bis zu|latest|"
    r"spätest\w*|limit\w*|top|bottom|au (?:plus|moins))\b",
    re.IGNORECASE,
)


def setbacks(question: str, spans: Sequence[Span], told: Sequence[str]) -> NDArray[np.float64]:
    """What each stretch's score as evidence is to lose; `told` has each as it is read.

    A table's header or a question is no answer, a heading hardly one. A stretch about KP-200 does
    not say what KP-400 costs, where another one is about that. One row does not show that it has
    the most. What a mail repeats is another mail's.
    """
    lost = np.array([_of_itself(span) for span in spans])
    if (asked := codes(question)) and not _OF_CHANGE.search(question):
        named = [{code for code in codes(text) if not _AMOUNT.fullmatch(code)} for text in told]
        if any(asked & one for one in named):
            lost += [_OF_ANOTHER * bool(one and not asked & one) for one in named]
    if compared := [match.casefold() for match in _MOST.findall(question)]:
        lost += [SHOWS_NOTHING * _is_mere_row(span, compared) for span in spans]
    elif _OF_TWO.search(question):
        lost += [SHOWS_NOTHING * _is_mere_row(span, ()) for span in spans]
    return lost + [_REPEATED * is_repeated(span) for span in spans]


def _of_itself(span: Span) -> float:
    if is_no_statement(span):
        return _NO_STATEMENT
    return 0.0 if stands_alone(span) else _SAYS_LITTLE


def _is_mere_row(span: Span, compared: Sequence[str]) -> bool:
    """Whether a stretch is a row without one of these words, as “highest”, or one for a bound."""
    folded = span.text.casefold()
    says_so = any(word in folded for word in compared) or _SAYS_MOST.search(folded)
    return "|" in folded and "\n" not in folded and not says_so
